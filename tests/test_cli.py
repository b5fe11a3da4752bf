"""The command line: what is wrong ends in one line and its exit status, and looking writes nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lms_ray import cli

JOBS = Path(__file__).parents[1] / "jobs"


@pytest.fixture
def lms_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command in an empty folder; gives its exit status."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["lms-ray", *arguments])
        try:
            cli.main()
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    return run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "task=poos"], "task: found 'poos'; accepted are arl, classification, ner, pos, qa, re"),
        (["plan", "task=ner"], "data.format: found 'conllu'; accepted for this task's examples"),
        (["plan", "nothing.yaml"], "CONFIG: found no file 'nothing.yaml'"),
        (["plan", str(JOBS / "ner-small.yaml"), "data.root=/no/such/folder"], "/no/such/folder/wikiann/"),
        (["report", "storage=elsewhere"], "not there yet; run `python -m lms_ray.sweep` first"),
        (["status", "elsewhere"], "PATH: found no experiment.yaml in elsewhere"),
    ],
)
def test_what_is_wrong_is_one_line(lms_ray, capsys: pytest.CaptureFixture, arguments: list[str], said: str):
    status, error = lms_ray(*arguments), capsys.readouterr().err
    assert status in (1, 2)
    assert error.startswith("error: ") and said in error and error.count("\n") == 1, error


def test_a_plan_writes_nothing(lms_ray, tmp_path: Path):
    assert lms_ray("plan") == 0
    assert not list(tmp_path.iterdir())


def test_output_that_is_not_utf_8_is_no_obstacle(tmp_path: Path):
    (tmp_path / "job.yaml").write_text("preset: quickstart\nname: klein\nstorage: läufe\n", encoding="utf-8")
    command = [sys.executable, "-m", "lms_ray", "config", "job.yaml"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"name: klein" in done.stdout
