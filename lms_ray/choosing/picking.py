"""What every selector picks from the pool for a target, and how good the picks are (paper, section 4.3).

Shape suffixes: C candidates of the pool, R resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from scipy.stats import spearmanr

from lms_ray.choosing.bootstrap import Comparison, average, compare
from lms_ray.choosing.ranker import ranks
from lms_ray.choosing.rules import best
from lms_ray.choosing.significance import holm
from lms_ray.store.picks import AVERAGE, Pick, SplitPick, in_order


@dataclass(frozen=True)
class Oracles:
    """Scores by labels of the target, shape (C,): what a pick is judged by, and what only oracles may look at."""

    few_C: np.ndarray
    """On a few labelled examples."""
    few: int
    """How many they are."""
    dev_C: np.ndarray
    """On the dev set."""
    dev: int
    """How many examples it has."""
    test_C: np.ndarray
    """On the test set."""

    def of(self, candidates: np.ndarray) -> "Oracles":
        """The same for these candidates only."""
        return replace(self, few_C=self.few_C[candidates], dev_C=self.dev_C[candidates], test_C=self.test_C[candidates])

    @property
    def scores(self) -> dict[str, np.ndarray]:
        """By the oracles' names."""
        return {"100-Target": self.few_C, "All-Target": self.dev_C, "Best": self.test_C}


@dataclass(frozen=True)
class Choice:
    """What a selector chose: an index into the pool."""

    selector: str
    candidate: int
    pivot: str | None = None
    examples: int | None = None


def choices(scores: Mapping[str, np.ndarray], oracles: Oracles, followed: str | None) -> list[Choice]:
    """Every selector's choice for one target, En-Dev first.

    Args:
        scores: by rule, of the pool.
        oracles: of the pool.
        followed: the pivot that Pivot-Dev follows.
    """
    chosen = [
        Choice(name, best(score_C), pivot=followed if name == "Pivot-Dev" else None) for name, score_C in scores.items()
    ]
    saw = {"100-Target": oracles.few, "All-Target": oracles.dev}
    chosen += [Choice(name, best(score_C), examples=saw.get(name)) for name, score_C in oracles.scores.items()]
    return sorted(chosen, key=lambda choice: choice.selector != "En-Dev")


def judge(
    target: str, chosen: Sequence[Choice], pool: Sequence[str], test_C: np.ndarray, compared: Mapping[int, Comparison]
) -> list[Pick]:
    """The picks of one target, in the order of the selectors.

    Args:
        target: the language.
        chosen: En-Dev's choice first.
        pool: ids of the candidates.
        test_C: their test scores.
        compared: comparison of each chosen candidate with En-Dev's.
    """
    rank_C, reference = ranks(test_C), float(test_C[chosen[0].candidate])
    highest, mean = float(test_C.max()), float(test_C.mean())
    picks = [
        Pick(
            selector=choice.selector,
            target=target,
            candidate=pool[choice.candidate],
            pivot=choice.pivot,
            examples=choice.examples,
            score=float(test_C[choice.candidate]),
            delta=float(test_C[choice.candidate]) - reference,
            regret=highest - float(test_C[choice.candidate]),
            rank=float(rank_C[choice.candidate]),
            low=compared[choice.candidate].low,
            high=compared[choice.candidate].high,
            p_value=compared[choice.candidate].p_value,
        )
        for choice in chosen
    ]
    random = Pick(
        "Random", target, None, None, None,
        score=mean, delta=mean - reference, regret=highest - mean,
        rank=float(rank_C.mean()), low=None, high=None, p_value=None,
    )  # fmt: skip
    return in_order([*picks, random])


def corrected(picks: Sequence[Pick]) -> list[Pick]:
    """The picks with Holm's correction of each selector's p-values over the targets."""
    of_selector: dict[str, list[Pick]] = {}
    for pick in picks:
        if pick.p_value is not None:
            of_selector.setdefault(pick.selector, []).append(pick)
    p_holm = {}
    for selector, several in of_selector.items():
        for pick, value in zip(several, holm([pick.p_value or 0.0 for pick in several]), strict=True):
            p_holm[selector, pick.target] = value
    return [replace(pick, p_holm=p_holm.get((pick.selector, pick.target))) for pick in picks]


def judge_draw(draw: int, target: str, scores: Mapping[str, np.ndarray], oracles: Oracles) -> list[SplitPick]:
    """Every selector's pick for a target from the pool of one draw, and how well its scores order that pool.

    Args:
        draw: its number.
        target: the language.
        scores: by rule, of the pool.
        oracles: of the pool.
    """
    test_C = oracles.test_C
    rank_C, reference, highest = ranks(test_C), float(test_C[best(scores["En-Dev"])]), float(test_C.max())
    picks = [
        SplitPick(
            draw, selector, target,
            score=(score := float(test_C[picked := best(score_C)])), delta=score - reference, regret=highest - score,
            rank=float(rank_C[picked]), correlation=_correlation(score_C, test_C),
        )
        for selector, score_C in {**scores, **oracles.scores}.items()
    ]  # fmt: skip
    mean = float(test_C.mean())
    random = SplitPick(
        draw, "Random", target,
        score=mean, delta=mean - reference, regret=highest - mean, rank=float(rank_C.mean()), correlation=0.0,
    )  # fmt: skip
    return in_order([*picks, random])


def compare_all(
    chosen: Sequence[Choice], score_RC: np.ndarray, test_C: np.ndarray, confidence: float
) -> dict[int, Comparison]:
    """Comparison of each chosen candidate with En-Dev's, which is the first.

    Args:
        chosen: the choices for one target.
        score_RC: resampled test scores of the chosen candidates, in the order in which they are first chosen.
        test_C: test scores of the pool.
        confidence: level of the intervals.
    """
    distinct = distinct_candidates(chosen)
    score_C = test_C[distinct]
    return {
        candidate: compare(score_RC, score_C, first=place, second=0, confidence=confidence)
        for place, candidate in enumerate(distinct)
    }


def distinct_candidates(chosen: Sequence[Choice]) -> list[int]:
    """The candidates that some selector chose, each once, En-Dev's first."""
    return list(dict.fromkeys(choice.candidate for choice in chosen))


def averages(picks: Sequence[Pick], comparisons: Mapping[str, Sequence[Comparison]], confidence: float) -> list[Pick]:
    """For each selector the means over all targets, and the comparison of the mean with En-Dev's."""
    result = []
    for selector in dict.fromkeys(pick.selector for pick in picks):
        of_selector = [pick for pick in picks if pick.selector == selector]
        compared = average(comparisons[selector], confidence) if selector in comparisons else None
        result.append(
            Pick(
                selector=selector,
                target=AVERAGE,
                candidate=None,
                pivot=None,
                examples=None,
                score=fmean(pick.score for pick in of_selector),
                delta=fmean(pick.delta for pick in of_selector),
                regret=fmean(pick.regret for pick in of_selector),
                rank=fmean(pick.rank for pick in of_selector),
                low=compared.low if compared else None,
                high=compared.high if compared else None,
                p_value=compared.p_value if compared else None,
                p_holm=compared.p_value if compared else None,  # one comparison for each selector
            )
        )
    return result


def _correlation(score_C: np.ndarray, test_C: np.ndarray) -> float:
    """Spearman's rank correlation; 0 where one side knows no difference."""
    if not np.ptp(score_C) or not np.ptp(test_C):
        return 0.0
    return float(spearmanr(score_C, test_C).statistic)
