"""The grid of rankers: which are fitted, on what, and which of them is chosen (paper, section 4.2).

The paper's net is fitted at each batch size, learning rate and seed, one at a time (`fit_point`); the convex ranker at
each strength of its penalty, all of them together (`fit_fast`).

Every target needs a ranker that has not seen it: targets that are no pivots share one over all pivots, a target that
is a pivot has its own over the others.

Shape suffixes: C candidates, G languages, P pivots, H feature, V language vector.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import product
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch

from lms_ray.choosing import convex
from lms_ray.choosing.ranker import Lesson, Ranking, fit, validate
from lms_ray.settings.choosing import Fit, Ranker
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash, seed_for

PAPER_POINT = ("pivots", "batch_size", "learning_rate", "seed")  # what the paper's nets are seeded by


@dataclass(frozen=True)
class Point:
    """One ranker to fit: its pivots, and the grid point of the one or the other kind of fit."""

    pivots: tuple[str, ...]
    batch_size: int | None = None
    learning_rate: float | None = None
    l2: float | None = None
    seed: int = 0

    @property
    def fit(self) -> Fit:
        """Which kind."""
        return "paper" if self.l2 is None else "fast"

    @property
    def name(self) -> str:
        """`ar-de-es-bs16-lr0.0001-seed0` or `ar-de-es-l2-0.01`."""
        if self.fit == "fast":
            return f"{'-'.join(self.pivots)}-l2-{self.l2:g}"
        return f"{'-'.join(self.pivots)}-bs{self.batch_size}-lr{self.learning_rate:g}-seed{self.seed}"


@dataclass(frozen=True)
class Material:
    """All that ranking may see: features of every candidate, and its scores on the pivots' held-out sets."""

    settings: Ranker
    seed: int
    candidates: tuple[str, ...]
    part_C: np.ndarray
    """Part of the meta split of each candidate."""
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
            [None if array is None else sha256(np.ascontiguousarray(array).data).hexdigest() for array in arrays],
            self.settings.model_dump(exclude={"resources"}),
            self.seed,
            self.candidates,
            self.part_C.tolist(),
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
        return everything.of(np.flatnonzero(self.part_C == part))


@dataclass(frozen=True)
class Fitted:
    """One fitted ranker."""

    record: dict[str, Any]
    """Its point, `kendall_tau` on meta-dev, and seconds."""
    scores: dict[str, np.ndarray]
    """Scores of every candidate, shape (C,), by target."""
    weights: bytes
    """Safetensors."""


def targets_by_pivots(experiment: Experiment) -> dict[tuple[str, ...], list[str]]:
    """The targets that share a ranker, by its pivots."""
    shared: dict[tuple[str, ...], list[str]] = {}
    for target in experiment.targets:
        shared.setdefault(experiment.pivots_for(target), []).append(target)
    return shared


def points(settings: Ranker, pivot_sets: Sequence[tuple[str, ...]]) -> list[Point]:
    """Every ranker to fit; small batches first, because they take longest."""
    if settings.fit == "fast":
        return [Point(pivots, l2=l2) for pivots, l2 in product(pivot_sets, settings.l2)]
    return [
        Point(pivots, batch_size, learning_rate, seed=seed)
        for batch_size, learning_rate, pivots, seed in product(
            sorted(settings.batch_size), settings.learning_rate, pivot_sets, range(settings.seeds)
        )
    ]


def fit_point(point: Point, targets: Sequence[str], material: Material, device: str) -> Fitted:
    """Fit one of the paper's nets, and score every candidate for its targets."""
    assert point.batch_size and point.learning_rate, "a point of the convex ranker is fitted by fit_fast"
    started = time.monotonic()
    seed = seed_for(material.seed, "ranker", {key: getattr(point, key) for key in PAPER_POINT})
    train, dev = material.lesson(point.pivots, "train"), material.lesson(point.pivots, "dev")
    net = fit(train, material.settings, point.batch_size, point.learning_rate, seed, device)
    weights = safetensors.torch.save(net.state_dict())
    return _fitted(point, net, weights, targets, dev, material, started)


def fit_fast(
    material: Material, targets_of: Mapping[tuple[str, ...], Sequence[str]], device: str
) -> dict[Point, Fitted]:
    """Fit the convex ranker at every strength for every set of pivots, and score every candidate for their targets."""
    fitted = {}
    for pivots, targets in targets_of.items():
        started = time.monotonic()
        train, dev = material.lesson(pivots, "train"), material.lesson(pivots, "dev")
        grid = points(material.settings, [pivots])
        for point, ranker in zip(grid, convex.fit(train, material.settings.l2, device), strict=True):
            weights = safetensors.numpy.save({"weight": ranker.weight_HV})
            fitted[point] = _fitted(point, ranker, weights, targets, dev, material, started)
            started = time.monotonic()  # the first one's seconds hold those of the fits, which are one piece of work
    return fitted


def choose(kendall_tau: Mapping[Point, float]) -> list[Point]:
    """For each set of pivots the seeds of the best grid point, by its mean over seeds; the first wins a tie."""
    by_grid_point: dict[tuple[str, ...], dict[Point, list[Point]]] = {}
    for point in kendall_tau:
        by_grid_point.setdefault(point.pivots, {}).setdefault(replace(point, seed=0), []).append(point)
    chosen: list[Point] = []
    for seeds_of in by_grid_point.values():
        chosen += max(seeds_of.values(), key=lambda seeds: np.mean([kendall_tau[point] for point in seeds]))
    return chosen


def _fitted(
    point: Point,
    ranker: Ranking,
    weights: bytes,
    targets: Sequence[str],
    dev: Lesson,
    material: Material,
    started: float,
) -> Fitted:
    tau = validate(ranker, dev)
    scores = {}
    for target in targets:
        column = material.languages.index(target)
        vector_V = None if material.vector_GV is None else material.vector_GV[column]
        scores[target] = ranker.score(material.feature_CGH[:, column], vector_V)
    record = {"fit": point.fit, **asdict(point), "kendall_tau": tau, "seconds": time.monotonic() - started}
    return Fitted(record, scores, weights)
