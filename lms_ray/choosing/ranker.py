"""The pairwise ranker (paper, section 3): which of two candidates is better in a language.

Shape suffixes: C candidates, P pivots, L pivots of all lessons, N pairs, B pairs of a batch, R candidates on pivots,
U those in a batch, H hidden, K kinds of features, D feature (K x H), V language vector.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from scipy.stats import kendalltau, rankdata
from torch import nn
from torch.nn import functional as F

from lms_ray.settings.choosing import Ranker, Ties

NOTHING_TO_LEARN = "no two meta-train candidates differ in score on any pivot: there is nothing to learn"


class Ranking(Protocol):
    """A fitted ranker of either kind."""

    @property
    def width(self) -> int:
        """Of the feature that it takes."""
        ...

    def score(self, feature_CD: np.ndarray, language_V: np.ndarray | None) -> np.ndarray:
        """Scores of candidates for one language from their features over its text, shape (C,), float64."""
        ...


class ScoringNet(nn.Module):
    """Compatibility of a candidate with a language: two branches and a bilinear product without bias.

    Args:
        feature: width H of one kind of the candidate's features.
        language: width V of the language vector; None leaves the language branch out, and a linear layer takes the
            place of the product.
        hidden: width of both branches.
        kinds: how many kinds of features are fused, for each dimension by a softmax of learned weights (section 4.4).
    """

    def __init__(self, feature: int, language: int | None, hidden: int, kinds: int = 1):
        super().__init__()
        self.width = kinds * feature
        self.fusion_KH = nn.Parameter(torch.zeros(kinds, feature)) if kinds > 1 else None  # at first all alike
        self.model_branch = _branch(feature, hidden)
        self.language_branch = _branch(language, hidden) if language else None
        self.product = nn.Parameter(torch.empty(hidden, hidden if language else 1))
        nn.init.xavier_normal_(self.product)

    @classmethod
    def of(cls, state: Mapping[str, torch.Tensor]) -> Self:
        """The net with these weights."""
        fusion_KH, of_language = state.get("fusion_KH"), state.get("language_branch.0.weight")
        net = cls(
            feature=state["model_branch.0.weight"].shape[1],
            language=None if of_language is None else of_language.shape[1],
            hidden=len(state["product"]),
            kinds=1 if fusion_KH is None else len(fusion_KH),
        )
        net.load_state_dict(state)
        return net.eval()

    def forward(
        self, feature_ND: torch.Tensor, language_LV: torch.Tensor | None, language_N: torch.Tensor
    ) -> torch.Tensor:
        """Scores, shape (N,); only their differences within one language mean something.

        Args:
            feature_ND: of candidates, as they are described for their language.
            language_LV: the few languages in question.
            language_N: which of them.
        """
        feature_NH = feature_ND
        if self.fusion_KH is not None:
            feature_NH = (feature_ND.unflatten(1, self.fusion_KH.shape) * self.fusion_KH.softmax(0)).sum(1)
        described_LE = self.language_branch(language_LV) if self.language_branch else self.product.new_ones(1, 1)
        direction_LE = F.linear(described_LE, self.product)  # of the few languages, not of every candidate
        score_NL = self.model_branch(feature_NH) @ direction_LE.T
        return score_NL.gather(1, language_N[:, None]).squeeze(1) if self.language_branch else score_NL.squeeze(1)

    @torch.inference_mode()
    def score(self, feature_CD: np.ndarray, language_V: np.ndarray | None) -> np.ndarray:
        """Scores of candidates for one language from their features, shape (C,), float64."""
        device = str(self.product.device)
        language_1V = None if language_V is None else _tensor(language_V, device)[None]
        first_C = torch.zeros(len(feature_CD), dtype=torch.long, device=device)
        return self(_tensor(feature_CD, device), language_1V, first_C).double().cpu().numpy()


@dataclass(frozen=True)
class Lesson:
    """What a ranker may learn from: candidates on pivots. It has no place for labels of the task in a target."""

    feature_CPH: np.ndarray
    """Each candidate's feature on each pivot; of several kinds, one after the other."""
    score_CP: np.ndarray
    """Each candidate's score on each pivot's dev set."""
    language_PV: np.ndarray | None
    """The pivots' language vectors, or None."""

    def of(self, candidates: np.ndarray) -> "Lesson":
        """The same with only these candidates."""
        return Lesson(self.feature_CPH[candidates], self.score_CP[candidates], self.language_PV)


def fit(
    train: Lesson,
    dev: Lesson,
    settings: Ranker,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: str,
    also: Sequence[Lesson] = (),
) -> ScoringNet:
    """Fit the paper's net on all pairs of candidates on all pivots.

    P(i beats j) = sigmoid(s_i - s_j), cross-entropy, Adam. A pair is drawn in one order only: the other order has the
    same loss.

    Args:
        train: meta-train candidates.
        dev: meta-dev candidates, from which the best epoch is known where that is asked for.
        settings: epochs, width, ties, and which epoch's net is taken.
        batch_size: pairs in each step.
        learning_rate: of Adam.
        seed: of weights and order.
        device: where the arithmetic runs.
        also: lessons of other tasks, with features and language vectors of the same widths (A.4).

    Raises:
        ValueError: no two candidates differ in score on any pivot.
    """
    torch.manual_seed(seed)
    language = None if train.language_PV is None else train.language_PV.shape[-1]
    kinds = len(settings.features)
    net = ScoringNet(train.feature_CPH.shape[-1] // kinds, language, settings.hidden, kinds).to(device)
    highest, best = -math.inf, None
    for epoch in epochs(net, [train, *also], settings, batch_size, learning_rate, seed):
        for _ in epoch:
            pass
        if settings.checkpoint == "best" and (tau := validate(net, dev)) > highest:
            highest, best = tau, {name: weight.clone() for name, weight in net.state_dict().items()}
    if best:
        net.load_state_dict(best)
    return net.eval()


def epochs(
    net: ScoringNet, lessons: Sequence[Lesson], settings: Ranker, batch_size: int, learning_rate: float, seed: int
) -> Iterator[Iterator[torch.Tensor]]:
    """Train a net: each epoch trains as it is iterated, and gives each mini-batch's loss before its step.

    Raises:
        ValueError: a lesson has no two candidates that differ in score on any pivot.
    """
    device = str(net.product.device)
    rows, languages, labels = [], [], []
    row, language = 0, 0  # where the next lesson's begin
    for lesson in lessons:
        candidates, pivots = lesson.score_CP.shape
        first_N, second_N, pivot_N, wins_N = pairs(lesson.score_CP, settings.ties)
        rows.append(row + pivots * np.stack([first_N, second_N], axis=1) + pivot_N[:, None])
        languages.append(language + np.tile(np.arange(pivots), candidates))
        labels.append(wins_N)
        row, language = row + candidates * pivots, language + pivots
    row_N2, label_N = (torch.from_numpy(np.concatenate(parts)) for parts in (rows, labels))
    language_R = torch.from_numpy(np.concatenate(languages)).to(device)
    feature_RD = torch.cat([_tensor(lesson.feature_CPH, device).flatten(0, 1) for lesson in lessons])
    vectors = [_tensor(lesson.language_PV, device) for lesson in lessons if lesson.language_PV is not None]
    language_LV = torch.cat(vectors) if vectors else None
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate, fused=True)

    def epoch() -> Iterator[torch.Tensor]:
        for chosen_B in torch.from_numpy(rng.permutation(len(row_N2))).split(batch_size):
            row_U, place_B2 = torch.unique(row_N2[chosen_B], return_inverse=True)  # each candidate on a pivot once
            row_U, place_B2, label_B = (part.to(device) for part in (row_U, place_B2, label_N[chosen_B]))
            score_B2 = net(feature_RD[row_U], language_LV, language_R[row_U])[place_B2]
            loss = F.binary_cross_entropy_with_logits(score_B2[:, 0] - score_B2[:, 1], label_B)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.detach()

    for _ in range(settings.epochs):
        yield epoch()


def validate(ranker: Ranking, dev: Lesson) -> float:
    """Mean over pivots of Kendall's tau-b between ranker and dev scores on held-out candidates.

    A pivot on which either side has only ties says nothing and counts as 0; without candidates to tell, it is NaN.
    """
    if len(dev.score_CP) < 2:
        return math.nan
    taus = []
    for pivot in range(dev.score_CP.shape[1]):
        language_V = None if dev.language_PV is None else dev.language_PV[pivot]
        tau = kendalltau(ranker.score(dev.feature_CPH[:, pivot], language_V), dev.score_CP[:, pivot]).statistic
        taus.append(0.0 if np.isnan(tau) else float(tau))
    return float(np.mean(taus))


def ranks(score_C: np.ndarray) -> np.ndarray:
    """Ranks of scores, 1 the highest; equal scores share their mean rank. Shape (..., C), ranked along the last."""
    return rankdata(-score_C, method="average", axis=-1)


def pairs(score_CP: np.ndarray, ties: Ties = "skip") -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """First, second, pivot and label (1 where the first is better, 0 where the second is) of all pairs.

    Pairs of equal score are left out, or have the label 1/2 where ties count `half`.

    Raises:
        ValueError: all scores of a pivot are equal, on every pivot.
    """
    first_N, second_N = np.triu_indices(len(score_CP), k=1)
    difference_NP = score_CP[first_N] - score_CP[second_N]
    if not difference_NP.any():
        raise ValueError(NOTHING_TO_LEARN)
    row, pivot = np.nonzero(difference_NP if ties == "skip" else np.ones_like(difference_NP))
    label_N = (np.sign(difference_NP[row, pivot]).astype(np.float32) + 1) / 2
    return first_N[row], second_N[row], pivot, label_N


def _branch(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())


def _tensor(array: np.ndarray, device: str) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, np.float32)).to(device)
