"""What a candidate does on text, whatever the right labels: sums over its units, taken in the forward pass.

A unit is what a task labels: a word, a text, a pair of spans, an end of an answer. All sums are additive over batches
and shards; `choosing/signals.py` makes signals of them.

Shape suffixes: B windows of a batch, U units of a window, K labels, N bins of confidence.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

BINS = 200  # of confidence: a threshold is known to half a point
POWER = 4  # of MaNo's norm


@dataclass(frozen=True)
class Tally:
    """Sums over units."""

    units: float
    """How many there are."""
    confidence: float
    """Of the highest probability."""
    entropy: float
    """In nats."""
    softmax_norm: float
    """Mean over labels of the softmax's fourth power (MaNo, Xie et al. 2024, with softmax)."""
    taylor_norm: float
    """The same of the second-order Taylor normalisation, which MaNo takes where softmax is overconfident."""
    spread: float
    """Mean over labels of -log probability, by which MaNo chooses between the two."""
    confidences_N: np.ndarray
    """Units by their highest probability, in `BINS` equal bins of [0, 1]."""
    share_K: np.ndarray
    """Of the probability of each label; no labels where they are places in the text."""
    gram_KK: np.ndarray
    """Of products of the probabilities of two labels: its square root has the nuclear norm of all probabilities."""

    @classmethod
    def unpack(cls, vector: np.ndarray) -> "Tally":
        """From the flat form, as `tally` gives it."""
        units, confidence, entropy, softmax_norm, taylor_norm, spread = vector[:6].tolist()
        confidences_N, rest = vector[6 : 6 + BINS], vector[6 + BINS :]
        labels = round((np.sqrt(1 + 4 * len(rest)) - 1) / 2)  # K + K * K numbers
        share_K, gram_KK = rest[:labels], rest[labels:].reshape(labels, labels)
        return cls(units, confidence, entropy, softmax_norm, taylor_norm, spread, confidences_N, share_K, gram_KK)

    def means(self) -> dict[str, Any]:
        """Means over the units; the nuclear norm as a share of the highest possible (Deng et al. 2023)."""
        labels = len(self.share_K)
        singular_K = np.sqrt(np.clip(np.linalg.eigvalsh(self.gram_KK), 0, None))
        most = np.sqrt(min(labels, self.units) * self.units)
        names = ("confidence", "entropy", "softmax_norm", "taylor_norm", "spread")
        return {
            "units": self.units,
            **{name: getattr(self, name) / self.units for name in names},
            "nuclear_norm": singular_K.sum() / most if labels else 0.0,
            "confidences": self.confidences_N / self.units,
            "label_share": self.share_K / self.units,
        }


def tally(logit_BUK: torch.Tensor, weight_BU: torch.Tensor, labels: bool) -> torch.Tensor:
    """The sums over a batch's units in flat form, float64, on the batch's device and without waiting for it.

    Args:
        logit_BUK: of each unit, -inf where a label is not allowed.
        weight_BU: how much a unit counts, 0 where there is none.
        labels: whether the K outputs are labels, and not places in the text; `Tally` has sums by label only for them.
    """
    weight_BU1 = weight_BU.double()[..., None]
    log_BUK = logit_BUK.float().log_softmax(-1)
    probability_BUK = log_BUK.exp()
    confidence_BU = probability_BUK.amax(-1).nan_to_num(0)
    each = [torch.ones_like(confidence_BU), confidence_BU, torch.special.entr(probability_BUK).sum(-1)]
    if labels:
        taylor_BUK = 1 + logit_BUK.float() * (1 + logit_BUK.float() / 2)
        taylor_BUK = taylor_BUK / taylor_BUK.sum(-1, keepdim=True)
        each += [(probability_BUK**POWER).mean(-1), (taylor_BUK**POWER).mean(-1), -log_BUK.mean(-1)]
    else:
        each += [torch.zeros_like(confidence_BU)] * 3
    numbers = (torch.stack(each, -1).double() * weight_BU1).sum((0, 1))
    bin_BU = (confidence_BU * BINS).long().clamp(max=BINS - 1)
    confidences_N = numbers.new_zeros(BINS).index_add_(0, bin_BU.flatten(), weight_BU1.flatten())
    if not labels:
        return torch.cat([numbers, confidences_N])
    weighted_BUK = probability_BUK * weight_BU[..., None].float()
    gram_KK = torch.einsum("buk,bul->kl", weighted_BUK, probability_BUK)
    return torch.cat([numbers, confidences_N, weighted_BUK.sum((0, 1)).double(), gram_KK.flatten().double()])
