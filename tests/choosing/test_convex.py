"""The convex ranker: one solution, found from all pairs without a list of them."""

import numpy as np
import pytest
from scipy.optimize import minimize

from lms_ray.choosing import convex
from lms_ray.choosing.ranker import Lesson, pairs, validate

C, P, H, V = 40, 3, 8, 6
TRAIN, HELD_OUT = np.arange(24), np.arange(24, C)


def planted(with_language: bool = True) -> Lesson:
    """Candidates whose score on a pivot is linear in their feature there, in part in a way of the pivot's own."""
    rng = np.random.default_rng(0)
    feature_CPH = (rng.normal(size=(C, 1, H)) + 0.5 * rng.normal(size=(C, P, H))) * np.geomspace(0.01, 10, H)
    own_PH = (rng.normal(size=H) + 0.5 * rng.normal(size=(P, H))) / np.geomspace(0.01, 10, H)
    score_CP = np.round(np.einsum("cph,ph->cp", feature_CPH, own_PH), 1)  # some are ties
    return Lesson(feature_CPH, score_CP, rng.normal(size=(P, V)) if with_language else None)


def fitted(lesson: Lesson, strength: float = 1e-3) -> convex.Bilinear:
    return convex.fit(lesson, [strength], "cpu")[0]


@pytest.mark.parametrize("with_language", [True, False], ids=["language vector", "none"])
def test_a_planted_signal_is_learned(with_language: bool):
    lesson = planted(with_language)
    ranker = fitted(lesson.of(TRAIN))
    assert ranker.weight_HV.shape == (H, V + 1 if with_language else 1)
    assert validate(ranker, lesson.of(HELD_OUT)) > 0.6
    backwards = Lesson(lesson.feature_CPH, -lesson.score_CP, lesson.language_PV)
    assert validate(ranker, backwards.of(HELD_OUT)) < -0.6


def test_what_is_a_pivots_own_is_learned_by_its_vector():
    """Two languages in which the same features mean the opposite: only a vector can tell them apart."""
    rng = np.random.default_rng(1)
    feature_CPH = rng.normal(size=(C, 2, H))
    score_CP = (feature_CPH @ rng.normal(size=H)) * [1, -1]
    for language_PV, low, high in ((rng.normal(size=(2, V)), 0.7, 1.0), (None, -0.3, 0.3)):
        lesson = Lesson(feature_CPH, score_CP, language_PV)
        assert low <= validate(fitted(lesson.of(TRAIN)), lesson.of(HELD_OUT)) <= high


@pytest.mark.parametrize("with_language", [True, False], ids=["language vector", "none"])
@pytest.mark.parametrize("cells", [1, convex.CELLS], ids=["a pivot at a time", "all pivots together"])
def test_the_solution_is_that_of_the_listed_pairs(with_language: bool, cells: int, monkeypatch: pytest.MonkeyPatch):
    """Equation 1, pair by pair, and the penalty on all of W, handed to a general optimiser."""
    monkeypatch.setattr(convex, "CELLS", cells)
    lesson = planted(with_language)
    first_N, second_N, pivot_N, wins_N = pairs(lesson.score_CP)
    assert len(wins_N) < P * C * (C - 1) / 2, "no ties"
    scale_H = np.sqrt(H * lesson.feature_CPH.var(axis=0).mean(axis=0))
    difference_NH = (lesson.feature_CPH[first_N, pivot_N] - lesson.feature_CPH[second_N, pivot_N]) / scale_H
    vector_PV = np.ones((P, 1))
    if with_language:
        length_P1 = np.linalg.norm(lesson.language_PV, axis=1, keepdims=True)
        vector_PV = np.concatenate([lesson.language_PV / length_P1, vector_PV], axis=1)
    input_NHV = (2 * wins_N - 1)[:, None, None] * difference_NH[:, :, None] * vector_PV[pivot_N][:, None, :]
    input_ND, strength = input_NHV.reshape(len(wins_N), -1), 0.01

    def penalised(weight_D: np.ndarray) -> tuple[float, np.ndarray]:
        margin_N = input_ND @ weight_D
        value = np.logaddexp(0, -margin_N).mean() + strength / 2 * weight_D @ weight_D
        return value, strength * weight_D - input_ND.T @ (1 / (1 + np.exp(margin_N))) / len(margin_N)

    found = minimize(penalised, np.zeros(input_ND.shape[1]), jac=True, tol=1e-14, options={"gtol": 1e-10}).x
    expected_HV = found.reshape(H, -1) / scale_H[:, None]
    stronger, ranker = convex.fit(lesson, [1.0, strength], "cpu")
    np.testing.assert_allclose(ranker.weight_HV * scale_H[:, None], expected_HV * scale_H[:, None], atol=1e-4)
    np.testing.assert_allclose(ranker.weight_HV, fitted(lesson, strength).weight_HV, rtol=1e-3)  # wherever it starts
    assert np.linalg.norm(stronger.weight_HV) < np.linalg.norm(ranker.weight_HV)


def test_lessons_of_several_tasks_are_one_loss_over_all_their_pairs():
    """Also where they have other numbers of candidates and of languages."""
    lesson = planted()
    by_pivot = [Lesson(lesson.feature_CPH[:, [p]], lesson.score_CP[:, [p]], lesson.language_PV[[p]]) for p in range(P)]
    (together,) = convex.fit(by_pivot[0], [0.01], "cpu", by_pivot[1:])
    np.testing.assert_allclose(together.weight_HV, fitted(lesson, 0.01).weight_HV, rtol=1e-3, atol=1e-8)

    few = by_pivot[2].of(np.arange(7))
    (found,) = convex.fit(by_pivot[0], [0.01], "cpu", [few])

    def slope(weight_HV: np.ndarray) -> np.ndarray:
        """Of the penalised mean over the listed pairs, by the weights of features as they are."""
        total, count = np.zeros_like(weight_HV), 0
        for one in (by_pivot[0], few):
            vector_V = np.append(one.language_PV[0] / np.linalg.norm(one.language_PV[0]), 1)
            first_N, second_N, _, wins_N = pairs(one.score_CP)
            winner_N, loser_N = np.where(wins_N, first_N, second_N), np.where(wins_N, second_N, first_N)
            difference_NH = one.feature_CPH[winner_N, 0] - one.feature_CPH[loser_N, 0]
            surprise_N = 1 / (1 + np.exp(difference_NH @ weight_HV @ vector_V))
            total -= np.outer(surprise_N @ difference_NH, vector_V)
            count += len(wins_N)
        centred = [one.feature_CPH[:, 0] - one.feature_CPH[:, 0].mean(0) for one in (by_pivot[0], few)]
        variance_H = np.mean(np.concatenate(centred) ** 2, axis=0)
        return total / count + 0.01 * weight_HV * (H * variance_H)[:, None]

    at_zero = np.abs(slope(np.zeros_like(found.weight_HV)))
    assert (np.abs(slope(found.weight_HV)) < 1e-4 * at_zero.max(axis=1, keepdims=True)).all()


def test_nothing_but_who_wins_within_a_pivot_is_learned_from():
    """Not by how much, nor from the order of the candidates, nor from where a language's features lie."""
    lesson = planted()
    order = np.random.default_rng(2).permutation(C)
    shift_PH = np.random.default_rng(3).normal(size=(P, H))
    same = [
        Lesson(lesson.feature_CPH, 2 * lesson.score_CP + [1.0, -2.0, 64.0], lesson.language_PV),
        lesson.of(order),
        Lesson(lesson.feature_CPH + shift_PH, lesson.score_CP, lesson.language_PV),
    ]
    for other in same:
        np.testing.assert_allclose(fitted(other).weight_HV, fitted(lesson).weight_HV, rtol=1e-3)


def test_features_that_say_nothing_do_no_harm():
    lesson = planted()
    constant_CP1 = np.full((C, P, 1), 0.1, np.float32)
    wider = Lesson(np.concatenate([lesson.feature_CPH, constant_CP1], axis=2), lesson.score_CP, lesson.language_PV)
    ranker = fitted(wider)
    assert not ranker.weight_HV[H].any()
    assert validate(ranker, wider) > 0.7
    blank = Lesson(np.zeros((C, P, H)), lesson.score_CP, lesson.language_PV)
    assert not fitted(blank).weight_HV.any()


def test_pivots_without_a_difference_are_refused():
    with pytest.raises(ValueError, match="no two meta-train candidates differ"):
        fitted(Lesson(np.ones((4, P, H)), np.full((4, P), 0.7), None))
