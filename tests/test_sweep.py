"""What the sweep finds in its folder: candidates that diverged, and those that a search has begun."""

import logging
import re
from dataclasses import asdict, replace

import pytest
from ray.exceptions import OutOfMemoryError

from lms_ray.cluster.giving_up import Tries
from lms_ray.models.candidates import Recipe
from lms_ray.pages.progress import Progress
from lms_ray.settings.candidates import Candidate, Sweep
from lms_ray.settings.errors import SweepError
from lms_ray.settings.loading import load
from lms_ray.store import missing, pool
from lms_ray.store.files import Store
from lms_ray.store.missing import Missing
from lms_ray.sweep import _begun, _check_left, _Report, _take_missing


def records(good: int, diverged: int) -> list[dict]:
    return [{"id": f"good-{number}", "diverged": False} for number in range(good)] + [
        {"id": f"diverged-{number}", "diverged": True} for number in range(diverged)
    ]


def test_they_are_said_and_are_not_of_the_pool(tmp_path, caplog: pytest.LogCaptureFixture):
    store = Store(str(tmp_path))
    pool.write(store, records(8, 2), {})
    with caplog.at_level(logging.WARNING, "lms_ray"):
        _check_left(records(8, 2), 0, load("quickstart"))
        _check_left(records(8, 30), 0, load("quickstart"))
    assert "2 of 10 candidates diverged and are left out of the pool: diverged-0, diverged-1 (" in caplog.text
    assert "30 of 38 candidates diverged and are left out of the pool: diverged-0, diverged-1, " in caplog.text
    assert "diverged-3 and 26 more (`diverged` in candidates.parquet)" in caplog.text
    assert pool.candidates(store) == [f"good-{number}" for number in range(8)]
    assert len(pool.read(store)) == 10


def test_too_few_that_are_left_end_the_job_with_what_gives_more(tmp_path):
    for overrides, ways in (
        ([], "have more candidates, with sweep.seeds above 4 or more values of sweep.learning_rate, sweep.epochs or "),
        (["sweep.search=optuna", "sweep.candidates=10"], "have more proposed, with sweep.candidates above 10"),
        (["sweep.checkpoints=/models/*"], "name more in sweep.checkpoints"),
    ):
        with pytest.raises(
            SweepError, match=r"without those that diverged there are 4 candidates, which meta_split divides"
        ) as refused:
            _check_left(records(4, 6), 0, load("quickstart", overrides))
        assert f"at least 2 in each part. {ways}" in str(refused.value)


def test_a_pool_with_holes_is_refused_or_taken_with_a_loud_word(tmp_path, caplog: pytest.LogCaptureFixture):
    store = Store(str(tmp_path))
    holes = [Missing(f"hole-{number}", "failed", 4, 0, 0, "ValueError: no words") for number in range(2)]
    said = r"2 candidates are missing \(2 failed\), among them hole-0: ValueError: no words"
    pool.write(store, records(10, 0), {})
    with pytest.raises(SweepError, match=rf"^{said} \(.*/hole-0/ERROR.txt says more\); the other 8 are done\."):
        _take_missing(store, holes, 8, accepted=1)
    assert not store.exists(pool.PATH), "the pool of an earlier run is not whole any more"
    assert missing.read(store) == holes
    with caplog.at_level(logging.WARNING, "lms_ray"):
        _take_missing(store, holes, 8, accepted=2)
    assert re.search(rf"THE POOL HAS HOLES: {said}", caplog.text)
    _take_missing(store, [], 10, accepted=2)
    assert missing.read(store) == []
    with pytest.raises(
        SweepError,
        match=r"without those that diverged and those that are missing there are 4 .* run the job again to try the 2 ",
    ):
        _check_left(records(4, 2), 2, load("quickstart"))


def test_a_search_goes_on_with_its_own_candidates_only(tmp_path, task, encoder, sentences):
    """Another recipe's search, with other settings of `finetune`, began with the same proposals."""
    windows = task.windows(sentences(4), encoder.tokenizer, 32)
    store = Store(str(tmp_path))
    recipe = Recipe(load("quickstart"), store, "a", encoder, task, windows, windows, dev_digest="dev")
    proposals = [Candidate(1e-3, 1, 32, seed=seed) for seed in range(2)]
    for of_recipe in (recipe, replace(recipe, config_hash="b")):
        for candidate in proposals:
            store.write_json(f"{pool.unit(of_recipe.id(candidate))}/candidate.json", asdict(candidate))
    assert _begun(recipe) == proposals


def test_a_kill_for_memory_that_ends_tune_counts_against_whose_worker_it_was(local: Store, capsys):
    killed, other = (Candidate(1e-3, 1, 32, seed=seed) for seed in range(2))
    tries = Tries(local, "hash", Sweep(max_failures=0))
    report = _Report(Progress("sweep", "candidates", 4, done=1), tries)
    report.actors = {"04c9": killed, "5d1b": other}
    of_ray = OutOfMemoryError("1 worker(s) were killed due to the node running low on memory\nSelected: Actor(04c9)")
    of_tune = RuntimeError("Caught unexpected exception")
    of_tune.__cause__ = of_ray
    assert not report.count_killed(RuntimeError("something else"))
    assert report.count_killed(of_tune)
    hole = tries.given_up(killed)
    assert hole and hole.reason.startswith("1 worker(s) were killed due to the node running low on memory")
    assert not tries.errors(other)
    tries.holes[other] = replace(hole, state="lost")
    report.on_step_end(0, [])
    assert capsys.readouterr().out.splitlines()[-1] == "sweep     1/4 done, 0 running, 1 failed, 1 lost"
    of_tune.__cause__ = OutOfMemoryError("of a worker that nobody knows")
    assert not report.count_killed(of_tune)
