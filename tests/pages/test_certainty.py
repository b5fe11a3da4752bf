"""The words of the report on what to use, what to annotate next, and whether it came true."""

import numpy as np
import pandas as pd

from lms_ray.choosing.rules import FOUNDATION
from lms_ray.pages.certainty import calibration_table, came_true, followed, how_sure, in_words, next_labels
from lms_ray.store import deployment

TOLD = {
    "better_than_source": 0.81, "better_than_pivots": 0.64, "better_than_average": 0.93,
    "gain": 0.05, "regret": 0.012, "rank": 3.4,
}  # fmt: skip
ROWS = [
    {"target": "fr", "rule": "En-Dev", "candidate": "e", "followed": False},
    {"target": "fr", "rule": FOUNDATION, "candidate": "p", "followed": False},
    {"target": "fr", "rule": "Recommended", "candidate": "r", "followed": True, **TOLD},
    {"target": "th", "rule": "En-Dev", "candidate": "e", "followed": False},
    {"target": "th", "rule": FOUNDATION, "candidate": "p", "followed": True, **TOLD, "better_than_average": 0.55},
    {"target": "zu", "rule": "En-Dev", "candidate": "e", "followed": False},
    {"target": "zu", "rule": FOUNDATION, "candidate": "e", "followed": True},
]
PICKS = pd.DataFrame(ROWS, columns=deployment.SCHEMA.names)
WORTH = pd.DataFrame(
    [("fr", "fr", 0.012, 0.004), ("it", "fr", 0.012, 0.009), ("th", "fr", 0.012, 0.0119),
     ("fr", "th", 0.030, 0.0299), ("it", "th", 0.030, 0.0298), ("th", "th", 0.030, 0.006)],
    columns=deployment.WORTH_SCHEMA.names,
)  # fmt: skip


def test_each_target_is_told_what_to_use_and_why_and_whose_labels_would_help():
    words = in_words(PICKS, WORTH, candidates=96)
    assert words["fr"] == (
        "Use r (Recommended): it is better than En-Dev's pick with 81%, than that of the pivots' scores alone with "
        "64%, than an average candidate with 93%, and expected to be 5.0 points above an average candidate, 1.2 below "
        "the best one, and number 3 of 96. A pick by fr "
        "labels would have an expected regret of 0.4 points. Of other languages' labels those of it help most (to 0.9)."
    )


def test_a_safer_pick_is_named_where_it_is_told_too():
    told = PICKS.copy()
    told.loc[1, list(TOLD)] = [0.7, None, 0.8, 0.03, 0.02, 6.0]
    words = in_words(told, WORTH, candidates=96)["fr"]
    assert f"Safer, as it rests on less, is p ({FOUNDATION}), of which a regret of 2.0 is expected." in words
    told.loc[1, "better_than_average"] = 0.3
    assert "Safer" not in in_words(told, WORTH, candidates=96)["fr"]


def test_where_nothing_can_be_told_it_says_so_and_what_would_help():
    words = in_words(PICKS, WORTH, candidates=96)
    assert words["th"].startswith("Nothing can be told: ")
    assert "better than an average candidate with 55% only. If one must be taken: p" in words["th"]
    assert words["th"].endswith("A pick by th labels would have an expected regret of 0.6 points.")
    assert how_sure(PICKS)[1]["fr"] == ["81%", "64%", "93%", "1.2", "3"]


def test_a_pick_that_may_be_no_better_than_no_model_says_why():
    doubtful = PICKS.assign(better_than_no_model=[None, None, 0.7, None, 0.9, None, None])
    words = in_words(doubtful.astype({"better_than_no_model": float}), WORTH, candidates=96)
    assert words["fr"].startswith(
        "Nothing can be told: the candidates agree so little more than by chance in this language that the pick is "
        "better than an answer that needs no model with 70% only. If one must be taken: r (Recommended)."
    )
    columns, cells = how_sure(doubtful)
    assert columns == ["P > En-Dev's", "P > pivots'", "P > average", "P > no model", "Regret", "Rank"]
    assert cells["fr"][3] == "70%"
    surer = doubtful.assign(better_than_no_model=0.9)
    assert "than an answer without a model with 90%, and expected" in in_words(surer, WORTH, candidates=96)["fr"]


def test_without_enough_pivots_nothing_is_stated():
    words = in_words(PICKS, WORTH, candidates=96)
    assert words["zu"].startswith(f"Use e ({FOUNDATION}). How sure that is cannot be told: too few pivots tell")
    assert how_sure(PICKS)[1]["zu"] == ["-"] * 5


def test_the_rule_that_is_followed_is_said_and_how_often_nothing_can_be_told():
    gains = {"En-Dev": np.array([-1.0, 0.0]), FOUNDATION: np.array([0.5, 0.7]), "Recommended": np.ones(2)}
    tried = pd.DataFrame({"rule": list(gains), "gains": list(gains.values())})
    said = followed(tried, PICKS)
    assert said.startswith(f"Followed is Recommended for 1 of 3 targets and {FOUNDATION} for 2 of 3 targets")
    assert f"(En-Dev -0.50, {FOUNDATION} +0.60, Recommended +1.00)" in said
    assert "Of 2 targets there are 1 of which nothing can be told" in said


def test_the_language_that_lowers_the_mean_regret_most_is_next():
    assert next_labels(WORTH) == (
        "Annotate it next: its dev set as one more pivot is expected to lower the mean regret over the other targets "
        "from 2.10 to 1.94 points; then fr (by 0.01), th (by 0.01)."
    )
    assert next_labels(WORTH[:1]).startswith("Nothing is told of what to annotate next")
    useless = WORTH.assign(after=WORTH["before"])
    assert next_labels(useless) == "No other language's labels would lower the mean expected regret of 3.0 points."
    assert next_labels(WORTH[:0]).startswith("Nothing is told of what to annotate next")


def test_statements_are_held_against_what_happened_bin_by_bin():
    rows = [
        ("better_than_source", stated, float(number % 10 < 10 * stated))
        for stated in (0.55, 0.95)
        for number in range(20)
    ]
    rows += [("regret", 0.02, 0.03), ("rank", 4.0, 5.0)]
    outcomes = pd.DataFrame(rows, columns=["statement", "stated", "happened"]).assign(rule="Recommended")
    other = outcomes.assign(rule="LMS", happened=0.0)
    table = calibration_table(pd.concat([outcomes, other]), ["Recommended"])
    assert table.groups == [
        [["better than En-Dev's pick", "50 to 60 %", "20", "55%", "60%"],
         ["better than En-Dev's pick", "90 to 100 %", "20", "95%", "100%"]],
        [["points below the best candidate", "any", "1", "2.00", "3.00"], ["rank", "any", "1", "4.00", "5.00"]],
    ]  # fmt: skip
    assert came_true(outcomes, "Recommended").startswith(
        "What was stated with 80% or more, 95% on the mean, happened in 100%"
    )
    assert came_true(outcomes[:1], "Recommended") == "Nothing was stated with 80% or more."
    assert calibration_table(outcomes[:0], ["Recommended"]).groups == [[]]
