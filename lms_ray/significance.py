"""Is one candidate better than another on a test set? The paired bootstrap over examples."""

from collections.abc import Callable
from dataclasses import dataclass

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
    """One-sided, in the direction of the difference (Berg-Kirkpatrick et al. 2012): the share of resamples whose
    difference exceeds twice the observed one, that is, is as large under the null that there is none."""


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
    if np.array_equal(first_ES, second_ES) or len(first_ES) < 2:
        return Comparison(delta, delta, delta, 1.0)
    result = bootstrap(
        columns,
        difference,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // len(first_ES)),
        vectorized=True,
        paired=True,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    shifted = result.bootstrap_distribution - delta  # centred: the distribution under "no difference"
    extreme = np.sum(shifted >= delta) if delta >= 0 else np.sum(shifted <= delta)
    return Comparison(
        delta,
        float(result.confidence_interval.low),
        float(result.confidence_interval.high),
        float((1 + extreme) / (1 + resamples)),
    )
