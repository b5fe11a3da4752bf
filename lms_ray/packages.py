"""Whether this Python has what the commands need; says it in one line, before the first import fails."""

import sys
from importlib.util import find_spec

NEEDED = (
    *("conllu", "datasets", "huggingface_hub", "iso639", "jinja2", "lang2vec", "lightgbm", "numpy", "optuna"),
    *("pandas", "psutil", "pyarrow", "pydantic", "yaml", "ray", "rich", "safetensors", "sklearn", "scipy"),
    *("tabulate", "torch", "transformers"),
)
"""Modules of the packages that pyproject.toml names."""


def require() -> None:
    """Say in one line what is missing, and where it comes from.

    Raises:
        ImportError: a package is missing; said of lms_ray itself, so that `python -m` prints no traceback.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"the Python that runs this ({sys.executable}) has no {', '.join(missing)}; on a cluster they come from "
            "`ray job submit --runtime-env clusters/runtime-env.yaml ...` or from an image of clusters/Dockerfile, "
            "on one machine from `make setup`",
            name="lms_ray",
        )
