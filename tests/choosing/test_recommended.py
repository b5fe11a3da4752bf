"""The recommended rule follows what picks well for the pivots, and says when these are too few."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from lms_ray.choosing import recommended
from lms_ray.choosing.evidence import Known, z_scores
from lms_ray.choosing.material import Material
from lms_ray.choosing.recommended import COMBINED, RECOMMENDED, mean_gain
from lms_ray.choosing.redrawn import redraw
from lms_ray.choosing.rules import FOUNDATION
from lms_ray.choosing.signals import Observed
from lms_ray.settings.choosing import MetaSplit, Ranker

C, H = 48, 6
PIVOTS, TARGETS = ("ar", "de", "es", "nl"), ("sv", "pt")
NOTHING = Observed((), {}, {}, {}, np.empty((C, 0)), np.zeros(C))


def pool(seed: int, shown: float, noise: float = 0.5) -> tuple[Known, np.ndarray]:
    """Candidates whose quality is the same in all languages but for noise, and its truth for each target, shape (C, T).

    Args:
        seed: of everything.
        shown: how much of the quality the features show; 0 leaves random features.
        noise: deviation of a language's score from the quality.
    """
    rng = np.random.default_rng(seed)
    languages = PIVOTS + TARGETS
    quality_C = rng.normal(size=C)
    score_CG = 0.7 + 0.02 * (quality_C[:, None] + noise * rng.normal(size=(C, len(languages))))
    feature_CGH = rng.normal(size=(C, len(languages), H)) + rng.normal(size=(len(languages), H)) * 3
    feature_CGH += shown * quality_C[:, None, None] * rng.normal(size=H)
    material = Material(
        settings=Ranker(fit="fast", language_vector="none"),
        seed=seed,
        candidates=tuple(f"c{number:02d}" for number in range(C)),
        part_C=np.array(["train"] * C),
        languages=languages,
        feature_CGH=feature_CGH,
        vector_GV=None,
        pivots=PIVOTS,
        pivot_score_CP=score_CG[:, : len(PIVOTS)],
    )
    return Known(material, rng.random(C), np.arange(C) // 4, NOTHING), score_CG[:, len(PIVOTS) :]


class Planted(Observed):
    """Signals whose worth is known."""

    def signals(self, language, pivots, pivot_z_C):
        rng = np.random.default_rng(sum(map(ord, language)))
        truth_C = self.seen[language]
        return {"shares": truth_C, "confidence": -truth_C + 0.1 * rng.normal(size=C), "vote": rng.normal(size=C)}


@pytest.fixture(scope="module")
def with_signals() -> tuple[Known, np.ndarray]:
    """Pivots that say little of a language, and one signal that says all; another is wrong by its sign."""
    known, truth_CT = pool(seed=3, shown=0.0, noise=3.0)
    score_CG = np.concatenate([known.material.pivot_score_CP, truth_CT], axis=1)
    seen = {name: z_scores(score_CG[:, place]) for place, name in enumerate(PIVOTS + TARGETS)}
    return replace(known, observed=Planted(PIVOTS + TARGETS, seen, {}, {}, np.empty((C, 0)), np.zeros(C))), truth_CT


def test_a_language_whose_text_gives_no_signals_is_picked_for_by_the_rules_that_are_left():
    score_C, shares_C = np.arange(4.0), -np.arange(4.0)
    gains = {"Label shares": np.array([2.0, 2.0]), FOUNDATION: np.array([0.5, 0.5]), "En-Dev": np.array([-3.0, -3.0])}
    made = recommended.Recommendation(recommended.weigh(gains), gains, np.empty(0), "")
    assert made.weights == {"Label shares": 1.0}
    both = {FOUNDATION: score_C, "Label shares": shares_C, "En-Dev": shares_C}
    assert np.array_equal(made.scores(both), z_scores(shares_C))
    assert np.array_equal(made.scores({FOUNDATION: score_C, "En-Dev": shares_C}), z_scores(score_C))


class Silent(Planted):
    """The same, but for one language whose text gives no signals."""

    def signals(self, language, pivots, pivot_z_C):
        return {} if language == TARGETS[1] else super().signals(language, pivots, pivot_z_C)


def test_a_target_without_signals_is_picked_for_beside_one_that_has_them(with_signals):
    known, _ = with_signals
    observed = Silent(known.observed.languages, known.observed.seen, {}, {}, np.empty((C, 0)), np.zeros(C))
    made = redraw(replace(known, observed=observed, _made={}), {PIVOTS: TARGETS}, MetaSplit(draws=1))
    heard, silent = (made.overall[target] for target in TARGETS)
    assert heard.keys() - silent.keys() >= {"Label shares", "Confidence", "Vote", "Pivots + shares"}
    assert COMBINED in silent and np.ptp(silent[RECOMMENDED]) > 0 and np.isfinite(silent[RECOMMENDED]).all()
    assert made.for_use[TARGETS[1]].keys() == silent.keys()


def test_the_recommended_rule_follows_what_picks_well_for_the_pivots(with_signals):
    known, truth_CT = with_signals
    made = redraw(known, {PIVOTS: TARGETS}, MetaSplit(draws=1))
    recommendation = made.recommendations[PIVOTS]
    assert max(recommendation.weights, key=recommendation.weights.get) in ("Label shares", COMBINED)
    assert FOUNDATION not in recommendation.weights, "the other pivots say little of a pivot here"
    assert sum(recommendation.weights.values()) == pytest.approx(1)
    for place, target in enumerate(TARGETS):
        best = made.overall[target][RECOMMENDED].argmax()
        assert truth_CT[best, place] == truth_CT[:, place].max()


def test_the_sign_of_a_signal_is_learned(with_signals):
    known, truth_CT = with_signals
    blind = Planted(PIVOTS + TARGETS, known.observed.seen, {}, {}, np.empty((C, 0)), np.zeros(C))
    blind.signals = lambda *asked: {"confidence": Planted.signals(blind, *asked)["confidence"]} if asked else {}
    score_C = recommended.combined(replace(known, observed=blind, _made={}), "sv", PIVOTS)
    assert spearmanr(score_C, truth_CT[:, 0]).statistic > 0.9


def test_with_two_pivots_there_is_nothing_to_try_rules_on():
    known, _ = pool(seed=5, shown=1.0)
    made = redraw(known, {("ar", "de"): ["sv"]}, MetaSplit(draws=1))
    recommendation = made.recommendations["ar", "de"]
    assert recommendation.weights == {FOUNDATION: 1.0}
    assert "with 2 of them there is too little to try rules on" in recommendation.reason
    assert COMBINED not in made.overall["sv"]
    assert made.overall["sv"][RECOMMENDED].argmax() == made.overall["sv"][FOUNDATION].argmax()


def test_many_rules_that_are_as_good_all_stay():
    known, _ = pool(seed=7, shown=0.0)
    score_C = np.arange(C, dtype=float)
    of_pivots = {pivot: {FOUNDATION: score_C} | {f"rule {n}": score_C for n in range(30)} for pivot in PIVOTS}
    found = recommended.recommend(PIVOTS, of_pivots, known, pool=12, seed=0)
    assert list(found.weights.values()) == pytest.approx([1 / 31] * 31)


def test_the_mean_gain_is_that_of_the_picks():
    right_C = np.array([0.1, 0.2, 0.3, 0.4])
    pool_RC = np.array([[0, 1], [2, 3], [1, 3]])
    score_C = np.array([5.0, 1.0, 4.0, np.nan])
    assert mean_gain(score_C, right_C, pool_RC) == pytest.approx(z_scores(right_C)[[0, 2, 1]].mean())
