"""How good picks for use are, by labels that came after them.

Shape suffixes: C candidates, E examples, S statistics.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.stats import kendalltau

from lms_ray.choosing.bootstrap import TestSet, resampled_scores
from lms_ray.choosing.picking import Choice, compare_all, distinct_candidates, judge
from lms_ray.choosing.rules import best
from lms_ray.settings.choosing import Selection
from lms_ray.store.verified import Verified

BEST = "Best"


def verify(
    target: str,
    candidates: Sequence[str],
    picked: Mapping[str, int],
    scores: Mapping[str, np.ndarray],
    statistics_CES: np.ndarray,
    groups: Sequence[str],
    metric: Callable[[np.ndarray], np.ndarray],
    settings: Selection,
    seed: int,
    stated: Mapping[str, tuple[float | None, float | None]],
) -> list[Verified]:
    """Judge the pick of every rule, the mean candidate (Random) and the best one.

    Args:
        target: language of the labels.
        candidates: ids of those that were passed through; all that follows is of them.
        picked: by rule its pick, En-Dev's among them.
        scores: by rule its scores of the candidates, NaN where it has none.
        statistics_CES: example statistics.
        groups: for each example the name of the group in which it is resampled.
        metric: from summed statistics, shape (..., S), to scores.
        settings: resamples, and the level of the intervals.
        seed: of the experiment.
        stated: by rule what was said of its pick before: how probably it is better than En-Dev's, and its regret.
    """
    right_C = metric(statistics_CES.sum(1))
    chosen = sorted((Choice(rule, place) for rule, place in picked.items()), key=lambda one: one.selector != "En-Dev")
    chosen.append(Choice(BEST, best(right_C)))
    test_set = TestSet.grouped(np.asarray(groups), statistics_CES[distinct_candidates(chosen)])
    score_RC = resampled_scores({target: test_set}, metric, settings.bootstrap, seed)[target]
    compared = compare_all(chosen, score_RC, right_C, settings.confidence)
    return [
        Verified(
            rule=pick.selector,
            candidate=pick.candidate,
            score=pick.score,
            delta=pick.delta,
            low=pick.low,
            high=pick.high,
            p_value=pick.p_value,
            regret=pick.regret,
            rank=pick.rank,
            kendall_tau=kendall_tau(scores[pick.selector], right_C) if pick.selector in scores else None,
            stated_better=stated.get(pick.selector, (None, None))[0],
            stated_regret=stated.get(pick.selector, (None, None))[1],
        )
        for pick in judge(target, chosen, candidates, right_C, compared)
    ]


def kendall_tau(score_C: np.ndarray, right_C: np.ndarray) -> float:
    """Kendall's tau-b over the candidates that have a score; 0 where one side knows no difference."""
    known_C = ~np.isnan(score_C)
    tau = kendalltau(score_C[known_C], right_C[known_C]).statistic
    return 0.0 if np.isnan(tau) else float(tau)
