"""Whether this Python has what the commands need; says it in one line, before the first import fails."""

import sys
from importlib.util import find_spec

NEEDED = (
    *("conllu", "datasets", "huggingface_hub", "jinja2", "lang2vec", "matplotlib", "numpy", "optuna", "pandas"),
    *("psutil", "pyarrow", "pydantic", "yaml", "ray", "safetensors", "scipy", "tabulate", "torch", "transformers"),
)
"""Modules of the packages that pyproject.toml names."""


def require() -> None:
    """End the process with a message where a package is missing."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(
            f"error: the Python that runs this ({sys.executable}) has no {', '.join(missing)}; on a cluster they come "
            "from `ray job submit --runtime-env clusters/runtime-env.yaml ...` or from an image of "
            "clusters/Dockerfile, on one machine from `make setup`"
        )
