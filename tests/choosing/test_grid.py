"""Which rankers are fitted, and what is kept of each."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from lms_ray.choosing.grid import Point, choose, fit_fast, fit_point, points
from lms_ray.choosing.material import Material
from lms_ray.choosing.split import divide
from lms_ray.settings.choosing import MetaSplit, Ranker
from lms_ray.store import rankings

C, H, V = 40, 8, 6
PIVOTS, LANGUAGES = ("ar", "de", "es"), ("ar", "de", "es", "nl", "pt")
SETS = {PIVOTS: ["nl", "pt"], ("ar", "es"): ["de"]}
PAPER = Ranker(hidden=16, batch_size=(32, 16), learning_rate=(1e-2, 1e-3), epochs=2, seeds=2)


def material(settings: Ranker) -> Material:
    """Candidates that are good where their feature points to one side, in every language."""
    rng = np.random.default_rng(0)
    feature_CGH = (rng.normal(size=(C, 1, H)) + 0.3 * rng.normal(size=(C, len(LANGUAGES), H))).astype(np.float32)
    score_CP = feature_CGH[:, :3] @ rng.normal(size=H)
    names, part_C = tuple(f"c{number}" for number in range(C)), divide(C, MetaSplit(), 0)
    vector_GV = rng.normal(size=(len(LANGUAGES), V))
    return Material(settings, 0, names, part_C, LANGUAGES, feature_CGH, vector_GV, PIVOTS, score_CP)


def test_a_record_says_which_fit_it_is_of_and_has_every_column_of_the_validation():
    fast = fit_fast(material(Ranker(fit="fast")), SETS, "cpu")
    paper = fit_point(points(PAPER, [PIVOTS])[0], ["nl"], material(PAPER), "cpu")
    for fitted, fit, axes in (
        (next(iter(fast.values())), "fast", {"l2"}),
        (paper, "paper", {"batch_size", "learning_rate"}),
    ):
        assert set(rankings.POINT) <= fitted.record.keys()
        assert fitted.record["fit"] == fit
        assert {axis for axis in ("l2", "batch_size", "learning_rate") if fitted.record[axis] is not None} == axes


def test_the_fast_grid_is_fitted_whole():
    given = material(Ranker(fit="fast", l2=(0.1, 1e-4)))
    fitted = fit_fast(given, SETS, "cpu")
    assert [point.name for point in fitted] == [
        "ar-de-es-l2-0.1", "ar-de-es-l2-0.0001", "ar-es-l2-0.1", "ar-es-l2-0.0001"
    ]  # fmt: skip
    assert list(fitted) == points(given.settings, list(SETS))
    for point, one in fitted.items():
        assert list(one.scores) == SETS[point.pivots]
        assert one.record["kendall_tau"] > 0.5
        weight_HV = safetensors.numpy.load(one.weights)["weight"]
        vector_V = given.vector_GV[3] / np.linalg.norm(given.vector_GV[3])
        if "nl" in one.scores:  # what is kept is all that other candidates need
            np.testing.assert_allclose(one.scores["nl"], given.feature_CGH[:, 3] @ weight_HV @ np.append(vector_V, 1))


def test_a_pivot_left_out_teaches_nothing():
    given = material(Ranker(fit="fast"))
    score_CP, feature_CGH = given.pivot_score_CP.copy(), given.feature_CGH.copy()
    score_CP[:, 1] = -score_CP[:, 1]
    feature_CGH[:, 3:] += 1  # nor do other targets
    changed = fit_fast(replace(given, pivot_score_CP=score_CP, feature_CGH=feature_CGH), SETS, "cpu")
    for point, one in fit_fast(given, SETS, "cpu").items():
        assert (one.weights == changed[point].weights) == (point.pivots == ("ar", "es"))


def test_the_best_mean_over_seeds_is_chosen_for_each_set_of_pivots():
    grid = points(PAPER, list(SETS))
    tau = {point: 0.1 * (point.batch_size == 16) * (point.seed + 1) for point in grid}
    assert choose(tau) == [Point(pivots, 16, 1e-2, seed=seed) for pivots in SETS for seed in range(2)]
    fast = points(Ranker(fit="fast"), [PIVOTS])
    assert choose(dict.fromkeys(fast, 0.5)) == fast[:1], "the first wins a tie"


@pytest.mark.parametrize("settings", [PAPER, Ranker(fit="fast")], ids=lambda settings: settings.fit)
def test_the_settings_count_the_rankers(settings: Ranker):
    assert len(points(settings, list(SETS))) == len(SETS) * settings.grid_points
    names = [point.name for point in points(settings, list(SETS))]
    assert len(set(names)) == len(names)
