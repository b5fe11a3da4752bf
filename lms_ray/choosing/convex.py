"""The `fast` ranker: the paper's Equation 1 over all pairs at once, with a score that is linear in its weights.

    score(candidate, language) = feature . W . (language vector, 1)

The loss is that of the paper's net (P(i beats j) = sigmoid(s_i - s_j), cross-entropy, ties carry no label), as a mean
over all pairs, plus an L2 penalty on W. It is convex: one solution, whatever the order of the candidates, and no seed.
Pairs are never listed: loss, slope and curvature of a pivot are functions of its C x C differences in score.

Shape suffixes: C candidates, P pivots (of all lessons), H feature (of all kinds), V language vector and its constant, R
rank of those of the pivots.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from lms_ray.choosing.ranker import NOTHING_TO_LEARN, Lesson
from lms_ray.models.threads import threads

log = logging.getLogger(__name__)

TOLERANCE = 1e-6  # a solution's gradient, as a share of what it was at zero
UNSOLVED = 1e-3  # the same of what is no solution
NEWTON_STEPS, CONJUGATE_STEPS, SHORTEST = 50, 500, 1e-6
CELLS = 2_000_000  # differences in score that are looked at together: 16 MB for each of a few temporaries


@dataclass(frozen=True)
class Bilinear:
    """A fitted ranker, for features as they are."""

    weight_HV: np.ndarray
    """The last column belongs to the constant: what all languages share."""

    @property
    def width(self) -> int:
        """Of the feature that it takes."""
        return len(self.weight_HV)

    def score(self, feature_CH: np.ndarray, language_V: np.ndarray | None) -> np.ndarray:
        """Scores of candidates for one language from their features, shape (C,), float64."""
        return np.asarray(feature_CH, np.float64) @ (self.weight_HV @ _described(language_V))


def fit(train: Lesson, strengths: Sequence[float], device: str, also: Sequence[Lesson] = ()) -> list[Bilinear]:
    """Fit a ranker for each strength of the L2 penalty, each from the solution of the next stronger one.

    Args:
        train: candidates on pivots.
        strengths: of the penalty, on features of unit variance over candidates, divided by the root of their number,
            and language vectors of unit length.
        device: where the arithmetic runs, in float64.
        also: lessons of other tasks, with features and language vectors of the same widths (A.4); every pair counts
            the same.

    Raises:
        ValueError: no two candidates differ in score on any pivot.
    """
    lessons = [train, *also]
    vectors = [
        _described(None if lesson.language_PV is None else lesson.language_PV[pivot])
        for lesson in lessons
        for pivot in range(lesson.score_CP.shape[1])
    ]
    # Only the part of W that lies in the span of the pivots' vectors is told anything; the penalty keeps the rest at 0.
    left_PR, length_R, basis_RV = np.linalg.svd(np.stack(vectors), full_matrices=False)
    feature_PCH, score_PC = _side_by_side(lessons)
    judged = sum(lesson.score_CP.size for lesson in lessons)
    scale_H = np.sqrt(np.sum(feature_PCH**2, axis=(0, 1)) / judged * feature_PCH.shape[-1])
    scale_H = np.maximum(scale_H, 1e-6 * scale_H.max()) if scale_H.any() else np.ones_like(scale_H)
    feature_PCH /= scale_H
    loss = _PairwiseLoss(
        torch.from_numpy(feature_PCH).to(device),
        torch.from_numpy(left_PR * length_R).to(device),
        torch.from_numpy(score_PC).to(device),
    )
    weight_HR = loss.feature_PCH.new_zeros(len(scale_H), len(length_R))
    slope_at_zero, solutions = float(loss.by_weight(loss.slope_at_zero_PC).norm()), {}
    with threads(1):  # several would wait for each other at every small step where other processes hold the cores
        for strength in sorted(strengths, reverse=True):
            weight_HR = _newton(loss, strength, weight_HR, slope_at_zero)
            solutions[strength] = Bilinear((weight_HR.cpu().numpy() / scale_H[:, None]) @ basis_RV)
    return [solutions[strength] for strength in strengths]


def _side_by_side(lessons: Sequence[Lesson]) -> tuple[np.ndarray, np.ndarray]:
    """Centred features and scores of all lessons' pivots; where a lesson has fewer candidates, zeros and NaN."""
    most, width = max(len(lesson.score_CP) for lesson in lessons), lessons[0].feature_CPH.shape[-1]
    pivots = sum(lesson.score_CP.shape[1] for lesson in lessons)
    feature_PCH, score_PC = np.zeros((pivots, most, width)), np.full((pivots, most), np.nan)
    first = 0
    for lesson in lessons:
        candidates, pivots = lesson.score_CP.shape
        own_PCH = feature_PCH[first : first + pivots, :candidates]
        own_PCH[:] = lesson.feature_CPH.swapaxes(0, 1)
        own_PCH -= own_PCH.mean(axis=1, keepdims=True)
        score_PC[first : first + pivots, :candidates] = lesson.score_CP.T
        first += pivots
    return feature_PCH, score_PC


class _PairwiseLoss:
    """Mean over all pairs of candidates on all pivots, as a function of weights of shape (H, R)."""

    def __init__(self, feature_PCH: torch.Tensor, language_PR: torch.Tensor, score_PC: torch.Tensor):
        self.feature_PCH, self.language_PR = feature_PCH, language_PR
        # A tie, as is a comparison with nobody (NaN).
        self.beats_PCC = (score_PC[:, :, None] - score_PC[:, None, :]).sign().nan_to_num_(0).to(torch.int8)
        self.pairs = int(self.beats_PCC.count_nonzero()) / 2  # each stands there in both orders
        if not self.pairs:
            raise ValueError(NOTHING_TO_LEARN)

    @property
    def slope_at_zero_PC(self) -> torch.Tensor:
        """The slope by the scores where all are equal: each comparison surprises by a half."""
        return -self.beats_PCC.sum(2, dtype=self.feature_PCH.dtype) / 2 / self.pairs

    def scores(self, weight_HR: torch.Tensor) -> torch.Tensor:
        """Scores of the candidates on the pivots, shape (P, C)."""
        return torch.bmm(self.feature_PCH, (self.language_PR @ weight_HR.T)[:, :, None]).squeeze(2)

    def by_weight(self, slope_PC: torch.Tensor) -> torch.Tensor:
        """From a derivative by the scores to that by the weights, shape (H, R)."""
        return torch.bmm(slope_PC[:, None, :], self.feature_PCH).squeeze(1).T @ self.language_PR

    def at(self, weight_HR: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
        """The loss, its slope by the scores, shape (P, C), and its curvature by each difference, shape (P, C, C)."""
        score_PC = self.scores(weight_HR)
        value, slope_PC = 0.0, torch.empty_like(score_PC)
        curvature_PCC = score_PC.new_empty(self.beats_PCC.shape)
        for some in torch.arange(len(score_PC)).split(max(1, CELLS // score_PC.shape[1] ** 2)):
            part = slice(int(some[0]), int(some[-1]) + 1)
            beats_QCC = self.beats_PCC[part]
            margin_QCC = (score_PC[part, :, None] - score_PC[part, None, :]) * beats_QCC
            surprise_QCC = torch.sigmoid(-margin_QCC) * beats_QCC.abs()
            # A tie has no margin, and softplus(0) = log 2 for it is taken off again.
            value += float(F.softplus(-margin_QCC).sum()) - math.log(2) * int((beats_QCC == 0).sum())
            slope_PC[part] = -(surprise_QCC * beats_QCC).sum(2)
            curvature_PCC[part] = surprise_QCC * (1 - surprise_QCC)
        return value / 2 / self.pairs, slope_PC.div_(self.pairs), curvature_PCC.div_(self.pairs)

    def curved(
        self, curvature_PCC: torch.Tensor, degree_PC: torch.Tensor, strength: float, direction_HR: torch.Tensor
    ) -> torch.Tensor:
        """The penalised loss's second derivative times a direction."""
        moved_PC = self.scores(direction_HR)
        others_PC = torch.bmm(curvature_PCC, moved_PC[:, :, None]).squeeze(2)
        return self.by_weight(degree_PC * moved_PC - others_PC) + strength * direction_HR


def _newton(loss: _PairwiseLoss, strength: float, weight_HR: torch.Tensor, at_zero: float) -> torch.Tensor:
    """The weights of least penalised loss, from a first guess; Newton's steps are solved by conjugate gradients.

    Args:
        loss: without the penalty.
        strength: of the penalty.
        weight_HR: the first guess.
        at_zero: norm of the loss's gradient at zero, by which others are measured.
    """

    def penalised(weight_HR: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
        value, slope_PC, curvature_PCC = loss.at(weight_HR)
        gradient_HR = loss.by_weight(slope_PC) + strength * weight_HR
        return value + strength / 2 * float(weight_HR.square().sum()), gradient_HR, curvature_PCC

    value, gradient_HR, curvature_PCC = penalised(weight_HR)
    for _ in range(NEWTON_STEPS):
        norm = float(gradient_HR.norm())
        if norm <= TOLERANCE * at_zero:
            break
        curved = partial(loss.curved, curvature_PCC, curvature_PCC.sum(2), strength)
        step_HR = _conjugate_gradients(curved, -gradient_HR, norm * min(0.1, math.sqrt(norm / at_zero)))
        slope, share = float((gradient_HR * step_HR).sum()), 1.0
        while (tried := penalised(weight_HR + share * step_HR))[0] > value + 1e-4 * share * slope:
            share /= 2
            if share < SHORTEST:  # nothing is gained any more but rounding
                return _told(weight_HR, strength, norm, at_zero)
        weight_HR = weight_HR + share * step_HR
        value, gradient_HR, curvature_PCC = tried
    return _told(weight_HR, strength, float(gradient_HR.norm()), at_zero)


def _told(weight_HR: torch.Tensor, strength: float, left: float, at_zero: float) -> torch.Tensor:
    """The weights; where more is left of the gradient than rounding explains, that is said."""
    if left > UNSOLVED * at_zero:
        log.warning("ranker.l2=%g: the fit stopped with %.1g of its first gradient left", strength, left / at_zero)
    return weight_HR


def _conjugate_gradients(
    curved: Callable[[torch.Tensor], torch.Tensor], wanted: torch.Tensor, tolerance: float
) -> torch.Tensor:
    """Solve curved(x) = wanted for x, until the norm of what is left is within the tolerance."""
    solution, left, direction = torch.zeros_like(wanted), wanted.clone(), wanted.clone()
    square = float(left.square().sum())
    for _ in range(CONJUGATE_STEPS):
        image = curved(direction)
        length = square / float((direction * image).sum())
        solution += length * direction
        left -= length * image
        before, square = square, float(left.square().sum())
        if math.sqrt(square) <= tolerance:
            break
        direction = left + square / before * direction
    return solution


def _described(language: np.ndarray | None) -> np.ndarray:
    """A language vector at length 1, and the constant joined to it."""
    return np.ones(1) if language is None else np.append(language / np.linalg.norm(language), 1.0)
