"""Tests of significance over several targets, and over several divisions of the same candidates.

Over divisions there are two, and the report shows both. The paper's Z-test (Table 9) takes the divisions for
independent, which they are not: their pools are drawn from the same candidates. The corrected resampled t-test (Nadeau
and Bengio 2003) allows for that. Neither speaks of other candidates than these, nor of other languages.

Shape suffix: D divisions.
"""

import numpy as np
from scipy import stats


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction for several tests (1979), in the order of the tests."""
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(stepped, 1)
    return corrected.tolist()


def corrected_t_test(difference_D: np.ndarray, pool: int, taught: int) -> float:
    """Two-sided p-value of a mean difference over divisions; 1 where there are fewer than two, or no difference.

    Args:
        difference_D: in each division.
        pool: candidates that are picked from in each.
        taught: candidates that are learned from in each.
    """
    if len(difference_D) < 2 or not difference_D.any():
        return 1.0
    error = _corrected_error(difference_D, pool, taught)
    if not error:
        return 0.0
    return float(2 * stats.t.sf(abs(difference_D.mean()) / error, len(difference_D) - 1))


def corrected_half_width(difference_D: np.ndarray, pool: int, taught: int, confidence: float = 0.95) -> float:
    """Half the width of the same test's interval of the mean difference; infinite where there are fewer than two."""
    if len(difference_D) < 2:
        return float("inf")
    quantile = stats.t.ppf((1 + confidence) / 2, len(difference_D) - 1)
    return float(quantile * _corrected_error(difference_D, pool, taught))


def _corrected_error(difference_D: np.ndarray, pool: int, taught: int) -> float:
    return float(np.sqrt(difference_D.var(ddof=1) * (1 / len(difference_D) + pool / taught)))


def z_test(first_D: np.ndarray, second_D: np.ndarray) -> float:
    """Two-sided p-value of the paper's Z-test for two samples of divisions; 1 where there are fewer than two."""
    if len(first_D) < 2:
        return 1.0
    difference = first_D.mean() - second_D.mean()
    error = np.sqrt(first_D.var(ddof=1) / len(first_D) + second_D.var(ddof=1) / len(second_D))
    if not error:
        return float(difference == 0)
    return float(2 * stats.norm.sf(abs(difference) / error))
