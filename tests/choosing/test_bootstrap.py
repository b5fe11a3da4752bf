"""The paired bootstrap agrees with independent references and keeps its promises, also where test sets are parallel."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from lms_ray.choosing import bootstrap
from lms_ray.choosing.bootstrap import Comparison, average, resampled_scores


def accuracy(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def holding(*candidates: np.ndarray, keys: list[str] | None = None) -> bootstrap.TestSet:
    keys = keys or [f"sentence {number}" for number in range(len(candidates[0]))]
    return bootstrap.TestSet(keys, np.stack(candidates))


def compared(
    test_sets: dict[str, bootstrap.TestSet], resamples: int = 500, seed: int = 0, confidence: float = 0.95
) -> dict[str, Comparison]:
    """The first candidate against the second on every set."""
    score_RC = resampled_scores(test_sets, accuracy, resamples, seed)
    return {
        name: bootstrap.compare(score_RC[name], accuracy(one.sums_CGS.sum(1)), 0, 1, confidence)
        for name, one in test_sets.items()
    }


def compare(first: np.ndarray, second: np.ndarray, **settings) -> Comparison:
    return compared({"nl": holding(first, second)}, **settings)["nl"]


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


def test_the_interval_is_that_of_scipy():
    first, second = system(80, 0.8, seed=1), system(80, 0.76, seed=2)

    def difference(*columns: np.ndarray, axis: int) -> np.ndarray:
        right, total, other_right, other_total = (column.sum(axis) for column in columns)
        return right / total - other_right / other_total

    columns = (*first.T, *second.T)
    theirs = stats.bootstrap(
        columns, difference, n_resamples=20_000, paired=True, method="percentile", rng=0, batch=1000
    )
    ours = compare(first, second, resamples=20_000)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.0015)
    assert ours.difference_R.std() == pytest.approx(theirs.standard_error, rel=0.03)


@pytest.mark.parametrize("scale", [1, 0.1])  # tenths do not add up exactly
def test_identical_systems_do_not_differ(scale: float):
    one = system(101, 0.8, seed=1) * scale
    result = compare(one, one.copy())
    assert (result.delta, result.p_value) == (0.0, 1.0)
    assert (result.low, result.high) == pytest.approx((0, 0), abs=1e-12)


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


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    pairs = [(system(60, 0.8, 2 * pair), system(60, 0.75, 2 * pair + 1)) for pair in range(200)]
    intervals = [compare(*pair, resamples=200) for pair in pairs]
    assert all(result.low <= result.delta <= result.high for result in intervals)
    assert np.mean([result.low <= 0.05 <= result.high for result in intervals]) == pytest.approx(0.95, abs=0.05)


def test_the_average_over_independent_test_sets_is_surer_than_each():
    sets = {
        f"t{number}": holding(
            system(60, 0.8, seed=2 * number),
            system(60, 0.76, seed=2 * number + 1),
            keys=[f"t{number} {sentence}" for sentence in range(60)],
        )
        for number in range(8)
    }
    single = list(compared(sets).values())
    mean = average(single, 0.95)
    assert mean.delta == pytest.approx(np.mean([result.delta for result in single]))
    assert mean.high - mean.low < min(result.high - result.low for result in single)
    assert mean.low < mean.delta < mean.high


def parallel_sets(seed: int, languages: int, sentences: int) -> dict[str, bootstrap.TestSet]:
    """Two equally good systems on the same sentences in some languages: which one finds a sentence easier is the
    sentence's, and nearly the same in every language."""
    rng = np.random.default_rng(seed)
    easier_G2 = rng.normal(0.75, 0.15, (sentences, 2))
    words_G = rng.integers(5, 15, sentences)
    sets = {}
    for language in range(languages):
        rate_G2 = np.clip(easier_G2 + rng.normal(0, 0.05, (sentences, 2)), 0, 1)
        right_2G = rng.binomial(words_G, rate_G2.T)
        sets[f"t{language}"] = holding(*(np.stack([right_G, words_G], 1) for right_G in right_2G))
    return sets


def test_equally_good_systems_rarely_differ_on_parallel_test_sets():
    """At 5 % one in twenty simulated pairs may; taken for independent, the same test sets find many more."""
    found = {"jointly": 0, "apart": 0}
    for seed in range(300):
        sets = parallel_sets(seed, languages=8, sentences=50)
        apart = {
            name: bootstrap.TestSet([f"{name} {key}" for key in one.keys], one.sums_CGS) for name, one in sets.items()
        }
        for name, those in (("jointly", sets), ("apart", apart)):
            found[name] += average(list(compared(those, resamples=200).values()), 0.95).p_value <= 0.05
    assert found["jointly"] / 300 == pytest.approx(0.05, abs=0.035)
    assert found["apart"] / 300 > 0.25


def test_a_sentence_counts_as_often_in_every_set_that_holds_it():
    """Candidate i is right in sentence i alone, so its scores tell how often that was drawn."""
    keys = [f"{number}" for number in range(30)]
    right = [np.stack([np.arange(30) == number, np.ones(30)], 1) for number in range(30)]
    backwards = [one[::-1] for one in right]
    part = [one[:10] for one in right]
    other = [f"other {number}" for number in range(30)]
    score_RC = resampled_scores(
        {
            "nl": holding(*right, keys=keys),
            "pt": holding(*backwards, keys=keys[::-1]),
            "sv": holding(*part, keys=keys[:10]),
            "zh": holding(*right, keys=other),
        },
        accuracy,
        1000,
        seed=0,
    )
    np.testing.assert_allclose(score_RC["nl"].sum(1), 1)
    np.testing.assert_array_equal(score_RC["nl"], score_RC["pt"])
    drawn_R = 30 * score_RC["nl"][:, :10].sum(1)  # sentences of the smaller set in each resample
    assert 1 <= drawn_R.min() < 10 < drawn_R.max()
    np.testing.assert_allclose(score_RC["sv"][:, :10] * drawn_R[:, None], score_RC["nl"][:, :10] * 30)
    assert abs(np.corrcoef(score_RC["nl"][:, 0], score_RC["zh"][:, 0])[0, 1]) < 0.1


def test_a_small_part_of_a_large_set_is_never_empty():
    large = holding(system(200, 0.8, seed=1))
    small = holding(system(2, 0.8, seed=2), keys=["sentence 3", "sentence 4"])
    score_RC = resampled_scores({"nl": large, "sv": small}, accuracy, 500, seed=0)["sv"]
    assert np.isfinite(score_RC).all() and score_RC.std() > 0


def test_a_seed_gives_one_result_whatever_other_targets_there_are():
    nl, zh = (
        holding(system(50, 0.8, seed=1), system(50, 0.75, seed=2), keys=[f"{name} {i}" for i in range(50)])
        for name in ("nl", "zh")
    )
    alone = resampled_scores({"nl": nl}, accuracy, 100, seed=3)["nl"]
    beside = resampled_scores({"zh": zh, "nl": nl}, accuracy, 100, seed=3)
    np.testing.assert_array_equal(beside["nl"], alone)
    assert not np.array_equal(beside["zh"], alone), "independent sets are drawn independently"
    assert not np.array_equal(resampled_scores({"nl": nl}, accuracy, 100, seed=4)["nl"], alone)


def test_resamples_are_the_same_in_small_chunks(monkeypatch: pytest.MonkeyPatch):
    sets = parallel_sets(seed=0, languages=3, sentences=20)
    whole = resampled_scores(sets, accuracy, 100, seed=0)
    monkeypatch.setattr(bootstrap, "CELLS", 7 * 20)
    for name, score_RC in resampled_scores(sets, accuracy, 100, seed=0).items():
        np.testing.assert_array_equal(score_RC, whole[name])


def test_a_single_group_says_nothing_nor_does_a_mean_with_it():
    single = holding(np.array([[3, 4]]), np.array([[1, 4]]))
    results = compared({"nl": single, "zh": holding(system(50, 0.9, seed=1), system(50, 0.6, seed=2))})
    assert (results["nl"].delta, results["nl"].p_value) == (0.5, 1.0)
    assert results["zh"].p_value < 0.01
    assert average(list(results.values()), 0.95).p_value == 1.0


def test_a_key_names_one_group_of_a_set():
    twice = holding(*FEW, keys=["a", "b", "c", "b", "d"])
    with pytest.raises(ValueError, match="nl: key 'b' names two groups"):
        resampled_scores({"nl": twice}, accuracy, 100, seed=0)
