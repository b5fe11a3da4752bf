"""Every job file that is shipped can be planned as it stands, given data in the layout that it names."""

from pathlib import Path

import pytest

import tiny
from lms_ray.pages.plan import show_plan
from lms_ray.settings.loading import load

pytestmark = pytest.mark.slow

JOBS = sorted((Path(__file__).parents[1] / "jobs").glob("*.yaml"))


def a_root(job: Path, folder: Path) -> list[str]:
    """What the command line must say: where the files are, for all but data sets of the hub."""
    return [] if "format: hub" in job.read_text() else [f"data.root={folder}"]


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.stem)
def test_a_job_file_is_planned(job: Path, encoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    overrides = [f"encoder={encoder_folder}", "finetune.max_length=64", "finetune.stride=null"]  # it reads 128 at most
    experiment = load(str(job), [*overrides, *a_root(job, tmp_path)])
    found = tiny.write(experiment, tmp_path / "data")
    experiment = load(str(job), [*overrides, *(f"{key}={value}" for key, value in found.items())])
    show_plan(experiment)
    shown = capsys.readouterr().out
    assert f"candidates             {experiment.number_of_candidates}" in shown
    studies = {"pos-study": 96, "ner-study": 48, "arl-study": 48, "topics-study": 24, "pos-small": 24}
    expected = studies.get(job.stem, 12 if job.stem.endswith("-small") else 240)
    assert experiment.number_of_candidates == expected


def test_every_task_and_every_table_has_its_job():
    jobs = {path.stem: load(str(path), a_root(path, Path("/data"))) for path in JOBS}
    assert {experiment.task for experiment in jobs.values()} == {"pos", "ner", "qa", "re", "arl", "classification"}
    assert {experiment.task for name, experiment in jobs.items() if name.endswith("-small")} == {
        *("pos", "ner", "qa", "re", "arl", "classification"),
    }
    assert len(jobs["ner-wikiann"].pivots) == 40
    assert len(jobs["topics-sib200"].targets) == 195
    assert jobs["ner-wikiann"].ranker.language_vector == "none"
    assert jobs["pos-ud-multilingual"].pivot_split == "test"
