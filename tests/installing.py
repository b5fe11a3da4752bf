"""A fresh environment with this project from its wheel, and of other packages those that it asks for and no more.

They come from where they are, so that no network is needed.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
    packages = Path(run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], wheels).strip())
    _link_dependencies(packages, Requirement(wanted).extras)
    # The wheel of lang2vec puts this beside every script of an environment, where Python finds it before the package.
    for file in metadata.files("lang2vec") or []:
        if file.name == "lang2vec.py" and "bin" in file.parts:
            shutil.copy(file.locate(), python.parent)
    return python.parent


def _link_dependencies(packages: Path, extras: set[str]) -> None:
    """Link into an environment what the project there asks for, with what that asks for: a package more would hide
    that one is not declared.

    Args:
        packages: the environment's folder of packages.
        extras: of the project.
    """
    (project,) = metadata.distributions(name="lms-ray", path=[str(packages)])
    waiting = [(project, frozenset(extras))]
    seen = set()
    while waiting:
        asking, wanted = waiting.pop()
        for text in asking.requires or []:
            asked = Requirement(text)
            if asked.marker and not any(asked.marker.evaluate({"extra": extra}) for extra in wanted | {""}):
                continue
            if (one := (canonicalize_name(asked.name), frozenset(asked.extras))) not in seen:
                seen.add(one)
                waiting.append((metadata.distribution(asked.name), one[1]))
    here = Path(sysconfig.get_path("purelib"))
    files = [file for name, _ in seen for file in metadata.files(name) or []]
    for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
        if not (packages / top).exists():  # of an earlier installation into this environment
            (packages / top).symlink_to(here / top)


def run(command: list[str], folder: Path, *, with_errors: bool = False) -> str:
    """Run a command in a folder, without this project on the path; gives what it printed."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=own, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + (done.stderr if with_errors else "")
