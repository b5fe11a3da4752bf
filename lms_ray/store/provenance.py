"""What an experiment was made with: code, packages, hardware."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import lms_ray

PACKAGES = ("ray", "torch", "transformers", "tokenizers", "numpy", "scipy", "pyarrow", "optuna", "datasets", "lang2vec")


def collect(cluster: Mapping[str, float]) -> dict[str, Any]:
    """Versions and hardware, as of now.

    Args:
        cluster: its resources, as Ray counts them, with the types of its GPUs.
    """
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "lms_ray": lms_ray.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cluster": {key: value for key, value in cluster.items() if not key.startswith("node:")},
    }


def _commit() -> str | None:
    """Git commit of the code, with `+changes` where files differ from it; None outside of a checkout."""
    folder = Path(lms_ray.__file__).parent
    try:
        run = {"cwd": folder, "capture_output": True, "text": True, "check": True}
        commit = subprocess.run(["git", "rev-parse", "HEAD"], **run).stdout.strip()  # type: ignore[call-overload]
        changes = subprocess.run(["git", "status", "--porcelain", "."], **run).stdout  # type: ignore[call-overload]
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}+changes" if changes else commit


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
