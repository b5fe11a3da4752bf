"""The paired bootstrap agrees with counting every resample there is, and keeps its promises."""

from itertools import product

import numpy as np
import pytest

from lms_ray.choosing.significance import Comparison, average, paired_bootstrap


def accuracy(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def compare(
    first: np.ndarray, second: np.ndarray, resamples: int = 500, seed: int = 0, confidence: float = 0.95
) -> Comparison:
    return paired_bootstrap(first, second, accuracy, resamples, confidence, seed)


def system(examples: int, rate: float, seed: int) -> np.ndarray:
    """Statistics of a tagger that is right at some rate, on sentences of 5 to 14 words."""
    totals = np.random.default_rng(7).integers(5, 15, examples)
    return np.stack([np.random.default_rng(seed).binomial(totals, rate), totals], axis=1)


FEW = (np.array([[3, 4], [5, 9], [2, 2], [1, 6], [4, 7]]), np.array([[1, 4], [6, 9], [1, 2], [0, 6], [4, 7]]))


@pytest.mark.parametrize("swapped", [False, True])
def test_it_agrees_with_all_resamples_of_five_examples(swapped: bool):
    first, second = FEW[::-1] if swapped else FEW
    delta = accuracy(first.sum(0)) - accuracy(second.sum(0))
    every = np.array([
        accuracy(first[list(chosen)].sum(0)) - accuracy(second[list(chosen)].sum(0))
        for chosen in product(range(5), repeat=5)
    ])  # fmt: skip
    sign = np.sign(delta)
    p_value = 2 * np.mean(sign * (every - delta) >= sign * delta)
    result = compare(first, second, resamples=20_000)
    assert result.delta == pytest.approx(delta)
    assert result.p_value == pytest.approx(p_value, abs=0.02)
    assert (result.low, result.high) == pytest.approx(np.quantile(every, [0.025, 0.975]), abs=0.02)
    narrow = compare(first, second, resamples=20_000, confidence=0.5)
    assert (narrow.low, narrow.high) == pytest.approx(np.quantile(every, [0.25, 0.75]), abs=0.02)


def test_identical_systems_do_not_differ():
    one = system(100, 0.8, seed=1)
    result = compare(one, one.copy())
    assert (result.delta, result.low, result.high, result.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_clearly_different_systems_have_a_small_p_value_in_both_directions():
    good, bad = system(200, 0.9, seed=1), system(200, 0.7, seed=2)
    better, worse = compare(good, bad), compare(bad, good)
    assert better.p_value == worse.p_value == pytest.approx(2 / 501)
    assert 0.1 < better.low < better.delta < better.high < 0.3
    assert (worse.delta, worse.low, worse.high) == pytest.approx((-better.delta, -better.high, -better.low))


def test_it_is_paired():
    hard = np.arange(100) % 2
    worse = np.stack([9 - 8 * hard, np.full(100, 10)], axis=1)
    better = worse + np.array(
        [1, 0]
    )  # one word better in every sentence, far less than sentences differ among themselves
    result = compare(better, worse)
    assert (result.low, result.high) == pytest.approx((0.1, 0.1))
    assert result.p_value < 0.02


def test_equal_scores_from_different_words_are_no_difference():
    one = np.array([[1, 2], [2, 2]] * 20)
    result = compare(one, one[::-1].copy())
    assert result.delta == 0
    assert result.low < 0 < result.high
    assert result.p_value > 0.4


def test_under_the_null_p_values_are_uniform():
    p_values = np.array([
        compare(system(60, 0.8, seed=2 * pair), system(60, 0.8, seed=2 * pair + 1), resamples=200).p_value
        for pair in range(300)
    ])  # fmt: skip
    for level in (0.05, 0.1, 0.2, 0.3, 0.4):
        assert np.mean(p_values <= level) == pytest.approx(level, abs=0.06)


def test_the_average_of_independent_comparisons_is_surer_than_each():
    single = [compare(system(60, 0.8, seed=2 * i), system(60, 0.76, seed=2 * i + 1), seed=i) for i in range(8)]
    mean = average(single, 0.95)
    assert mean.delta == pytest.approx(np.mean([result.delta for result in single]))
    assert mean.high - mean.low < min(result.high - result.low for result in single)
    assert mean.low < mean.delta < mean.high


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    intervals = [compare(system(60, 0.8, 2 * pair), system(60, 0.75, 2 * pair + 1), 200) for pair in range(200)]
    assert all(result.low <= result.delta <= result.high for result in intervals)
    assert np.mean([result.low <= 0.05 <= result.high for result in intervals]) == pytest.approx(0.95, abs=0.05)


def test_a_seed_gives_one_result():
    one, other = system(50, 0.8, seed=1), system(50, 0.75, seed=2)
    assert compare(one, other, seed=3) == compare(one, other, seed=3)
    assert compare(one, other, seed=3) != compare(one, other, seed=4)


def test_a_single_example_says_nothing():
    result = compare(np.array([[3, 4]]), np.array([[1, 4]]))
    assert (result.delta, result.p_value) == (0.5, 1.0)
