"""Points of the curves are made as an experiment of that size would make them."""

import numpy as np
import pandas as pd
import pytest

from lms_ray.choosing.curves import LABELS, REPEATS, SAMPLES, Point, by_labels, picks, points
from lms_ray.choosing.evidence import Known, z_scores
from lms_ray.choosing.signals import Observed
from lms_ray.pages.curves import curves_table, labels_needed
from lms_ray.settings.choosing import MetaSplit, Ranker
from made_material import PIVOTS, TARGETS, TARGETS_OF, C, planted

RULES = ("Recommended", "LMS", "All-Pivot z", "En-Dev")


@pytest.fixture(scope="module")
def known() -> Known:
    material, _ = planted(Ranker(fit="fast", l2=(0.1,)), "target")
    return Known(material, np.arange(C) / C, np.arange(C) % 4, Observed((), {}, {}, {}, np.empty((C, 0)), np.empty(C)))


def test_each_curve_ends_with_the_whole_experiment():
    found = points(MetaSplit(), candidates=96, pivots=4, beginnings=(25, 100, 1000), examples=200, labels=60)
    for curve, sizes in (("candidates", {12, 24, 48, 96}), ("pivots", {1, 2, 3, 4})):
        assert {point.size for point in found if point.curve == curve} == sizes
    assert [point.size for point in found if point.curve == "sentences"] == [25, 100, 200]
    assert [point.size for point in found if point.curve == "labels"] == [*(k for k in LABELS if k < 60), 60]
    assert sum(point.curve == "candidates" for point in found) == 3 * REPEATS + 1
    assert len({point.name for point in found}) == len(found)
    uneven = points(MetaSplit(train=0.8, dev=0.1, test=0.1), 96, 4, (25,), 25, 60)
    assert {point.size for point in uneven if point.curve == "candidates"} == {24, 48, 96}
    assert not [
        point for point in points(MetaSplit(), 12, 4, (25,), 25, 60) if point.curve == "candidates" and point.size < 8
    ]


def test_fewer_candidates_are_picked_from_and_en_dev_takes_the_best_of_these(known: Known):
    picked = []
    for size in (20, 40):
        point = Point("candidates", size, repeat=1)
        taken = point.rng(0).permutation(C)[:size]
        found = picks(point, known, TARGETS_OF, MetaSplit(), RULES)
        assert set(found) == set(TARGETS)
        assert {candidate for of_rules in found.values() for candidate in of_rules.values()} <= set(taken.tolist())
        assert {of_rules["En-Dev"] for of_rules in found.values()} == {taken.max()}  # scores rise with the number
        picked.append(set(taken.tolist()))
    assert picked[0] < picked[1]  # smaller sets are the beginnings of larger ones


def test_fewer_pivots_are_looked_at(known: Known):
    """With one pivot All-Pivot takes the best on it."""
    point = Point("pivots", 1, repeat=2)
    (place,) = point.rng(known.material.seed).permutation(len(PIVOTS))[:1]
    found = picks(point, known, TARGETS_OF, MetaSplit(), ("All-Pivot z",))
    best = int(known.pivot_scores([PIVOTS[place]])[:, 0].argmax())
    assert {of_rules["All-Pivot z"] for of_rules in found.values()} == {best}


def test_a_target_that_is_a_pivot_has_as_many_others(known: Known):
    left_out = PIVOTS[0]
    others = tuple(pivot for pivot in PIVOTS if pivot != left_out)
    whole = picks(Point("pivots", len(others), 0), known, {others: ["nl"]}, MetaSplit(), ("All-Pivot z",))
    best = z_scores(known.pivot_scores(others)).mean(1).argmax()
    assert whole["nl"]["All-Pivot z"] == best


def test_what_is_observed_of_some_candidates_is_theirs():
    rng = np.random.default_rng(0)
    seen, labels = {"confidence": rng.random((5, 1))}, {"nl": rng.integers(0, 3, (5, 7))}
    observed = Observed(("nl",), seen, labels, {}, rng.random((5, 4)), rng.random(5))
    few = observed.of(np.array([3, 1]))
    assert np.array_equal(few.seen["confidence"], observed.seen["confidence"][[3, 1]])
    assert np.array_equal(few.label_CU["nl"], observed.label_CU["nl"][[3, 1]])
    assert np.array_equal(few.source_right_C, observed.source_right_C[[3, 1]])


def test_more_labels_of_the_target_pick_better():
    rng = np.random.default_rng(0)
    quality_C = np.linspace(0.3, 0.7, 30)
    right_CE = rng.random((30, 400)) < quality_C[:, None]
    statistics_CES = np.stack([right_CE, np.ones_like(right_CE)], axis=2).astype(float)
    few, many = (list(by_labels(Point("labels", size), "fr", statistics_CES, ratio, 0)) for size in (5, 200))
    assert len(few) == len(many) == SAMPLES
    regrets = [quality_C.max() - quality_C[picked].mean() for picked in (few, many)]
    assert regrets[1] < 0.5 * regrets[0]
    assert len(list(by_labels(Point("labels", 400), "fr", statistics_CES, ratio, 0))) == 1  # there is one such sample


def ratio(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


ROWS = [
    ("candidates", 8, "Recommended", 0.05), ("candidates", 16, "Recommended", 0.02), ("candidates", 16, "LMS", 0.04),
    ("labels", 5, "k-Target", 0.06), ("labels", 25, "k-Target", 0.03), ("labels", 50, "k-Target", 0.02),
]  # fmt: skip


def test_the_table_has_a_row_for_each_size_and_says_how_many_labels_a_pick_is_worth():
    rows = pd.DataFrame(ROWS, columns=["curve", "size", "rule", "regret"]).assign(repeat=0, target="fr")
    more = rows.assign(target="de", regret=rows["regret"] + 0.01)
    table = curves_table(pd.concat([rows, more]))
    assert table.header == ["Of", "Number", "Recommended", "LMS", "k-Target"]
    assert table.groups[0] == [["candidates", "8", "5.50", "-", "-"], ["candidates", "16", "2.50", "4.50", "-"]]
    said = labels_needed(rows)
    assert "have a mean regret of 2.00 points" in said
    assert said.endswith("picks by labels of the target itself reach that with 50 labelled examples.")
    fewer = rows[rows["size"] != 50]
    assert labels_needed(fewer).endswith("picks by 25 labelled examples of each target do not reach that.")
