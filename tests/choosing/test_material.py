"""Each variant of the ranker learns from what it is shown, and from nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from lms_ray.choosing.grid import choose, fit_fast, fit_point, load, points, scores
from lms_ray.choosing.material import Material
from lms_ray.settings.choosing import Ranker
from made_material import (
    ELSEWHERE_H,
    LANGUAGES,
    PIVOTS,
    TARGETS,
    TARGETS_OF,
    WANTED_H,
    C,
    H,
    auxiliary,
    planted,
)  # fmt: skip

FAST = Ranker(fit="fast")
PAPER = Ranker(hidden=32, batch_size=(32,), learning_rate=(3e-3,), epochs=6)
FITS = pytest.mark.parametrize("settings", [FAST, PAPER], ids=lambda settings: settings.fit)


def of_target(material: Material) -> np.ndarray:
    """The chosen ranker's scores of all candidates for the first target."""
    if material.settings.fit == "fast":
        fitted = fit_fast(material, TARGETS_OF, "cpu")
    else:
        fitted = {point: fit_point(point, TARGETS, material, "cpu") for point in points(material.settings, [PIVOTS])}
    (point,) = choose({point: one.record["kendall_tau"] for point, one in fitted.items()})
    return fitted[point].scores[TARGETS[0]]


def tau(material: Material, trait_CH: np.ndarray, wanted_H: np.ndarray = WANTED_H) -> float:
    """How well the pool is ordered for the first target, where these traits are good."""
    held_out_C = material.part_C == "test"
    return kendalltau(of_target(material)[held_out_C], trait_CH[held_out_C] @ wanted_H).statistic


@FITS
@pytest.mark.parametrize("vector", ["learned", "none"])
@pytest.mark.parametrize(
    ("shown_in", "finds", "does_not"),
    [
        ("source", [("source",), ("source", "target"), ("source", "pivot", "target")], [("target",), ("pivot",)]),
        ("pivot", [("pivot",), ("pivot", "source")], [("source",)]),
        ("target", [("target",), ("target", "source")], [("source",)]),
    ],
)
def test_a_signal_is_found_where_it_is_shown(settings: Ranker, vector: str, shown_in: str, finds, does_not):
    for features in [*finds, *does_not]:
        wanted = settings.model_copy(update={"features": features, "language_vector": vector})
        found = tau(*planted(wanted, shown_in))
        assert found > 0.5 if features in finds else abs(found) < 0.35, (features, found)


@FITS
@pytest.mark.parametrize("features", [("source",), ("pivot",), ("target",), ("source", "pivot", "target")])
def test_nothing_is_learned_from_noise(settings: Ranker, features):
    wanted = settings.model_copy(update={"features": features})
    found = [tau(*planted(wanted, None, seed)) for seed in range(6)]
    assert abs(np.mean(found)) < 0.2, found  # chance: a standard error of 0.06


def test_kinds_of_features_stand_side_by_side():
    material, _ = planted(Ranker(features=("source", "target", "pivot")), "target")
    feature_CGD = material.features(["nl", "ar"], ["ar", "es"])
    assert feature_CGD.shape == (C, 2, 3 * H)
    for column, language in enumerate(["nl", "ar"]):
        source_CH, own_CH, pivot_CH = np.split(feature_CGD[:, column], 3, axis=1)
        np.testing.assert_array_equal(source_CH, material.source_CH)
        np.testing.assert_array_equal(own_CH, material.feature_CGH[:, LANGUAGES.index(language)])
        np.testing.assert_allclose(pivot_CH, (material.feature_CGH[:, 0] + material.feature_CGH[:, 2]) / 2)


@pytest.mark.parametrize("features", [("target",), ("source",), ("pivot",), ("pivot", "target")])
def test_the_text_of_a_pivot_that_is_left_out_describes_nobody(features):
    """Leaving a target out of its own ranker leaves out its text too, but where candidates are ranked for it."""
    material, _ = planted(Ranker(features=features), "target")
    moved_CGH = material.feature_CGH.copy()
    moved_CGH[:, 1] += 1
    moved = replace(material, feature_CGH=moved_CGH)
    for part in ("train", "dev"):
        lesson, other = (given.lesson(("ar", "es"), part) for given in (material, moved))
        np.testing.assert_array_equal(lesson.feature_CPH, other.feature_CPH)


@FITS
@pytest.mark.parametrize("vector", ["learned", "none"])
def test_what_is_kept_scores_as_the_ranker_that_was_fitted(settings: Ranker, vector: str):
    wanted = settings.model_copy(update={"features": ("source", "target"), "language_vector": vector})
    material, _ = planted(wanted, "target")
    point = points(wanted, [PIVOTS])[0]
    fast = settings.fit == "fast"
    fitted = fit_fast(material, TARGETS_OF, "cpu")[point] if fast else fit_point(point, TARGETS, material, "cpu")
    ranker = load(point.fit, fitted.weights)
    assert ranker.width == 2 * H
    for target, score_C in scores(ranker, PIVOTS, TARGETS, material).items():
        np.testing.assert_array_equal(score_C, fitted.scores[target])


@FITS
def test_another_task_teaches_what_is_a_targets_own(settings: Ranker):
    """In the targets other traits are good than in the pivots, for both tasks: only the other one's scores say so."""
    alone, helped = [], []
    for seed in range(3):
        material, trait_CH = planted(settings, "target", seed)
        wanted_GH = np.stack([ELSEWHERE_H if language in TARGETS else WANTED_H for language in LANGUAGES])
        alone.append(tau(material, trait_CH, ELSEWHERE_H))
        taught = replace(material, auxiliary=(auxiliary(material, 60, wanted_GH),))
        helped.append(tau(taught, trait_CH, ELSEWHERE_H))
    assert np.mean(alone) < 0.2 < 0.3 < np.mean(helped), (alone, helped)


@FITS
@pytest.mark.parametrize("vector", ["learned", "none"])
def test_a_task_on_which_the_opposite_is_good_is_told_apart(settings: Ranker, vector: str):
    """Without the task joined to the language vector, the other one's pairs, which are more, would decide."""
    settings = settings.model_copy(update={"language_vector": vector, "epochs": 12})
    material, trait_CH = planted(settings, "target")
    other = auxiliary(material, 60, -np.tile(WANTED_H, (len(LANGUAGES), 1)))
    assert tau(replace(material, auxiliary=(other,)), trait_CH) > 0.4


def test_the_task_is_joined_at_the_length_of_the_language_vector():
    material, _ = planted(FAST, "target")
    wanted_GH = np.tile(WANTED_H, (len(LANGUAGES), 1))
    twelve, nine = auxiliary(material, 12, wanted_GH), auxiliary(material, 9, wanted_GH)
    with_two = replace(material, auxiliary=(twelve, replace(nine, task="re")))
    np.testing.assert_allclose(
        with_two.vector("nl"), [*material.vector_GV[3], np.linalg.norm(material.vector_GV[3]), 0, 0]
    )
    ner, re = with_two.other_lessons(PIVOTS)
    np.testing.assert_allclose(re.language_PV[0], [*material.vector_GV[0], 0, 0, np.linalg.norm(material.vector_GV[0])])
    assert (ner.feature_CPH.shape, re.score_CP.shape) == ((12, 5, H), (9, 5))
    same = replace(material, auxiliary=(twelve, nine))
    assert len(same.vector("nl")) == len(material.vector("nl")) + 2, "two experiments on one task"


def test_the_hash_is_over_all_that_teaches():
    material, _ = planted(FAST, "source")
    other = auxiliary(material, 12, np.tile(WANTED_H, (len(LANGUAGES), 1)))
    others = [
        material,
        replace(material, source_CH=material.source_CH + 1),
        replace(material, settings=Ranker(fit="fast", features=("source",))),
        replace(material, auxiliary=(other,)),
        replace(material, auxiliary=(replace(other, task="re"),)),
        replace(material, auxiliary=(replace(other, score_CG=-other.score_CG),)),
        replace(material, auxiliary=(replace(other, source_CH=-other.source_CH),)),
    ]
    assert len({one.digest for one in others}) == len(others)
    moved = material.settings.model_copy(update={"auxiliary": ("/elsewhere",)})
    assert replace(material, settings=moved).digest == material.digest, "where it lies decides nothing"
