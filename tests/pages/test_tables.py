"""Tables say what the picks say: right numbers and marks, plain words when LMS loses, names as they are."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from lms_ray.pages import tables
from made_picks import HAND_MADE, experiment


def test_scores_marks_and_means():
    table = tables.score_table(HAND_MADE)
    targets, means = table.groups
    assert table.header == [
        "Target", "En-Dev", "Pivot-Dev", "LMS", "Random", "100-Target", "All-Target (#examples)", "Best",
    ]  # fmt: skip
    assert targets[0] == ["sv", "50.0", "54.0* (de)", "47.0*", "49.0", "52.0", "60.0* (912)", "90.0*"]
    assert targets[1] == ["hu", "50.0", "50.0 (zh)", "52.0", "49.0", "52.0", "52.0 (80)", "90.0*"]
    lms = {row[0]: row[3] for row in means}
    assert lms == {
        "mean score": "49.5",
        "mean Δ to En-Dev": "-0.5",
        "mean regret": "40.5",
        "mean rank in pool": "3.5",
    }
    assert means[1][1] == "+0.0"


def test_terminal_and_markdown_show_the_same_cells():
    table = tables.score_table(HAND_MADE)
    cells = [cell for group in table.groups for row in group for cell in row]
    for shown in (table.to_text(), table.to_markdown().replace("\\*", "*")):
        assert re.findall(r"\d+\.\d\*? \(\w+\)", shown) == [cell for cell in cells if "(" in cell]
        assert all(cell in shown for cell in [*table.header, *cells])
    assert len({line.count("|") for line in table.to_markdown().splitlines()}) == 1


HOSTILE = [
    "a|b", "*x*", "__x__", "<img src=x>", "`x`", "x\\|y", "~~x~~", "&lt;", "$x$ $y$", "[x](http://y)", "![x][y]",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_shows_any_name_as_it_is(name: str):
    table = tables.detail_table([replace(HAND_MADE[0], candidate=name)])
    row = table.to_markdown().splitlines()[2]
    cells = [cell.strip() for cell in re.split(r"(?<!\\)(?:\\\\)*\|", row)]
    assert len(cells) == len(table.header) + 2
    assert not re.search(r"(?<!\\)(?:\\\\)*([*_<`~&$]|\]\()", cells[3]), "something is left to interpret"
    assert re.sub(r"\\(.)", r"\1", cells[3]) == name


def test_a_name_of_two_lines_stays_one_row():
    table = tables.detail_table([replace(HAND_MADE[0], candidate="one\ntwo")])
    assert len(table.to_markdown().splitlines()) == 3


def test_what_is_copied_from_markdown_ends_its_block_nowhere():
    assert tables.fenced(["a_b", "c"]) == "```\na_b\nc\n```"
    assert tables.fenced(["a````b\n```"]) == "`````\na````b ```\n`````"


def test_columns_of_numbers_are_known():
    """These are sorted by their numbers, and any other by its letters."""
    header = ["", "plain", "percent", "p", "star", "words", "interval", "ids", "none", "range", "count"]
    rows = [
        ["1", "3.5", "81%", "<0.001", "+1.2*", "9 lives", "[-1.0, +2.0]", "1-a", "-", "50 to 60 %", "3 targets"],
        ["2", "-", "-", "0.040", "54.0* (de)", "x", "-", "2", "", "90 to 100 %", "0 targets"],
    ]
    names = {header[column] for column in tables.Table(header, [rows]).numeric}
    assert names == {"plain", "percent", "p", "star", "interval", "range", "count"}
    assert tables.Table(header, [[]]).numeric == frozenset()


def test_means_are_no_rows_among_the_others():
    table = tables.score_table(HAND_MADE)
    among, means = table.blocks
    assert ([row[0] for group in among for row in group], len(means[0])) == (["sv", "hu"], 4)
    assert [len(block) for block in tables.detail_table(HAND_MADE).blocks] == [2, 1]


def test_mean_ranks_are_rounded():
    ranks = {(row[0], row[1]): row[-1] for group in tables.detail_table(HAND_MADE).groups for row in group}
    assert (ranks["sv", "LMS"], ranks["average", "LMS"], ranks["average", "En-Dev"]) == ("2", "3.5", "2.5")
    third = [replace(pick, rank=7 / 3) for pick in HAND_MADE]
    assert tables.detail_table(third).groups[-1][0][-1] == "2.3"


def test_a_loss_of_lms_is_said_plainly():
    said = tables.verdict(HAND_MADE)
    assert "better on 1 (0 significantly), equal on 0, worse on 1 (1 significantly)" in said
    assert "LMS loses by 0.50 points to En-Dev, and is 0.50 points above Random" in said


def test_a_tie_is_no_win():
    same = [replace(p, score=0.5, delta=0.0, p_value=1.0) if p.selector == "LMS" else p for p in HAND_MADE]
    said = tables.verdict(same)
    assert "better on 0 (0 significantly), equal on 2, worse on 0" in said
    assert "LMS is level with En-Dev" in said


def test_oracles_are_named_and_what_they_saw():
    few = [replace(p, examples=80) if (p.selector, p.target) == ("100-Target", "hu") else p for p in HAND_MADE]
    said = " ".join(tables.captions(few, experiment(("sv", "hu")), candidates=240, diverged=0, pool=60))
    assert "which see labels of the target: 100-Target, All-Target, Best" in said
    assert "100-Target saw 80 to 100 of them" in said
    assert "240 candidates" in said and "the same 60 of them" in said


def test_each_set_of_pivots_has_its_own_ranker():
    rows = [
        {"pivots": pivots, "batch_size": 16, "learning_rate": 1e-4, "seed": seed, "kendall_tau": tau, "chosen": True}
        for pivots, taus in (("zh", (0.2, 0.4)), ("de,zh", (0.5, 0.7)))
        for seed, tau in enumerate(taus)
    ]
    table = tables.ranker_table(pd.DataFrame(rows), experiment(("de", "sv", "hu")))
    assert table.groups == [
        [
            ["de", "zh", "16", "0.0001", "0.300", "0.300", "0.300"],
            ["sv hu", "de zh", "16", "0.0001", "0.600", "0.600", "0.600"],
        ]
    ]
