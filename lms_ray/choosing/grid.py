"""The grid of rankers: which are fitted, on what, and which of them is chosen (paper, section 4.2).

Every target needs a ranker that has not seen it: targets that are no pivots share one over all pivots, a target that
is a pivot has its own over the others.

Shape suffixes: C candidates, G languages, P pivots, H feature, V language vector.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import safetensors.torch

from lms_ray.choosing.ranker import Lesson, fit, score, validate
from lms_ray.settings.choosing import Ranker
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash, seed_for


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
            [content_hash(None if array is None else array.tobytes().hex()) for array in arrays],
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
    return [
        Point(pivots, batch_size, learning_rate, seed)
        for batch_size, learning_rate, pivots, seed in product(
            sorted(settings.batch_size), settings.learning_rate, pivot_sets, range(settings.seeds)
        )
    ]


def fit_point(point: Point, targets: Sequence[str], material: Material, device: str) -> Fitted:
    """Fit one ranker, and score every candidate for its targets."""
    started = time.monotonic()
    seed = seed_for(material.seed, "ranker", asdict(point))
    train, dev = material.lesson(point.pivots, "train"), material.lesson(point.pivots, "dev")
    net = fit(train, material.settings, point.batch_size, point.learning_rate, seed, device)
    tau = validate(net, dev)
    scores = {}
    for target in targets:
        column = material.languages.index(target)
        vector_V = None if material.vector_GV is None else material.vector_GV[column]
        scores[target] = score(net, material.feature_CGH[:, column], vector_V)
    record = {**asdict(point), "kendall_tau": tau, "seconds": time.monotonic() - started}
    return Fitted(record, scores, safetensors.torch.save(net.state_dict()))


def choose(kendall_tau: Mapping[Point, float]) -> list[Point]:
    """For each set of pivots the seeds of the best grid point, by its mean over seeds; the first wins a tie."""
    by_pivots: dict[tuple[str, ...], dict[tuple[int, float], list[Point]]] = {}
    for point in kendall_tau:
        settings = by_pivots.setdefault(point.pivots, {})
        settings.setdefault((point.batch_size, point.learning_rate), []).append(point)
    chosen: list[Point] = []
    for settings in by_pivots.values():
        chosen += max(settings.values(), key=lambda seeds: np.mean([kendall_tau[point] for point in seeds]))
    return chosen
