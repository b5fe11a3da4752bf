"""`import lms_ray` is fast: what is heavy comes when a name is asked for."""

import subprocess
import sys

import pytest

import lms_ray

HEAVY = ("ray", "torch", "transformers", "pandas", "numpy", "pyarrow", "pydantic", "scipy", "sklearn", "matplotlib")


def fresh(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_package_alone_imports_nothing_heavy():
    loaded = f"print([name for name in {HEAVY} if name in sys.modules])"
    assert fresh(f"import sys, lms_ray; dir(lms_ray); lms_ray.__version__; {loaded}") == "[]"


def test_the_api_imports_no_ray():
    names = ", ".join(name for name in lms_ray.__all__ if not name.startswith("_"))
    assert fresh(f"import sys; from lms_ray import {names}; print('ray' in sys.modules, 'torch' in sys.modules)") == (
        "False True"
    )


def test_every_name_is_there_and_shown():
    for name in lms_ray.__all__:
        assert getattr(lms_ray, name) is not None
        assert name in dir(lms_ray)
    assert lms_ray.open_experiment is lms_ray.open_experiment
    with pytest.raises(AttributeError, match="module 'lms_ray' has no attribute 'open'"):
        lms_ray.open  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from lms_ray import nothing  # noqa: F401
