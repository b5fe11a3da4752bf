"""How much is needed: the picks' regret against the number of candidates, of pivots, of sentences and of labels.

Every point is made as an experiment of that size would make it: rules see no more than it has, and learn anew.

Shape suffixes: C candidates, E examples, S statistics.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lms_ray.choosing.evidence import Known
from lms_ray.choosing.redrawn import redraw
from lms_ray.choosing.rules import best
from lms_ray.settings.choosing import MetaSplit
from lms_ray.settings.hashing import seed_for

Curve = Literal["candidates", "pivots", "sentences", "labels"]
REPEATS = 5  # random sets of candidates or pivots of each size
DRAWS = 4  # of the meta split, for the rules that learn
LABELS = (5, 10, 25, 50, 100, 200, 400, 800)
SAMPLES = 20  # of labelled examples
K_TARGET = "k-Target"


@dataclass(frozen=True)
class Point:
    """One point of a curve, in one repetition."""

    curve: Curve
    size: int
    repeat: int = 0

    @property
    def name(self) -> str:
        """`candidates-24-0`."""
        return f"{self.curve}-{self.size}-{self.repeat}"

    def rng(self, seed: int) -> np.random.Generator:
        """Of a repetition: smaller sets are the beginnings of larger ones."""
        return np.random.default_rng(seed_for(seed, self.curve, self.repeat))


def points(
    settings: MetaSplit, candidates: int, pivots: int, beginnings: Sequence[int], examples: int, labels: int
) -> list[Point]:
    """All points of all curves, of which the last of each is the whole experiment.

    Args:
        settings: of the meta split, which needs two candidates in each part.
        candidates: how many there are.
        pivots: how many a target may have.
        beginnings: numbers of sentences of which features were kept.
        examples: sentences of the largest text.
        labels: labelled examples of the largest dev set of a target.
    """
    sizes = [size for part in (8, 4, 2) if min(settings.sizes(size := candidates // part)) >= 2]
    found = [Point("candidates", size, repeat) for size in sizes for repeat in range(REPEATS)]
    found += [Point("pivots", size, repeat) for size in range(1, pivots) for repeat in range(REPEATS)]
    found += [Point("sentences", size) for size in sorted(beginnings) if size < examples]
    found += [Point("labels", size) for size in (*(size for size in LABELS if size < labels), labels)]
    whole = (("candidates", candidates), ("pivots", pivots), ("sentences", examples))
    return [*found, *(Point(curve, size) for curve, size in whole)]  # type: ignore[arg-type]


def picks(
    point: Point,
    known: Known,
    targets_of: Mapping[tuple[str, ...], Sequence[str]],
    settings: MetaSplit,
    rules: Sequence[str],
) -> dict[str, dict[str, int]]:
    """What rules pick for use at a point of a curve, by target and rule, as places among all candidates.

    Args:
        point: of `candidates`, `pivots` or `sentences`; what is known has as many of the last.
        known: of all candidates.
        targets_of: targets by the pivots that may be looked at for them.
        settings: of the meta split.
        rules: to look at; one that finds nothing to learn picks nothing.
    """
    rng, taken_C = point.rng(known.material.seed), np.arange(len(known.source_C))
    if point.curve == "candidates":
        taken_C = np.sort(rng.permutation(len(taken_C))[: point.size])
    if point.curve == "pivots":
        order = [known.material.pivots[place] for place in rng.permutation(len(known.material.pivots))]
        fewer: dict[tuple[str, ...], list[str]] = {}
        for pivots, targets in targets_of.items():
            chosen = [pivot for pivot in order if pivot in pivots][: point.size]  # of a target that is a pivot, others
            fewer.setdefault(tuple(pivot for pivot in pivots if pivot in chosen), []).extend(targets)
        targets_of = fewer
    said = redraw(known.of(taken_C), targets_of, settings.model_copy(update={"draws": DRAWS}))
    return {
        target: {rule: int(taken_C[of_rules[rule]]) for rule in rules if rule in of_rules}
        for target, of_rules in said.for_use.items()
    }


def by_labels(
    point: Point,
    target: str,
    statistics_CES: np.ndarray,
    metric: Callable[[np.ndarray], np.ndarray],
    seed: int,
) -> Iterator[int]:
    """The picks by random samples of so many labelled examples of a target, one for each sample.

    Args:
        point: of the curve `labels`.
        target: the language.
        statistics_CES: example statistics of its dev set.
        metric: from summed statistics to scores.
        seed: of the experiment.
    """
    rng, examples = np.random.default_rng(seed_for(seed, point.curve, target)), statistics_CES.shape[1]
    size = min(point.size, examples)
    for _ in range(SAMPLES if size < examples else 1):
        sample = rng.choice(examples, size=size, replace=False)
        yield best(np.nan_to_num(metric(statistics_CES[:, sample].sum(1))))
