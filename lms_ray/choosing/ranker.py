"""The pairwise ranker (paper, section 3): which of two candidates is better in a language.

Shape suffixes: C candidates, P pivots, N pairs, B pairs of a batch, H feature, V language vector.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import kendalltau, rankdata
from torch import nn
from torch.nn import functional as F

from lms_ray.settings.choosing import Ranker


class ScoringNet(nn.Module):
    """Compatibility of a candidate with a language: two branches and a bilinear product without bias.

    Args:
        feature: width H of the candidate's feature.
        language: width V of the language vector; None leaves the language branch out, and a linear layer takes the
            place of the product.
        hidden: width of both branches.
    """

    def __init__(self, feature: int, language: int | None, hidden: int):
        super().__init__()
        self.model_branch = _branch(feature, hidden)
        self.language_branch = _branch(language, hidden) if language else None
        self.product = nn.Parameter(torch.empty(hidden, hidden if language else 1))
        nn.init.xavier_normal_(self.product)

    def forward(self, feature: torch.Tensor, language_PV: torch.Tensor | None, pivot: torch.Tensor) -> torch.Tensor:
        """Scores, shape (...); only their differences within one language mean something.

        Args:
            feature: shape (..., H).
            language_PV: the few languages in question; each passes through its branch once, not once for each pair.
            pivot: which of them, broadcast against the features' leading shape.
        """
        projected = self.model_branch(feature) @ self.product
        if self.language_branch is None:
            return projected.squeeze(-1)
        return (projected * self.language_branch(language_PV)[pivot]).sum(-1)


@dataclass(frozen=True)
class Lesson:
    """What a ranker may learn from: candidates on pivots. It has no place for a target's labels."""

    feature_CPH: np.ndarray
    """Each candidate's feature over each pivot's own text."""
    score_CP: np.ndarray
    """Each candidate's score on each pivot's dev set."""
    language_PV: np.ndarray | None
    """The pivots' language vectors, or None."""

    def of(self, candidates: np.ndarray) -> "Lesson":
        """The same with only these candidates."""
        return Lesson(self.feature_CPH[candidates], self.score_CP[candidates], self.language_PV)


def fit(train: Lesson, settings: Ranker, batch_size: int, learning_rate: float, seed: int, device: str) -> ScoringNet:
    """Fit a ranker on all pairs of candidates on all pivots.

    P(i beats j) = sigmoid(s_i - s_j), cross-entropy, Adam; pairs with equal scores carry no label and are left out.
    A pair is drawn in one order only: the other order has the same loss.

    Raises:
        ValueError: no two candidates differ in score on any pivot.
    """
    first_N, second_N, pivot_N, wins_N = _pairs(train.score_CP)
    if not len(wins_N):
        raise ValueError("no two meta-train candidates differ in score on any pivot: there is nothing to learn")
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    language_PV = None if train.language_PV is None else _tensor(train.language_PV, device)
    feature_CPH = _tensor(train.feature_CPH, device)
    net = ScoringNet(feature_CPH.shape[-1], None if language_PV is None else language_PV.shape[-1], settings.hidden).to(
        device
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate, fused=True)
    for _ in range(settings.epochs):
        order = rng.permutation(len(wins_N))
        for start in range(0, len(order), batch_size):
            chosen_B = order[start : start + batch_size]
            pivot_B1 = torch.from_numpy(pivot_N[chosen_B]).to(device)[:, None]
            candidate_B2 = torch.from_numpy(np.stack([first_N[chosen_B], second_N[chosen_B]], axis=1)).to(device)
            score_B2 = net(feature_CPH[candidate_B2, pivot_B1], language_PV, pivot_B1)
            loss = F.binary_cross_entropy_with_logits(
                score_B2[:, 0] - score_B2[:, 1], _tensor(wins_N[chosen_B], device)
            )
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return net.eval()


@torch.inference_mode()
def score(net: ScoringNet, feature_CH: np.ndarray, language_V: np.ndarray | None) -> np.ndarray:
    """Scores of candidates for one language from their features over its text, shape (C,), float64."""
    device = str(net.product.device)
    language_1V = None if language_V is None else _tensor(language_V, device)[None]
    first = torch.zeros(1, dtype=torch.long, device=device)
    return net(_tensor(feature_CH, device), language_1V, first).double().cpu().numpy()


def validate(net: ScoringNet, dev: Lesson) -> float:
    """Mean over pivots of Kendall's tau-b between ranker and dev scores on held-out candidates.

    A pivot on which either side has only ties says nothing and counts as 0.
    """
    taus = []
    for pivot in range(dev.score_CP.shape[1]):
        language_V = None if dev.language_PV is None else dev.language_PV[pivot]
        tau = kendalltau(score(net, dev.feature_CPH[:, pivot], language_V), dev.score_CP[:, pivot]).statistic
        taus.append(0.0 if np.isnan(tau) else float(tau))
    return float(np.mean(taus))


def ranks(score_C: np.ndarray) -> np.ndarray:
    """Ranks of scores, 1 the highest; equal scores share their mean rank. Shape (..., C), ranked along the last."""
    return rankdata(-score_C, method="average", axis=-1)


def _branch(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())


def _pairs(score_CP: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """First, second, pivot and label (1 where the first is better) of all pairs without a tie."""
    first_N, second_N = np.triu_indices(len(score_CP), k=1)
    difference_NP = score_CP[first_N] - score_CP[second_N]
    row, pivot = np.nonzero(difference_NP)
    return first_N[row], second_N[row], pivot, (difference_NP[row, pivot] > 0).astype(np.float32)


def _tensor(array: np.ndarray, device: str) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, np.float32)).to(device)
