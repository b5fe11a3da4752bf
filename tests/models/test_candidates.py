"""A candidate's unit of work: what it does with what an interrupted or earlier run left."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from lms_ray.models.candidates import Recipe, fine_tune
from lms_ray.models.finetune import FineTuner
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.loading import load
from lms_ray.store.files import Store

CANDIDATE = Candidate(learning_rate=3e-3, epochs=2, batch_size=8, seed=0)
TIMES = ("started", "seconds", "resumed_from_epoch")


@pytest.fixture
def recipe(task, encoder, sentences, tmp_path: Path) -> Recipe:
    windows = task.windows(sentences(40), encoder.tokenizer, 32)
    root = Store(str(tmp_path / "whole"))
    return Recipe(load("quickstart"), root, "hash", encoder, task, train=windows, dev=windows, dev_digest="dev")


def tuner(recipe: Recipe) -> FineTuner:
    experiment = recipe.experiment
    return FineTuner(recipe.task, recipe.encoder, CANDIDATE, experiment.finetune, recipe.train, experiment.seed, "cpu")


@pytest.mark.parametrize("kept", [1, 0.5, 0])
def test_it_goes_on_from_a_good_state_and_starts_anew_from_a_broken_one(
    recipe: Recipe, tmp_path: Path, kept: float, caplog: pytest.LogCaptureFixture
):
    whole = fine_tune(CANDIDATE, recipe, "cpu")
    other = replace(recipe, store=Store(str(tmp_path / "interrupted")))
    interrupted = tuner(other)
    interrupted.train_epoch()
    state = interrupted.state()
    resume = f"candidates/{CANDIDATE.id('hash')}/resume.safetensors"
    other.store.write_bytes(resume, state[: int(len(state) * kept)])
    with caplog.at_level(logging.WARNING, "lms_ray"):
        record = fine_tune(CANDIDATE, other, "cpu")
    assert record["resumed_from_epoch"] == (1 if kept == 1 else 0)
    assert ("no training state" in caplog.text) == (kept < 1)
    assert {key: record[key] for key in record if key not in TIMES} == {
        key: whole[key] for key in whole if key not in TIMES
    }
    weights = f"candidates/{record['id']}/model.safetensors"
    assert other.store.read_bytes(weights) == recipe.store.read_bytes(weights)
    assert not other.store.exists(resume)


def test_a_score_follows_the_dev_set_and_the_model_stays(recipe: Recipe, task, encoder, sentences):
    first = fine_tune(CANDIDATE, recipe, "cpu")
    store, weights = recipe.store, f"candidates/{first['id']}/model.safetensors"
    before = store.read_bytes(weights)
    dev = task.windows(sentences(30, seed=7), encoder.tokenizer, 32)
    other = replace(recipe, dev=dev, dev_digest="another")
    assert other.finished(CANDIDATE, store) is None
    second = fine_tune(CANDIDATE, other, "cpu")
    assert second["dev_score"] != first["dev_score"]
    assert other.finished(CANDIDATE, store) == second
    assert store.read_bytes(weights) == before
    assert {key for key in first if first[key] != second[key]} == {"dev_score", "dev"}
    assert fine_tune(CANDIDATE, other, "cpu") == second


def test_a_candidate_that_diverged_says_so(recipe: Recipe):
    steep = replace(CANDIDATE, learning_rate=1e30)
    record = fine_tune(steep, recipe, "cpu")
    assert record["diverged"]
    assert not fine_tune(CANDIDATE, recipe, "cpu")["diverged"]


def test_what_is_done_and_what_is_safe_is_told(recipe: Recipe):
    """From this the cost of a lost machine is known; the last epoch is safe when the candidate is done."""
    told: list[tuple[int, bool]] = []

    def stops_in_the_end(epochs: int, saved: bool) -> None:
        told.append((epochs, saved))
        if epochs == 3:
            raise InterruptedError

    three = replace(CANDIDATE, epochs=3)
    with pytest.raises(InterruptedError):
        fine_tune(three, recipe, "cpu", stops_in_the_end)
    assert told[0] == (0, True)
    assert sorted(told[1:]) == [(1, False), (1, True), (2, False), (2, True), (3, False)]
    told.clear()
    fine_tune(three, recipe, "cpu", lambda epochs, saved: told.append((epochs, saved)))
    assert told == [(2, True), (3, False)]
