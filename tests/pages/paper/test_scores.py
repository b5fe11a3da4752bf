"""Tables 3, 4, 8, 9 and 10: our numbers and the paper's stand beside each other, each in columns of its own."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from lms_ray.choosing.significance import z_test
from lms_ray.pages.paper import printed, scores, studies
from lms_ray.pages.paper.printed import Paper
from lms_ray.pages.paper.scores import ScoreTable
from lms_ray.pages.paper.studies import Study
from lms_ray.pages.tables import Table
from lms_ray.settings.data import Data
from lms_ray.store import picks
from lms_ray.store.files import Store
from made_paper import paper_file
from made_picks import pick, with_means
from made_studies import ACE, MBERT, XLMR, of_pairs, study

KIND = {kind.number: kind for kind in scores.TABLES}


def read(*stores: Store) -> list[Study]:
    return studies.read_all([store.root for store in stores])


def filled(number: int, found: Sequence[Study], paper: Paper | None) -> tuple[list[dict[str, str]], str]:
    """Rows of a table by their heads, and the notes under it."""
    kind: ScoreTable = KIND[number]
    taken = [one for one in found if kind.takes(one)]
    table = scores.score_table(kind, taken, paper)
    return rows_of(table), "\n".join(scores.notes(kind, taken, paper))


def rows_of(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.header, row, strict=True)) for group in table.groups for row in group]


@pytest.fixture
def paper(tmp_path: Path) -> Paper:
    return printed.read(str(paper_file(tmp_path)))


def test_ours_and_theirs_stand_beside_each_other(tmp_path: Path, paper: Paper):
    rows, notes = filled(3, read(study(tmp_path, encoder=MBERT)), paper)
    sv, hu, mean, shared = rows
    assert (sv["Task"], sv["Experiment"], sv["Target"], sv["Reference (paper)"]) == ("POS", "small", "sv", "9.0")
    assert (sv["LMS (ours)"], sv["LMS (paper)"]) == ("47.0*", "11.0*")
    assert (sv["Pivot-Dev (ours)"], sv["Pivot-Dev (paper)"]) == ("54.0* (de)", "10.5 (de)")
    assert (sv["All-Target (ours)"], sv["All-Target (paper)"]) == ("60.0* (912)", "12.0 (777)")
    assert {cell for head, cell in hu.items() if head.endswith("(paper)")} == {"-"}, "the paper's table has no hu here"
    assert (mean["LMS (ours)"], mean["LMS (paper)"]) == ("-0.5", "+1.3"), "the paper's mean as it is printed"
    assert shared["Target"] == "mean Δ to En-Dev, 1 shared"
    assert (shared["LMS (ours)"], shared["LMS (paper)"]) == ("-3.0", "+1.0")
    assert "paired bootstrap, two-sided; of single targets after Holm" in notes and "** p<0.05, some bootstrap" in notes
    assert f"small ({tmp_path}/small)" in notes and "The paper has fa as well" in notes


@pytest.mark.parametrize("number", [3, 9])
def test_no_column_mixes_ours_and_theirs(tmp_path: Path, paper: Paper, number: int):
    """In these files our numbers are between 46 and 61, the paper's below 21."""
    rows, _ = filled(number, read(study(tmp_path), study(tmp_path, name="other")), paper)
    for row in rows:
        for head, cell in row.items():
            if head in ("Task", "Experiment", "Target") or cell == "-" or row["Target"].startswith("mean"):
                continue
            value = float(re.match(r"[\d.]+", cell)[0])  # type: ignore[index]
            assert value < 21 if head.endswith("(paper)") else value > 46 and head.endswith("(ours)"), (head, cell)


def test_without_the_paper_there_are_only_our_columns(tmp_path: Path):
    rows, notes = filled(3, read(study(tmp_path)), None)
    assert list(rows[0]) == [
        "Task", "Experiment", "Target", "En-Dev", "Pivot-Dev", "LMS", "100-Target", "All-Target"
    ]  # fmt: skip
    assert len(rows) == 3 and "aper" not in notes.replace(str(tmp_path), "")


def test_experiments_of_one_task_have_rows_of_their_own(tmp_path: Path, paper: Paper):
    better = with_means([pick("En-Dev", "sv", 0.5, 1.0), pick("LMS", "sv", 0.6, 0.01)])
    rows, _ = filled(3, read(study(tmp_path / "a"), study(tmp_path / "b", better)), paper)
    lms = {(row["Experiment"], row["Target"]): row["LMS (ours)"] for row in rows}
    assert lms["small (1)", "sv"] == "47.0*" and lms["small (2)", "sv"] == "60.0*"
    assert [row["Pivot-Dev (ours)"] for row in rows if row["Experiment"] == "small (2)"] == ["-"] * 3


def test_further_selectors_have_a_table_of_their_own(tmp_path: Path):
    found = read(study(tmp_path), study(tmp_path, with_means([pick("En-Dev", "fa", 0.5, 1.0)]), name="alone"))
    table = scores.further_table(KIND[3], found)
    assert table
    assert table.header == ["Experiment", "Selector", "sv", "hu", "fa", "mean Δ to En-Dev"]
    assert table.groups == [
        [
            ["small", "Random", "49.0", "49.0", "-", "-1.0"],
            ["small", "Best", "90.0*", "90.0*", "-", "+40.0"],
        ]
    ]
    assert scores.further_table(KIND[3], found[1:]) is None


def test_the_way_of_training_decides_between_tables_3_and_4(tmp_path: Path, paper: Paper):
    found = read(study(tmp_path), study(tmp_path, name="both", train_on="source+pivots"))
    for number, name, theirs in ((3, "small", "11.0*"), (4, "both", "17.0*")):
        rows, _ = filled(number, found, paper)
        assert {row["Experiment"] for row in rows} == {name}
        assert rows[0]["LMS (paper)"] == theirs
    assert filled(4, found, paper)[0][2]["LMS (paper)"] == "+0.9"


def test_the_encoder_decides_between_tables_8_and_10(tmp_path: Path, paper: Paper):
    settings = {"task": "re", "data": ACE, "pivots": ("ar", "zh")}
    found = read(
        study(tmp_path, of_pairs(0.6), name="mbert", encoder=MBERT, **settings),
        study(tmp_path, of_pairs(0.7), name="xlmr", encoder=XLMR, **settings),
    )
    for number, name, ours, theirs in (
        (3, "mbert", "60.0", "-"),
        (8, "mbert", "60.00", "32.00"),
        (10, "xlmr", "70.00", "63.00"),
    ):
        rows, _ = filled(number, found, paper)
        assert {row["Experiment"] for row in rows} == {name}
        assert (rows[0]["Target"], rows[0]["LMS (ours)"], rows[0]["LMS (paper)"]) == ("ar", ours, theirs)
    rows, notes = filled(10, found, paper)
    assert (rows[1]["GCNReImp (paper)"], rows[1]["mBERT (paper)"]) == ("65.00", "66.00")
    assert rows[0]["Pivot-Dev (paper)"] == "-", "the paper's table has none"
    assert "XLM-R candidates" in notes and "It marks nothing here" in notes


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"data": Data(format="hub", hub={"*": {"path": "my/tags"}})}, "not, or not clearly"),
        ({"encoder": XLMR}, "are of mBERT, fine-tuned on source: no number"),
    ],
)
def test_other_data_and_another_encoder_of_the_paper_get_no_number_beside(
    tmp_path: Path, paper: Paper, settings: dict, said: str
):
    rows, notes = filled(3, read(study(tmp_path, **settings)), paper)
    assert {cell for row in rows for head, cell in row.items() if head.endswith("(paper)")} == {"-"}
    assert said in notes


def test_another_encoder_is_said(tmp_path: Path, paper: Paper):
    rows, notes = filled(3, read(study(tmp_path, encoder="small-bert")), paper)
    assert rows[0]["LMS (paper)"] == "11.0*"
    assert "of another encoder (mBERT): compare differences, not scores" in notes


@pytest.mark.parametrize(
    ("task", "data", "name"),
    [
        ("ner", Data(root="x", format="iob", files="conll2002/{lang}.{split}"), "NERCoNLL"),
        ("ner", Data(format="hub", hub={"*": {"path": "unimelb-nlp/wikiann", "name": "{lang}"}}), "NERWikiAnn"),
        ("ner", Data(root="x", format="iob", files={"*": "wikiann/{lang}", "sv": "conll/sv"}), None),
        ("ner", Data(root="x", format="iob", files="{lang}.{split}"), None),
        ("qa", Data(root="x", format="squad", files="MLQA_V1/{split}/{lang}.json"), "QA"),
        ("qa", Data(root="x", format="squad", files="xquad/{lang}.json"), None),
        ("re", Data(root="x", format="jsonl", files="crossre/{lang}-{split}.jsonl"), None),
        ("arl", ACE.model_copy(update={"files": {"*": "Arabic"}}), "ARL"),
        ("classification", Data(root="x", format="tsv", files="conll/{lang}.tsv"), None),
    ],
)
def test_data_say_which_of_the_paper_s_experiments_it_is(tmp_path: Path, task: str, data: Data, name: str | None):
    (found,) = read(study(tmp_path, task=task, data=data))
    assert found.paper_name == name


def test_draws_are_shown_as_mean_and_deviation_with_both_tests(tmp_path: Path, paper: Paper):
    store = study(tmp_path, draws=5)
    rows, notes = filled(9, read(store), paper)
    splits = picks.read_splits(store)
    by_selector = {
        name: 100 * splits.query("target == 'sv' and selector == @name")["score"].to_numpy()
        for name in ("LMS", "En-Dev")
    }
    mean, deviation = by_selector["LMS"].mean(), by_selector["LMS"].std(ddof=1)
    assert z_test(by_selector["LMS"], by_selector["En-Dev"]) < 0.05
    assert rows[0]["LMS (ours)"] == f"{mean:.2f} ± {deviation:.2f}*†"
    assert rows[0]["LMS (paper)"] == "19.00 ± 0.25*"
    assert rows[0]["En-Dev (ours)"] == "49.80 ± 0.16", "the reference is not tested against itself"
    assert rows[2]["LMS (ours)"].startswith("-0.50 ± 0.00")
    assert "Z-test" in notes and "corrected resampled t-test" in notes and "some test" in notes


def test_a_difference_that_changes_from_draw_to_draw_has_no_star(tmp_path: Path):
    store = study(tmp_path, draws=4)
    splits = picks.read_splits(store)
    is_lms = splits["selector"] == "LMS"
    splits.loc[is_lms, "score"] = 0.5 + 0.1 * (-1) ** splits["draw"]
    made = [picks.SplitPick(**row) for row in splits.to_dict("records")]
    (found,) = read(store)
    picks.write(store, found.picks, made, [], found.pool, {}, picks.origin(store))
    rows, _ = filled(9, read(store), None)
    assert not re.search(r"[*†]", rows[0]["LMS"])


def test_one_draw_is_no_table_9(tmp_path: Path):
    (found,) = read(study(tmp_path, draws=1))
    assert not KIND[9].takes(found)


@pytest.mark.real
@pytest.mark.parametrize(
    ("number", "key", "task", "settings"),
    [
        (3, "table3", "POS", {"encoder": MBERT}),
        (4, "table4", "POS", {"encoder": MBERT, "train_on": "source+pivots"}),
        (9, "table9", "POS", {"encoder": MBERT}),
    ],
)
def test_the_paper_s_own_numbers(tmp_path: Path, shared: Path, number: int, key: str, task: str, settings: dict):
    path = shared / "paper_tables.json"
    raw = {row["lang"]: row for row in json.loads(path.read_text())[key] if row["task"] == task}
    rows, _ = filled(number, read(study(tmp_path, **settings)), printed.read(str(path)))
    assert {"sv", "hu"} <= raw.keys()
    for row in rows[:2]:
        for name, column in printed.COLUMN_OF.items():
            assert float(row[f"{name} (paper)"].split()[0].rstrip("*")) == raw[row["Target"]][column]
        assert ("*" in row["LMS (paper)"]) == raw[row["Target"]]["lms_sig"]
        assert f"({raw[row['Target']]['pivot_lang']})" in row["Pivot-Dev (paper)"]


@pytest.mark.real
@pytest.mark.parametrize(("number", "key", "encoder"), [(8, "table8_extra", MBERT), (10, "table10", XLMR)])
def test_the_paper_s_own_numbers_of_pairs(tmp_path: Path, shared: Path, number: int, key: str, encoder: str):
    path = shared / "paper_tables.json"
    raw = {row["method"]: row for row in json.loads(path.read_text())[key]}
    found = read(study(tmp_path, of_pairs(0.6), task="arl", data=ACE, pivots=("ar", "zh"), encoder=encoder))
    rows, _ = filled(number, found, printed.read(str(path)))
    for row in rows[:2]:
        for method, of_method in raw.items():
            score = of_method[f"arl_{row['Target']}"]
            assert row[f"{method} (paper)"] == f"{score:.2f}"
