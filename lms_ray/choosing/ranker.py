"""The pairwise ranker (paper, section 3): which of two candidates is better in a language.

Shape suffixes: C candidates, P pivots, N pairs, B pairs of a batch, H feature, V language vector.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from scipy.stats import kendalltau, rankdata
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lms_ray.settings.choosing import Ranker

NOTHING_TO_LEARN = "no two meta-train candidates differ in score on any pivot: there is nothing to learn"


class Ranking(Protocol):
    """A fitted ranker of either kind."""

    def score(self, feature_CH: np.ndarray, language_V: np.ndarray | None) -> np.ndarray:
        """Scores of candidates for one language from their features over its text, shape (C,), float64."""
        ...


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

    def forward(
        self, feature_NH: torch.Tensor, language_PV: torch.Tensor | None, pivot_N: torch.Tensor
    ) -> torch.Tensor:
        """Scores, shape (N,); only their differences within one language mean something.

        Args:
            feature_NH: of candidates, each over the text of its language.
            language_PV: the few languages in question.
            pivot_N: which of them.
        """
        described_PD = self.language_branch(language_PV) if self.language_branch else self.product.new_ones(1, 1)
        direction_PD = _Linear.apply(described_PD, self.product, None)  # of the few languages, not of every candidate
        score_NP = self.model_branch(feature_NH) @ direction_PD.T
        return score_NP.gather(1, pivot_N[:, None]).squeeze(1) if self.language_branch else score_NP.squeeze(1)

    @torch.inference_mode()
    def score(self, feature_CH: np.ndarray, language_V: np.ndarray | None) -> np.ndarray:
        """Scores of candidates for one language from their features over its text, shape (C,), float64."""
        device = str(self.product.device)
        language_1V = None if language_V is None else _tensor(language_V, device)[None]
        first_C = torch.zeros(len(feature_CH), dtype=torch.long, device=device)
        return self(_tensor(feature_CH, device), language_1V, first_C).double().cpu().numpy()


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
    """Fit the paper's net on all pairs of candidates on all pivots.

    P(i beats j) = sigmoid(s_i - s_j), cross-entropy, Adam; pairs with equal scores carry no label and are left out.
    A pair is drawn in one order only: the other order has the same loss.

    Raises:
        ValueError: no two candidates differ in score on any pivot.
    """
    torch.manual_seed(seed)
    feature, language = train.feature_CPH.shape[-1], None if train.language_PV is None else train.language_PV.shape[-1]
    net = ScoringNet(feature, language, settings.hidden).to(device)
    for _ in steps(net, train, settings.epochs, batch_size, learning_rate, seed):
        pass
    return net.eval()


def steps(
    net: ScoringNet, train: Lesson, epochs: int, batch_size: int, learning_rate: float, seed: int
) -> Iterator[torch.Tensor]:
    """Train a net, and give each mini-batch's loss before its step.

    Raises:
        ValueError: no two candidates differ in score on any pivot.
    """
    first_N, second_N, pivot_N, wins_N = pairs(train.score_CP)
    device, pivots = str(net.product.device), train.score_CP.shape[1]
    row_N2 = torch.from_numpy(np.stack([first_N, second_N], axis=1) * pivots + pivot_N[:, None])
    label_N = torch.from_numpy(wins_N)
    feature_RH = _tensor(train.feature_CPH, device).flatten(0, 1)
    language_PV = None if train.language_PV is None else _tensor(train.language_PV, device)
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate, fused=True)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)  # where `_Linear` writes, at every step anew
    for _ in range(epochs):
        for chosen_B in torch.from_numpy(rng.permutation(len(row_N2))).split(batch_size):
            row_U, place_B2 = torch.unique(row_N2[chosen_B], return_inverse=True)  # each candidate on a pivot once
            row_U, place_B2, label_B = (part.to(device) for part in (row_U, place_B2, label_N[chosen_B]))
            score_B2 = net(feature_RH[row_U], language_PV, row_U % pivots)[place_B2]
            loss = F.binary_cross_entropy_with_logits(score_B2[:, 0] - score_B2[:, 1], label_B)
            loss.backward()
            optimizer.step()
            yield loss.detach()


def validate(ranker: Ranking, dev: Lesson) -> float:
    """Mean over pivots of Kendall's tau-b between ranker and dev scores on held-out candidates.

    A pivot on which either side has only ties says nothing and counts as 0.
    """
    taus = []
    for pivot in range(dev.score_CP.shape[1]):
        language_V = None if dev.language_PV is None else dev.language_PV[pivot]
        tau = kendalltau(ranker.score(dev.feature_CPH[:, pivot], language_V), dev.score_CP[:, pivot]).statistic
        taus.append(0.0 if np.isnan(tau) else float(tau))
    return float(np.mean(taus))


def ranks(score_C: np.ndarray) -> np.ndarray:
    """Ranks of scores, 1 the highest; equal scores share their mean rank. Shape (..., C), ranked along the last."""
    return rankdata(-score_C, method="average", axis=-1)


def pairs(score_CP: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """First, second, pivot and label (1 where the first is better) of all pairs without a tie.

    Raises:
        ValueError: there is none.
    """
    first_N, second_N = np.triu_indices(len(score_CP), k=1)
    difference_NP = score_CP[first_N] - score_CP[second_N]
    row, pivot = np.nonzero(difference_NP)
    if not len(row):
        raise ValueError(NOTHING_TO_LEARN)
    return first_N[row], second_N[row], pivot, (difference_NP[row, pivot] > 0).astype(np.float32)


class _Linear(torch.autograd.Function):
    """A linear layer that writes its weights' gradients over those of the last step.

    Autograd would allocate all of them anew: 16 MB at every step of the paper's net, whose page faults take longer than
    its arithmetic. Holds for a layer that is used once in a step.
    """

    @staticmethod
    def forward(ctx: Any, input_NI: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(input_NI)
        ctx.weight, ctx.bias = weight_OI, bias_O  # the parameters themselves, for their `grad`
        return F.linear(input_NI, weight_OI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope_NO: torch.Tensor) -> tuple[torch.Tensor | None, None, None]:
        (input_NI,) = ctx.saved_tensors
        torch.mm(slope_NO.T, input_NI, out=ctx.weight.grad)
        if ctx.bias is not None:
            torch.sum(slope_NO, 0, out=ctx.bias.grad)
        return slope_NO @ ctx.weight if ctx.needs_input_grad[0] else None, None, None


class _Layer(nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return _Linear.apply(input, self.weight, self.bias)


def _branch(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(_Layer(width, hidden), nn.ReLU(), _Layer(hidden, hidden), nn.ReLU())


def _tensor(array: np.ndarray, device: str) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, np.float32)).to(device)
