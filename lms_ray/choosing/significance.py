"""Is one candidate better than another on a test set? The paired bootstrap over examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import bootstrap


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
    resampled: np.ndarray = field(compare=False, repr=False)
    """The difference in every resample."""


def paired_bootstrap(
    first_ES: np.ndarray,
    second_ES: np.ndarray,
    metric: Callable[[np.ndarray], np.ndarray],
    resamples: int,
    confidence: float,
    seed: int,
) -> Comparison:
    """Compare two candidates by resampling the examples on which both were scored.

    Args:
        first_ES: example statistics of one candidate, shape (E, S).
        second_ES: of the other, same examples.
        metric: from summed statistics, shape (..., S), to scores.
        resamples: number of bootstrap resamples.
        confidence: level of the interval.
        seed: of the resampling.
    """

    def difference(*columns: np.ndarray, axis: int) -> np.ndarray:
        sums = np.stack([column.sum(axis=axis) for column in columns], axis=-1)
        width = sums.shape[-1] // 2
        return metric(sums[..., :width]) - metric(sums[..., width:])

    columns = [*first_ES.T, *second_ES.T]
    delta = float(difference(*columns, axis=0))
    if np.array_equal(first_ES, second_ES) or len(first_ES) < 2:  # nothing to resample, nothing to learn from it
        return Comparison(delta, delta, delta, 1.0, np.full(resamples, delta))
    result = bootstrap(
        columns,
        difference,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // len(first_ES)),
        vectorized=True,
        paired=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return _compare(delta, result.bootstrap_distribution, confidence)


def average(comparisons: Sequence[Comparison], confidence: float) -> Comparison:
    """The mean difference over test sets that were resampled independently of each other."""
    delta = float(np.mean([comparison.delta for comparison in comparisons]))
    return _compare(delta, np.mean([comparison.resampled for comparison in comparisons], axis=0), confidence)


def _compare(delta: float, resampled: np.ndarray, confidence: float) -> Comparison:
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    centred = resampled - delta  # the distribution under "no difference"
    extreme = np.sum(centred >= delta) if delta >= 0 else np.sum(centred <= delta)
    p_value = min(1.0, 2 * (1 + int(extreme)) / (1 + len(resampled)))
    return Comparison(delta, float(low), float(high), p_value, resampled)
