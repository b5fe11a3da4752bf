"""The paper's numbers are read as they are printed, and a broken file is refused in one line that says where."""

import json
from pathlib import Path

import pytest

from lms_ray.pages.paper import printed
from lms_ray.settings.errors import ConfigError
from made_paper import contents, methods, paper_file, scores


def test_each_number_is_found_by_table_task_language_and_selector(tmp_path: Path):
    paper = printed.read(str(paper_file(tmp_path)))
    sv = paper.scores[3]["POS", "sv"]
    assert (sv["LMS"].score, sv["LMS"].is_significant, sv["Pivot-Dev"].is_significant) == (11.0, True, False)
    assert (sv["Pivot-Dev"].pivot, sv["All-Target"].examples, sv["Reference"].score) == ("de", 777, 9.0)
    assert "Reference" not in paper.scores[3]["POS", "fa"]
    assert paper.scores[9]["POS", "sv"]["LMS"].deviation == 0.25
    assert paper.scores[8]["ARL", "zh"]["LMS"].score == 47.0
    assert paper.scores[10]["RE", "ar"]["mBERT"].score == 61.0
    assert paper.references(10) == ["GCNReImp", "mBERT"]
    assert paper.deltas[3]["POS"]["LMS"] == 1.3
    assert paper.variants[5]["POS"]["Fusion"] == 25.0
    assert paper.variants[11]["RE"]["multi-task"] == 23.5


def test_footnotes_name_what_does_not_agree_and_nothing_else(tmp_path: Path):
    paper = printed.read(str(paper_file(tmp_path)))
    assert paper.footnotes == {
        1: ["Table 1 lists <i>vi</i>; Table 3 does not."],
        3: [
            "POS, LMS: the printed mean is 1.3, the mean of the printed rows 1.",
            "Table 1 lists <i>vi</i>; Table 3 does not.",
        ],
        5: ["[Eng]: the printed mean is 32, the mean of the printed rows 31.2."],
        9: ["LMS minus Pivot-Dev: the text says 0.7 on the mean, the mean of the printed rows is 0.5."],
    }
    assert paper.remarks == ["Some sets are small."]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"table3": [scores("POS", "sv", 10.0, lms="x")]}, r"table3\[0\]\.lms: found 'x'; accepted is a valid number"),
        ({"table3": [scores("POS", "sv", float("nan"))]}, r"table3\[0\]\.\w+: found nan; accepted is a finite number"),
        ({"table3": [{"task": "POS"}]}, r"table3\[0\]\.lang: not there; .*\(and 10 more\)"),
        ({"table9": [scores("POS", "sv", 10.0)] * 2}, "table9: found POS sv twice; accepted is one row for each"),
        ({"table10": methods(("LMS", "LMS"), 1.0)}, "table10: found LMS twice; accepted is one row for each"),
        ({"table11": 3}, "table11: found 3; accepted is a valid array"),
    ],
)
def test_what_is_broken_is_said_with_its_place(tmp_path: Path, changes: dict, said: str):
    with pytest.raises(ConfigError, match=rf"^--paper: \S+paper\.json: {said}") as refused:
        printed.read(str(paper_file(tmp_path, **changes)))
    assert "\n" not in str(refused.value)


def test_a_table_that_is_missing_is_named(tmp_path: Path):
    path = tmp_path / "paper.json"
    path.write_text(json.dumps({key: value for key, value in contents().items() if key != "table6"}))
    with pytest.raises(ConfigError, match="table6: not there; accepted are files that have it"):
        printed.read(str(path))


@pytest.mark.parametrize("content", ["", "{", "no json", "[1]"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "paper.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"^--paper: \S+paper\.json: (no JSON|found \[1\]).*accepted is") as refused:
        printed.read(str(path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["none.json", ".", "a\0b"])
def test_no_such_file(tmp_path: Path, name: str):
    with pytest.raises(ConfigError, match=r"^--paper: found no file .*; accepted is a JSON file"):
        printed.read(str(tmp_path / name))


@pytest.mark.real
def test_the_paper_s_own_file_is_read_whole(shared: Path):
    path = shared / "paper_tables.json"
    paper, raw = printed.read(str(path)), json.loads(path.read_text())
    assert {number: len(rows) for number, rows in paper.scores.items()} == {3: 37, 4: 10, 8: 4, 9: 12, 10: 4}
    for key, number in (("table3", 3), ("table4", 4), ("table9", 9)):
        for row in raw[key]:
            found = paper.scores[number][row["task"], row["lang"]]
            assert [found[name].score for name in printed.COLUMN_OF] == [
                row[column] for column in printed.COLUMN_OF.values()
            ]
    for key, number in (("table8_extra", 8), ("table10", 10)):
        for row in raw[key]:
            assert paper.scores[number]["ARL", "ar"][row["method"]].score == row["arl_ar"]
            assert paper.scores[number]["RE", "zh"][row["method"]].score == row["re_zh"]
    said = [note for notes in paper.footnotes.values() for note in notes] + list(paper.remarks)
    assert set(raw["anomalies"]) <= set(said), "no inconsistency is lost"
    inconsistent = [row for of in ("table3", "table4") for row in raw["consistency"][of] if not row["within_rounding"]]
    assert len([note for table in (3, 4) for note in paper.footnotes[table] if "the printed mean is" in note]) == len(
        inconsistent
    )
