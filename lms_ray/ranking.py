"""Stage 3: fit the pairwise rankers over their grid, in one Ray Train job whose workers share the grid points.

    python -m lms_ray.ranking CONFIG [key=value ...]

Labels of other languages than the pivots are never read here, and a ranker is handed a `Lesson` of its own pivots only.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.train
from ray.train.torch import TorchTrainer

from lms_ray import tasks
from lms_ray.choosing.grid import Material, Point, choose, fit_point, points, targets_by_pivots
from lms_ray.choosing.split import divide
from lms_ray.cluster.resources import is_local, making_room, set_up, workers_for
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.pages.progress import Progress, say
from lms_ray.settings import languages
from lms_ray.settings.errors import RankingError, StorageError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import encodings, lineage, pool, rankings
from lms_ray.store.attempts import Use
from lms_ray.store.files import DONE, Store

RESIZE_EVERY = 120.0  # seconds: a resize starts all workers anew, each with the ranker that it was fitting
LOSSES = 30  # nodes that the whole stage may lose without a notice before it fails


def run(job: Job) -> None:
    """Fit the missing grid points, choose among them, and write every candidate's score for every target."""
    experiment, store = job.experiment, job.store
    lineage.require_encoded(experiment, store)
    material = gather(experiment, store)
    corpora = roles.ranked_from(experiment, tasks.get(experiment.task).example)
    origin = lineage.origin(experiment, lineage.RANKING, store, material.candidates, corpora)
    folder = f"{rankings.UNIT}/{material.digest[:12]}"
    pivot_sets = targets_by_pivots(experiment)
    grid = points(experiment.ranker, list(pivot_sets))
    missing = [point for point in grid if not store.done(f"{folder}/{point.name}")]
    if missing:
        _fit_all(experiment, store, material, folder, missing, pivot_sets, len(grid))
    else:
        say("ranking", f"{len(grid)} rankers, all of them done before")
    _conclude(store, material, folder, grid, origin)


def gather(experiment: Experiment, store: Store) -> Material:
    """Read features of all languages, and statistics of the pivots' held-out sets only.

    Raises:
        MissingError: an earlier stage has not done its part.
        RankingError: too few candidates, a feature that is not finite, or the pivots' scores give nothing to learn.
    """
    candidates = pool.candidates(store)
    task = tasks.get(experiment.task)
    encodings.require(store, candidates, roles.ranked_from(experiment, task.example))
    try:
        part_C = divide(len(candidates), experiment.meta_split, experiment.seed)
    except ValueError as error:
        raise RankingError(f"candidates: {error}") from None
    described_by = roles.describing(experiment, task.example)
    feature_CGH = encodings.features(store, candidates, list(described_by.values()))
    for candidate, feature_GH in zip(candidates, feature_CGH, strict=True):
        if not np.isfinite(feature_GH).all():
            raise RankingError(f"{candidate}: its features are not finite; leave its setting out of the sweep")
    held_out = roles.held_out(experiment)
    pivot_score_CP = task.score(encodings.sums(store, candidates, held_out, task.statistics))
    for pivots, targets in targets_by_pivots(experiment).items():
        columns = [experiment.pivots.index(pivot) for pivot in pivots]
        if not np.ptp(pivot_score_CP[part_C == "train"][:, columns], axis=0).any():
            raise RankingError(f"no two meta-train candidates differ in score on a pivot of {targets[0]}")
    kind = experiment.ranker.language_vector
    spoken = tuple(described_by)
    return Material(
        settings=experiment.ranker,
        seed=experiment.seed,
        candidates=tuple(candidates),
        part_C=part_C,
        languages=spoken,
        feature_CGH=feature_CGH,
        vector_GV=None if kind == "none" else np.stack([languages.vector(code, kind) for code in spoken]),
        pivots=experiment.pivots,
        pivot_score_CP=pivot_score_CP,
    )


def _fit_all(
    experiment: Experiment,
    store: Store,
    material: Material,
    folder: str,
    missing: list[Point],
    targets_of: dict[tuple[str, ...], list[str]],
    total: int,
) -> None:
    resources = experiment.ranker.resources
    # A cluster starts with what there is, and takes up what joins; a local Ray cannot grow.
    most = workers_for(resources, experiment.cluster, len(missing))
    grows = not is_local(experiment.cluster)
    workers: Any = (1, most) if grows else most
    failures = LOSSES if grows else experiment.sweep.max_failures
    file_system, base = store.file_system
    trainer = TorchTrainer(
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
    progress = Progress("ranking", "rankers", total, done=total - len(missing))
    try:
        room = making_room(resources, experiment.cluster, most)
        with _watching(store, folder, progress), _keeping_interrupts(), room:
            trainer.fit()
    finally:
        store.delete(f"{rankings.UNIT}/train")  # Ray Train's own bookkeeping; what counts is in `folder`


def _worker(config: dict[str, Any]) -> None:
    """One Ray Train worker: every n-th grid point that is not done."""
    store, context = config["store"], ray.train.get_context()
    material: Material = ray.get(config["material"])
    device, machine = set_up(config["resources"])
    for point, targets in config["work"][context.get_world_rank() :: context.get_world_size()]:
        unit = f"{config['folder']}/{point.name}"
        if store.done(unit):
            continue
        fitted = fit_point(point, targets, material, device)
        weights = store.write_bytes(f"{unit}/{rankings.WEIGHTS}", fitted.weights)
        tables = [
            rankings.score_rows(target, point.seed, material.candidates, score_C)
            for target, score_C in fitted.scores.items()
        ]
        scores = store.write_table(f"{unit}/{rankings.SCORES}", pa.concat_tables(tables))
        uses = [Use(machine=machine, seconds=fitted.record["seconds"], work=1).model_dump()]
        files = {rankings.WEIGHTS: weights, rankings.SCORES: scores}
        store.commit(unit, {**fitted.record, "uses": uses}, files)


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
    stop, done = threading.Event(), set[str]()

    def show() -> None:
        with suppress(StorageError):  # which may answer the next time
            done.update(name for name in store.names(folder) if name not in done and store.done(f"{folder}/{name}"))
        progress.show(len(done))

    def watch() -> None:
        while not stop.wait(progress.every):
            show()

    thread = threading.Thread(target=watch, daemon=True, name="ranking-progress")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        show()


def _conclude(store: Store, material: Material, folder: str, grid: list[Point], origin: dict[str, Any]) -> None:
    """Choose grid points, write the tables, and keep only the weights that were chosen."""
    records = {point: store.done(f"{folder}/{point.name}") or {} for point in grid}
    chosen = choose({point: record["kendall_tau"] for point, record in records.items()})
    validation = [
        {key: record[key] for key in ("batch_size", "learning_rate", "seed", "kendall_tau", "seconds")}
        | {"pivots": ",".join(point.pivots), "chosen": point in chosen}
        for point, record in records.items()
    ]
    scores = [store.read_unit_table(f"{folder}/{point.name}", rankings.SCORES) for point in chosen]
    store.delete(f"{rankings.UNIT}/{DONE}")  # between the tables below it would speak of others
    files = {
        **rankings.write_split(store, material.candidates, material.part_C),
        **rankings.write_validation(store, validation),
        **rankings.write_scores(store, scores),
    }
    within = folder.removeprefix(f"{rankings.UNIT}/")
    for point in grid:
        unit = f"{folder}/{point.name}"
        if point in chosen:
            files[f"{within}/{point.name}/{rankings.WEIGHTS}"] = store.files_of(unit)[rankings.WEIGHTS]
        else:
            store.drop(unit, [rankings.WEIGHTS])
    store.commit(rankings.UNIT, {**origin, "chosen": [point.name for point in chosen]}, files)


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="ranking")
