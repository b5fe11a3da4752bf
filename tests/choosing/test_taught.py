"""Rules that learn from other candidates find what is planted, and nothing in noise."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from lms_ray.choosing.evidence import Known, z_scores
from lms_ray.choosing.material import Material
from lms_ray.choosing.rules import best
from lms_ray.choosing.taught import ALPHAS, TAUGHT, lambda_rank, ridge, teach
from lms_ray.settings.choosing import Ranker
from made_material import PIVOTS, WANTED_H, C, planted
from pool96 import NOTHING_OBSERVED

FAST = Ranker(fit="fast", l2=(0.1, 0.001))
BLIND = [name for name in TAUGHT if not name.endswith("+ pivots")]
SEEING = [name for name in TAUGHT if name.endswith("+ pivots")]
POOLS = 40


def known(material: Material) -> Known:
    """A pool of which nothing is known beside features and the pivots' scores."""
    count = len(material.candidates)
    return Known(material, np.zeros(count), np.arange(count), NOTHING_OBSERVED)


def gains(shown_in: str | None) -> dict[str, np.ndarray]:
    """How far above its pool each rule's pick for a target is, in standard deviations, in `POOLS` made experiments."""
    found: dict[str, list[float]] = {name: [] for name in TAUGHT}
    for seed in range(POOLS):
        material, trait_CH = planted(FAST, shown_in, seed)
        pool = np.flatnonzero(material.part_C == "test")
        right_C = z_scores((trait_CH @ WANTED_H)[pool])
        for name, scorer in teach(known(material), material.part_C, PIVOTS, seed).items():
            found[name].append(right_C[best(scorer("nl")[pool])])
    return {name: np.asarray(of_pools) for name, of_pools in found.items()}


@pytest.fixture(scope="module")
def from_noise() -> dict[str, np.ndarray]:
    return gains(shown_in=None)


def test_a_signal_in_the_features_is_learned():
    """LambdaRank learns the least: trees cut one feature at a time, and this is a sum of several."""
    correlations: dict[str, list[float]] = {name: [] for name in TAUGHT}
    for seed in range(10):
        material, trait_CH = planted(FAST, "target", seed)
        pool = np.flatnonzero(material.part_C == "test")
        for name, scorer in teach(known(material), material.part_C, PIVOTS, seed).items():
            found = spearmanr(scorer("nl")[pool], (trait_CH @ WANTED_H)[pool])
            correlations[name].append(float(found.statistic))
    means = {name: np.mean(of_pools) for name, of_pools in correlations.items()}
    assert means.pop("LambdaRank") > 0.4
    assert all(mean > 0.8 for mean in means.values()), means


@pytest.mark.parametrize("name", BLIND)
def test_from_noise_a_rule_that_sees_features_only_picks_as_random_does(name: str, from_noise):
    """Random is 0; three standard errors are about half a standard deviation of the pool."""
    gain_R = from_noise[name]
    assert len(gain_R) == POOLS
    assert abs(gain_R.mean()) < 3 * gain_R.std(ddof=1) / np.sqrt(POOLS) < 0.7


@pytest.mark.parametrize("name", SEEING)
def test_from_noise_a_rule_that_sees_the_pivots_still_follows_them(name: str, from_noise):
    assert from_noise[name].mean() > 1


def test_a_pivot_that_teaches_is_not_described_by_its_own_score():
    """Pivots that have nothing in common teach nothing about each other; with their own score they would seem to."""
    material, _ = planted(FAST, None)
    material = replace(material, pivot_score_CP=np.random.default_rng(1).normal(size=(C, len(PIVOTS))))
    score_C = teach(known(material), material.part_C, PIVOTS, 0)["Ridge + pivots"]("nl")
    z_C = z_scores(material.pivot_score_CP).mean(1)
    assert abs(np.polyfit(z_C, score_C, 1)[0]) < 0.4  # 1 with its own score


def test_what_the_pool_scores_on_the_pivots_teaches_nothing():
    material, _ = planted(FAST, "target")
    pool = material.part_C == "test"
    other_CP = material.pivot_score_CP.copy()
    other_CP[pool] = other_CP[pool][::-1]
    before, after = (
        teach(known(version), material.part_C, PIVOTS, 0)
        for version in (material, replace(material, pivot_score_CP=other_CP))
    )
    for name in BLIND:
        np.testing.assert_array_equal(before[name]("nl"), after[name]("nl"), err_msg=name)


def test_the_same_seed_gives_the_same_scores():
    material, _ = planted(FAST, "target")
    once, again = (teach(known(material), material.part_C, PIVOTS, 7) for _ in range(2))
    for name in TAUGHT:
        np.testing.assert_array_equal(once[name]("nl"), again[name]("nl"), err_msg=name)


def test_ties_teach_lambda_rank_nothing_whatever_the_order_of_the_candidates():
    rng = np.random.default_rng(0)
    input_NH, target_N = rng.normal(size=(60, 3)), np.concatenate([rng.normal(size=30), np.zeros(30)])
    both = lambda_rank(input_NH, target_N, 2, seed=0)
    told = lambda_rank(input_NH[:30], target_N[:30], 1, seed=0)
    np.testing.assert_array_equal(both(input_NH), told(input_NH))


def test_a_single_pivot_has_no_others_to_be_described_by():
    material, _ = planted(FAST, "target")
    assert list(teach(known(material), material.part_C, PIVOTS[:1], 0)) == BLIND


def test_the_strength_of_ridge_is_that_of_fitting_again_without_each_candidate():
    """The closed form, against as many fits as there are candidates."""
    groups, size, width = 3, 15, 6
    rng = np.random.default_rng(3)
    input_NH = rng.normal(size=(groups * size, width))
    target_N = input_NH @ rng.normal(size=width) + 3 * rng.normal(size=groups * size)
    count, candidate_N = len(target_N), np.tile(np.arange(size), groups)

    def fitted(rows: np.ndarray, alpha: float) -> np.ndarray:
        kept_NH = input_NH[rows]
        return np.linalg.solve(kept_NH.T @ kept_NH + alpha * count * np.eye(width), kept_NH.T @ target_N[rows])

    def error(alpha: float) -> float:
        return sum(
            ((target_N - input_NH @ fitted(candidate_N != left_out, alpha))[candidate_N == left_out] ** 2).sum()
            for left_out in range(size)
        )

    chosen = min(ALPHAS, key=error)
    assert ALPHAS[0] < chosen < ALPHAS[-1]
    np.testing.assert_allclose(ridge(input_NH, target_N, groups), fitted(np.full(count, True), chosen), rtol=1e-6)
