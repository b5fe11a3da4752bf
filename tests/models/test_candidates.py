"""A candidate's unit of work: what it does with what an interrupted or earlier run left."""

import errno
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lms_ray.models.candidates import Recipe, fine_tune
from lms_ray.models.finetune import FineTuner
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.errors import FullError, MissingError, StorageError
from lms_ray.settings.loading import load
from lms_ray.store import pool
from lms_ray.store.attempts import Event
from lms_ray.store.files import Store
from lms_ray.store.folder import Folder
from object_storage import S3

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
    recipe: Recipe, s3: S3, kept: float, caplog: pytest.LogCaptureFixture
):
    whole = fine_tune(CANDIDATE, recipe, "cpu")
    other = replace(recipe, store=Store(s3("interrupted")))
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


@pytest.mark.parametrize(("save_every", "epoch"), [(1, 3), (2, 2), (0, 0)])
def test_an_interrupted_candidate_goes_on_from_the_last_epoch_that_was_to_be_saved(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_every: int, epoch: int
):
    candidate = replace(CANDIDATE, epochs=4)
    whole = fine_tune(candidate, recipe, "cpu")
    experiment = load("quickstart", [f"sweep.save_every={save_every}"])
    other = replace(recipe, store=Store(str(tmp_path / "interrupted")), experiment=experiment)
    train_epoch = FineTuner.train_epoch
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(
            FineTuner,
            "train_epoch",
            lambda tuner: train_epoch(tuner) if tuner.epoch < 3 else (_ for _ in ()).throw(KeyboardInterrupt),
        )
        fine_tune(candidate, other, "cpu")
    record = fine_tune(candidate, other, "cpu")
    assert (record["resumed_from_epoch"], record["losses"]) == (epoch, whole["losses"])
    store, unit = other.store, pool.unit(record["id"])
    assert store.files_of(unit) == recipe.store.files_of(unit)
    assert not store.exists(f"{unit}/resume.safetensors")


def test_a_state_that_cannot_be_saved_stops_the_candidate(recipe: Recipe, s3: S3):
    refused = pytest.raises(StorageError, match=r"resume\.safetensors: .*ACCESS_DENIED")
    with s3.failing("forbid", "PUT", "resume"), refused:
        fine_tune(CANDIDATE, replace(recipe, store=Store(s3())), "cpu")


def test_a_new_dev_set_wants_the_weights_and_says_so_before_any_work(recipe: Recipe):
    record = fine_tune(CANDIDATE, recipe, "cpu")
    store = recipe.store
    pool.write(store, [record], {})
    pool.tidy(store, keep=())
    assert recipe.finished(CANDIDATE) == record
    with pytest.raises(MissingError, match=f"^en-dev has changed, and the weights .* among them {record['id']}; "):
        replace(recipe, dev_digest="another").finished(CANDIDATE)


def test_a_score_follows_the_dev_set_and_the_model_stays(recipe: Recipe, task, encoder, sentences):
    first = fine_tune(CANDIDATE, recipe, "cpu")
    store, weights = recipe.store, f"candidates/{first['id']}/model.safetensors"
    before = store.read_bytes(weights)
    dev = task.windows(sentences(30, seed=7), encoder.tokenizer, 32)
    other = replace(recipe, dev=dev, dev_digest="another")
    assert other.finished(CANDIDATE) is None
    second = fine_tune(CANDIDATE, other, "cpu")
    assert second["dev_score"] != first["dev_score"]
    assert other.finished(CANDIDATE) == second
    assert store.read_bytes(weights) == before
    assert {key for key in first if first[key] != second[key]} == {"dev_score", "dev"}
    assert fine_tune(CANDIDATE, other, "cpu") == second


def test_a_candidate_that_diverged_says_so(recipe: Recipe):
    steep = replace(CANDIDATE, learning_rate=1e30)
    record = fine_tune(steep, recipe, "cpu")
    assert record["diverged"]
    assert not fine_tune(CANDIDATE, recipe, "cpu")["diverged"]


def test_a_candidate_that_diverged_is_trained_no_further(recipe: Recipe):
    told: list[tuple[Event, int]] = []
    long = replace(CANDIDATE, learning_rate=1e30, epochs=5)
    record = fine_tune(long, recipe, "cpu", lambda event, epochs: told.append((event, epochs)))
    assert told == [("begun", 0), ("ended", 1)], "nothing of it is worth to be saved"
    assert record["diverged"] and len(record["losses"]) == 1
    assert recipe.finished(long)


@pytest.mark.parametrize("fails_at", ["resume.safetensors", "tokenizer.json", "DONE.json"])
def test_what_is_half_written_on_a_full_disk_leaves_its_room(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, fails_at: str
):
    """Only the state from which the candidate can go on stays; once there is room, it does."""
    write = Folder._write

    def written(folder: Folder, path: str, source: Any) -> Any:
        if path.endswith(f"{CANDIDATE.id('hash')}/{fails_at}"):
            with folder._storage(path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(folder, path, source)

    unit = pool.unit(CANDIDATE.id("hash"))
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "_write", written)
        with pytest.raises(FullError, match=rf"^disk full: .*/{fails_at} \(no space left on device\)$"):
            fine_tune(CANDIDATE, recipe, "cpu")
    left = [name for name in recipe.store.names(unit) if name.endswith(".safetensors")]
    assert left == ([] if fails_at == "resume.safetensors" else ["resume.safetensors"])
    record = fine_tune(CANDIDATE, recipe, "cpu")
    assert record["resumed_from_epoch"] == len(left)
    # Scored again on a full disk, it stays what it was.
    monkeypatch.setattr(Folder, "_write", written)
    if fails_at == "DONE.json":
        with pytest.raises(FullError):
            fine_tune(CANDIDATE, replace(recipe, dev_digest="another"), "cpu")
    assert recipe.finished(CANDIDATE) == record


def test_what_is_done_and_what_is_safe_is_told(recipe: Recipe):
    """From this the cost of a lost machine is known; the last epoch is safe when the candidate is done."""
    told: list[tuple[Event, int]] = []

    def stops_in_the_end(event: Event, epochs: int) -> None:
        told.append((event, epochs))
        if epochs == 3:
            raise InterruptedError

    three = replace(CANDIDATE, epochs=3)
    with pytest.raises(InterruptedError):
        fine_tune(three, recipe, "cpu", stops_in_the_end)
    assert told[0] == ("begun", 0)
    assert sorted(told[1:]) == [("ended", 1), ("ended", 2), ("ended", 3), ("saved", 1), ("saved", 2)]
    told.clear()
    fine_tune(three, recipe, "cpu", lambda event, epochs: told.append((event, epochs)))
    assert told == [("begun", 2), ("ended", 3)]


@dataclass(frozen=True)
class Counted:
    """An objective that is the sum of some weights, and knows how often it was asked."""

    digest: str
    asked: list[Candidate]

    def __call__(self, model: Any, candidate: Candidate) -> dict[str, float]:
        self.asked.append(candidate)
        weights = float(next(model.parameters()).detach().sum())
        return {"de": weights, "tr": 3 * weights}


def test_an_objective_is_recorded_and_another_one_judges_again_without_training(recipe: Recipe):
    plain = fine_tune(CANDIDATE, recipe, "cpu")
    assert recipe.maximised(plain) == plain["dev_score"]
    assert "judge" not in plain
    one, other = (replace(recipe, objective=Counted(name, [])) for name in ("one", "other"))
    assert one.finished(CANDIDATE) is None
    judged = fine_tune(CANDIDATE, one, "cpu")
    assert one.objective.asked == [CANDIDATE]
    assert {key: judged[key] for key in plain} == plain, "the same weights, scored once more"
    assert judged["judge"] == "one"
    assert one.maximised(judged) == judged["objective"] == pytest.approx(2 * judged["judged"]["de"])
    assert one.finished(CANDIDATE) == judged == fine_tune(CANDIDATE, one, "cpu")
    assert len(one.objective.asked) == 1
    assert recipe.finished(CANDIDATE) == judged, "who searches by the dev score needs no judge"
    assert other.finished(CANDIDATE) is None
    again = fine_tune(CANDIDATE, other, "cpu")
    assert again["judge"] == "other"
    assert again["objective"] == judged["objective"]
    store, unit = recipe.store, pool.unit(judged["id"])
    store.drop(unit, ["model.safetensors"])
    assert other.finished(CANDIDATE) == again
    with pytest.raises(MissingError, match=r"^what judges \(sweep\.objective\) has changed, and the weights of 1 "):
        one.finished(CANDIDATE)
