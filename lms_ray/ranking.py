"""Stage 3: fit the pairwise rankers over their grid, in one Ray Train job whose workers share the grid points.

    python -m lms_ray.ranking CONFIG [key=value ...]

Every target needs a ranker that has not seen it: targets that are no pivots share one over all pivots, a target that
is a pivot has its own over the others. Labels of other languages than the pivots are never read here, and a ranker
is handed a `Lesson` of its own pivots only.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.train
import safetensors.torch
from ray.train.torch import TorchTrainer

from lms_ray import tasks
from lms_ray.choosing.ranker import Lesson, fit, score, validate
from lms_ray.cluster.connecting import fitting, use
from lms_ray.data import corpora
from lms_ray.pages.progress import Progress
from lms_ray.settings import languages
from lms_ray.settings.errors import RankingError
from lms_ray.settings.experiment import Experiment, Ranker, content_hash, seed_for
from lms_ray.store import encodings
from lms_ray.store.files import DONE, Store
from lms_ray.sweep import POOL


@dataclass(frozen=True)
class Point:
    """One ranker to fit: its pivots, a grid point and a seed."""

    pivots: tuple[str, ...]
    batch_size: int
    learning_rate: float
    seed: int

    @property
    def name(self) -> str:
        """`ar-de-es-bs16-lr0.0001-seed0`."""
        return f"{'-'.join(self.pivots)}-bs{self.batch_size}-lr{self.learning_rate:g}-seed{self.seed}"


@dataclass(frozen=True)
class Material:
    """All that ranking may see: features of every candidate, and its scores on the pivots' held-out sets."""

    settings: Ranker
    seed: int
    candidates: tuple[str, ...]
    meta_split: np.ndarray
    languages: tuple[str, ...]
    """Pivots and targets."""
    feature_CGH: np.ndarray
    """Features over each language's text."""
    vector_GV: np.ndarray | None
    """Language vectors, None where they are left out."""
    pivots: tuple[str, ...]
    pivot_score_CP: np.ndarray
    """Scores on the pivots' held-out sets."""

    @property
    def digest(self) -> str:
        """Hash over everything that decides the rankings."""
        arrays = (self.feature_CGH, self.pivot_score_CP, self.vector_GV)
        return content_hash(
            [content_hash(None if array is None else array.tobytes().hex()) for array in arrays],
            self.settings.model_dump(exclude={"resources"}),
            self.seed,
            self.candidates,
            self.meta_split.tolist(),
            self.languages,
            self.pivots,
        )

    def lesson(self, pivots: tuple[str, ...], part: str) -> Lesson:
        """The candidates of one part of the meta split on some pivots."""
        columns = [self.languages.index(pivot) for pivot in pivots]
        everything = Lesson(
            self.feature_CGH[:, columns],
            self.pivot_score_CP[:, [self.pivots.index(pivot) for pivot in pivots]],
            None if self.vector_GV is None else self.vector_GV[columns],
        )
        return everything.of(np.flatnonzero(self.meta_split == part))


def run(experiment: Experiment, store: Store) -> None:
    """Fit the missing grid points, choose among them, and write every candidate's score for every target."""
    material = gather(experiment, store)
    digest = input_digest(material, experiment)
    record = store.done("rankers")
    if record and record["input"] == digest:
        print(f"{'ranking':9} done before", flush=True)
        return
    targets_of: dict[tuple[str, ...], list[str]] = {}
    for target in experiment.targets:
        targets_of.setdefault(experiment.pivots_for(target), []).append(target)
    grid = experiment.ranker
    points = [
        Point(pivots, batch_size, learning_rate, seed)
        for batch_size, learning_rate, pivots, seed in product(
            sorted(grid.batch_size), grid.learning_rate, targets_of, range(grid.seeds)
        )
    ]
    folder = f"rankers/{digest[:12]}"
    missing = [point for point in points if not store.done(f"{folder}/{point.name}")]
    if missing:
        _fit_all(experiment, store, material, folder, missing, targets_of, len(points))
    _choose(store, folder, points, targets_of, digest)


def input_digest(material: Material, experiment: Experiment) -> str:
    """Hash over everything that decides the scores of a set of targets."""
    return content_hash(material.digest, experiment.targets)


def gather(experiment: Experiment, store: Store) -> Material:
    """Read features of all languages, and statistics of the pivots' held-out sets only.

    Raises:
        MissingError: an earlier stage has not done its part.
        RankingError: the pivots' scores give a ranker nothing to learn.
    """
    store.require(POOL, "sweep")
    pool = store.read_table(POOL)
    candidates = pool["id"].to_pylist()
    for candidate in candidates:
        store.require(f"{encodings.unit(candidate)}/{DONE}", "features")
    spoken = tuple(dict.fromkeys(experiment.pivots + experiment.targets))
    described_by = [f"{code}-{corpora.feature_split(experiment, code)}" for code in spoken]
    held_out = experiment.pivot_split
    pivot_statistics = encodings.statistics(
        store, tasks.get(experiment.task), candidates, [f"{pivot}-{held_out}" for pivot in experiment.pivots]
    )
    pivot_score_CP = np.stack([pivot_statistics.scores(pivot, held_out) for pivot in experiment.pivots], axis=1)
    meta_split = np.asarray(pool["meta_split"].to_pylist())
    for target in experiment.targets:
        columns = [experiment.pivots.index(pivot) for pivot in experiment.pivots_for(target)]
        if not np.ptp(pivot_score_CP[meta_split == "train"][:, columns], axis=0).any():
            raise RankingError(f"no two meta-train candidates differ in score on a pivot of {target}")
    kind = experiment.ranker.language_vector
    return Material(
        settings=experiment.ranker,
        seed=experiment.seed,
        candidates=tuple(candidates),
        meta_split=meta_split,
        languages=spoken,
        feature_CGH=encodings.features(store, candidates, described_by),
        vector_GV=None if kind == "none" else np.stack([languages.vector(code, kind) for code in spoken]),
        pivots=experiment.pivots,
        pivot_score_CP=pivot_score_CP,
    )


def fit_point(
    point: Point, targets: list[str], material: Material, device: str
) -> tuple[dict[str, Any], pa.Table, bytes]:
    """Fit one ranker.

    Returns:
        Its record with the validation, the scores of every candidate for every target, its weights as safetensors.
    """
    started = time.monotonic()
    seed = seed_for(material.seed, "ranker", asdict(point))
    train, dev = material.lesson(point.pivots, "train"), material.lesson(point.pivots, "dev")
    net = fit(train, material.settings, point.batch_size, point.learning_rate, seed, device)
    tau = validate(net, dev)
    rows = []
    for target in targets:
        column = material.languages.index(target)
        vector_V = None if material.vector_GV is None else material.vector_GV[column]
        scores_C = score(net, material.feature_CGH[:, column], vector_V)
        rows += [
            {"target": target, "candidate": candidate, "seed": point.seed, "score": value}
            for candidate, value in zip(material.candidates, scores_C.tolist(), strict=True)
        ]
    record = {**asdict(point), "kendall_tau": tau, "seconds": time.monotonic() - started}
    return record, pa.Table.from_pylist(rows), safetensors.torch.save(net.state_dict())


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
    file_system, base = store.file_system
    trainer = TorchTrainer(
        _worker,
        train_loop_config={
            "store_root": store.root,
            "folder": folder,
            "work": [(point, targets_of[point.pivots]) for point in missing],
            "material": ray.put(material),
            "resources": resources,
        },
        scaling_config=ray.train.ScalingConfig(
            num_workers=min(fitting(resources), len(missing)),
            use_gpu=resources.gpus > 0,
            resources_per_worker={"CPU": resources.cpus, "GPU": resources.gpus},
        ),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=f"{base}/rankers",
            storage_filesystem=file_system,
            failure_config=ray.train.FailureConfig(max_failures=experiment.sweep.max_failures),
        ),
    )
    progress = Progress("ranking", "rankers", total, done=total - len(missing))
    try:
        with _watching(store, folder, progress), _keeping_interrupts():
            trainer.fit()
    finally:
        store.delete("rankers/train")  # Ray Train's own bookkeeping; what counts is in `folder`


def _worker(config: dict[str, Any]) -> None:
    """One Ray Train worker: every n-th grid point that is not done."""
    store, context = Store(config["store_root"]), ray.train.get_context()
    material = ray.get(config["material"])
    device = use(config["resources"])
    for point, targets in config["work"][context.get_world_rank() :: context.get_world_size()]:
        unit = f"{config['folder']}/{point.name}"
        if store.done(unit):
            continue
        record, scores, weights = fit_point(point, targets, material, device)
        store.write_bytes(f"{unit}/weights.safetensors", weights)
        store.write_table(f"{unit}/scores.parquet", scores)
        store.commit(unit, record)


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
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(progress.every):
            progress.show(sum(store.done(f"{folder}/{name}") is not None for name in store.names(folder)))

    thread = threading.Thread(target=watch, daemon=True, name="ranking-progress")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _choose(
    store: Store, folder: str, points: list[Point], targets_of: dict[tuple[str, ...], list[str]], digest: str
) -> None:
    """For each set of pivots take the grid point with the best validation, mean over seeds; the first wins a tie."""
    records = {point: store.read_json(f"{folder}/{point.name}/DONE.json") for point in points}
    chosen: list[Point] = []
    for pivots in targets_of:
        by_setting: dict[tuple[int, float], list[Point]] = {}
        for point in points:
            if point.pivots == pivots:
                by_setting.setdefault((point.batch_size, point.learning_rate), []).append(point)
        chosen += max(
            by_setting.values(), key=lambda seeds: float(np.mean([records[point]["kendall_tau"] for point in seeds]))
        )
    validation = [
        {**record, "pivots": ",".join(point.pivots), "chosen": point in chosen} for point, record in records.items()
    ]
    store.write_table("rankers/validation.parquet", pa.Table.from_pylist(validation))
    scores = [store.read_table(f"{folder}/{point.name}/scores.parquet") for point in chosen]
    store.write_table("rankers/scores.parquet", pa.concat_tables(scores))
    for point in set(points) - set(chosen):
        store.delete(f"{folder}/{point.name}/weights.safetensors")
    store.commit("rankers", {"input": digest, "folder": folder, "chosen": [point.name for point in chosen]})


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="ranking")
