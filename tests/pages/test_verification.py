"""The table of a verification leads with the rules to use, and says what it left out."""

from lms_ray.pages.verification import verification_caption, verification_table
from lms_ray.store.verified import Verified


def row(rule: str, **values) -> Verified:
    given = {"candidate": "c", "score": 0.5, "delta": 0.0, "low": -0.01, "high": 0.02, "p_value": 0.5, "regret": 0.1}
    return Verified(**{"rule": rule, "rank": 2.0, "kendall_tau": 0.25, **given, **values})


def test_rules_for_use_come_first_and_what_is_no_rule_last():
    random = row("Random", candidate=None, low=None, high=None, p_value=None, kendall_tau=None, rank=12.5)
    rows = [
        row("En-Dev"),
        row("LMS"),
        row("Recommended", delta=0.0123, stated_better=0.8, stated_regret=0.04),
        random,
        row("Best", kendall_tau=None),
    ]
    table = verification_table([*rows, row("Vote")], for_use=("Recommended", "LMS", "En-Dev"))
    assert [[cells[0] for cells in group] for group in table.groups] == [
        ["Recommended", "LMS", "En-Dev"], ["Vote"], ["Random", "Best"],
    ]  # fmt: skip
    assert table.groups[0][0][1:] == [
        *("c", "50.0", "+1.2", "[-1.0, +2.0]", "80%", "0.5000", "10.0", "4.0", "2", "+0.25")
    ]
    assert table.groups[2][0][1:] == [*("mean over all", "50.0", "+0.0", "-", "-", "-", "10.0", "-", "12.5", "-")]


def test_candidates_that_are_left_out_are_named():
    whole = verification_caption("da", "accuracy", 60, 24, [])
    assert whole.startswith("da: accuracy in percent on 60 labelled examples, the picks for use from 24 candidates. ")
    some = verification_caption("da", "accuracy", 60, 18, [f"c{number}" for number in range(6)])
    assert "left out are 6, whose weights were not kept: c0, c1, c2, c3, ..." in some
