"""What the ranker's inputs are worth is told from one pool, and leaves its own rankings alone."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from lms_ray.choosing.ablations import ablate, by_features, by_language_vector
from lms_ray.choosing.grid import choose, fit_fast
from lms_ray.choosing.split import divide
from lms_ray.settings import languages
from lms_ray.settings.choosing import MetaSplit, Ranker
from made_material import LANGUAGES, TARGETS, TARGETS_OF, WANTED_H, C, planted

FAST = Ranker(fit="fast", l2=(0.1, 0.001))
PARTS_DC = [divide(C, MetaSplit(draw=draw), 0) for draw in range(4)]


@pytest.mark.parametrize(
    ("shown_in", "ordered_by"), [("source", {"source", "fusion"}), ("target", {"pivot", "target", "fusion"})]
)
def test_table_5_orders_the_pool_where_the_text_shows_it(shown_in: str, ordered_by: set[str]):
    material, trait_CH = planted(FAST, shown_in)
    scores = ablate(material, by_features(FAST), TARGETS_OF, PARTS_DC)
    assert list(scores) == ["source", "pivot", "target", "fusion"]
    for name, of_target in scores.items():
        assert list(of_target) == list(TARGETS)
        assert of_target["nl"].shape == (len(PARTS_DC), C)
        taus = [
            kendalltau(score_C[part_C == "test"], (trait_CH @ WANTED_H)[part_C == "test"]).statistic
            for score_C, part_C in zip(of_target["nl"], PARTS_DC, strict=True)
        ]
        assert (np.mean(taus) > 0.5) == (name in ordered_by), (name, taus)


def test_a_variant_is_the_ranking_that_its_settings_would_give():
    """Whatever the fit and the vectors of the experiment itself are."""
    material, _ = planted(Ranker(language_vector="none"), "target")
    scores = ablate(material, by_language_vector(FAST), TARGETS_OF, PARTS_DC)
    assert list(scores) == ["learned", "syntax_knn", "none"]
    for kind, of_target in scores.items():
        settings = FAST.model_copy(update={"language_vector": kind})
        vector_GV = languages.vectors(LANGUAGES, kind)
        given = replace(material, settings=settings, vector_GV=vector_GV, part_C=PARTS_DC[2])
        fitted = fit_fast(given, TARGETS_OF, "cpu")
        (point,) = choose({point: one.record["kendall_tau"] for point, one in fitted.items()})
        np.testing.assert_array_equal(of_target["pt"][2], fitted[point].scores["pt"])
