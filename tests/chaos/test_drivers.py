"""Drivers that are killed or stopped in every stage, and clocks that jump, on a real local Ray."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from faults import Units, claims, driver, nobody_is_in, units
from lms_ray.store import attempts
from small import CANDIDATES, ONE_WORKER, copy_of_candidates, picks, run

pytestmark = [pytest.mark.ray, pytest.mark.chaos]

DAY = 24 * 3600


def require_kept(before: Units, storage: Path) -> Units:
    """What was finished is as it was; what is finished now."""
    after = units(storage)
    assert before.items() <= after.items(), "a finished unit of work was done again"
    return after


def fitted(storage: Path) -> Units:
    """Rankers that are done, while nothing is chosen among them yet."""
    return {} if (storage / "small" / "rankers" / "DONE.json").exists() else units(storage, "rankers")


def test_a_driver_killed_in_each_stage_loses_nothing(job: Path, finished: Path, tmp_path: Path) -> None:
    with driver("sweep", job, tmp_path, *ONE_WORKER) as killed:
        killed.until(lambda: len(units(tmp_path, "candidates")) >= 3)
        killed.kill()
    kept = units(tmp_path)
    assert 3 <= len(kept) < CANDIDATES

    with driver("sweep", job, tmp_path, *ONE_WORKER) as killed:
        killed.until(lambda: units(tmp_path, "encodings"))
        killed.kill()
    kept = require_kept(kept, tmp_path)
    assert 1 <= len(units(tmp_path, "encodings")) < CANDIDATES

    with driver("sweep", job, tmp_path, *ONE_WORKER) as killed:
        killed.until(lambda: fitted(tmp_path))
        killed.kill()
    kept = require_kept(kept, tmp_path)
    assert not (tmp_path / "small" / "rankers" / "DONE.json").exists()

    with driver("sweep", job, tmp_path, *ONE_WORKER) as killed:
        killed.until_said("ranking   finished")
        killed.kill()
    kept = require_kept(kept, tmp_path)
    assert len(claims(tmp_path)) == 1, "which the next driver finds to be a dead one's"

    for stage in ("selection", "report"):
        for delay in (0.0, 0.3):
            with driver(stage, job, tmp_path) as killed:
                killed.until(lambda: claims(tmp_path))
                time.sleep(delay)
                killed.kill()
        run(stage, job, tmp_path)
        assert not claims(tmp_path)

    run("sweep", job, tmp_path, *ONE_WORKER)
    require_kept(kept, tmp_path)
    pd.testing.assert_frame_equal(picks(tmp_path), picks(finished))
    nobody_is_in(tmp_path, within=90)


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_driver_that_is_asked_to_stop_in_the_sweep_leaves_nothing_and_says_how_to_go_on(
    job: Path, tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    with driver("sweep", job, tmp_path) as asked:
        asked.until(lambda: units(tmp_path, "candidates"))
        assert asked.end(sent) == status
        assert "interrupted; the same command goes on from here" in asked.log and "Traceback" not in asked.log
    assert not (tmp_path / "small" / "candidates.parquet").exists()
    assert not claims(tmp_path), "the next driver need not wait"


def test_a_driver_that_is_asked_to_stop_in_any_later_stage_goes_on_from_there(
    job: Path, finished: Path, tmp_path: Path
) -> None:
    storage = copy_of_candidates(finished, tmp_path)
    with driver("sweep", job, storage, *ONE_WORKER) as asked:
        asked.until(lambda: units(storage, "encodings"))
        asked.stop()
    kept = units(storage)
    assert len(units(storage, "encodings")) < CANDIDATES

    with driver("sweep", job, storage, *ONE_WORKER) as asked:
        asked.until(lambda: fitted(storage))
        asked.stop()
    kept = require_kept(kept, storage)
    assert not (storage / "small" / "rankers" / "train").exists(), "Ray Train's own files are gone"

    with driver("sweep", job, storage, *ONE_WORKER) as asked:
        asked.until_said("ranking   finished")
        asked.stop()
    kept = require_kept(kept, storage)

    for stage in ("selection", "report"):
        with driver(stage, job, storage) as asked:
            asked.until(lambda: claims(storage))
            asked.stop()
        run(stage, job, storage)
    require_kept(kept, storage)
    pd.testing.assert_frame_equal(picks(storage), picks(finished))


def test_a_clock_that_jumps_by_a_day_changes_nothing(
    job: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, storage = tmp_path / "clock", tmp_path / "runs"
    clock.write_text("0")
    monkeypatch.setenv("MOVED_CLOCK", str(clock))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "moved_clock"), prepend=":")

    def told(*command: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)

    with driver("sweep", job, storage) as moved:
        moved.until(lambda: units(storage, "candidates"))
        clock.write_text(str(DAY))
        second = told("lms_ray.sweep", str(job), f"storage={storage}")
        assert second.returncode == 1 and f"process {moved.process.pid}" in second.stderr, "still refused"
        status = told("lms_ray", "status", str(storage / "small")).stdout
        assert f"process {moved.process.pid}" in status and "is at work on it" in status
        assert "-" not in status.partition("last heard of")[2].partition(" ago")[0]
        moved.until(lambda: units(storage, "encodings"))
        clock.write_text(str(-DAY))
        moved.until(lambda: units(storage, "rankers"))
        clock.write_text("0")
        assert moved.process.wait(timeout=120) == 0, moved.log
    pd.testing.assert_frame_equal(picks(storage), picks(finished))
    for done in (storage / "small" / "candidates").glob("*/DONE.json"):
        assert 0 < json.loads(done.read_text())["seconds"] < 600
    for path in (storage / "small" / "candidates").glob("*/attempts/*.json"):
        use = attempts.parse(path.read_bytes(), str(path)).use
        assert 0 < use.seconds < 600 and use.lost == use.failed == 0
