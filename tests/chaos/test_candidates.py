"""One sweep in which candidates raise, kill their workers, find the disk full and diverge, and the rest is as ever."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import faulty_candidates
from faulty_candidates import FULL, KILLS, RAISES
from lms_ray.settings.candidates import Candidate
from lms_ray.store import missing, pool, status
from lms_ray.store.files import Store

pytestmark = [pytest.mark.ray, pytest.mark.chaos]

SEEDS = 6
RATES = ("1e-3", "3e-3", "1e30")
ROOM = "256k"  # for attempts and configuration, not for weights


def job_with_faults(job: Path, storage: Path, *overrides: str) -> tuple[int, str]:
    """Run the main job with faulty candidates; its exit status and what it said."""
    grid = [f"sweep.learning_rate=[{','.join(RATES)}]", f"sweep.seeds={SEEDS}"]
    patience = ["sweep.max_failures=1", "sweep.max_losses=2"]
    command = [sys.executable, faulty_candidates.__file__, str(job), "storage=.", *grid, *patience, *overrides]
    ran = subprocess.run(command, cwd=storage, capture_output=True, text=True, timeout=500)
    return ran.returncode, ran.stdout + ran.stderr


def folder_of(finished: Path, candidate: Candidate) -> str:
    """Name of a candidate's folder, as the undisturbed job calls it."""
    prefix = candidate.id("").rpartition("-")[0]
    (found,) = (finished / "small" / "candidates").glob(f"{prefix}-*")
    return found.name


@pytest.fixture
def tiny_disk(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder of one candidate is a file system of its own, with little room; without the right to mount, as if."""
    place = tmp_path / "small" / "candidates" / folder_of(finished, FULL)
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", place]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        monkeypatch.setenv(faulty_candidates.NO_ROOM, "1")
        yield
        return
    yield
    subprocess.run(["umount", place], check=True)


def test_bad_candidates_are_given_up_and_the_others_go_on_as_undisturbed(
    job: Path, finished: Path, tmp_path: Path, tiny_disk: None
) -> None:
    names = {one: folder_of(finished, one) for one in (RAISES, KILLS, FULL)}
    folder, store = tmp_path / "small", Store(str(tmp_path / "small"))
    code, output = job_with_faults(job, tmp_path)
    assert code == 1, output
    assert "error: 3 candidates are missing (2 failed and 1 lost), among them" in output
    assert "the other 15 are done. Run the job again" in output
    assert "Traceback" not in output and "Trial" not in output
    assert f"{names[KILLS]}: lost for the 3rd time" in output
    assert f"{names[RAISES]}: failed for the 2nd time and is given up: ArithmeticError: no words for it" in output
    assert not (folder / "candidates.parquet").exists()

    holes = {hole.id: hole for hole in missing.read(store)}
    assert holes.keys() == set(names.values())
    raised, killed, full = (holes[names[one]] for one in (RAISES, KILLS, FULL))
    assert (raised.state, raised.failures, raised.reason) == ("failed", 2, "ArithmeticError: no words for it")
    assert (killed.state, killed.losses, killed.reason) == ("lost", 3, "its worker or node was lost 3 times")
    assert (full.state, full.failures) == ("failed", 2)
    assert full.reason.startswith(f"disk full: {folder}/candidates/{names[FULL]}/resume.safetensors (no space left")
    assert not list((folder / "candidates" / names[FULL]).glob("*.safetensors"))
    assert "worker process has died" in (folder / "candidates" / names[KILLS] / pool.ERROR).read_text()

    found = {one.id: one for one in status.read(store).candidates}
    states = [(found[names[one]].state, len(found[names[one]].attempts)) for one in (RAISES, KILLS, FULL)]
    assert states == [("failed", 2), ("lost", 3), ("failed", 2)]
    assert [attempt.outcome for attempt in found[names[KILLS]].attempts] == ["lost"] * 3
    records = [json.loads(path.read_text()) for path in folder.glob("candidates/*/DONE.json")]
    diverged = [record for record in records if record["diverged"]]
    assert len(diverged) == SEEDS
    assert {len(record["losses"]) for record in diverged} == {1}, "no second epoch after a loss that is no number"
    undisturbed = [path for path in (finished / "small" / "candidates").iterdir() if path.name not in names.values()]
    assert len(undisturbed) == 5
    for path in undisturbed:
        weights = "model.safetensors"
        assert (folder / "candidates" / path.name / weights).read_bytes() == (path / weights).read_bytes()

    code, output = job_with_faults(job, tmp_path, "sweep.max_missing=3")
    assert code == 0, output
    assert "THE POOL HAS HOLES: 3 candidates are missing (2 failed and 1 lost)" in output
    assert len(pd.read_parquet(folder / "candidates.parquet")) == 15
    assert status.read(store).missing == ()
    assert "15/18" in output
    page = (folder / "report" / "report.md").read_text()
    for one, reason in ((RAISES, "ArithmeticError: no words for it"), (KILLS, "lost 3 times"), (FULL, "disk full: ")):
        assert any(names[one] in line and reason in line for line in page.splitlines()), page
    assert page.count("| diverged |") == SEEDS
    for stage in ("ranking", "report"):
        command = [sys.executable, "-m", f"lms_ray.{stage}", str(folder / "experiment.yaml"), "sweep.max_missing=2"]
        refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
        assert refused.returncode == 1
        assert refused.stderr.startswith("error: 3 candidates are missing (2 failed and 1 lost), among them")
        assert "accepted are 2 (sweep.max_missing)" in refused.stderr
