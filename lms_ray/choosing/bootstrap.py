"""Is one candidate better than another? The paired bootstrap over examples, of all test sets at once.

Test sets of several languages are often the same sentences, translated (PUD, XQuAD, XNLI, SIB-200). A sentence that
one candidate happens to get right in one language it tends to get right in the others, so the mean over such targets is
less certain than the mean over as many independent ones. Sets that share examples are therefore resampled together.

Shape suffixes: C candidates, G groups of examples that are resampled together, R resamples, S statistics.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lms_ray.settings.hashing import seed_for

CELLS = 4_000_000  # counts held at a time, resamples x groups: about 130 MB with what they are made from
ROUNDING = 1e-12  # scores this close are equal: they are fractions of sums, and sums of fractions


@dataclass(frozen=True)
class TestSet:
    """One target's test set as the bootstrap sees it."""

    keys: Sequence[str]
    """Name of each group, unique within the set. Sets share a group where they hold the same key, so which examples are
    the same in two languages is decided by whoever makes the keys."""
    sums_CGS: np.ndarray
    """Example statistics of every candidate, summed over the examples of each group."""

    @classmethod
    def grouped(cls, group_E: np.ndarray, statistics_CES: np.ndarray) -> "TestSet":
        """A test set from the group that each example is in, and the example statistics."""
        keys, place_E = np.unique(group_E, return_inverse=True)
        sums_GCS = np.zeros((len(keys), len(statistics_CES), statistics_CES.shape[2]))
        np.add.at(sums_GCS, place_E, statistics_CES.swapaxes(0, 1))
        return cls(keys.tolist(), sums_GCS.swapaxes(0, 1))


@dataclass(frozen=True)
class Comparison:
    """Difference in score between two candidates on the same examples."""

    delta: float
    """Score of the first minus score of the second, on all examples."""
    low: float
    """Lower end of the percentile interval of the difference."""
    high: float
    """Upper end."""
    p_value: float
    """Two-sided: twice the share of resamples whose difference is beyond twice the observed one, that is, as extreme
    under the null that there is none (Berg-Kirkpatrick et al. 2012; doubled, as the direction is seen first)."""
    difference_R: np.ndarray = field(compare=False, repr=False)
    """The difference in every resample; NaN where nothing can be resampled."""


def resampled_scores(
    test_sets: Mapping[str, TestSet], metric: Callable[[np.ndarray], np.ndarray], resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Score every candidate on resamples of every test set.

    Sets that share keys, directly or through others, are resampled jointly: one draw from all their groups says how
    often each group counts, in every set that holds it. A set that holds only a part of the groups varies in size from
    resample to resample. Other sets are independent: adding one changes nothing for the rest.

    Args:
        test_sets: by target.
        metric: from summed statistics, shape (..., S), to scores.
        resamples: number R of resamples.
        seed: of the experiment.

    Returns:
        By target, the scores of shape (R, C); NaN for a test set of one group, which says nothing about how its score
        varies.

    Raises:
        ValueError: a set holds a key twice.
    """
    many = {name: one for name, one in test_sets.items() if len(one.keys) > 1}
    scores = {
        name: np.full((resamples, len(one.sums_CGS)), np.nan) for name, one in test_sets.items() if name not in many
    }
    for names in _components({name: one.keys for name, one in many.items()}):
        rng = np.random.default_rng(seed_for(seed, "bootstrap", *names))
        scores |= _resampled_jointly({name: many[name] for name in names}, metric, resamples, rng)
    return scores


def compare(score_RC: np.ndarray, score_C: np.ndarray, first: int, second: int, confidence: float) -> Comparison:
    """Compare two candidates on one test set.

    Args:
        score_RC: scores of the candidates in each resample, NaN where nothing can be resampled.
        score_C: their scores on the test set as it is.
        first: index of one candidate.
        second: of the other.
        confidence: level of the interval.
    """
    return _comparison(float(score_C[first] - score_C[second]), score_RC[:, first] - score_RC[:, second], confidence)


def average(comparisons: Sequence[Comparison], confidence: float) -> Comparison:
    """The mean difference over test sets, from the same resamples; as unknown as the least known of them."""
    delta = float(np.mean([comparison.delta for comparison in comparisons]))
    return _comparison(delta, np.mean([comparison.difference_R for comparison in comparisons], axis=0), confidence)


def _comparison(delta: float, difference_R: np.ndarray, confidence: float) -> Comparison:
    if np.isnan(difference_R).any():
        return Comparison(delta, delta, delta, 1.0, difference_R)
    low, high = np.quantile(difference_R, [(1 - confidence) / 2, (1 + confidence) / 2])
    direction = 1 if delta >= 0 else -1
    centred_R = direction * (difference_R - delta)  # the distribution under "no difference"
    extreme = np.sum(centred_R >= abs(delta) - ROUNDING)
    p_value = min(1.0, 2 * (1 + int(extreme)) / (1 + len(difference_R)))
    return Comparison(delta, float(low), float(high), p_value, difference_R)


def _resampled_jointly(
    test_sets: Mapping[str, TestSet],
    metric: Callable[[np.ndarray], np.ndarray],
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    place_of: dict[str, int] = {}  # of each key in the draw
    places = {name: [place_of.setdefault(key, len(place_of)) for key in one.keys] for name, one in test_sets.items()}
    widest = max(len(place_of), *(one.sums_CGS[:, 0].size for one in test_sets.values()))
    chunk = max(1, CELLS // widest)
    scores = {name: np.empty((resamples, len(one.sums_CGS))) for name, one in test_sets.items()}
    for start in range(0, resamples, chunk):
        count_RG = _draw(rng, min(chunk, resamples - start), len(place_of))
        for name, one in test_sets.items():
            own_RG = count_RG[:, places[name]]
            missed_R = own_RG.sum(1) == 0  # where no group of a small set was drawn, it gets a draw of its own
            own_RG[missed_R] = _draw(rng, missed_R.sum(), len(one.keys))
            scores[name][start : start + chunk] = metric(np.tensordot(own_RG, one.sums_CGS, axes=(1, 1)))
    return scores


def _draw(rng: np.random.Generator, resamples: int, groups: int) -> np.ndarray:
    """How often each group is drawn in each resample, shape (R, G), float64: a row sums to the number of groups."""
    drawn_RG = rng.integers(groups, size=(resamples, groups))
    drawn_RG += groups * np.arange(resamples)[:, None]
    return np.bincount(drawn_RG.ravel(), minlength=drawn_RG.size).reshape(drawn_RG.shape).astype(float)


def _components(keys: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Names of the sets that hang together by common keys, each list sorted."""
    names = sorted(keys)
    holder: dict[str, int] = {}  # of each key, the first set that holds it
    edges = []
    for index, name in enumerate(names):
        if len(set(keys[name])) < len(keys[name]):
            twice = next(key for place, key in enumerate(keys[name]) if key in keys[name][:place])
            raise ValueError(f"{name}: key {twice!r} names two groups of the test set")
        edges += [(index, holder.setdefault(key, index)) for key in keys[name]]
    if not edges:
        return []
    graph = coo_array((np.ones(len(edges)), np.transpose(edges)), shape=(len(names), len(names)))
    count, label_N = connected_components(graph, directed=False)
    return [[name for name, label in zip(names, label_N, strict=True) if label == number] for number in range(count)]
