"""What every selector picks from the pool for a target, and how good the picks are (paper, section 4.3).

Shape suffixes: C candidates of the pool, E examples, K ranker seeds, P pivots, R resamples, S statistics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from lms_ray.choosing import selectors
from lms_ray.choosing.ranker import ranks
from lms_ray.choosing.significance import Comparison, average, compare
from lms_ray.settings import languages
from lms_ray.settings.experiment import Experiment
from lms_ray.store.picks import AVERAGE, SELECTORS, Pick


@dataclass(frozen=True)
class Evidence:
    """What the selectors may look at for one target; scores are of the pool, shape (C,)."""

    source_C: np.ndarray
    """On the source's dev set."""
    pivot_PC: np.ndarray
    """On the held-out sets of the pivots that may teach this target."""
    ranker_KC: np.ndarray
    """The rankers' scores for this target."""
    few_C: np.ndarray
    """On a few labelled examples of the target: an oracle."""
    few: int
    """How many they are."""
    dev_C: np.ndarray
    """On the target's dev set: an oracle."""
    dev: int
    """How many examples it has."""
    test_C: np.ndarray
    """On the target's test set, by which picks are judged."""


@dataclass(frozen=True)
class Choice:
    """What a selector chose: an index into the pool."""

    selector: str
    candidate: int
    pivot: str | None = None
    examples: int | None = None


def choices(target: str, evidence: Evidence, experiment: Experiment) -> list[Choice]:
    """Every selector's choice for one target, En-Dev first."""
    pivots, kind = experiment.pivots_for(target), experiment.ranker.language_vector
    chosen = [Choice("En-Dev", selectors.best(evidence.source_C))]
    if kind != "none":
        nearest = selectors.most_similar(
            languages.vector(target, kind), np.stack([languages.vector(pivot, kind) for pivot in pivots])
        )
        chosen.append(Choice("Pivot-Dev", selectors.best(evidence.pivot_PC[nearest]), pivot=pivots[nearest]))
    return [
        *chosen,
        Choice("All-Pivot", selectors.all_pivot(evidence.pivot_PC)),
        Choice("LMS", selectors.learned(evidence.ranker_KC)),
        Choice("100-Target", selectors.best(evidence.few_C), examples=evidence.few),
        Choice("All-Target", selectors.best(evidence.dev_C), examples=evidence.dev),
        Choice("Best", selectors.best(evidence.test_C)),
    ]


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
    best, mean = float(test_C.max()), float(test_C.mean())
    picks = [
        Pick(
            selector=choice.selector,
            target=target,
            candidate=pool[choice.candidate],
            pivot=choice.pivot,
            examples=choice.examples,
            score=float(test_C[choice.candidate]),
            delta=float(test_C[choice.candidate]) - reference,
            regret=best - float(test_C[choice.candidate]),
            rank=float(rank_C[choice.candidate]),
            low=compared[choice.candidate].low,
            high=compared[choice.candidate].high,
            p_value=compared[choice.candidate].p_value,
        )
        for choice in chosen
    ]
    random = Pick(
        "Random", target, None, None, None,
        score=mean, delta=mean - reference, regret=best - mean,
        rank=float(rank_C.mean()), low=None, high=None, p_value=None,
    )  # fmt: skip
    return sorted([*picks, random], key=lambda pick: SELECTORS.index(pick.selector))


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
            )
        )
    return result
