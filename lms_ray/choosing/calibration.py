"""Did what was stated of the picks come true? Statements are made without labels, and held against the test scores.

Shape suffix: C candidates of the pool.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lms_ray.choosing.certainty import Expected
from lms_ray.choosing.ranker import ranks
from lms_ray.store.picks import Outcome


def outcomes(
    draw: int,
    target: str,
    rules: Sequence[str],
    picks: Mapping[str, int],
    expected: Mapping[str, Expected],
    source: str,
    plain: str,
    test_C: np.ndarray,
    without_model: float | None,
) -> Iterator[Outcome]:
    """What became of each statement about the picks of some rules.

    Args:
        draw: its number.
        target: the language.
        rules: whose picks are looked at.
        picks: candidates, by rule.
        expected: what was stated of them.
        source: the rule that goes by the source's scores.
        plain: the rule that goes by the pivots' scores alone.
        test_C: test scores of the pool.
        without_model: what an answer that needs no model scores there, if the task has one.
    """
    rank_C, mean, highest = ranks(test_C), float(test_C.mean()), float(test_C.max())
    for rule in rules:
        score, stated = float(test_C[picks[rule]]), expected[rule]
        happened = {
            "better_than_source": _better(score, float(test_C[picks[source]])),
            "better_than_pivots": _better(score, float(test_C[picks[plain]])),
            "better_than_average": _better(score, mean),
            **({} if without_model is None else {"better_than_no_model": _better(score, without_model)}),
            "gain": score - mean,
            "regret": highest - score,
            "rank": float(rank_C[picks[rule]]),
        }
        for statement, value in happened.items():
            if (said := getattr(stated, statement)) is not None:
                yield Outcome(draw, target, rule, stated.is_told, statement, said, value)


def _better(score: float, other: float) -> float:
    """1 where a score is higher, 0 where it is lower, half where neither."""
    return (1 + float(np.sign(score - other))) / 2
