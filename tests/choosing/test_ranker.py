"""The ranker learns which candidate is better, and from nothing but differences in score."""

import numpy as np
import pytest
import torch

from lms_ray.choosing.ranker import Lesson, ScoringNet, epochs, fit, pairs, ranks, validate
from lms_ray.settings.choosing import Ranker
from lms_ray.settings.loading import load

SETTINGS = Ranker(hidden=64, epochs=10)
QUICK = Ranker(hidden=8, epochs=2)
C, P, H, V = 40, 3, 8, 6
TRAIN, HELD_OUT = np.arange(24), np.arange(24, C)


def planted(with_language: bool = True) -> Lesson:
    """Candidates whose score on every pivot is a linear function of their feature there."""
    rng = np.random.default_rng(0)
    feature_CPH = rng.normal(size=(C, 1, H)) + 0.3 * rng.normal(size=(C, P, H))
    # Steps of 1/1024 and shifts that are whole: differences stay exact.
    score_CP = np.round(1024 * (feature_CPH @ rng.normal(size=H)) / 16) / 1024
    return Lesson(feature_CPH, score_CP, rng.normal(size=(P, V)) if with_language else None)


def taught(lesson: Lesson, settings: Ranker = SETTINGS, seed: int = 0, dev: Lesson | None = None):
    return fit(lesson, dev or lesson, settings, batch_size=32, learning_rate=1e-3, seed=seed, device="cpu")


def weights(net) -> list[torch.Tensor]:
    return list(net.state_dict().values())


def same(one, other) -> bool:
    return all(map(torch.equal, weights(one), weights(other)))


@pytest.mark.parametrize("with_language", [True, False], ids=["language vector", "none"])
def test_a_planted_signal_is_learned(with_language: bool):
    lesson = planted(with_language)
    net = taught(lesson.of(TRAIN))
    assert (net.language_branch is not None) == with_language
    assert net.product.shape == (64, 64 if with_language else 1)
    assert validate(net, lesson.of(HELD_OUT)) > 0.8
    backwards = Lesson(lesson.feature_CPH, -lesson.score_CP, lesson.language_PV)
    assert validate(net, backwards.of(HELD_OUT)) < -0.8
    noise = Lesson(np.random.default_rng(1).normal(size=(C, P, H)), lesson.score_CP, lesson.language_PV)
    assert abs(validate(taught(noise.of(TRAIN)), noise.of(HELD_OUT))) < 0.5


def test_scores_are_of_the_language_that_is_asked_for():
    lesson = planted()
    net = taught(lesson.of(TRAIN))
    by_pivot = [net.score(lesson.feature_CPH[:, 0], vector) for vector in lesson.language_PV]
    assert by_pivot[0].shape == (C,)
    assert by_pivot[0].dtype == np.float64
    assert not np.allclose(by_pivot[0], by_pivot[1])
    with torch.no_grad():
        features, languages = torch.tensor(lesson.feature_CPH).float(), torch.tensor(lesson.language_PV).float()
        one = net(features[5:6, 0], languages, torch.tensor([0]))
    assert by_pivot[0][5] == pytest.approx(one.item(), rel=1e-5)


def test_only_differences_in_score_are_learned_from():
    lesson = planted()
    shifted = Lesson(lesson.feature_CPH, lesson.score_CP + np.array([1.0, -2.0, 64.0]), lesson.language_PV)
    doubled = Lesson(lesson.feature_CPH, lesson.score_CP * 2, lesson.language_PV)  # who wins, not by how much
    assert same(taught(lesson, QUICK), taught(shifted, QUICK))
    assert same(taught(lesson, QUICK), taught(doubled, QUICK))


def test_pairs_with_equal_scores_carry_no_label():
    first, second, pivot, wins = pairs(np.array([[0.5, 0.1], [0.5, 0.1], [0.2, 0.1]]))
    assert list(zip(first, second, pivot, wins, strict=True)) == [(0, 2, 0, 1), (1, 2, 0, 1)]
    with pytest.raises(ValueError, match="no two meta-train candidates differ"):
        taught(Lesson(np.ones((4, P, H)), np.full((4, P), 0.7), None))


def test_published_code_learns_from_every_pair_and_half_from_a_tie():
    """Its loss over one batch of all pairs, written out: sigmoid of the difference, cross-entropy with 0, 1/2 or 1."""
    settings = load("released-code", ["data.root=/data", "data.files=x"]).ranker
    assert (settings.hidden, settings.epochs, settings.ties, settings.checkpoint) == (512, 5, "half", "best")
    lesson = planted()
    score_CP = np.round(lesson.score_CP, 1)
    net = ScoringNet(H, V, 16)
    score_PC = [net.score(lesson.feature_CPH[:, pivot], lesson.language_PV[pivot]) for pivot in range(P)]
    losses, ties = [], 0
    for i in range(C):
        for j in range(i + 1, C):
            for pivot in range(P):
                wins = 1 / (1 + np.exp(score_PC[pivot][j] - score_PC[pivot][i]))
                label = 0.5 * (1 + np.sign(score_CP[i, pivot] - score_CP[j, pivot]))
                losses.append(-label * np.log(wins) - (1 - label) * np.log(1 - wins))
                ties += label == 0.5
    assert 0 < ties < len(losses) == P * C * (C - 1) / 2
    tied = Lesson(lesson.feature_CPH, score_CP, lesson.language_PV)
    first = next(next(epochs(net, [tied], settings, len(losses), 1e-3, seed=0)))
    assert float(first) == pytest.approx(np.mean(losses), rel=1e-5)


def test_the_best_epoch_is_that_of_the_highest_tau_on_meta_dev():
    """Meta-dev wants the opposite of what is taught: no epoch is better than the first."""
    lesson = planted()
    backwards = Lesson(lesson.feature_CPH, -lesson.score_CP, lesson.language_PV).of(HELD_OUT)
    best = SETTINGS.model_copy(update={"checkpoint": "best"})
    first = taught(lesson.of(TRAIN), SETTINGS.model_copy(update={"epochs": 1}))
    assert same(first, taught(lesson.of(TRAIN), best, dev=backwards))
    last = taught(lesson.of(TRAIN), SETTINGS)
    assert same(last, taught(lesson.of(TRAIN), SETTINGS, dev=backwards))
    found = taught(lesson.of(TRAIN), best, dev=lesson.of(HELD_OUT))
    assert validate(found, lesson.of(HELD_OUT)) >= max(validate(net, lesson.of(HELD_OUT)) for net in (first, last))


def test_fusion_gives_weight_to_the_kind_that_tells():
    lesson = planted()
    noise_CPH = np.random.default_rng(4).normal(size=lesson.feature_CPH.shape)
    fused = Lesson(np.concatenate([noise_CPH, lesson.feature_CPH], 2), lesson.score_CP, lesson.language_PV)
    net = taught(fused, Ranker(hidden=32, epochs=20, features=("source", "target")))
    assert net.fusion_KH.shape == (2, H)
    noise, told = net.fusion_KH.detach().softmax(0).mean(1).tolist()
    assert told > noise + 0.05, (told, noise)
    again = ScoringNet.of(net.state_dict())
    assert again.width == 2 * H
    np.testing.assert_array_equal(
        again.score(fused.feature_CPH[:, 0], fused.language_PV[0]),
        net.score(fused.feature_CPH[:, 0], fused.language_PV[0]),
    )


def test_a_pivot_of_ties_teaches_nothing():
    lesson = planted(with_language=False)
    score_CP = lesson.score_CP.copy()
    score_CP[:, 1] = 0.5
    moved_CPH = lesson.feature_CPH.copy()
    moved_CPH[:, 1] += 1  # what its candidates look like cannot matter
    assert same(
        taught(Lesson(lesson.feature_CPH, score_CP, None), QUICK), taught(Lesson(moved_CPH, score_CP, None), QUICK)
    )
    assert not same(taught(lesson, QUICK), taught(Lesson(moved_CPH, lesson.score_CP, None), QUICK))


def test_the_pairs_do_not_depend_on_the_order_of_the_candidates():
    score_CP = planted().score_CP
    order = np.random.default_rng(3).permutation(C)

    def outcomes(score_CP: np.ndarray, names: np.ndarray) -> list[tuple[int, int, int]]:
        """Winner, loser and pivot of every pair."""
        return sorted(
            (int(names[i]), int(names[j]), int(p)) if wins else (int(names[j]), int(names[i]), int(p))
            for i, j, p, wins in zip(*pairs(score_CP), strict=True)
        )

    brute = sorted((i, j, p) for i in range(C) for j in range(C) for p in range(P) if score_CP[i, p] > score_CP[j, p])
    assert outcomes(score_CP, np.arange(C)) == outcomes(score_CP[order], order) == brute


def test_a_seed_gives_one_ranker():
    lesson = planted()
    torch.manual_seed(9)
    first = taught(lesson, QUICK)
    assert same(first, taught(lesson, QUICK))
    assert not same(first, taught(lesson, QUICK, seed=1))


def test_a_pivot_without_a_say_counts_as_nothing_in_the_validation():
    lesson = planted()
    net = taught(lesson.of(TRAIN), QUICK)
    taus = [validate(net, Lesson(lesson.feature_CPH[:, [p]], lesson.score_CP[:, [p]], lesson.language_PV[[p]]))
            for p in range(P)]  # fmt: skip
    assert validate(net, lesson) == pytest.approx(np.mean(taus))
    tied = lesson.score_CP.copy()
    tied[:, 0] = 0.5
    assert validate(net, Lesson(lesson.feature_CPH, tied, lesson.language_PV)) == pytest.approx(sum(taus[1:]) / P)


def test_rank_one_is_the_highest_and_ties_share_their_mean():
    assert ranks(np.array([0.1, 0.9, 0.5, 0.5])).tolist() == [4, 1, 2.5, 2.5]
    assert ranks(np.array([[0.1, 0.9], [3.0, 2.0]])).tolist() == [[2, 1], [1, 2]]
