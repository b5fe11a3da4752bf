"""The rules that pick a candidate for a language, as scores: the highest is the pick (paper, section 4.3, and rivals).

A rule sees `Evidence`: scores on the source and on the pivots, features, and signals from unlabelled text. None sees a
label of the language that it picks for. Those that learn from other candidates are in `taught.py`.

Shape suffixes: C candidates, P pivots, H feature.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from lms_ray.choosing.evidence import Evidence, z_scores
from lms_ray.choosing.ranker import ranks
from lms_ray.choosing.signals import SIGNALS

Rule = Callable[[Evidence], np.ndarray | None]
"""From evidence to scores, shape (C,); None where the evidence lacks what the rule needs."""

FOUNDATION = "All-Pivot z"
"""The rule to fall back on: it needs nothing but the pivots' scores."""


def best(score_C: np.ndarray) -> int:
    """Index of the highest score; the first one wins a tie.

    Raises:
        ValueError: a score is not a number: a candidate was never evaluated, and leaving it out changes the pool.
    """
    missing = np.flatnonzero(np.isnan(score_C))
    if len(missing):
        raise ValueError(f"candidate {missing[0]} of the pool has no score")
    return int(score_C.argmax())


def english_dev(evidence: Evidence) -> np.ndarray:
    """En-Dev: the score on the source's dev set."""
    return evidence.source_C


def pivot_dev(evidence: Evidence) -> np.ndarray | None:
    """Pivot-Dev: the score on the pivot whose language vector has the smallest angle with the language's."""
    return None if evidence.similarity_P is None else evidence.pivot_CP[:, best(evidence.similarity_P)]


def all_pivot(evidence: Evidence) -> np.ndarray:
    """All-Pivot: the best mean rank over the pivots."""
    return -ranks(evidence.pivot_CP.T).mean(0)


def all_pivot_z(evidence: Evidence) -> np.ndarray:
    """The mean z-score over the pivots."""
    return evidence.pivot_z_C


def similar_pivots(evidence: Evidence) -> np.ndarray | None:
    """The pivots' z-scores, weighted by the cosines of language vectors; equally where none is above 0."""
    if evidence.similarity_P is None:
        return None
    return _weighted(evidence, np.clip(evidence.similarity_P, 0, None))


def kriged_pivots(evidence: Evidence) -> np.ndarray:
    """The pivots' z-scores, each weighted by what it says of the language beyond the others (`kinship`)."""
    return _weighted(evidence, evidence.kinship_P)


def kernel_pivots(evidence: Evidence) -> np.ndarray:
    """The pivots' z-scores, weighted by how alike candidates lie to each other in both languages (linear CKA)."""
    return _weighted(evidence, evidence.alike_P)


def best_setting(evidence: Evidence) -> np.ndarray:
    """The mean z-score over the pivots of all seeds of a setting; within it the candidate's own decides."""
    z_C = evidence.pivot_z_C
    return setting_mean(evidence) + 1e-6 * z_C


def setting_mean(evidence: Evidence) -> np.ndarray:
    """The mean z-score over the pivots, averaged over the candidates of the same setting."""
    total_S = np.bincount(evidence.setting_C, evidence.pivot_z_C)
    return (total_S / np.maximum(np.bincount(evidence.setting_C), 1))[evidence.setting_C]


def together(*parts: Rule) -> Rule:
    """The sum of the z-scores of several rules."""

    def rule(evidence: Evidence) -> np.ndarray | None:
        scores = [score_C for part in parts if (score_C := part(evidence)) is not None]
        return z_scores(np.stack(scores, axis=1)).sum(1) if len(scores) == len(parts) else None

    return rule


def signal(name: str) -> Rule:
    """One of the signals from unlabelled text."""
    return lambda evidence: evidence.signals.get(name)


def _weighted(evidence: Evidence, weight_P: np.ndarray) -> np.ndarray:
    weight_P = weight_P if weight_P.any() else np.ones_like(weight_P)
    return z_scores(evidence.pivot_CP) @ (weight_P / np.abs(weight_P).sum())


NAMES_OF_SIGNALS: Mapping[str, str] = MappingProxyType(
    {
        "confidence": "Confidence",
        "entropy": "Entropy",
        "dispersion": "Dispersion",
        "mano": "MaNo",
        "atc": "ATC",
        "agreement": "Agreement",
        "vote": "Vote",
        "shares": "Label shares",
        "shared_with_pool": "Shares of pool",
        "corrected_shares": "Corrected shares",
        "span_log_probability": "Answer's probability",
        "answered": "Answered",
        "brief": "Brief",
    }
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "En-Dev": english_dev,
        "Pivot-Dev": pivot_dev,
        "All-Pivot": all_pivot,
        FOUNDATION: all_pivot_z,
        "Similar pivots": similar_pivots,
        "Kernel pivots": kernel_pivots,
        "Kriged pivots": kriged_pivots,
        "Best setting": best_setting,
        **{NAMES_OF_SIGNALS[name]: signal(name) for name in SIGNALS},
        "Pivots + shares": together(all_pivot_z, signal("shares")),
        "Pivots + vote": together(all_pivot_z, signal("vote")),
        "Pivots + shares + agreement": together(all_pivot_z, signal("shares"), signal("agreement")),
        "Pivots + shares + vote": together(all_pivot_z, signal("shares"), signal("vote")),
        "Pivots + setting + shares": together(all_pivot_z, setting_mean, signal("shares")),
    }
)
"""Every rule that needs no other candidates to learn from, by its name."""
