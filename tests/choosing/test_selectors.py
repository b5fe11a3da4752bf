"""The rules that pick a candidate, against the plainest code that does the same."""

import numpy as np
import pytest

from lms_ray.choosing import selectors


def place(scores: list[float], candidate: int) -> float:
    """1 + how many are better + half of the others that are as good."""
    mine = scores[candidate]
    return 1 + sum(score > mine for score in scores) + (sum(score == mine for score in scores) - 1) / 2


@pytest.fixture(params=range(5))
def table(request) -> np.ndarray:
    """Scores of 7 candidates in 4 rows, coarse enough for ties."""
    return np.random.default_rng(request.param).integers(0, 6, (4, 7)) / 8


def test_the_highest_score_wins_and_the_first_of_equals():
    assert selectors.best(np.array([0.2, 0.9, 0.9, 0.1])) == 1
    assert selectors.best(np.array([-3.0])) == 0


@pytest.mark.parametrize("rule", [selectors.learned, selectors.all_pivot])
def test_the_best_mean_rank_wins(rule, table: np.ndarray):
    means = [np.mean([place(row, candidate) for row in table.tolist()]) for candidate in range(7)]
    assert rule(table) == means.index(min(means))


@pytest.mark.parametrize("rule", [selectors.learned, selectors.all_pivot])
def test_a_mean_rank_is_not_a_mean_score(rule):
    assert rule(np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3], [0.1, 0.5, 0.3]])) == 1
    assert rule(np.array([[100.0, 1.0], [0.0, 1.0], [0.0, 1.0]])) == 1


def test_the_smallest_angle_is_the_most_similar_whatever_the_length():
    pivots = np.array([[9.0, 9.0], [0.1, 0.0], [-5.0, 0.1]])
    assert selectors.most_similar(np.array([2.0, 0.3]), pivots) == 1
    assert selectors.most_similar(np.array([2.0, 1.9]), pivots) == 0
    assert selectors.most_similar(np.array([-2.0, 0.0]), pivots) == 2


def test_a_candidate_without_a_score_is_refused_and_named():
    with pytest.raises(ValueError, match="candidate 2 of the pool has no score"):
        selectors.best(np.array([0.1, 0.2, np.nan, 0.3]))


@pytest.mark.parametrize("rule", [selectors.learned, selectors.all_pivot])
def test_a_candidate_without_a_score_in_one_row_is_refused_and_named(rule):
    with pytest.raises(ValueError, match="candidate 2 of the pool has no score"):
        rule(np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, np.nan, 0.3]]))
