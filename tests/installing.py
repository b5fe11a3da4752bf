"""A fresh environment with this project from its wheel; the dependencies come from where they are."""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]


def build(folder: Path) -> Path:
    """Build the wheel of a copy of this project; gives the folder that it lies in."""
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "build", "site", "*.egg-info"))
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist")], source)
    return folder / "dist"


def environment(folder: Path, wheels: Path, wanted: str = "lms-ray") -> Path:
    """Make an environment with the wheel; gives its `bin`.

    Args:
        folder: a new folder.
        wheels: the folder of the wheel.
        wanted: what pip is asked for, such as `lms-ray[mlflow]`; an extra that there is not is an error.
    """
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)], wheels)
    python = folder / "bin" / "python"
    install = [*PIP, "--python", str(python), "install", "--no-deps", "--no-index", "-f", str(wheels), wanted]
    found = run(install, wheels, with_errors=True)
    assert "does not provide the extra" not in found, found
    packages = run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], wheels).strip()
    (Path(packages) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    # The wheel of lang2vec puts this beside every script of an environment, where Python finds it before the package.
    for file in metadata.files("lang2vec") or []:
        if file.name == "lang2vec.py" and "bin" in file.parts:
            shutil.copy(file.locate(), python.parent)
    return python.parent


def run(command: list[str], folder: Path, *, with_errors: bool = False) -> str:
    """Run a command in a folder, without this project on the path; gives what it printed."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=own, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + (done.stderr if with_errors else "")
