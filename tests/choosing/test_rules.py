"""The rules that pick a candidate, against the plainest code that does the same."""

from dataclasses import replace

import numpy as np
import pytest

from lms_ray.choosing import rules
from lms_ray.choosing.evidence import Evidence, z_scores

C, H = 7, 5


def place(scores: list[float], candidate: int) -> float:
    """1 + how many are better + half of the others that are as good."""
    mine = scores[candidate]
    return 1 + sum(score > mine for score in scores) + (sum(score == mine for score in scores) - 1) / 2


@pytest.fixture(params=range(5))
def evidence(request) -> Evidence:
    """Scores of 7 candidates on 4 pivots, coarse enough for ties."""
    rng = np.random.default_rng(request.param)
    return Evidence(
        source_C=rng.random(C),
        pivot_CP=rng.integers(0, 6, (C, 4)) / 8,
        similarity_P=np.array([0.1, 0.7, -0.2, 0.4]),
        kinship_P=np.array([0.2, -0.1, 0.3, 0.0]),
        setting_C=np.array([0, 1, 0, 2, 2, 1, 0]),
        alike_P=rng.random(4),
        signals={"shares": rng.random(C), "agreement": rng.random(C)},
    )


def test_the_highest_score_wins_and_the_first_of_equals():
    assert rules.best(np.array([0.2, 0.9, 0.9, 0.1])) == 1
    assert rules.best(np.array([-3.0])) == 0


def test_a_candidate_without_a_score_is_refused_and_named():
    with pytest.raises(ValueError, match="candidate 2 of the pool has no score"):
        rules.best(np.array([0.1, 0.2, np.nan, 0.3]))


def test_en_dev_looks_at_the_source_and_pivot_dev_at_the_nearest_pivot(evidence: Evidence):
    assert rules.RULES["En-Dev"](evidence) is evidence.source_C
    assert np.array_equal(rules.RULES["Pivot-Dev"](evidence), evidence.pivot_CP[:, 1])


def test_all_pivot_is_the_best_mean_rank(evidence: Evidence):
    means = [np.mean([place(column, c) for column in evidence.pivot_CP.T.tolist()]) for c in range(C)]
    assert rules.best(rules.RULES["All-Pivot"](evidence)) == means.index(min(means))


def test_kriged_pivots_count_by_what_each_says_beyond_the_others(evidence: Evidence):
    expected = z_scores(evidence.pivot_CP) @ np.array([0.2, -0.1, 0.3, 0]) / 0.6
    np.testing.assert_allclose(rules.RULES["Kriged pivots"](evidence), expected)
    unknown = replace(evidence, kinship_P=np.zeros(4))
    np.testing.assert_allclose(rules.RULES["Kriged pivots"](unknown), evidence.pivot_z_C)


def test_similar_pivots_count_by_their_cosine_and_opposite_ones_not_at_all(evidence: Evidence):
    expected = z_scores(evidence.pivot_CP) @ np.array([0.1, 0.7, 0, 0.4]) / 1.2
    np.testing.assert_allclose(rules.RULES["Similar pivots"](evidence), expected)
    opposite = replace(evidence, similarity_P=-np.ones(4))
    np.testing.assert_allclose(rules.RULES["Similar pivots"](opposite), evidence.pivot_z_C)


def test_kernel_pivots_follow_the_pivot_in_which_candidates_lie_as_they_do_in_the_language(evidence: Evidence):
    alike = rules.RULES["Kernel pivots"](replace(evidence, alike_P=np.array([0.0, 0, 1, 0])))
    np.testing.assert_allclose(alike, z_scores(evidence.pivot_CP)[:, 2])


def test_the_best_setting_is_that_of_the_best_mean_and_its_best_seed_is_picked(evidence: Evidence):
    z_C = evidence.pivot_z_C
    means = {setting: z_C[evidence.setting_C == setting].mean() for setting in range(3)}
    chosen = rules.best(rules.RULES["Best setting"](evidence))
    winner = max(means, key=means.__getitem__)
    assert chosen == max(np.flatnonzero(evidence.setting_C == winner), key=lambda c: z_C[c])


def test_rules_without_their_evidence_have_no_say(evidence: Evidence):
    assert rules.RULES["MaNo"](evidence) is None
    assert rules.RULES["Pivots + vote"](evidence) is None
    blind = replace(evidence, similarity_P=None, signals={})
    assert rules.RULES["Pivot-Dev"](blind) is rules.RULES["Similar pivots"](blind) is None
    assert rules.RULES["Label shares"](blind) is rules.RULES["Pivots + shares"](blind) is None


def test_a_sum_of_rules_weighs_them_equally(evidence: Evidence):
    expected = z_scores(evidence.pivot_z_C) + z_scores(evidence.signals["shares"])
    np.testing.assert_allclose(rules.RULES["Pivots + shares"](evidence), expected)
