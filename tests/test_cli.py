"""The command line: what is wrong ends in one line and its exit status, and looking writes nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import commands
from lms_ray import cli

JOBS = Path(__file__).parents[1] / "jobs"


@pytest.fixture
def lms_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command in an empty folder; gives its exit status."""
    monkeypatch.chdir(tmp_path)

    return partial(commands.run, monkeypatch)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "task=poos"], "task: found 'poos'; accepted are arl, classification, ner, pos, qa, re"),
        (["plan", "task=ner"], "data.format: found 'conllu'; accepted for this task's examples"),
        (["plan", "finetune.max_length=512"], "finetune.max_length: found 512; accepted is at most 128"),
        (["plan", "nothing.yaml"], "CONFIG: found no file 'nothing.yaml'"),
        (["plan", str(JOBS / "ner-small.yaml"), "data.root=/no/such/folder"], "data.root: found no folder /no"),
        (["report", "storage=elsewhere"], "not there yet; run `python -m lms_ray.sweep` first"),
        (["verify", "elsewhere", "--target", "da", "--labels", "x"], "PATH: found no experiment.yaml in "),
        (["status", "elsewhere"], "PATH: found no experiment.yaml in "),
        (["status", "s3:/bucket"], "PATH: found 's3:/bucket'; accepted is a local folder"),
        ([], "VERB: found none; accepted are sweep, features, "),
        (["swep"], "VERB: found 'swep'; accepted are sweep, features, "),
        (["status"], "required: PATH; accepted is: lms-ray status [-h] [--candidates] [--watch [SECONDS]] PATH"),
        (["status", "a", "b"], "found 'b', which has no place here; accepted is: lms-ray status "),
        (["export", "a", "--to", "b"], "required: --target; accepted is: lms-ray export [-h] --target LANG "),
        (["sweep", "--ony"], "found '--ony', which has no place here; accepted is: lms-ray sweep [-h] [--only] "),
        (["status", "--watch", "elsewhere", "--candidats"], "found '--candidats', which has no place here"),
    ],
)
def test_what_is_wrong_is_one_line(lms_ray, capsys: pytest.CaptureFixture, arguments: list[str], said: str):
    status, error = lms_ray(*arguments), capsys.readouterr().err
    assert status in (1, 2)
    assert error.startswith("error: ") and said in error and error.count("\n") == 1, error


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        ("sweep --only job.yaml a=1 b=2", {"only": True, "config": "job.yaml", "overrides": ["a=1", "b=2"]}),
        ("sweep job.yaml --only a=1 b=2", {"only": True, "config": "job.yaml", "overrides": ["a=1", "b=2"]}),
        ("sweep a=1 job.yaml b=2 --only", {"only": True, "config": "job.yaml", "overrides": ["a=1", "b=2"]}),
        ("sweep --only a=1", {"only": True, "config": None, "overrides": ["a=1"]}),
        ("plan --like other a=1", {"like": "other", "config": None, "overrides": ["a=1"]}),
        ("plan a=1 --like other", {"like": "other", "config": None, "overrides": ["a=1"]}),
        ("status --watch runs/x", {"watch": 10.0, "path": "runs/x"}),
        ("status --watch 3 runs/x", {"watch": 3.0, "path": "runs/x"}),
        ("status runs/x --candidates --watch", {"watch": 10.0, "path": "runs/x", "candidates": True}),
        ("export --to b --target da a", {"path": "a", "target": "da", "to": "b"}),
        ("tables --to t a b", {"to": "t", "folders": ["a", "b"]}),
    ],
)
def test_an_option_may_stand_anywhere(words: str, taken: dict[str, object]):
    arguments = cli._parser(None).parse_args(words.split())
    found = vars(arguments)
    if "overrides" in taken:
        found["config"], found["overrides"] = cli._configuration(arguments)
    assert {key: found[key] for key in taken} == taken


def test_checkpoints_languages_and_overrides_are_told_apart(lms_ray, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple] = []
    monkeypatch.setattr("lms_ray.rank.rank", lambda *of: asked.append(of))
    words = "rank a --checkpoint b=1/c data.root=/d --target da sweep.seeds=2 --checkpoint s3://x?seed=1"
    assert lms_ray(*words.split()) == 0
    assert asked == [("a", ["b=1/c", "s3://x?seed=1"], ["da"], ["data.root=/d", "sweep.seeds=2"])]


def test_a_plan_refuses_a_folder_of_another_experiment_as_the_job_does(
    lms_ray, tmp_path: Path, capsys: pytest.CaptureFixture
):
    folder = tmp_path / "runs" / "quickstart"
    folder.mkdir(parents=True)
    (folder / "experiment.yaml").write_text("task: ner\n")
    assert lms_ray("plan") == 2
    assert f"error: name: {folder} holds another experiment" in capsys.readouterr().err


def test_an_experiment_is_not_kept_beside_the_uploaded_code(
    lms_ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    uploaded = tmp_path / "working_dir_files" / "_ray_pkg_0"
    uploaded.mkdir(parents=True)
    monkeypatch.chdir(uploaded)
    assert lms_ray("sweep") == 2
    assert f"storage: found {uploaded}/runs/quickstart, in the uploaded code of the job" in capsys.readouterr().err
    assert not list(uploaded.iterdir())


@pytest.mark.parametrize(
    ("ends", "status", "said"),
    [
        (lambda *_: os.kill(os.getpid(), signal.SIGINT), 130, "interrupted; the same command goes on from here"),
        (lambda *_: os.kill(os.getpid(), signal.SIGTERM), 143, "interrupted; the same command goes on from here"),
        (lambda *_: 1 / 0, 1, "ZeroDivisionError: division by zero"),
    ],
)
def test_however_a_job_ends_its_status_says_so(
    lms_ray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, ends: Callable, status: int, said: str
):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cli, "_do", ends)
    ctrl_c = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell ignores it
    try:
        assert lms_ray("report") == status
        assert capsys.readouterr().err.splitlines()[-1] == said
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, ctrl_c)


@pytest.mark.parametrize(
    "verb",
    ["sweep", "features", "ranking", "selection", "report", "plan", "config", "status", "rank", "verify", "tables"],
)
def test_every_verb_has_help(lms_ray, capsys: pytest.CaptureFixture, verb: str):
    assert lms_ray(verb, "--help") == 0
    assert f"lms-ray {verb}" in capsys.readouterr().out


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


CUT_OFF = """
import os, signal, sys
from lms_ray import __main__

class CtrlC:
    def find_spec(self, name, *_):
        if name == "lms_ray.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
__main__.main()
"""


def test_ctrl_c_while_it_is_imported_ends_it_without_a_word():
    done = subprocess.run([sys.executable, "-c", CUT_OFF], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_an_import_that_ctrl_c_has_cut_off_is_an_interruption(lms_ray, monkeypatch, capsys):
    def cut_off(*_):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("initialization failed") from error

    monkeypatch.setattr(cli, "_do", cut_off)
    assert lms_ray("plan") == 130
    assert capsys.readouterr().err == "interrupted; the same command goes on from here\n"
