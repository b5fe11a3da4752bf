"""How good candidates are in a language at all, told from how far they agree on its text beyond chance.

Candidates that know what they do label alike; those that guess agree no more than their label shares make them. On the
source and the pivots it is known what such an agreement was worth, and the line through them tells it of a language
without labels. (Agreement follows accuracy closely for networks that differ by their seeds: Jiang et al. 2022.)

Shape suffixes: C candidates, E examples, S statistics, U units, K labels, R resamples, G languages whose labels are
known.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lms_ray.choosing.signals import votes

RESAMPLES = 100


@dataclass(frozen=True)
class Level:
    """The mean candidate's score in a language, less that of an answer that needs no model."""

    expected: float
    error: float
    """Its standard error, of Student's t."""
    freedom: int
    """Degrees of freedom of this."""

    def draws(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """So many draws of it."""
        return self.expected + self.error * rng.standard_t(self.freedom, count)


def beyond_chance(label_CU: np.ndarray) -> float:
    """Fleiss' kappa: agreement of pairs of candidates, 0 where it is by chance and 1 where it is complete."""
    candidates = len(label_CU)
    given_UK = votes(label_CU - label_CU.min(), np.ones(candidates))
    observed = float((given_UK * (given_UK - 1)).sum(1).mean()) / (candidates * (candidates - 1))
    share_K = given_UK.sum(0) / given_UK.sum()
    by_chance = float((share_K**2).sum())
    return (observed - by_chance) / (1 - by_chance) if by_chance < 1 else 0.0


def sampling_error(statistics_CES: np.ndarray, metric: Callable[[np.ndarray], np.ndarray], seed: int) -> float:
    """Standard error of the mean candidate's score from one labelled set to another of its size, by the bootstrap.

    Args:
        statistics_CES: example statistics of every candidate.
        metric: from summed statistics to scores.
        seed: of the resamples.
    """
    examples = statistics_CES.shape[1]
    drawn_RE = np.random.default_rng(seed).multinomial(examples, np.full(examples, 1 / examples), RESAMPLES)
    return float(metric(np.einsum("re,ces->rcs", drawn_RE, statistics_CES, optimize=True)).mean(1).std())


def level(agreement_G: np.ndarray, margin_G: np.ndarray, sampling: float, agreement: float) -> Level | None:
    """What a language's agreement tells of its level, by the least-squares line of languages whose labels are known.

    Args:
        agreement_G: of these languages, beyond chance.
        margin_G: their mean candidate's score, less that of the answer that needs no model.
        sampling: standard error of such a mean, by the examples alone; languages may share theirs, so that the line
            does not show it.
        agreement: of the language.

    Returns:
        None where fewer than four languages, or equal agreement in all, leave no line.
    """
    count, spread = len(agreement_G), float(((agreement_G - agreement_G.mean()) ** 2).sum())
    if count < 4 or not spread:
        return None
    slope, intercept = np.polyfit(agreement_G, margin_G, 1)
    residual_G = margin_G - (intercept + slope * agreement_G)
    variance = float((residual_G**2).sum()) / (count - 2)
    leverage = 1 + 1 / count + (agreement - agreement_G.mean()) ** 2 / spread
    error = float(np.sqrt(variance * leverage + sampling**2))
    return Level(float(intercept + slope * agreement), error, count - 2)
