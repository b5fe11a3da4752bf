"""From a setting to a model folder with its record: one candidate, resumable after any interruption.

A candidate's folder holds `resume.safetensors` while it trains (its state after an epoch, the last one that was saved),
and DONE.json once the model is whole. Whoever runs `fine_tune` again on it goes on from there.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import torch
from transformers import PreTrainedModel

from lms_ray.models.encode import encode
from lms_ray.models.encoder import Encoder
from lms_ray.models.finetune import FineTuner
from lms_ray.models.job import Job
from lms_ray.models.saving import Saver
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.errors import FullError, StorageError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash
from lms_ray.store import pool
from lms_ray.store.attempts import Event
from lms_ray.store.files import Store
from lms_ray.tasks.base import Task
from lms_ray.tasks.windows import Windows

log = logging.getLogger(__name__)

Epoch = dict[str, Any]
"""What is reported of an epoch that has ended: its number from 1, and the mean loss of its steps."""
Training = Generator[Epoch, None, dict[str, Any]]
"""A candidate at work: gives each epoch as it ends, and in the end the candidate's record."""
Tell = Callable[[Event, int], None]
"""Hears how far a training is, see `store.attempts`."""


class Objective(Protocol):
    """What a search maximises in place of the score on the source's dev set."""

    @property
    def digest(self) -> str:
        """Hash of all that decides what it says."""
        ...

    def __call__(self, model: PreTrainedModel, candidate: Candidate) -> dict[str, float]:
        """The scores of a model by target, of which the mean counts."""
        ...


@dataclass(frozen=True)
class Recipe:
    """What all candidates share, put into the object store once."""

    experiment: Experiment
    store: Store
    config_hash: str
    """Over everything that decides a candidate's weights, beside its own setting."""
    encoder: Encoder
    task: Task
    train: Windows
    dev: Windows
    dev_digest: str
    """Of the source's dev set, on which the recorded score was measured."""
    objective: Objective | None = None
    """None where the dev score is what counts."""
    run: str = ""
    """Token of the driver's run, which each attempt at a candidate bears."""

    def id(self, candidate: Candidate) -> str:
        """Id of a candidate that is made after this recipe."""
        return candidate.id(self.config_hash)

    def finished(self, candidate: Candidate) -> dict[str, Any] | None:
        """The record of a candidate that is whole and was scored as today; otherwise None.

        Raises:
            MissingError: it was scored on another dev set or by another objective, and its weights are gone.
        """
        record = self.store.done(pool.unit(self.id(candidate)))
        if record is None or self.is_scored(record):
            return record
        changed = (
            f"{self.experiment.source}-dev" if record["dev"] != self.dev_digest else "what judges (sweep.objective)"
        )
        pool.require_weights(self.store, [self.id(candidate)], f"{changed} has changed")
        return None

    def is_scored(self, record: dict[str, Any]) -> bool:
        """Whether a candidate was scored on today's dev set and by today's objective."""
        is_judged = self.objective is None or record.get("judge") == self.objective.digest
        return record["dev"] == self.dev_digest and is_judged

    def training(self, candidate: Candidate, device: str, tell: Tell) -> Training:
        """Train a candidate from its last saved epoch to its end, and commit it; see `training`."""
        return training(candidate, self, device, tell)

    def maximised(self, record: dict[str, Any]) -> float:
        """What a search maximises, of a candidate that is done."""
        return record["dev_score" if self.objective is None else "objective"]


def prepare(job: Job) -> Recipe:
    """Load the encoder, and tokenise the source's training and dev sets.

    Raises:
        ConfigError: the encoder cannot be loaded.
        DataError: a set is missing, empty or broken.
    """
    experiment, task, settings = job.experiment, job.task, job.experiment.finetune
    base = job.encoder
    train, dev = job.corpora.training, job.corpora.dev
    examples = chain.from_iterable(corpus.examples for corpus in train)
    return Recipe(
        experiment=experiment,
        store=job.store,
        config_hash=content_hash(
            experiment.task,
            experiment.seed,
            base.digest,
            task.labels,
            [corpus.digest for corpus in train],
            settings.model_dump(),
        ),
        encoder=base,
        task=task,
        train=task.windows(examples, base.tokenizer, settings.max_length, settings.stride),
        dev=task.windows(dev.examples, base.tokenizer, settings.max_length, settings.stride),
        dev_digest=dev.digest,
    )


def fine_tune(
    candidate: Candidate, recipe: Recipe, device: str, tell: Tell = lambda event, epochs: None
) -> dict[str, Any]:
    """As `training`, to its end: the candidate's record."""
    work = training(candidate, recipe, device, tell)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def training(candidate: Candidate, recipe: Recipe, device: str, tell: Tell) -> Training:
    """Train a candidate from its last saved epoch to its end, and commit it.

    Args:
        candidate: its setting.
        recipe: what it shares with the others.
        device: `cpu` or `cuda`.
        tell: hears how far it is.

    Yields:
        Each epoch when it has ended; closing the generator then leaves the candidate as an interruption would.

    Returns:
        The candidate's record.
    """
    store, unit = recipe.store, pool.unit(recipe.id(candidate))
    if record := store.done(unit):
        return record if recipe.is_scored(record) else _score_again(unit, candidate, record, recipe, device)
    started, began = time.time(), time.monotonic()
    resume = f"{unit}/{pool.RESUME}"
    store.write_json(f"{unit}/{pool.SETTING}", asdict(candidate))
    if device == "cuda":
        torch.cuda.empty_cache()  # the last candidate of this process is gone; give its memory back first
    tuner = _begin(candidate, recipe, resume, device)
    resumed_from = tuner.epoch
    tell("begun", tuner.epoch)
    save_every = recipe.experiment.sweep.save_every
    with Saver(store, resume) as saver:
        while not tuner.is_finished:
            loss = tuner.train_epoch()
            tell("ended", tuner.epoch)
            if save_every and tuner.epoch % save_every == 0 and not tuner.is_finished:
                saver.save(tuner.state, partial(tell, "saved", tuner.epoch))
            yield {"epoch": tuner.epoch, "loss": loss}
    with _making_room(store, recipe.id(candidate)):
        with tempfile.TemporaryDirectory(prefix="lms-ray-model-") as folder:
            tuner.save_model(Path(folder))
            files = store.upload(Path(folder), unit)
        record = {
            "id": recipe.id(candidate),
            **asdict(candidate),
            "config_hash": recipe.config_hash,
            **_scores(tuner.model, candidate, recipe),
            "diverged": tuner.diverged,
            "started": started,
            "seconds": time.monotonic() - began,
            "resumed_from_epoch": resumed_from,
            "losses": tuner.losses,
            "device": device,
        }
        store.commit(unit, record, files)
    store.delete(resume)  # after the commit: whoever dies between goes on from here, or leaves it to `pool.tidy`
    store.delete(f"{unit}/{pool.ERROR}")
    return record


@contextmanager
def _making_room(store: Store, name: str) -> Iterator[None]:
    """Where the storage is full, leave the room that a half-written model takes to the other candidates."""
    try:
        yield
    except FullError:
        with suppress(StorageError):
            pool.make_room(store, name)
        raise


def _begin(candidate: Candidate, recipe: Recipe, resume: str, device: str) -> FineTuner:
    """The state after the last saved epoch, or the beginning where there is none that can be read."""
    store = recipe.store
    tuner = FineTuner(
        recipe.task,
        recipe.encoder,
        candidate,
        recipe.experiment.finetune,
        recipe.train,
        recipe.experiment.seed,
        device,
    )
    if store.exists(resume):
        try:
            tuner.load_state(store.read_bytes(resume))
        except ValueError as error:
            log.warning("%s: %s; the candidate starts again at epoch 0", store.where(resume), error)
            store.delete(resume)
    return tuner


def _score_again(
    unit: str, candidate: Candidate, record: dict[str, Any], recipe: Recipe, device: str
) -> dict[str, Any]:
    """The record of a whole candidate, scored again: the dev set or the objective has changed since."""
    store = recipe.store
    with store.as_local(unit) as folder:
        model = recipe.task.load(folder, device)
    record = record | _scores(model, candidate, recipe)
    store.commit(unit, record, store.files_of(unit))
    return record


def _scores(model: Any, candidate: Candidate, recipe: Recipe) -> dict[str, Any]:
    statistics_ES = encode(model, recipe.task, recipe.dev, recipe.experiment.encode).statistics_ES
    scores = {"dev_score": float(recipe.task.score(statistics_ES.sum(0))), "dev": recipe.dev_digest}
    if recipe.objective is None:
        return scores
    judged = recipe.objective(model, candidate)
    return {**scores, "objective": fmean(judged.values()), "judged": judged, "judge": recipe.objective.digest}
