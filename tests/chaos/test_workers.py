"""Ray's workers that are killed in the middle of their work, in one run of the main job on a real local Ray."""

import json
import signal
from pathlib import Path

import pandas as pd
import psutil
import pytest

from faults import driver, nobody_is_in, units
from small import CANDIDATES, ONE_WORKER, picks

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


def kill(victim: psutil.Process) -> None:
    victim.send_signal(signal.SIGKILL)
    victim.wait(timeout=10)


def test_a_worker_that_is_killed_in_any_stage_is_replaced(job: Path, finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"

    def begun() -> list[Path]:
        """Candidates of which an epoch is saved, and that are not done."""
        saved = (path.parent for path in folder.glob("candidates/*/resume.safetensors"))
        return [candidate for candidate in saved if not (candidate / "DONE.json").exists()]

    with driver("sweep", job, tmp_path, *ONE_WORKER) as running:
        (trial,) = running.until(lambda: running.workers("ray::Trial"))
        running.until(lambda: units(tmp_path, "candidates"))
        (interrupted,) = running.until(begun)
        kill(trial)
        trained = units(tmp_path, "candidates")
        assert f"candidates/{interrupted.name}" not in trained

        (actor,) = running.until(lambda: running.workers("EncodingActor"))
        running.until(lambda: units(tmp_path, "encodings"))
        kill(actor)
        encoded = units(tmp_path, "encodings")
        assert len(encoded) < CANDIDATES

        (worker,) = running.until(lambda: running.workers("RayTrainWorker"))
        running.until(lambda: units(tmp_path, "rankers"))
        kill(worker)
        fitted = units(tmp_path, "rankers")
        assert not (folder / "rankers" / "DONE.json").exists()
        assert running.process.wait(timeout=200) == 0, running.log

    assert (trained | encoded | fitted).items() <= units(tmp_path).items(), "a finished unit of work was done again"
    assert json.loads((interrupted / "DONE.json").read_text())["resumed_from_epoch"] == 1
    tried = {path.name: len(list(path.glob("attempts/*.json"))) for path in folder.glob("candidates/*")}
    assert tried.pop(interrupted.name) == 2 and set(tried.values()) == {1}, "no other was touched"
    pd.testing.assert_frame_equal(picks(tmp_path), picks(finished))
    nobody_is_in(tmp_path)
