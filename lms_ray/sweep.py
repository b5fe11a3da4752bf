"""Stage 1 and the main job: fine-tune the candidates with Ray Tune, then go on through every other stage.

    python -m lms_ray.sweep                                            # the quickstart
    python -m lms_ray.sweep jobs/pos-ud.yaml data.root=/data/ud        # an experiment, with overrides
    python -m lms_ray.sweep jobs/pos-ud.yaml data.root=/data/ud --only # stop after this stage

Each candidate is one Tune trial. What is done is skipped; a candidate that was interrupted goes on from its last epoch.
"""

import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import torch
from ray import tune
from ray.tune.logger import JsonLoggerCallback
from ray.tune.search.optuna import OptunaSearch

from lms_ray.cluster.connecting import use
from lms_ray.data import corpora
from lms_ray.models import checkpoints, encoder
from lms_ray.models.encode import encode
from lms_ray.models.encoder import Encoder
from lms_ray.models.finetune import FineTuner
from lms_ray.pages.progress import Progress
from lms_ray.settings.errors import SweepError
from lms_ray.settings.experiment import Candidate, Experiment, Range, Sweep, content_hash, grid, seed_for
from lms_ray.store.files import Store
from lms_ray.tasks.base import Task
from lms_ray.tasks.windows import Windows

POOL = "candidates.parquet"


@dataclass(frozen=True)
class Job:
    """What all trials share, put into the object store once."""

    experiment: Experiment
    store_root: str
    config_hash: str
    encoder: Encoder
    task: Task
    train: Windows
    dev: Windows


def run(experiment: Experiment, store: Store) -> None:
    """Fine-tune every candidate that is not done, or take the checkpoints that were brought; write the pool.

    Raises:
        SweepError: candidates failed for good; the others are done, and a rerun tries only the failed ones again.
    """
    if experiment.sweep.checkpoints:
        store.write_table(POOL, _pool(experiment, checkpoints.take_all(experiment, store)))
        return
    job = prepare(experiment, store)
    if experiment.sweep.search == "grid":
        wanted = grid(experiment.sweep)
        fine_tune_all(wanted, job, store)
    else:
        wanted = _search(job, store)
    failed = [candidate.id(job.config_hash) for candidate in wanted if not _record(candidate, job, store)]
    if failed:
        raise SweepError(
            f"{len(failed)} of {len(wanted)} candidates failed, among them {failed[0]}: "
            f"{store.root}/candidates/{failed[0]}/ERROR.txt says why, unless its machine was lost; "
            "run the job again to try them again"
        )
    store.write_table(POOL, _pool(experiment, [_record(candidate, job, store) or {} for candidate in wanted]))


def prepare(experiment: Experiment, store: Store) -> Job:
    """Load the encoder, and read and tokenise the source's training and dev sets.

    Raises:
        ConfigError: the encoder cannot be loaded, or reads less than `finetune.max_length`.
    """
    task, settings = corpora.task_of(experiment), experiment.finetune
    base = encoder.load(experiment.encoder, task.special_tokens, experiment.allow_pickled)
    encoder.check_length(settings.max_length, base.config, base.tokenizer)
    train = [corpus.examples() for corpus in corpora.training(experiment)]
    dev = corpora.source_dev(experiment).examples()
    return Job(
        experiment=experiment,
        store_root=store.root,
        config_hash=content_hash(
            experiment.task,
            experiment.seed,
            base.digest,
            task.labels,
            [corpora.digest_of(examples) for examples in train],
            settings.model_dump(),
        ),
        encoder=base,
        task=task,
        train=task.windows(chain.from_iterable(train), base.tokenizer, settings.max_length, settings.stride),
        dev=task.windows(dev, base.tokenizer, settings.max_length, settings.stride),
    )


def _record(candidate: Candidate, job: Job, store: Store) -> dict[str, Any] | None:
    return store.done(f"candidates/{candidate.id(job.config_hash)}")


def fine_tune_all(wanted: list[Candidate], job: Job, store: Store) -> None:
    """Fine-tune the candidates that are not done, as Tune trials."""
    missing = [candidate for candidate in wanted if not _record(candidate, job, store)]
    progress = Progress("sweep", "candidates", len(wanted), done=len(wanted) - len(missing))
    if missing:
        space = {"candidate": tune.grid_search([asdict(candidate) for candidate in missing])}
        _tune(job, progress, space, None, samples=1)


def _search(job: Job, store: Store) -> list[Candidate]:
    """Candidates proposed by Optuna's TPE; those of an earlier run are finished first, then taught to the sampler."""
    sweep = job.experiment.sweep
    assert sweep.candidates is not None
    begun = [
        Candidate(**store.read_json(f"candidates/{name}/candidate.json"))
        for name in store.names("candidates")
        if store.exists(f"candidates/{name}/candidate.json")
    ]
    begun = [
        candidate
        for candidate in sorted(begun, key=lambda candidate: candidate.seed)  # the order in which they were proposed
        if store.exists(f"candidates/{candidate.id(job.config_hash)}") and _is_within(candidate, sweep)
    ][: sweep.candidates]
    if any(not _record(candidate, job, store) for candidate in begun):
        fine_tune_all(begun, job, store)
    finished = [(candidate, record) for candidate in begun if (record := _record(candidate, job, store))]
    more = sweep.candidates - len(begun)
    progress = Progress("sweep", "candidates", sweep.candidates, done=len(finished))
    if more:
        algorithm = _SeededOptuna(
            _space(sweep.learning_rate, sweep.epochs, sweep.batch_size),
            metric="dev_score",
            mode="max",
            sampler=optuna.samplers.TPESampler(seed=seed_for(job.experiment.seed, "search", len(begun))),
            points_to_evaluate=[_without_seed(candidate) for candidate, _ in finished] or None,
            evaluated_rewards=[record["dev_score"] for _, record in finished] or None,
        )
        algorithm.next_seed = 1 + max((candidate.seed for candidate in begun), default=-1)
        results = _tune(job, progress, None, algorithm, samples=more)
        begun += [Candidate(**(result.config or {})["candidate"]) for result in results]
    return begun


class _SeededOptuna(OptunaSearch):
    """Gives each proposal a seed of its own, which the sampler does not see: it is noise, not a setting."""

    next_seed = 0

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        config = super().suggest(trial_id)
        if config is not None:
            config["candidate"]["seed"] = self.next_seed
            self.next_seed += 1
        return config


def _space(learning_rate: Any, epochs: Any, batch_size: Any) -> dict[str, optuna.distributions.BaseDistribution]:
    def distribution(values: Any, whole: bool) -> optuna.distributions.BaseDistribution:
        if not isinstance(values, Range):
            return optuna.distributions.CategoricalDistribution(values)
        if whole:
            return optuna.distributions.IntDistribution(int(values.low), int(values.high), log=values.log)
        return optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)

    return {
        "candidate/learning_rate": distribution(learning_rate, whole=False),
        "candidate/epochs": distribution(epochs, whole=True),
        "candidate/batch_size": distribution(batch_size, whole=True),
    }


def _is_within(candidate: Candidate, sweep: Sweep) -> bool:
    """Whether the search could have proposed a candidate."""
    for key in ("learning_rate", "epochs", "batch_size"):
        value, space = getattr(candidate, key), getattr(sweep, key)
        if not (space.low <= value <= space.high if isinstance(space, Range) else value in space):
            return False
    return True


def _without_seed(candidate: Candidate) -> dict[str, Any]:
    return {f"candidate/{key}": value for key, value in asdict(candidate).items() if key != "seed"}


def _tune(job: Job, progress: Progress, space: Any, algorithm: Any, samples: int) -> list[tune.Result]:
    """Run trials to their end; raises KeyboardInterrupt where Tune was stopped by Ctrl-C before that."""
    sweep = job.experiment.sweep
    with tempfile.TemporaryDirectory(prefix="lms-ray-tune-") as bookkeeping:  # DONE.json is the truth, not this
        results = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(Trial, job=job),
                {"CPU": sweep.resources.cpus, "GPU": sweep.resources.gpus},
            ),
            param_space=space,
            tune_config=tune.TuneConfig(
                search_alg=algorithm,
                num_samples=samples,
                max_concurrent_trials=sweep.resources.workers,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=bookkeeping,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=sweep.max_failures),
                callbacks=[_Report(progress), JsonLoggerCallback()],
            ),
        ).fit()
    finished = [results[index] for index in range(len(results))]
    if any(result.error is None and "dev_score" not in (result.metrics or {}) for result in finished):
        raise KeyboardInterrupt
    return finished


class Trial(tune.Trainable):
    """One candidate; the actor is used again for the next one."""

    def setup(self, config: dict[str, Any], job: Job) -> None:  # type: ignore[override]  # with_parameters adds it
        """Take over the shared data, once for each actor."""
        self.job = job
        self.device = use(self.job.experiment.sweep.resources)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Be the trial of another candidate."""
        self.candidate = Candidate(**new_config["candidate"])
        return True

    def step(self) -> dict[str, Any]:
        """Fine-tune the candidate to its end; the reason of a failure is kept beside it."""
        try:
            record = fine_tune(self.candidate, self.job, self.device)
        except Exception:
            unit = f"candidates/{self.candidate.id(self.job.config_hash)}"
            Store(self.job.store_root).write_bytes(f"{unit}/ERROR.txt", traceback.format_exc().encode())
            raise
        return {"dev_score": record["dev_score"], "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing: what counts is in the experiment folder already."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing: `step` goes on from the experiment folder."""


def fine_tune(candidate: Candidate, job: Job, device: str) -> dict[str, Any]:
    """Train a candidate from its last saved epoch to its end, and commit it.

    Returns:
        The candidate's DONE.json.
    """
    started = time.time()
    store, experiment, task = Store(job.store_root), job.experiment, job.task
    name = candidate.id(job.config_hash)
    unit, resume = f"candidates/{name}", f"candidates/{name}/resume.safetensors"
    if record := store.done(unit):  # Tune runs a trial again whose worker was lost just after the commit
        return record
    store.write_json(f"{unit}/candidate.json", asdict(candidate))
    if device == "cuda":
        torch.cuda.empty_cache()  # the actor's last candidate is gone; give its memory back before the next one
    tuner = FineTuner(task, job.encoder, candidate, experiment.finetune, job.train, experiment.seed, device)
    if store.exists(resume):
        tuner.load_state(store.read_bytes(resume))
    resumed_from = tuner.epoch
    losses = []
    while not tuner.is_finished:
        losses.append(tuner.train_epoch())
        if not tuner.is_finished:
            store.write_bytes(resume, tuner.state())
    with tempfile.TemporaryDirectory(prefix="lms-ray-model-") as folder:
        tuner.save_model(Path(folder))
        store.upload(Path(folder), unit)
    statistics_ES = encode(tuner.model, task, job.dev, experiment.encode).statistics_ES
    store.delete(resume)
    store.delete(f"{unit}/ERROR.txt")
    record = {
        "id": name,
        **asdict(candidate),
        "config_hash": job.config_hash,
        "dev_score": float(task.score(statistics_ES.sum(0))),
        "started": started,
        "seconds": time.time() - started,
        "resumed_from_epoch": resumed_from,
        "losses": losses,
        "device": device,
    }
    store.commit(unit, record)
    return record


class _Report(tune.Callback):
    """Shows Tune's trials as a progress line."""

    def __init__(self, progress: Progress):
        self.progress, self.before = progress, progress.done

    def on_step_end(self, iteration: int, trials: Iterable[Any], **info: Any) -> None:
        states = Counter(trial.status for trial in trials)
        self.progress.show(self.before + states["TERMINATED"], states["RUNNING"], states["ERROR"])


def _pool(experiment: Experiment, records: list[dict[str, Any]]) -> pa.Table:
    """The candidates by id with their part of the meta split, drawn by the experiment's seed."""
    records = sorted(records, key=lambda record: record["id"])
    count = len(records)
    train, dev, _ = experiment.meta_split.sizes(count)
    rng = np.random.default_rng(seed_for(experiment.seed + experiment.meta_split.draw, "meta-split"))
    order = rng.permutation(count)
    part = np.empty(count, dtype=object)
    part[order[:train]], part[order[train : train + dev]], part[order[train + dev :]] = "train", "dev", "test"
    columns = ("id", "learning_rate", "epochs", "batch_size", "seed", "dev_score", "seconds")
    table = {column: [record.get(column) for record in records] for column in columns}  # a checkpoint has no settings
    return pa.table({**table, "meta_split": part.tolist()})


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="sweep")
