"""The rules that pick one candidate of the pool for a target (paper, section 4.3).

Each takes scores of the pool, shape (C,), and gives the index of a candidate; the first one wins a tie. Oracles see
target labels, and are there to compare with.
"""

import numpy as np

from lms_ray.choosing.ranker import ranks
from lms_ray.settings.languages import cosine


def best(score_C: np.ndarray) -> int:
    """Index of the highest score.

    Raises:
        ValueError: a score is not a number: a candidate was never evaluated, and leaving it out changes the pool.
    """
    _refuse_missing(score_C)
    return int(score_C.argmax())


def learned(score_KC: np.ndarray) -> int:
    """LMS: best mean rank over ranker seeds, shape (K, C)."""
    _refuse_missing(score_KC)
    return best(-ranks(score_KC).mean(0))


def all_pivot(score_PC: np.ndarray) -> int:
    """All-Pivot: best mean rank over the pivots' dev scores, shape (P, C)."""
    _refuse_missing(score_PC)
    return best(-ranks(score_PC).mean(0))


def most_similar(target_V: np.ndarray, pivot_PV: np.ndarray) -> int:
    """The pivot whose language vector has the smallest angle with the target's, for Pivot-Dev."""
    return best(np.asarray([cosine(target_V, pivot_V) for pivot_V in pivot_PV]))


def _refuse_missing(score: np.ndarray) -> None:
    missing = np.isnan(score).nonzero()[-1]
    if len(missing):
        raise ValueError(f"candidate {missing[0]} of the pool has no score")
