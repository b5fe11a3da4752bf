"""Signals: what one candidate does on a language's unlabelled text, as a number.

Each is higher where its literature takes a candidate to be better; whether that holds is for the pivots to say. What is
measured against other candidates is measured against all of them: their predictions need no labels.

Shape suffixes: C candidates, G languages, K labels, N bins of confidence, U units (what gets a label).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np
from scipy.stats import rankdata

SPREAD = 5.0  # mean -log probability above which MaNo trusts the softmax: predictions are sure
LEADING = 0.25  # share of the candidates that vote in `vote`, the best on the pivots
FEWEST = 3  # that vote: nobody votes on itself, and of two each would follow the other
RAREST = 1e-3  # share of a label below which it is not told how much too often it is given
SIGNALS = (
    *("confidence", "entropy", "dispersion", "mano", "atc"),
    *("agreement", "vote"),
    *("shares", "shared_with_pool", "corrected_shares"),
    *("span_log_probability", "answered", "brief"),
)


@dataclass(frozen=True)
class Observed:
    """What every candidate does on the text of some languages, and what the pivots' labels say of theirs."""

    languages: tuple[str, ...]
    seen: Mapping[str, np.ndarray]
    """Means over units, shape (C, G) or (C, G, ...), by the names of `tasks.tally`."""
    label_CU: Mapping[str, np.ndarray]
    """The label of each unit, by language."""
    gold_share: Mapping[str, np.ndarray]
    """Share of each label among the right ones, shape (K,), by pivot; empty where labels are places in the text."""
    source_confidences_CN: np.ndarray
    """Units of the source's dev set by confidence, as shares."""
    source_right_C: np.ndarray
    """Share of them that are right."""
    source_label_CU: np.ndarray | None = None
    """The label of each unit of the source's dev set, where it is asked for."""

    def of(self, taken_C: np.ndarray) -> "Observed":
        """The same of some candidates only."""
        return replace(
            self,
            seen={name: of_all[taken_C] for name, of_all in self.seen.items()},
            label_CU={language: label_CU[taken_C] for language, label_CU in self.label_CU.items()},
            source_label_CU=None if self.source_label_CU is None else self.source_label_CU[taken_C],
            source_confidences_CN=self.source_confidences_CN[taken_C],
            source_right_C=self.source_right_C[taken_C],
        )

    def signals(self, language: str, pivots: Sequence[str], pivot_z_C: np.ndarray) -> dict[str, np.ndarray]:
        """The signals of every candidate in a language, shape (C,) each; those that its text cannot give are left out.

        Args:
            language: of the text.
            pivots: whose labels may be looked at.
            pivot_z_C: how good the candidates are on these.
        """
        if language not in self.languages or not self.seen:
            return {}
        column = self.languages.index(language)
        seen = {name: of_all[:, column] for name, of_all in self.seen.items()}
        label_CU, leading = self.label_CU[language], max(FEWEST, ceil(LEADING * len(pivot_z_C)))
        votes_C = np.zeros(len(pivot_z_C))
        votes_C[np.argsort(-pivot_z_C, kind="stable")[:leading]] = 1
        result = {
            "confidence": seen["confidence"],
            "entropy": -seen["entropy"],
            "atc": above_threshold(seen["confidences"], self.source_confidences_CN, self.source_right_C),
            "agreement": self._agreement[language],
            "vote": agreement_with_vote(label_CU, votes_C),
        }
        if "label_share" in seen:
            share_CK = seen["label_share"]
            gold_PK = np.stack([self.gold_share[pivot] for pivot in pivots])
            columns = [self.languages.index(pivot) for pivot in pivots]
            predicted_PK = self.seen["label_share"][:, columns].mean(0)
            result |= {
                "dispersion": seen["nuclear_norm"],
                "mano": mano(seen["softmax_norm"], seen["taylor_norm"], seen["spread"]),
                "shares": -distance(share_CK, gold_PK.mean(0)),
                "shared_with_pool": -distance(share_CK, share_CK.mean(0)),
                "corrected_shares": -distance(share_CK, corrected_shares(share_CK.mean(0), predicted_PK, gold_PK)),
            }
        if "empty" in seen:
            result |= {
                "span_log_probability": seen["span_log_probability"],
                "answered": -seen["empty"],
                "brief": -seen["overlong"],
            }
        return {name: result[name] for name in SIGNALS if name in result and np.isfinite(result[name]).all()}

    @cached_property
    def _agreement(self) -> dict[str, np.ndarray]:
        return {language: agreement(label_CU) for language, label_CU in self.label_CU.items()}


def above_threshold(confidences_CN: np.ndarray, source_CN: np.ndarray, source_right_C: np.ndarray) -> np.ndarray:
    """Average thresholded confidence (Garg et al. 2022), shape (C,).

    A candidate's threshold is the confidence that as large a share of the source's units reach as are right there; the
    signal is the share of the text's units that reach it. Within a bin, units are taken to lie evenly.
    """
    edges = np.linspace(0, 1, confidences_CN.shape[1] + 1)
    below_CM, source_below_CM = (
        np.concatenate([np.zeros((len(of_all), 1)), of_all.cumsum(1)], axis=1) for of_all in (confidences_CN, source_CN)
    )
    threshold_C = [
        np.interp(1 - right, below_M, edges) for right, below_M in zip(source_right_C, source_below_CM, strict=True)
    ]
    return np.asarray(
        [1 - np.interp(threshold, edges, below_M) for threshold, below_M in zip(threshold_C, below_CM, strict=True)]
    )


def mano(softmax_norm_C: np.ndarray, taylor_norm_C: np.ndarray, spread_C: np.ndarray) -> np.ndarray:
    """MaNo (Xie et al. 2024), shape (C,): the fourth root of the mean fourth power of normalised logits.

    All candidates are normalised in one way, by their mean spread: otherwise they could not be compared.
    """
    trusts_softmax = spread_C.mean() > SPREAD
    return (softmax_norm_C if trusts_softmax else taylor_norm_C) ** 0.25


def agreement(label_CU: np.ndarray) -> np.ndarray:
    """Mean share of the other candidates that give a unit the same label, shape (C,)."""
    if label_CU.shape[0] < 2 or not label_CU.shape[1]:
        return np.full(len(label_CU), np.nan)
    label_CU = _numbered(label_CU)
    given_UK = votes(label_CU, np.ones(len(label_CU)))
    same_CU = np.take_along_axis(given_UK.T, label_CU, axis=0) - 1
    return same_CU.mean(1) / (len(label_CU) - 1)


def agreement_with_vote(label_CU: np.ndarray, weight_C: np.ndarray) -> np.ndarray:
    """Share of units that a candidate labels as a weighted vote of the others does, shape (C,); no draw agrees."""
    if not label_CU.shape[1]:
        return np.full(len(label_CU), np.nan)
    label_CU = _numbered(label_CU)
    votes_UK = votes(label_CU, weight_C)
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


def corrected_shares(pool_K: np.ndarray, predicted_PK: np.ndarray, gold_PK: np.ndarray) -> np.ndarray:
    """The label shares to expect of a language, shape (K,): the pool's, less what it gives too often in the pivots.

    Args:
        pool_K: the pool's mean shares in the language.
        predicted_PK: the same in the pivots.
        gold_PK: the pivots' right shares.
    """
    too_rare_PK = np.log(np.maximum(gold_PK, RAREST) / np.maximum(predicted_PK, RAREST))
    corrected_K = pool_K * np.exp(too_rare_PK.mean(0))
    return corrected_K / corrected_K.sum()


def _numbered(label_CU: np.ndarray) -> np.ndarray:
    """Labels numbered within each unit: places in a text would otherwise make as many labels as it is long."""
    return rankdata(label_CU, "dense", axis=0).astype(np.intp) - 1


def votes(label_CU: np.ndarray, weight_C: np.ndarray) -> np.ndarray:
    """The summed weight behind each label of each unit, shape (U, K)."""
    units, labels = label_CU.shape[1], int(label_CU.max()) + 1
    place_CU = np.arange(units) * labels + label_CU
    weight_CU = np.broadcast_to(weight_C[:, None], label_CU.shape)
    return np.bincount(place_CU.ravel(), weight_CU.ravel(), minlength=units * labels).reshape(units, labels)
