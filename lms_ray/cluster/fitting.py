"""Fit rankers one by one in a Ray Train job whose workers share them.

What a worker imports (and every worker of a stage is a new process) is kept small: no tokenizer, no model, no task.
"""

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
import ray
import ray.train
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from lms_ray.choosing.grid import Fitted, Point, fit_point
from lms_ray.choosing.material import Material
from lms_ray.cluster.beside import beside
from lms_ray.cluster.resources import is_local, making_room, set_up, workers_for
from lms_ray.pages.progress import Progress
from lms_ray.settings.errors import JobError, StorageError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import rankings
from lms_ray.store.attempts import Use
from lms_ray.store.files import Store

RESIZE_EVERY = 120.0  # seconds: a resize starts all workers anew, each with the ranker that it was fitting
LOSSES = 30  # nodes that the whole stage may lose without a notice before it fails


def fit_all(
    experiment: Experiment,
    store: Store,
    material: Material,
    folder: str,
    missing: Sequence[Point],
    targets_of: Mapping[tuple[str, ...], list[str]],
    progress: Progress,
) -> None:
    """Fit rankers that are not done; each is a unit below `folder`.

    Args:
        experiment: says what a worker takes, and how many there may be.
        store: where units are committed.
        material: what rankers learn from.
        folder: of the units.
        missing: the rankers.
        targets_of: the targets of each set of pivots, for which every candidate is scored.
        progress: counts them among all rankers of the grid.
    """
    resources = experiment.ranker.resources
    # A cluster starts with what there is, and takes up what joins; a local Ray cannot grow.
    most = workers_for(resources, experiment.cluster, len(missing))
    grows = not is_local(experiment.cluster)
    workers: Any = (1, most) if grows else most
    failures = LOSSES if grows else experiment.sweep.max_failures
    file_system, base = store.file_system
    # TorchTrainer would join the workers in a process group, which they have no use for, and which takes as long again.
    trainer = DataParallelTrainer(
        _worker,
        train_loop_config={
            "store": store,
            "folder": folder,
            "work": [(point, targets_of[point.pivots]) for point in missing],
            "material": ray.put(material),
            "resources": resources,
        },
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers,
            elastic_resize_monitor_interval_s=RESIZE_EVERY,  # type: ignore[call-arg]  # Train V2 has it
            use_gpu=resources.gpus > 0,
            resources_per_worker={"CPU": resources.cpus, "GPU": resources.gpus},
        ),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=f"{base}/{rankings.UNIT}",
            storage_filesystem=file_system,
            failure_config=ray.train.FailureConfig(max_failures=failures),
        ),
    )
    try:
        room = making_room(resources, experiment.cluster, most)
        with _watching(store.hasty(), folder, progress), _keeping_interrupts(), room:
            trainer.fit()
    except ray.train.WorkerGroupError as error:
        told = next((failure for failure in error.worker_failures.values() if isinstance(failure, JobError)), error)
        raise told from None
    finally:
        with suppress(StorageError):  # what ended the job is to be said, not this
            store.hasty().delete(f"{rankings.UNIT}/train")  # Ray Train's own bookkeeping; what counts is in `folder`


def _worker(config: dict[str, Any]) -> None:
    """One Ray Train worker: every n-th ranker that is not done."""
    store, context = config["store"], ray.train.get_context()
    material: Material = ray.get(config["material"])
    device, machine = set_up(config["resources"])
    for point, targets in config["work"][context.get_world_rank() :: context.get_world_size()]:
        unit = f"{config['folder']}/{point.name}"
        if store.done(unit):
            continue
        fitted = fit_point(point, targets, material, device)
        use = Use(machine=machine, seconds=fitted.record["seconds"], work=1)
        commit(store, unit, fitted, material.candidates, use)


def commit(store: Store, unit: str, fitted: Fitted, candidates: Sequence[str], use: Use) -> None:
    """Write a fitted ranker: weights, its scores of all candidates, and what it took."""
    tables = [
        rankings.score_rows(target, fitted.record["seed"], candidates, score_C)
        for target, score_C in fitted.scores.items()
    ]
    files = {
        rankings.WEIGHTS: store.write_bytes(f"{unit}/{rankings.WEIGHTS}", fitted.weights),
        rankings.SCORES: store.write_table(f"{unit}/{rankings.SCORES}", pa.concat_tables(tables)),
    }
    store.commit(unit, {**fitted.record, "uses": [use.model_dump()]}, files)


@contextmanager
def _keeping_interrupts() -> Iterator[None]:
    """Ray Train answers Ctrl-C with a successful exit and leaves its handler behind; ours is KeyboardInterrupt."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _watching(store: Store, folder: str, progress: Progress) -> Iterator[None]:
    """Show progress from what is committed, while the Train job holds this thread."""
    done = set[str]()

    def show() -> None:
        with suppress(StorageError):  # which may answer the next time
            done.update(name for name in store.names(folder) if name not in done and store.done(f"{folder}/{name}"))
        progress.show(len(done))

    def watch(stop: threading.Event) -> None:
        while not stop.wait(progress.every):
            show()

    try:
        with beside(watch, "ranking-progress"):
            yield
    finally:
        show()
