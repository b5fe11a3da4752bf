"""The job files of the package are listed and copied, with what they build on."""

from pathlib import Path

import pytest

from commands import run
from lms_ray.settings.loading import load

JOBS = Path(__file__).parents[2] / "jobs"


def test_every_job_is_listed_with_what_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert run(monkeypatch, "jobs") == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line for line in listed if not line.startswith(" ")] == sorted(path.stem for path in JOBS.glob("*.yaml"))
    assert listed[listed.index("pos-ud") + 1].startswith("    Part-of-speech tagging on Universal Dependencies")


def test_a_copy_can_be_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "jobs", "pos-ud-multilingual", "ner-*") == 0
    names = {path.name for path in (tmp_path / "jobs").iterdir()}
    assert names == {"pos-ud-multilingual.yaml", "pos-ud.yaml", *(path.name for path in JOBS.glob("ner-*.yaml"))}
    override = ["data.root=/data"]
    copied, shipped = (load(str(folder / "pos-ud-multilingual.yaml"), override) for folder in (tmp_path / "jobs", JOBS))
    assert copied == shipped


def test_nothing_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    copy = ["jobs", "pos-small", "--to", str(tmp_path)]
    assert run(monkeypatch, *copy) == run(monkeypatch, *copy) == 0
    (tmp_path / "pos-ud.yaml").write_text("name: mine\n")
    (tmp_path / "pos-small.yaml").unlink()
    assert run(monkeypatch, *copy) == 2
    assert f"--to: found another {tmp_path / 'pos-ud.yaml'}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["pos-ud.yaml"]


def test_an_unknown_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert run(monkeypatch, "jobs", "pos-udd") == 2
    assert capsys.readouterr().err.startswith("error: NAME: found 'pos-udd'; accepted are arl-ace, ")
