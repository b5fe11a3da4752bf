"""What the sweep finds in its folder: candidates that diverged, and those that a search has begun."""

import logging
from dataclasses import asdict, replace

import pytest

from lms_ray.models.candidates import Recipe
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.choosing import MetaSplit
from lms_ray.settings.errors import SweepError
from lms_ray.settings.loading import load
from lms_ray.store import pool
from lms_ray.store.files import Store
from lms_ray.sweep import _begun, _check_diverged


def records(good: int, diverged: int) -> list[dict]:
    return [{"id": f"good-{number}", "diverged": False} for number in range(good)] + [
        {"id": f"diverged-{number}", "diverged": True} for number in range(diverged)
    ]


def test_they_are_said_and_are_not_of_the_pool(tmp_path, caplog: pytest.LogCaptureFixture):
    store = Store(str(tmp_path))
    pool.write(store, records(8, 2), {})
    with caplog.at_level(logging.WARNING, "lms_ray"):
        _check_diverged(records(8, 2), MetaSplit())
    assert "2 of 10 candidates diverged and are left out of the pool: diverged-0, diverged-1" in caplog.text
    assert pool.candidates(store) == [f"good-{number}" for number in range(8)]
    assert len(pool.read(store)) == 10


def test_too_few_that_are_left_end_the_job(tmp_path):
    with pytest.raises(
        SweepError, match=r"without those that diverged there are 4 candidates, which meta_split divides"
    ):
        _check_diverged(records(4, 6), MetaSplit())


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
