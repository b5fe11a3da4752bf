"""Why a candidate is to be used: what came close, which rules pick it, and how the rules did on the pivots."""

import pandas as pd

from lms_ray.pages.answer import answers
from lms_ray.pages.candidates import candidate_table, facts
from lms_ray.pages.rivals import pivot_tables, rivals
from lms_ray.store import deployment
from made_picks import experiment

TOLD = {"better_than_average": 0.93, "regret": 0.012}
PICKS = pd.DataFrame(
    [
        {"target": "fr", "rule": "En-Dev", "candidate": "e", "followed": False, **TOLD, "better_than_average": 0.4},
        {"target": "fr", "rule": "Vote", "candidate": "a", "followed": False, **TOLD},
        {"target": "fr", "rule": "Recommended", "candidate": "a", "followed": True, **TOLD},
        {"target": "zu", "rule": "En-Dev", "candidate": "e", "followed": True},
    ],
    columns=deployment.SCHEMA.names,
)
SCORES = pd.DataFrame(
    [
        *(("fr", "Recommended", name, score) for name, score in zip("abcde", (4.0, 3.0, 2.0, 1.0, 0.0), strict=True)),
        *(("fr", "En-Dev", name, 0.5) for name in "abcde"),
        *(("zu", "En-Dev", name, score) for name, score in (("d", 0.1), ("e", 0.1))),
    ],
    columns=["target", "rule", "candidate", "score"],
)


def test_the_next_by_the_rule_and_the_picks_of_others_stand_beside_the_pick():
    found = rivals(PICKS, SCORES)["fr"]
    assert found.said == (
        "2 of 3 rules pick it. Next by Recommended, with how many standard deviations of its scores they are behind: "
        "b (0.71), c (1.41), d (2.12)."
    )
    assert found.table.groups == [
        [
            ["a", "1", "0.00", "93%", "1.2", "Vote, Recommended"],
            ["b", "2", "0.71", "-", "-", "-"],
            ["c", "3", "1.41", "-", "-", "-"],
            ["d", "4", "2.12", "-", "-", "-"],
            ["e", "5", "2.83", "40%", "1.2", "En-Dev"],
        ]
    ]


def test_where_all_have_one_score_none_is_behind():
    found = rivals(PICKS, SCORES)["zu"]
    assert found.said.endswith("they are behind: d (0.00).")
    assert found.table.groups == [[["d", "1", "0.00", "-", "-", "-"], ["e", "1", "0.00", "-", "-", "En-Dev"]]]


def test_a_candidate_that_the_followed_rule_never_scored_has_no_place():
    unscored = SCORES[(SCORES["candidate"] != "e") | (SCORES["target"] == "zu")]
    assert rivals(PICKS, unscored)["fr"].table.groups[0][-1] == ["e", "-", "-", "40%", "1.2", "En-Dev"]


def test_the_rules_that_count_are_held_against_each_other_for_each_set_of_pivots():
    tried = pd.DataFrame(
        [
            ("de,zh", "En-Dev", 0.0, [-0.5, 0.1], "both were tried"),
            ("de,zh", "Vote", 0.75, [0.9, 0.7], "both were tried"),
            ("de,zh", "Entropy", 0.0, [0.1, 0.1], "both were tried"),
            ("zh", "All-Pivot z", 1.0, [], "one is too few"),
        ],
        columns=["pivots", "rule", "weight", "gains", "reason"],
    )
    many, few = pivot_tables(tried[::-1], experiment(("de", "sv", "hu")))
    assert (many.names, many.targets, many.reason) == (["de", "zh"], ["sv", "hu"], "both were tried")
    assert many.table and many.table.header == ["Rule", "Weight", "Mean", "de", "zh"]
    assert many.table.groups == [
        [["Vote", "75%", "+0.80", "+0.90", "+0.70"], ["En-Dev", "0%", "-0.20", "-0.50", "+0.10"]]
    ]
    assert (few.targets, few.table, few.reason) == (["de"], None, "one is too few")


CANDIDATES = pd.DataFrame({"id": ["a", "b", "e"], "dev_score": [0.912, 0.9, None], "diverged": [False, False, True]})
POOL = pd.DataFrame({"fr": [0.5, 0.7], "zu": [0.4, 0.4]}, index=["a", "b"])


def test_every_candidate_has_a_row_and_a_line():
    use = answers(PICKS, dict.fromkeys("ae"), "/runs/pos")
    table = candidate_table(CANDIDATES, use, POOL, "en")
    assert table.header == ["Candidate", "en dev", "Mean over targets", "Place in pool", "To use for"]
    assert table.groups == [
        [
            ["a", "91.2", "45.0", "2", "1 target"],
            ["b", "90.0", "55.0", "1", "0 targets"],
            ["e", "-", "-", "-", "1 target"],
        ]
    ]
    assert list(facts(CANDIDATES, use, POOL, "en").items()) == [
        ("a", "en dev 91.2; test 45.0 on the mean over the targets, number 2 of 2 in the pool; to use for fr"),
        ("b", "en dev 90.0; test 55.0 on the mean over the targets, number 1 of 2 in the pool"),
        ("e", "diverged; not in the pool of this draw; to use for zu"),
    ]
    assert candidate_table(CANDIDATES, use, None, "en").header == ["Candidate", "en dev", "To use for"]
    assert facts(CANDIDATES, use, None, "en")["b"] == "en dev 90.0"
