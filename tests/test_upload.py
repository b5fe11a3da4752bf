"""What `ray job submit --working-dir .` uploads, and how a cluster's Python comes by its packages."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import ray
import yaml
from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env.packaging import create_package
from ray.runtime_env import RuntimeEnv

from lms_ray import packages

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
UNLIKE = {
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "python-iso639": "iso639",
}  # packages whose module has another name


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A clone that has been worked in: with data, runs, an environment and caches."""
    clone = tmp_path / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    for name in (
        "runs/one/x",
        "data/ud/x",
        ".venv/x",
        "venv/x",
        ".git/x",
        "dist/x",
        ".pytest_cache/x",
        "lms_ray/__pycache__/x",
    ):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_bytes(os.urandom(2_000_000))
    for name in (".env", "clusters/key.pem"):
        (clone / name).write_text("secret")
    return clone


def test_the_upload_is_small_and_holds_code_only(used: Path, tmp_path: Path):
    package = tmp_path / "package.zip"
    create_package(str(used), package, include_gitignore=True, excludes=get_runtime_env_default_excludes())
    with zipfile.ZipFile(package) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    assert package.stat().st_size < 1_500_000
    assert {"lms_ray/sweep.py", "lms_ray/data/corpora.py", "lms_ray/pages/templates/report.html"} <= names
    assert {"jobs/pos-ud.yaml", "clusters/runtime-env.yaml", "constraints.txt"} <= names
    parts = {name.partition("/")[0] for name in names}
    assert not parts & {"runs", "data", "tests", "benchmarks", ".venv", "venv", ".git", "dist", ".pytest_cache"}
    assert not [name for name in names if re.search(r"__pycache__|egg-info|\.env|\.pem", name)]


def test_the_runtime_environment_has_every_package_and_ray_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)  # as the command is given
    found = RuntimeEnv(**yaml.safe_load(Path("clusters/runtime-env.yaml").read_text()))
    pinned = {re.split("==", line)[0].lower(): line for line in found.pip_config()["packages"]}
    wanted = [re.split(r"[\[<>=]", text)[0].lower() for text in PROJECT["dependencies"]]
    assert set(wanted) <= pinned.keys()
    assert pinned["ray"] == f"ray=={ray.__version__}", "Ray refuses a job that would replace it"


def test_every_package_is_looked_for():
    wanted = [re.split(r"[\[<>=]", text)[0] for text in PROJECT["dependencies"]]
    assert sorted(packages.NEEDED) == sorted(UNLIKE.get(name, name) for name in wanted)
    packages.require()


@pytest.mark.parametrize("module", ["lms_ray", "lms_ray.sweep", "lms_ray.features", "lms_ray.report"])
def test_a_python_that_lacks_them_says_so_in_one_line(module: str, tmp_path: Path):
    command = [sys.executable, "-S", "-m", module]  # without site-packages
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert ended.returncode == 1
    python = re.escape(sys.executable)
    said = rf".* \(ImportError: the Python that runs this \({python}\) has no conllu, .*, transformers; "
    done = r"on a cluster they come from `ray job submit --runtime-env clusters/runtime-env\.yaml .*`make setup`\)\n"
    assert re.fullmatch(said + done, ended.stderr)
