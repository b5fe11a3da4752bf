"""The grid of rankers: which are fitted, on what, and which of them is chosen (paper, section 4.2).

The paper's net is fitted at each batch size, learning rate and seed, one at a time (`fit_point`); the convex ranker at
each strength of its penalty, all of them together (`fit_fast`).

Every target needs a ranker that has not seen it: targets that are no pivots share one over all pivots, a target that
is a pivot has its own over the others.

Shape suffix: C candidates.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

from lms_ray.choosing import convex
from lms_ray.choosing.convex import Bilinear
from lms_ray.choosing.material import Material
from lms_ray.choosing.ranker import Lesson, Ranking, ScoringNet, fit, validate
from lms_ray.settings.choosing import Fit, Ranker
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import seed_for

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
class Fitted:
    """One fitted ranker."""

    record: dict[str, Any]
    """Its point, `kendall_tau` on meta-dev, and seconds."""
    scores: dict[str, np.ndarray]
    """Scores of every candidate, shape (C,), by target."""
    weights: bytes
    """Safetensors."""


def targets_by_pivots(experiment: Experiment) -> dict[tuple[str, ...], list[str]]:
    """The targets, labelled or not, that share a ranker, by its pivots."""
    shared: dict[tuple[str, ...], list[str]] = {}
    for target in experiment.picked_for:
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
    others = material.other_lessons(point.pivots)
    net = fit(train, dev, material.settings, point.batch_size, point.learning_rate, seed, device, others)
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
        rankers = convex.fit(train, material.settings.l2, device, material.other_lessons(pivots))
        for point, ranker in zip(grid, rankers, strict=True):
            weights = safetensors.numpy.save({"weight": ranker.weight_HV})
            fitted[point] = _fitted(point, ranker, weights, targets, dev, material, started)
            started = time.monotonic()  # the first one's seconds hold those of the fits, which are one piece of work
    return fitted


def load(fit: Fit, weights: bytes) -> Ranking:
    """A ranker from the weights that were kept of it."""
    return of_tensors(fit, safetensors.numpy.load(weights))


def of_tensors(fit: Fit, tensors: Mapping[str, np.ndarray]) -> Ranking:
    """A ranker of these weights.

    Raises:
        KeyError, RuntimeError: they are not those of such a ranker.
    """
    if fit == "fast":
        return Bilinear(np.array(tensors["weight"]))
    return ScoringNet.of({name: torch.tensor(tensor) for name, tensor in tensors.items()})


def scores(ranker: Ranking, pivots: Sequence[str], targets: Sequence[str], material: Material) -> dict[str, np.ndarray]:
    """A ranker's scores of every candidate, shape (C,), by target; `pivots` are those that taught it."""
    return {
        target: ranker.score(material.features([target], pivots)[:, 0], material.vector(target)) for target in targets
    }


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
    tau, of_target = validate(ranker, dev), scores(ranker, point.pivots, targets, material)
    record = {"fit": point.fit, **asdict(point), "kendall_tau": tau, "seconds": time.monotonic() - started}
    return Fitted(record, of_target, weights)
