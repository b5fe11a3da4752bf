"""`lms-ray tables` from end to end: files, what it prints, names that are no markup, and errors in one line."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

import commands
from html_tags import MARKUP, Tags
from lms_ray.store.files import Store
from lms_ray.store.picks import PICKS, SPLITS
from made_paper import contents, paper_file
from made_studies import MBERT, study
from object_storage import Roots


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command; gives its exit status."""

    return lambda *arguments: commands.run(monkeypatch, "tables", *arguments, "--to", str(tmp_path / "out"))


def test_every_file_is_written_and_named(tmp_path: Path, tables: Callable, capsys: pytest.CaptureFixture):
    store = study(tmp_path, name="pos", encoder=MBERT)
    assert tables(store.root, "--paper", str(paper_file(tmp_path))) == 0
    printed, out = capsys.readouterr().out, tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "figure2-pos.svg", "table3-further.csv", "table3.csv", "table9-further.csv", "table9.csv", "tables.html",
        "tables.md",
    ]  # fmt: skip
    assert all(str(out / name) in printed for name in ("table3.csv", "tables.md", "tables.html", "figure2-pos.svg"))
    rows = list(csv.DictReader(io.StringIO((out / "table3.csv").read_text())))
    assert (rows[0]["Target"], rows[0]["LMS (ours)"], rows[0]["LMS (paper)"]) == ("sv", "47.0*", "11.0*")
    markdown, page = (out / "tables.md").read_text(), (out / "tables.html").read_text()
    assert "![pos](figure2-pos.svg)" in markdown and "<svg" in page
    for text in (markdown.replace("\\", ""), page):
        assert "POS, LMS: the printed mean is 1.3, the mean of the printed rows 1." in text
        assert str(store.root) in text


def test_tables_without_an_experiment_are_named(tmp_path: Path, tables: Callable, capsys: pytest.CaptureFixture):
    assert tables(study(tmp_path).root) == 0
    printed, out = capsys.readouterr().out, tmp_path / "out"
    for number in (4, 5, 6, 8, 10, 11):
        for text in (printed, (out / "tables.md").read_text(), (out / "tables.html").read_text()):
            assert f"Table {number} (" in text
    assert "Table 10 (Relations and argument roles with XLM-R): wants an experiment on re or arl" in printed


def test_a_page_stands_alone_and_is_the_same_each_time(tmp_path: Path, tables: Callable):
    stores = [study(tmp_path / "a"), study(tmp_path / "b", name="small")]
    arguments = [*(store.root for store in stores), "--paper", str(paper_file(tmp_path))]
    assert tables(*arguments) == 0
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert {"figure2-small+1.svg", "figure2-small+2.svg"} <= first.keys()
    assert tables(*arguments) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first
    page = first["tables.html"].decode()
    assert "<link" not in page and "<script" not in page and 'src="' not in page


def test_no_name_is_markup(tmp_path: Path, tables: Callable):
    """Names of candidates, encoders, and everything in the paper's file come from others."""

    def tags(folder: Path, text: str) -> tuple[set[str], str]:
        folder.mkdir()
        store = study(folder, encoder=text.replace("/", ""), sweep={"checkpoints": text})
        changed = contents()
        changed["anomalies"] = [f"Table 3 {text}", text]
        changed["meta"] = {"significance": {"table3/4": text}}
        for row in changed["table3"]:
            row["pivot_lang"] = text
        for row in changed["table10"]:
            row["method"] += text
        assert tables(store.root, "--paper", str(paper_file(folder, **changed))) == 0
        out = tmp_path / "out"
        return Tags((out / "tables.html").read_text()).found, (out / "tables.md").read_text()

    plain, _ = tags(tmp_path / "plain", "runs")
    planted, markdown = tags(tmp_path / "planted", MARKUP)
    assert planted == plain
    assert "\\<script>" in markdown and not any(f"{before}<script" in markdown for before in " |(")


def test_experiments_in_an_object_store(tmp_path: Path, tables: Callable, s3: Roots):
    local, there = study(tmp_path), Store(f"{s3('runs')}")
    for name, _ in local.sizes("", recursive=True).items():
        there.write_bytes(name, local.read_bytes(name))
    assert tables(there.root) == 0
    assert there.where() in (tmp_path / "out" / "tables.html").read_text()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda store: store.delete("experiment.yaml"), "FOLDER: found no experiment.yaml in "),
        (lambda store: store.write_bytes("experiment.yaml", b"task: x\n"), "it is no experiment of this version"),
        (lambda store: store.delete(PICKS), "picks.parquet: not there yet; run `python -m lms_ray.selection` first"),
        (lambda store: store.delete(SPLITS), "splits.parquet: not there yet; run `python -m lms_ray.selection` first"),
        (lambda store: store.write_bytes(PICKS, b"no table"), "picks.parquet: broken"),
        (
            lambda store: store.write_bytes(
                "experiment.yaml", store.read_bytes("experiment.yaml").replace(b"draws: 20", b"draws: 21")
            ),
            "were made otherwise: meta_split.draws is 20 there and 21 here",
        ),
    ],
)
def test_what_is_not_a_finished_experiment_is_refused(
    tmp_path: Path, tables: Callable, capsys: pytest.CaptureFixture, spoil: Callable, said: str
):
    store = study(tmp_path)
    spoil(store)
    status, error = tables(store.root), capsys.readouterr().err
    assert status in (1, 2) and error.startswith("error: ") and said in error and error.count("\n") == 1, error
    assert not (tmp_path / "out").exists()


def test_wrong_arguments_are_refused(tmp_path: Path, tables: Callable, capsys: pytest.CaptureFixture):
    root = study(tmp_path).root
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for arguments, said in (
        ((str(tmp_path / "none"),), "FOLDER: found no experiment.yaml in "),
        ((root, root), f"FOLDER: found {root} twice; accepted is each experiment once"),
        ((root, "--paper", "none.json"), "--paper: found no file 'none.json'"),
        ((root, "--paper", str(broken)), "no JSON"),
        (("s3:/bucket",), "FOLDER: found 's3:/bucket'; accepted is a local folder"),
    ):
        status, error = tables(*arguments), capsys.readouterr().err
        assert status in (1, 2) and error.startswith("error: ") and said in error and error.count("\n") == 1, error
    assert tables() == 2, "a folder is needed"
    assert not (tmp_path / "out").exists()
