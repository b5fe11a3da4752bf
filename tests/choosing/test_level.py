"""How good candidates are in a language without labels, from their agreement: planted, and with nothing to tell."""

from dataclasses import replace

import numpy as np
import pytest

from lms_ray.choosing.evidence import SOURCE, Known
from lms_ray.choosing.level import Level, beyond_chance, level, sampling_error
from lms_ray.choosing.material import Material
from lms_ray.choosing.signals import Observed
from lms_ray.settings.choosing import Ranker

C, U, K = 20, 3000, 4


def labels(knowing: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels of candidates that know each unit's right one with some probability and guess else; and the right ones."""
    right_U = rng.integers(0, K, U)
    knows_CU = rng.random((C, U)) < knowing
    return np.where(knows_CU, right_U, rng.integers(0, K, (C, U))), right_U


def test_agreement_is_counted_beyond_what_label_shares_make():
    rng = np.random.default_rng(0)
    assert beyond_chance(labels(0.0, rng)[0]) == pytest.approx(0, abs=0.01)
    assert beyond_chance(labels(0.5, rng)[0]) == pytest.approx(0.25, abs=0.02)  # both know: a half of a half
    assert beyond_chance(labels(1.0, rng)[0]) == pytest.approx(1)
    often_CU = (rng.random((C, U)) < 0.9).astype(int)  # nine in ten alike, by chance alone
    assert beyond_chance(often_CU) == pytest.approx(0, abs=0.01)
    assert beyond_chance(np.ones((C, U), int)) == 0


def test_the_level_of_a_language_without_labels_is_told_from_those_whose_labels_are_known():
    rng = np.random.default_rng(1)
    made = {knowing: labels(knowing, rng) for knowing in (0.1, 0.25, 0.3, 0.45, 0.7, 0.9)}
    agreement = {knowing: beyond_chance(label_CU) for knowing, (label_CU, _) in made.items()}
    score = {knowing: float((label_CU == right_U).mean()) - 0.25 for knowing, (label_CU, right_U) in made.items()}
    known = [0.1, 0.25, 0.45, 0.9]
    for asked in (0.3, 0.7):
        told = level(*(np.array([of[one] for one in known]) for of in (agreement, score)), 0.01, agreement[asked])
        assert told is not None and told.freedom == 2
        assert abs(told.expected - score[asked]) < 2.5 * told.error
        assert told.error > 0.01  # the examples' own


def test_without_enough_languages_or_with_equal_agreement_nothing_is_told():
    three, four = np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.1, 0.1, 0.1])
    assert level(three, three, 0.0, 0.2) is None
    assert level(four, np.arange(4.0), 0.0, 0.2) is None


def test_draws_are_of_students_t_around_what_is_expected():
    drawn = Level(0.1, 0.05, 30).draws(4000, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(0.1, abs=0.01)
    assert drawn.std() == pytest.approx(0.05, rel=0.15)


def test_the_sampling_error_is_that_of_examples_which_are_hard_for_all():
    rng = np.random.default_rng(2)
    hard_E = rng.random(400) < 0.5
    right_CES = np.stack([np.tile(hard_E, (C, 1)), np.ones((C, 400))], axis=2).astype(float)
    assert sampling_error(right_CES, ratio, 0) == pytest.approx(0.5 / 20, rel=0.3)
    alone_CES = np.stack([rng.random((C, 400)) < 0.5, np.ones((C, 400))], axis=2).astype(float)
    assert sampling_error(alone_CES, ratio, 0) < 0.5 / 20 / 3


def ratio(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def test_only_a_task_with_an_answer_that_needs_no_model_has_a_level():
    rng = np.random.default_rng(3)
    spoken = ("de", "es", "fr", "it", "nl")
    knowing = dict(zip((*spoken, "en"), (0.2, 0.3, 0.4, 0.5, 0.35, 0.9), strict=True))
    made = {code: labels(share, rng) for code, share in knowing.items()}
    score = {code: (label_CU == right_U).mean(1) for code, (label_CU, right_U) in made.items()}
    material = Material(
        settings=Ranker(fit="fast", language_vector="none"), seed=0, candidates=tuple(map(str, range(C))),
        part_C=np.full(C, "test"), languages=spoken, feature_CGH=rng.normal(size=(C, 5, 3)), vector_GV=None,
        pivots=spoken[:4], pivot_score_CP=np.stack([score[code] for code in spoken[:4]], axis=1),
    )  # fmt: skip
    observed = Observed(
        spoken, {}, {code: made[code][0] for code in spoken}, {}, np.empty((C, 0)), np.empty(C), made["en"][0]
    )
    known = Known(material, score["en"], np.arange(C), observed)
    assert known.level("nl", spoken[:4]) is None
    settings = {"without_model": dict.fromkeys((SOURCE, *spoken), 0.25), "sampling_error": dict.fromkeys(spoken, 0.01)}
    told = replace(known, **settings).level("nl", spoken[:4])
    assert told is not None
    assert told.expected == pytest.approx(score["nl"].mean() - 0.25, abs=3 * told.error)
