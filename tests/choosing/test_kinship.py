"""How alike languages order the candidates, on made languages and on the real pool."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import pool96
from lms_ray.choosing.kinship import MOST, Kinship, alike, correlations, similarity

LANGUAGES = ("a", "b", "c", "d", "e")
C = 4000


def scores(between_GG: np.ndarray, seed: int = 0) -> np.ndarray:
    """Scores of many candidates, correlated between languages as wanted."""
    return np.random.default_rng(seed).multivariate_normal(np.zeros(len(between_GG)), between_GG, size=C)


def test_languages_are_alike_that_lie_in_one_direction_from_the_middle():
    place_GH = np.array([[1.0, 0], [2, 0], [0, 1], [0, 2]]) - [0.75, 0.75]
    feature_CGH = 7 + place_GH + np.random.default_rng(0).normal(scale=0.01, size=(50, 4, 2))
    similarity_GG = similarity(feature_CGH, feature_CGH)
    np.testing.assert_allclose(np.diag(similarity_GG), 1)
    assert similarity_GG[0, 1] > 0.5 > similarity_GG[0, 2]
    fewer_GG = similarity(feature_CGH[:, :3], feature_CGH[:, :2])
    assert np.array_equal(fewer_GG, similarity(feature_CGH, feature_CGH[:, :2])[:3, :3])  # others move nothing
    assert np.array_equal(similarity(np.ones((3, 4, 2)), np.ones((3, 1, 2))), np.zeros((4, 4)))  # no language differs


def test_candidates_lie_alike_whatever_the_turn_and_the_scale_of_the_space():
    rng = np.random.default_rng(0)
    turn_HH, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    feature_CGH = rng.normal(size=(20, 4, 6))
    feature_CGH[:, 1] = 3 * feature_CGH[:, 0] @ turn_HH + 1
    feature_CGH[:, 3] = 0.5  # in one place: like nothing
    alike_GG = alike(feature_CGH)
    assert alike_GG[0, 1] == pytest.approx(1)
    assert 0 < alike_GG[0, 2] < 0.9
    assert not alike_GG[3].any()


def test_what_was_planted_is_found_from_the_pivots_and_holds_for_a_target():
    rng = np.random.default_rng(1)
    place_GH = rng.normal(size=(5, 3))
    similarity_GG = similarity(place_GH[None], place_GH[None])
    between_GG = 0.3 + 0.3 * similarity_GG
    np.fill_diagonal(between_GG, 1.0)
    score_CG = scores(between_GG)
    kin = Kinship.fitted(LANGUAGES, similarity_GG, LANGUAGES[:4], score_CG[:, :4])
    assert kin.floor == pytest.approx(0.3, abs=0.06)
    assert kin.slope == pytest.approx(0.3, abs=0.08)
    predicted_C = score_CG[:, :4] @ kin.weights("e", LANGUAGES[:4])
    found = np.corrcoef(predicted_C, score_CG[:, 4])[0, 1]
    assert kin.correlation("e", LANGUAGES[:4]) == pytest.approx(found, abs=0.05)
    for few in combinations(LANGUAGES[:4], 3):  # no pivot can be missed for nothing
        assert kin.correlation("e", few) <= kin.correlation("e", LANGUAGES[:4]) + 1e-9


def test_one_pivot_and_pivots_that_know_no_difference_say_nothing():
    similarity_GG = np.eye(5)
    alone = Kinship.fitted(LANGUAGES, similarity_GG, ["a"], np.arange(9.0)[:, None])
    assert alone.correlation("b", ["a"]) == 0
    equal = Kinship.fitted(LANGUAGES, similarity_GG, ["a", "b"], np.ones((9, 2)))
    assert equal.weights("c", ["a", "b"]).tolist() == [0, 0]
    assert np.array_equal(correlations(np.ones((9, 2))), np.zeros((2, 2)))


def test_no_two_languages_are_the_same():
    score_C = np.arange(9.0)
    kin = Kinship.fitted(LANGUAGES, np.ones((5, 5)), ["a", "b", "c"], np.stack([score_C] * 3, axis=1))
    assert kin.floor + kin.slope == pytest.approx(MOST)
    assert kin.correlation("d", ["a", "b", "c"]) <= MOST


@pytest.mark.real
def test_on_a_real_pool_kinship_tells_of_which_targets_the_pivots_say_more(shared: Path):
    if not (shared / "pool96").is_dir():
        pytest.skip(f"no real pool: {shared / 'pool96'} is no folder")
    pool = pool96.read(shared)
    kin, score_CP = pool.known.kinship(pool96.PIVOTS), pool.known.pivot_scores(pool96.PIVOTS)
    z_CP = (score_CP - score_CP.mean(0)) / score_CP.std(0)
    expected, found, plain = [], [], []
    for target, oracles in pool.oracles.items():
        expected.append(kin.correlation(target, pool96.PIVOTS))
        found.append(np.corrcoef(z_CP @ kin.weights(target, pool96.PIVOTS), oracles.test_C)[0, 1])
        plain.append(np.corrcoef(z_CP.mean(1), oracles.test_C)[0, 1])
    assert np.corrcoef(expected, found)[0, 1] > 0.6
    assert np.mean(found) > np.mean(plain) + 0.01
