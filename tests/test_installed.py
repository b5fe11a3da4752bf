"""The wheel, installed beside its dependencies in a fresh environment, starts from any folder."""

import subprocess
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import lms_ray
from installing import build, environment, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a fresh environment: this project from its wheel, the dependencies from where they are."""
    folder = tmp_path_factory.mktemp("installed")
    return environment(folder / "venv", build(folder))


def test_the_environment_is_fresh_and_has_the_trap(installed: Path, tmp_path: Path):
    where = run([str(installed / "python"), "-c", "import lms_ray; print(lms_ray.__file__)"], tmp_path)
    assert where.startswith(str(installed.parent))
    assert (installed / "lang2vec.py").is_file()


@pytest.mark.parametrize("command", [["lms-ray"], ["python", "-m", "lms_ray"]], ids=["script", "module"])
def test_the_version(installed: Path, tmp_path: Path, command: list[str]):
    said = run([str(installed / command[0]), *command[1:], "--version"], tmp_path)
    assert said.strip() == f"lms-ray {lms_ray.__version__} ".strip()
    assert lms_ray.__version__ == metadata.version("lms-ray")


def test_a_notebook_has_the_api_and_its_types(installed: Path, tmp_path: Path):
    code = "import lms_ray, os; print(lms_ray.PairwiseRanker(), os.path.exists(lms_ray.__path__[0] + '/py.typed'))"
    assert run([str(installed / "python"), "-c", code], tmp_path).strip() == "PairwiseRanker() True"


def test_the_quickstart_is_planned_and_nothing_is_written(installed: Path, tmp_path: Path):
    said = run([str(installed / "lms-ray"), "plan"], tmp_path)
    assert "candidates             24" in said
    assert not list(tmp_path.iterdir())


def test_a_configuration_is_printed_and_can_be_read_again(installed: Path, tmp_path: Path):
    said = run(
        [str(installed / "lms-ray"), "config", "paper", "data.root=/data", "data.files=x/{lang}/{split}"], tmp_path
    )
    assert yaml.safe_load(said)["sweep"]["seeds"] == 20
    (tmp_path / "again.yaml").write_text(said)
    again = run([str(installed / "lms-ray"), "config", "again.yaml"], tmp_path)
    assert yaml.safe_load(again) == yaml.safe_load(said)


def test_the_status_of_no_experiment(installed: Path, tmp_path: Path):
    done = subprocess.run([installed / "lms-ray", "status", "nowhere"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: PATH: found no experiment.yaml in {tmp_path}/nowhere")
