"""What a candidate does on text, whatever the right labels: sums over its units, taken in the forward pass.

A unit is what a task labels: a word, a text, a pair of spans, an end of an answer. Sums lie flat in one vector, are
additive over batches and shards, and are made on the device of the logits, which nobody waits for. Means over the
units are what is stored; `choosing/signals.py` makes signals of them.

Shape suffixes: B windows of a batch, U units of a window, L sub-words, K labels, N bins of confidence.
"""

from typing import Any

import numpy as np
import torch

BINS = 200  # of confidence: a threshold is known to half a point
POWER = 4  # of MaNo's norm

UNITS = ("units", "confidence", "entropy")
"""Of every task: how many units there are, their highest probability, and entropy in nats."""
LABELLED = ("softmax_norm", "taylor_norm", "spread")
"""Of units with labels, for MaNo (Xie et al. 2024): the mean over labels of the softmax's fourth power, the same of the
second-order Taylor normalisation, which it takes where the softmax is not to be trusted, and the mean over labels of
-log probability, by which it tells."""
SPANS = ("span_log_probability", "empty", "overlong")
"""Of answers: the log probability of the answer that is given, as a place to begin and one to end, and whether the best
beginning and the best end, each for itself, make none: it is outside of the context or ends before it begins, or it is
too long to be given."""


def of_labels(logit_BUK: torch.Tensor, weight_BU: torch.Tensor) -> torch.Tensor:
    """Sums over units that get one of K labels, shape (6 + N + K + K * K,), float64.

    They are `UNITS`, `LABELLED`, units by confidence, probabilities by label, and products of the probabilities of two
    labels, whose square root has the singular values of the matrix of all probabilities.

    Args:
        logit_BUK: of each unit.
        weight_BU: how much a unit counts, 0 where there is none.
    """
    # Doubles are as they are under autocast, which would round a product's factors to bfloat16.
    logit_BUK, weight_BU = logit_BUK.double(), weight_BU.double()
    log_BUK = logit_BUK.log_softmax(-1)
    probability_BUK = log_BUK.exp()
    taylor_BUK = 1 + logit_BUK * (1 + logit_BUK / 2)
    taylor_BUK = taylor_BUK / taylor_BUK.sum(-1, keepdim=True)
    norms = [(probability_BUK**POWER).mean(-1), (taylor_BUK**POWER).mean(-1), -log_BUK.mean(-1)]
    weighted_BUK = weight_BU[..., None] * probability_BUK
    gram_KK = weighted_BUK.flatten(0, 1).T @ probability_BUK.flatten(0, 1)
    numbers, confidences_N = _of_units(probability_BUK, weight_BU)
    of_norms = torch.stack([(weight_BU * norm_BU).sum() for norm_BU in norms])
    return torch.cat([numbers, of_norms, confidences_N, weighted_BUK.sum((0, 1)), gram_KK.flatten()])


def label_means(sums: np.ndarray) -> dict[str, Any]:
    """Means over units from what `of_labels` gives.

    The nuclear norm is a share of the highest that so many units and labels allow (Deng et al. 2023).
    """
    units, rest = sums[0], sums[len(UNITS) + len(LABELLED) + BINS :]
    labels = round((np.sqrt(1 + 4 * len(rest)) - 1) / 2)  # K + K * K numbers
    share_K, gram_KK = rest[:labels], rest[labels:].reshape(labels, labels)
    singular_K = np.sqrt(np.clip(np.linalg.eigvalsh(gram_KK), 0, None))
    return {
        **_means(sums, (*UNITS, *LABELLED)),
        "nuclear_norm": singular_K.sum() / np.sqrt(min(labels, units) * units),
        "label_share": share_K / units,
    }


def of_spans(
    score_B2L: torch.Tensor, inside_BL: torch.Tensor, weight_B: torch.Tensor, best_B: torch.Tensor, longest: int
) -> torch.Tensor:
    """Sums over the two ends of answers, shape (6 + N,), float64: `UNITS`, `SPANS`, and ends by confidence.

    Probabilities are among the sub-words of the context.

    Args:
        score_B2L: of each sub-word as the first and as the last of the answer; -inf of padding.
        inside_BL: whether it is of the context.
        weight_B: what each window is of its question; 0 counts it for nothing.
        best_B: sum of the two scores of the answer that is given.
        longest: sub-words of an answer that may be given.
    """
    score_B2L, weight_B = score_B2L.float(), weight_B.double()
    allowed_B2L = score_B2L.masked_fill(~inside_BL[:, None], -torch.inf)
    probability_B2L = allowed_B2L.softmax(-1).double()
    numbers, confidences_N = _of_units(probability_B2L, weight_B[:, None].expand(-1, 2))
    first_B, last_B = score_B2L.argmax(-1).unbind(1)
    is_inside_B2 = inside_BL.gather(1, torch.stack([first_B, last_B], 1))
    is_empty_B = ~is_inside_B2.all(1) | (last_B < first_B)
    is_overlong_B = ~is_empty_B & (last_B - first_B >= longest)
    log_probability_B = best_B.double() - allowed_B2L.double().logsumexp(-1).sum(1)
    spans = torch.stack([(2 * weight_B * of.double()).sum() for of in (log_probability_B, is_empty_B, is_overlong_B)])
    return torch.cat([numbers, spans, confidences_N])


def span_means(sums: np.ndarray) -> dict[str, Any]:
    """Means over the ends of answers from what `of_spans` gives."""
    return _means(sums, (*UNITS, *SPANS))


def _of_units(probability_BUK: torch.Tensor, weight_BU: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of `UNITS`, and units by their highest probability in equal bins of [0, 1]; both double."""
    confidence_BU = probability_BUK.amax(-1)
    each = [torch.ones_like(confidence_BU), confidence_BU, torch.special.entr(probability_BUK).sum(-1)]
    numbers = torch.stack([(weight_BU * of_BU).sum() for of_BU in each])
    bin_BU = (confidence_BU.nan_to_num() * BINS).long().clamp(max=BINS - 1)
    return numbers, numbers.new_zeros(BINS).index_add_(0, bin_BU.flatten(), weight_BU.flatten())


def _means(sums: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    """Of the numbers that stand first, and of the bins of confidence after them."""
    units, numbers = sums[0], dict(zip(names, (sums[: len(names)] / sums[0]).tolist(), strict=True))
    return {**numbers, "units": units, "confidences": sums[len(names) : len(names) + BINS] / units}
