"""What is stated of a pick: on pools where the truth is planted it must be as sure as it may be, and no surer."""

from dataclasses import replace

import numpy as np
import pytest

from lms_ray.choosing.annotation import worth_of_labels
from lms_ray.choosing.calibration import outcomes
from lms_ray.choosing.certainty import TELLING, Expected, Trust, expect, expected_regret, trust
from lms_ray.choosing.evidence import Known, z_scores
from lms_ray.choosing.kinship import Kinship
from lms_ray.choosing.level import Level
from lms_ray.choosing.material import Material
from lms_ray.choosing.recommended import RECOMMENDED
from lms_ray.choosing.redrawn import Redrawn, redraw
from lms_ray.choosing.reliability import split_half
from lms_ray.choosing.rules import FOUNDATION
from lms_ray.choosing.signals import Observed
from lms_ray.choosing.split import divide
from lms_ray.settings.choosing import MetaSplit, Ranker

C, H = 60, 8
PIVOTS, TARGETS = ("ar", "de", "es", "nl", "zh"), ("bg", "da", "fr")
QUANTILES_PQ = np.tile(np.linspace(-0.2, 0.2, 101), (5, 1))


def planted(share: float, seed: int) -> tuple[Redrawn, np.ndarray]:
    """What is told of candidates whose scores in all languages are `share` common quality and else chance.

    Returns:
        That, and the true scores of every candidate on the targets, shape (C, targets).
    """
    rng = np.random.default_rng(seed)
    quality_C1 = rng.normal(size=(C, 1))
    score_CG = np.sqrt(share) * quality_C1 + np.sqrt(1 - share) * rng.normal(size=(C, len(PIVOTS + TARGETS)))
    score_CG = 0.5 + 0.05 * score_CG
    material = Material(
        settings=Ranker(fit="fast", l2=(0.1,), language_vector="none"),
        seed=seed,
        candidates=tuple(f"c{number:02}" for number in range(C)),
        part_C=divide(C, MetaSplit(), seed),
        languages=PIVOTS + TARGETS,
        feature_CGH=rng.normal(size=(C, len(PIVOTS + TARGETS), H)),
        vector_GV=None,
        pivots=PIVOTS,
        pivot_score_CP=score_CG[:, : len(PIVOTS)],
    )
    nothing = Observed((), {}, {}, {}, np.empty((0, 0)), np.empty(0))
    known = Known(material, rng.normal(size=C), np.arange(C) % 4, nothing)
    return redraw(known, {PIVOTS: TARGETS}, MetaSplit(draws=2)), score_CG[:, len(PIVOTS) :]


def stated(said: Redrawn, target: str) -> Expected:
    return said.expected(said.overall[target], target, seed=0)[said.followed[target]]


@pytest.mark.slow
def test_where_nothing_can_be_told_most_picks_are_not_told_and_where_everything_can_all_are():
    noise = [stated(planted(0.0, seed)[0], target).is_told for seed in range(6) for target in TARGETS]
    plain = [stated(planted(0.9, seed)[0], target).is_told for seed in range(2) for target in TARGETS]
    assert np.mean(noise) < 0.2
    assert all(plain)


@pytest.mark.slow
def test_what_is_stated_happens_about_as_often():
    """Over pools of every strength; a statement that knew nothing would be right as often as the base rate."""
    probabilities, happened, regrets, found = [], [], [], []
    for seed, share in enumerate(np.tile([0.0, 0.15, 0.3, 0.6], 4)):
        said, true_CT = planted(float(share), 100 + seed)
        for target, true_C in zip(TARGETS, true_CT.T, strict=True):
            expected = stated(said, target)
            pick = said.for_use[target][said.followed[target]]
            probabilities.append(expected.better_than_average)
            happened.append(true_C[pick] > true_C.mean())
            regrets.append(expected.regret)
            found.append(true_C.max() - true_C[pick])
    assert np.mean(probabilities) == pytest.approx(np.mean(happened), abs=0.12)
    surer = np.asarray(probabilities) > np.median(probabilities)
    assert np.mean(np.asarray(happened)[surer]) > np.mean(np.asarray(happened)[~surer])
    assert np.mean(regrets) == pytest.approx(np.mean(found), rel=0.3)


def test_how_far_scores_are_trusted_is_what_the_pivots_found_beyond_what_was_expected_of_them():
    rng = np.random.default_rng(0)
    right_CP = rng.normal(size=(C, 3))
    found_P, expected_P = np.array([0.6, 0.5, 0.7]), np.array([0.4, 0.4, 0.4])
    told = trust(found_P, expected_P, 0.2, right_CP)
    assert told is not None
    beyond_P = np.arctanh(found_P) - np.arctanh(expected_P)
    assert told.location == pytest.approx(np.arctanh(0.2) + beyond_P.mean())
    assert told.spread == pytest.approx(beyond_P.std(ddof=1))
    centred_CP = right_CP - right_CP.mean(0)
    assert np.allclose(told.quantile_PQ[:, [0, -1]].T, [centred_CP.min(0), centred_CP.max(0)])
    equal_CP = right_CP * [1, 0, 0]
    assert trust(found_P, expected_P, 0.2, equal_CP) is None


def test_a_pick_is_compared_with_none_that_is_the_same():
    score_C = np.arange(C, dtype=float)
    told = Trust(1.0, 0.1, QUANTILES_PQ)
    picks = {"Recommended": C - 1, "En-Dev": 0, FOUNDATION: C - 1}
    of = expect(score_C, picks, "En-Dev", FOUNDATION, told, seed=0)
    assert of["Recommended"].better_than_pivots is None
    assert of["En-Dev"].better_than_source is None
    assert of["Recommended"].better_than_source > 0.9 > 0.1 > of["En-Dev"].better_than_pivots
    assert of["Recommended"].rank < 12 and of["Recommended"].regret < 0.12


def test_scores_that_say_nothing_leave_every_candidate_as_good_as_another():
    told = Trust(0.0, 0.0, QUANTILES_PQ)
    of = expect(np.arange(C, dtype=float), {"r": C - 1, "s": 0}, "s", "s", told, seed=0)["r"]
    assert of.better_than_source == pytest.approx(0.5, abs=0.06)
    assert of.gain == pytest.approx(0, abs=0.02)
    assert of.rank == pytest.approx((C + 1) / 2, abs=3)
    assert of.better_than_average < TELLING and not of.is_told


def test_the_more_scores_say_the_less_regret_is_expected():
    score_C = np.arange(C, dtype=float)
    regrets = [expected_regret(score_C, Trust(location, 0.1, QUANTILES_PQ)) for location in (0.0, 0.4, 0.8, 2.0)]
    assert regrets == sorted(regrets, reverse=True) and regrets[-1] < 0.3 * regrets[0]


def test_labels_of_a_language_help_its_kin_most_and_itself_by_what_such_a_set_says():
    similarity_GG = np.array([[1, 0, 0, 0.0], [0, 1, 0, 0], [0, 0, 1, 0.9], [0, 0, 0.9, 1]])
    kin = Kinship(("p", "q", "t", "near"), similarity_GG, floor=0.1, slope=0.7)
    score_C, told = np.arange(C, dtype=float), Trust(0.1, 0.1, QUANTILES_PQ)
    of = {worth.language: worth for worth in worth_of_labels(["near", "t"], "t", ["p"], kin, 0.9, score_C, told)}
    far = next(iter(worth_of_labels(["q"], "t", ["p"], kin, 0.9, score_C, told)))
    assert of["t"].after < of["near"].after < far.after <= far.before == of["t"].before
    unreliable = next(iter(worth_of_labels(["t"], "t", ["p"], kin, 0.0, score_C, told)))
    assert unreliable.after == unreliable.before


def test_a_reliable_set_is_told_from_one_whose_differences_are_chance():
    rng = np.random.default_rng(0)
    quality_C = np.linspace(0.2, 0.8, C)
    for examples, low, high in ((400, 0.9, 1.0), (4, 0.2, 0.8)):
        right_CE = rng.random((C, examples)) < quality_C[:, None]
        found = split_half(np.stack([right_CE, np.ones_like(right_CE)], axis=2).astype(float), ratio, 0)
        assert low < found < high
    chance_CE = rng.random((C, 400)) < 0.5
    assert split_half(np.stack([chance_CE, np.ones_like(chance_CE)], axis=2).astype(float), ratio, 0) < 0.3


def ratio(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def test_what_came_of_a_statement_is_held_against_the_test_scores():
    test_C = np.array([0.1, 0.2, 0.2, 0.7])
    said = Expected(0.8, 0.6, 0.9, 0.9, 0.3, 0.1, 1.5)
    picks = {RECOMMENDED: 1, "En-Dev": 0, FOUNDATION: 2}
    found = {
        row.statement: row
        for row in outcomes(3, "fr", [RECOMMENDED], picks, {RECOMMENDED: said}, "En-Dev", FOUNDATION, test_C, 0.1)
    }
    assert {name: row.happened for name, row in found.items()} == {
        "better_than_source": 1.0, "better_than_pivots": 0.5, "better_than_average": 0.0, "better_than_no_model": 1.0,
        "gain": pytest.approx(-0.1), "regret": pytest.approx(0.5), "rank": 2.5,
    }  # fmt: skip
    assert found["rank"].stated == 1.5 and found["gain"].told and found["gain"].draw == 3
    same = replace(said, better_than_pivots=None)
    rows = outcomes(0, "fr", [RECOMMENDED], picks, {RECOMMENDED: same}, "En-Dev", FOUNDATION, test_C, None)
    assert {row.statement for row in rows}.isdisjoint({"better_than_pivots", "better_than_no_model"})


def test_a_pick_that_may_be_no_better_than_no_model_is_not_told():
    score_C = np.arange(C, dtype=float)
    for expected, is_told in ((0.1, True), (-0.15, False)):
        told = Trust(1.5, 0.1, QUANTILES_PQ, Level(expected, 0.02, 5))
        of = expect(score_C, {"r": C - 1, "s": 0}, "s", "s", told, seed=0)["r"]
        assert of.better_than_average > 0.9
        assert of.is_told == is_told
        assert of.better_than_no_model is not None
        assert (of.better_than_no_model > 0.9) == is_told


def test_the_recommended_scores_that_judge_a_pivot_are_made_without_its_labels():
    """Else a rule that follows one pivot's labels would look sure."""
    said, _ = planted(0.3, 0)
    recommended = said.recommendations[PIVOTS]
    assert recommended.correlation_P.shape == (len(PIVOTS),)
    assert set(recommended.gains) >= {RECOMMENDED, FOUNDATION, "En-Dev"}
    noise, _ = planted(0.0, 3)
    assert abs(noise.recommendations[PIVOTS].correlation_P.mean()) < 0.25
    assert z_scores(noise.overall["fr"][RECOMMENDED]).max() > 1  # it has an opinion all the same
