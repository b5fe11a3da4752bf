"""How sure a pick is: what is to be expected of it in a language of which nobody knows a label.

Each pivot in turn plays the target, and its labels say how well the recommended scores ordered the candidates there.
How well they will in a target is as uncertain as the pivots differ; `kinship` tells which targets the pivots say more
of. With such a correlation r, the order of the candidates is that of r times their scores and noise for the rest; how
far apart they lie in that order is as in one of the pivots. From many draws of r, the noise and the pivot come all
statements. The noise of few sentences, few candidates, one division of them and a ranker's seed is in the scores that
the pivots judged, and so in r.

Shape suffixes: C candidates, P pivots, Q quantiles, N draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lms_ray.choosing.evidence import z_scores_of_known
from lms_ray.choosing.level import Level

DRAWS = 1000
HIGHEST = 0.99  # correlation: two languages are never the same
QUANTILES = 101
WIDEST = 3.0  # standard deviations in which a language may differ from the pivots: Student's t knows no bounds
TELLING = 2 / 3  # chance to be better than an average candidate, below which nothing can be told
USEFUL = 0.8  # the same, to be better than an answer that needs no model: who uses one that is not has lost


@dataclass(frozen=True)
class Trust:
    """How well the recommended scores will order the candidates in a language, as far as the pivots tell."""

    location: float
    """Expected inverse hyperbolic tangent of the correlation with the true scores."""
    spread: float
    """Standard deviation of the same over the pivots, beyond what kinship tells."""
    quantile_PQ: np.ndarray
    """Evenly spaced quantiles of the candidates' scores on each pivot, less their mean."""
    level: Level | None = None
    """The mean candidate's score, less that of an answer that needs no model, where the task has one."""

    def correlations(self, rng: np.random.Generator) -> np.ndarray:
        """Draws of the correlation in a language like the pivots, shape (N,): as wide as so few of them leave it."""
        pivots = len(self.quantile_PQ)
        elsewhere_N = np.sqrt(1 + 1 / pivots) * rng.standard_t(pivots - 1, DRAWS)
        return np.tanh(self.location + self.spread * np.clip(elsewhere_N, -WIDEST, WIDEST))

    def values(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draws of the scores of so many candidates, less their mean, the highest first, shape (N, count)."""
        at_C = (count - 0.5 - np.arange(count)) / count
        value_PC = np.stack([np.interp(at_C, np.linspace(0, 1, len(of_Q)), of_Q) for of_Q in self.quantile_PQ])
        return value_PC[rng.integers(len(value_PC), size=DRAWS)]


def trust(found_P: np.ndarray, expected_P: np.ndarray, expected: float, right_CP: np.ndarray) -> Trust | None:
    """What the pivots tell of a language.

    Args:
        found_P: correlation of the scores that were made for each pivot without its labels, with its labels' scores.
        expected_P: the same as `kinship` expects it.
        expected: what it expects for the language.
        right_CP: the pivots' scores.

    Returns:
        None where there are too few pivots to tell, or no pivot tells candidates apart.
    """
    differs_P = np.ptp(right_CP, axis=0) > 0
    if differs_P.sum() < 2:
        return None
    beyond_P = _stretched(found_P[differs_P]) - _stretched(expected_P[differs_P])
    centred_CP = (right_CP - right_CP.mean(0))[:, differs_P]
    return Trust(
        location=float(_stretched(expected) + beyond_P.mean()),
        spread=float(beyond_P.std(ddof=1)),
        quantile_PQ=np.quantile(centred_CP, np.linspace(0, 1, QUANTILES), axis=0).T,
    )


@dataclass(frozen=True)
class Expected:
    """What is to be expected of one pick."""

    better_than_source: float | None
    """Probability that it is better than En-Dev's pick; None where it is the same."""
    better_than_pivots: float | None
    """Probability that it is better than the pick of the pivots' scores alone; None where it is the same."""
    better_than_average: float
    """Probability that it is better than the mean candidate."""
    better_than_no_model: float | None
    """Probability that it is better than an answer that needs no model, such as always the commonest class; None where
    the task has none, or nothing tells."""
    gain: float
    """Expected score above the mean candidate's."""
    regret: float
    """Expected score below the best candidate's."""
    rank: float
    """Expected place among the candidates."""

    @property
    def is_told(self) -> bool:
        """Whether the evidence says enough to follow it."""
        return self.better_than_average >= TELLING and not is_useless(self.better_than_no_model)


def is_useless(better_than_no_model: float | None) -> bool:
    """Whether a pick may be no better than an answer that needs no model; not so where nothing tells (None or NaN)."""
    return better_than_no_model is not None and better_than_no_model < USEFUL


def expect(
    score_C: np.ndarray, picks: Mapping[str, int], source: str, plain: str, trusted: Trust, seed: int
) -> dict[str, Expected]:
    """What is to be expected of every pick.

    Args:
        score_C: recommended scores; NaN where there is none.
        picks: candidates, by rule.
        source: the rule that goes by the source's scores.
        plain: the rule that goes by the pivots' scores alone.
        trusted: how well the scores order candidates.
        seed: of the draws.
    """
    place_NC, true_NC = _simulated(score_C, trusted, seed)
    level_N = trusted.level and trusted.level.draws(DRAWS, np.random.default_rng(seed + 1))
    highest = float(true_NC.max(1).mean())

    def better(pick: int, other: int) -> float | None:
        return None if pick == other else float((place_NC[:, pick] < place_NC[:, other]).mean())

    return {
        rule: Expected(
            better_than_source=better(pick, picks[source]),
            better_than_pivots=better(pick, picks[plain]),
            better_than_average=float((true_NC[:, pick] > 0).mean()),
            better_than_no_model=None if level_N is None else float((level_N + true_NC[:, pick] > 0).mean()),
            gain=(gain := float(true_NC[:, pick].mean())),
            regret=highest - gain,
            rank=float(1 + place_NC[:, pick].mean()),
        )
        for rule, pick in picks.items()
    }


def expected_regret(score_C: np.ndarray, trusted: Trust) -> float:
    """Expected regret of the candidate of the highest score, from the same draws whatever the trust."""
    _, true_NC = _simulated(score_C, trusted, seed=0)
    return float((true_NC.max(1) - true_NC[:, np.nanargmax(score_C)]).mean())


def _simulated(score_C: np.ndarray, trusted: Trust, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the candidates' places, from 0, and of their scores less the mean, shape (N, C) each."""
    rng, count = np.random.default_rng(seed), len(score_C)
    correlation_N1 = trusted.correlations(rng)[:, None]
    z_C = np.nan_to_num(z_scores_of_known(score_C))
    order_NC = correlation_N1 * z_C + np.sqrt(1 - correlation_N1**2) * rng.normal(size=(DRAWS, count))
    place_NC = (-order_NC).argsort(1).argsort(1)
    return place_NC, np.take_along_axis(trusted.values(count, rng), place_NC, axis=1)


def _stretched(correlation: np.ndarray | float) -> np.ndarray:
    return np.arctanh(np.clip(correlation, -HIGHEST, HIGHEST))
