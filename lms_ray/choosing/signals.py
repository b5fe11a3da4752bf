"""Signals: what one candidate does on a language's unlabelled text, as a number.

Each is higher where its literature takes a candidate to be better; whether that holds is for the pivots to say. What is
measured against other candidates is measured against all of them: their predictions need no labels.

Shape suffixes: C candidates, G languages, K labels, N bins of confidence, U units (what gets a label).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

OVERCONFIDENT = 5.0  # MaNo's threshold of the spread, above which softmax is not trusted less than its Taylor series
LEADING = 0.25  # share of the candidates that vote in `vote`, the best on the pivots
SIGNALS = ("confidence", "entropy", "dispersion", "mano", "atc", "agreement", "vote", "shares", "shared_with_pool")


@dataclass(frozen=True)
class Observed:
    """What every candidate does on the text of some languages, and what the pivots' labels say of theirs."""

    languages: tuple[str, ...]
    seen: Mapping[str, np.ndarray]
    """Means over units, shape (C, G) or (C, G, ...), by the names of `store.encodings.SIGNALS`."""
    label_CU: Mapping[str, np.ndarray]
    """The label of each unit, by language."""
    gold_share: Mapping[str, np.ndarray]
    """Share of each label among the right ones, shape (K,), by pivot; empty where labels are places in the text."""
    source_confidences_CN: np.ndarray
    """Units of the source's dev set by confidence, as shares."""
    source_score_C: np.ndarray
    """Scores on it."""

    def signals(self, language: str, pivots: Sequence[str], pivot_z_C: np.ndarray) -> dict[str, np.ndarray]:
        """The signals of every candidate in a language, shape (C,) each; those that its text cannot give are left out.

        Args:
            language: of the text.
            pivots: whose labels may be looked at.
            pivot_z_C: how good the candidates are on these.
        """
        if language not in self.languages:
            return {}
        column = self.languages.index(language)
        seen = {name: of_all[:, column] for name, of_all in self.seen.items()}
        label_CU, leading = self.label_CU[language], math.ceil(LEADING * len(pivot_z_C))
        votes_C = np.zeros(len(pivot_z_C))
        votes_C[np.argsort(-pivot_z_C, kind="stable")[:leading]] = 1
        result = {
            "confidence": seen["confidence"],
            "entropy": -seen["entropy"],
            "atc": above_threshold(seen["confidences"], self.source_confidences_CN, self.source_score_C),
            "agreement": self._agreement[language],
            "vote": agreement_with_vote(label_CU, votes_C),
        }
        share_CK = seen["label_share"]
        if share_CK.shape[1]:
            result["dispersion"] = seen["nuclear_norm"]
            result["mano"] = mano(seen["softmax_norm"], seen["taylor_norm"], seen["spread"])
            result["shared_with_pool"] = -distance(share_CK, share_CK.mean(0))
            result["shares"] = -distance(share_CK, np.mean([self.gold_share[pivot] for pivot in pivots], axis=0))
        return {name: result[name] for name in SIGNALS if name in result and np.isfinite(result[name]).all()}

    @cached_property
    def _agreement(self) -> dict[str, np.ndarray]:
        return {language: agreement(label_CU) for language, label_CU in self.label_CU.items()}


def above_threshold(confidences_CN: np.ndarray, source_CN: np.ndarray, source_score_C: np.ndarray) -> np.ndarray:
    """Average thresholded confidence (Garg et al. 2022), shape (C,).

    A candidate's threshold is the confidence that as large a share of the source's units reach as its score on the
    source is; the signal is the share of the text's units that reach it. Within a bin, units are taken to lie evenly.
    """
    edges = np.linspace(0, 1, confidences_CN.shape[1] + 1)
    below_CM, source_below_CM = (
        np.concatenate([np.zeros((len(of_all), 1)), of_all.cumsum(1)], axis=1) for of_all in (confidences_CN, source_CN)
    )
    threshold_C = [
        np.interp(1 - score, below_M, edges) for score, below_M in zip(source_score_C, source_below_CM, strict=True)
    ]
    return np.asarray(
        [1 - np.interp(threshold, edges, below_M) for threshold, below_M in zip(threshold_C, below_CM, strict=True)]
    )


def mano(softmax_norm_C: np.ndarray, taylor_norm_C: np.ndarray, spread_C: np.ndarray) -> np.ndarray:
    """MaNo (Xie et al. 2024), shape (C,): the fourth root of the mean fourth power of normalised logits.

    All candidates are normalised in one way, by their mean spread: otherwise they could not be compared.
    """
    is_overconfident = spread_C.mean() <= OVERCONFIDENT
    return (taylor_norm_C if is_overconfident else softmax_norm_C) ** 0.25


def agreement(label_CU: np.ndarray) -> np.ndarray:
    """Mean share of the other candidates that give a unit the same label, shape (C,)."""
    if label_CU.shape[0] < 2 or not label_CU.shape[1]:
        return np.full(len(label_CU), np.nan)
    given_UK = _votes(label_CU, np.ones(len(label_CU)))
    same_CU = np.take_along_axis(given_UK.T, label_CU, axis=0) - 1
    return same_CU.mean(1) / (len(label_CU) - 1)


def agreement_with_vote(label_CU: np.ndarray, weight_C: np.ndarray) -> np.ndarray:
    """Share of units that a candidate labels as a weighted vote of the others does, shape (C,); no draw agrees."""
    if not label_CU.shape[1]:
        return np.full(len(label_CU), np.nan)
    votes_UK = _votes(label_CU, weight_C)
    own_CU = np.take_along_axis(votes_UK.T, label_CU, axis=0) - weight_C[:, None]
    first_U = votes_UK.max(1)
    is_first_UK = votes_UK == first_U[:, None]
    second_U = np.where(is_first_UK, -np.inf, votes_UK).max(1, initial=0.0)
    second_U = np.where(is_first_UK.sum(1) > 1, first_U, second_U)
    is_top_CU = np.take_along_axis(is_first_UK.T, label_CU, axis=0)
    return (is_top_CU & (own_CU > second_U)).mean(1)


def distance(share_CK: np.ndarray, other_K: np.ndarray) -> np.ndarray:
    """Total variation between label shares, shape (C,): the share of units that would have to change."""
    return np.abs(share_CK - other_K).sum(1) / 2


def _votes(label_CU: np.ndarray, weight_C: np.ndarray) -> np.ndarray:
    """The summed weight behind each label of each unit, shape (U, K)."""
    units, labels = label_CU.shape[1], int(label_CU.max()) + 1
    place_CU = np.arange(units) * labels + label_CU
    weight_CU = np.broadcast_to(weight_C[:, None], label_CU.shape)
    return np.bincount(place_CU.ravel(), weight_CU.ravel(), minlength=units * labels).reshape(units, labels)
