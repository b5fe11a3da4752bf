"""The stage writes one self-contained page, a Markdown table and a figure, the same bytes for the same picks."""

import base64
import hashlib
import io
import re
import sys
from xml.etree import ElementTree

import pytest

from html_tags import Rows
from lms_ray import report
from lms_ray.data import roles
from lms_ray.data.examples import TaggedSentence
from lms_ray.models.job import Job
from lms_ray.pages.tables import score_table
from lms_ray.settings.errors import MissingError
from lms_ray.store import lineage, missing, rankings
from lms_ray.store import pool as tables
from lms_ray.store import soups as soup_tables
from lms_ray.store.files import Store
from lms_ray.store.missing import Missing
from lms_ray.store.picks import SELECTORS
from made_picks import experiment
from made_reports import ALL, job_of, picks_of, pool_of
from made_soups import ROWS, SETTINGS

NAMES = ("report.md", "report.html", "pool.svg", "draws.svg")


def contents(store: Store) -> dict[str, bytes]:
    return {name: store.read_bytes(f"report/{name}") for name in NAMES}


def test_soups_are_shown_where_they_were_made_from_the_same_input_and_otherwise_it_is_said(tmp_path, caplog):
    pool = pool_of(("fa", "tr"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    experiment, store = job.experiment, job.store
    report.run(job)
    assert "Soups" not in store.read_bytes("report/report.md").decode()
    names = roles.picked_from(experiment, TaggedSentence)
    origin = lineage.origin(experiment, lineage.SOUPS, store, tables.candidates(store), names)
    soup_tables.write(store, [*ROWS, *SETTINGS], origin)
    report.run(job)
    markdown, html = (store.read_bytes(f"report/report.{kind}").decode() for kind in ("md", "html"))
    assert "## Soups" in markdown and "| Seeds of the setting that the pivots choose | 3 " in markdown
    assert '<h2 id="soups">Soups</h2>' in html and '<th scope="row">En-Dev, top 3</th>' in html
    soup_tables.write(store, ROWS, origin | {"input": "other candidates"})
    with caplog.at_level("WARNING"):
        report.run(job)
    assert "no soups in the report: the soups were made otherwise: the candidates" in caplog.text
    assert "Soups" not in store.read_bytes("report/report.md").decode()


def test_without_language_vectors_there_is_no_pivot_dev(tmp_path):
    pool = pool_of(("sv", "hu"), 6)
    picks = picks_of(pool, {name: index for name, index in ALL.items() if name != "Pivot-Dev"})
    job = job_of(tmp_path, pool, picks, ranker={"language_vector": "none"})
    report.run(job)
    store = job.store
    markdown = store.read_bytes("report/report.md").decode()
    assert "Pivot-Dev" not in markdown
    assert "Pivot-Dev" not in store.read_bytes("report/pool.svg").decode()


def test_page_is_self_contained_and_complete(tmp_path, capsys):
    targets = ("sv", "hu", "pt")
    pool = pool_of(targets, 6)
    picks = picks_of(pool, ALL)
    job = job_of(tmp_path, pool, picks)
    report.run(job)
    store = job.store
    page = store.read_bytes("report/report.html").decode()

    text = page.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|<link|@import|<script[^>]* src|<img|<iframe", text)
    assert all(url.startswith("#") for url in re.findall(r'(?:href="|url\()([^")]*)', text))
    kinds = re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL)
    assert [kind for kind, _ in kinds] == [' type="application/json" id="data"', ""]
    allowed = base64.b64encode(hashlib.sha256(kinds[1][1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}';" in page
    assert page.count("text{fill:currentColor}") == page.count("text{fill:"), "readable in dark mode too"
    assert all(pick.candidate in page for pick in picks if pick.candidate)
    rows = Rows(page).found
    for target, name in zip(targets, ("Swedish", "Hungarian", "Portuguese"), strict=True):
        assert any(row[0] == f"{target} {name}" for row in rows)
    every = rows[next(place for place, row in enumerate(rows) if row[:3] == ["Target", "Selector", "Candidate"]) :]
    assert {name: sum(row[1] == name for row in every) for name in SELECTORS} == dict.fromkeys(SELECTORS, 4)
    assert "meta-train\n12, meta-dev 6, meta-test 6" in page
    assert any(row[-3:] == ["0.520", "-0.100", "0.520"] for row in rows) and "3 grid points" in page
    assert score_table(picks).to_text() in capsys.readouterr().out


def test_the_answer_comes_first_everywhere(tmp_path, capsys):
    """A row for each target: the candidate, how sure that is, where its weights are, and what exports it."""
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    store, use = job.store, tables.candidates(job.store)[-1]
    report.run(job)
    where = store.where(f"candidates/{use}")
    command = f"lms-ray export {store.where()} --target sv --to small-sv"
    first = Rows(store.read_bytes("report/report.html").decode()).found
    assert first[0] == ["Target", "Use", "P > En-Dev's", "P > pivots'", "P > average", "Regret", "Rank"]
    assert first[1] == ["sv Swedish", f"{use} Recommended {command} {where}", "-", "-", "-", "-", "-"]
    markdown = store.read_bytes("report/report.md").decode().splitlines()
    assert markdown[2] == "## What to use"
    assert [cell.strip().replace("\\", "") for cell in markdown[6].split("|")[1:-1]] == [
        "sv", "Swedish", use, "Recommended", "-", "-", "-", "-", "-", where,
    ]  # fmt: skip
    assert markdown[9:11] == ["```", command]
    printed = capsys.readouterr().out.strip().splitlines()
    (head,) = [number for number, line in enumerate(printed) if line.startswith("Target    Language")]
    assert re.split(r"\s{2,}", printed[head].strip()) == ["Target", "Language", "Use", "Rule", *first[0][2:]]
    assert printed[head + 2].split()[:4] == ["sv", "Swedish", use, "Recommended"]
    assert not any(line.startswith("---") for line in printed[head + 2 :]), "no table stands below the answer"
    assert command in printed[-3] and printed[-1].endswith("report/report.html")


@pytest.mark.parametrize("gone", ["model.safetensors", "DONE.json"])
def test_weights_that_were_not_kept_are_said_to_be_gone(tmp_path, capsys, gone):
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    use = tables.candidates(job.store)[-1]
    unit = tables.unit(use)
    if gone == "DONE.json":  # by hand, the whole folder
        job.store.delete(f"{unit}/{gone}")
        job.store.delete(f"{unit}/model.safetensors")
    else:
        job.store.drop(unit, [gone])
    report.run(job)
    page, markdown = (job.store.read_bytes(f"report/report.{kind}").decode() for kind in ("html", "md"))
    assert Rows(page).found[1][1] == f"{use} Recommended Its weights were not kept."
    assert f"sweep.keep_weights</code>) were the weights of {use}" in page
    assert "| not kept" in markdown
    for text in (page, markdown, capsys.readouterr().out):
        assert "lms-ray export" not in text


def test_what_was_brought_lies_where_it_was_brought_from(tmp_path):
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    job.store.commit(tables.unit(tables.candidates(job.store)[-1]), {"path": "/brought/one"}, {})
    report.run(job)
    assert Rows(job.store.read_bytes("report/report.html").decode()).found[1][1].endswith("--to small-sv /brought/one")


def test_figure_marks_every_pick(tmp_path):
    pool = pool_of(("sv", "hu"), 6)
    picks = picks_of(pool, ALL)
    job = job_of(tmp_path, pool, picks)
    store = job.store
    report.run(job)
    svg = store.read_bytes("report/pool.svg").decode()
    assert all(f">{name}" in svg for name in SELECTORS)  # legend
    titles = ElementTree.fromstring(svg).findall(".//{*}path/{*}title")
    said = [title.text for title in titles]
    for pick in picks:
        if pick.target != "average":
            what = pick.candidate or "mean over the pool"
            assert f"{pick.target}, {pick.selector}: {what}, {100 * pick.score:.1f}" in said
    dots = re.findall(r'data-scores="([^"]*)" d="([^"]*)"', svg)
    assert [[int(score) for score in scores.split()] for scores, _ in dots] == [
        [round(1000 * score) for score in pool[target]] for target in pool
    ]
    assert [path.count("M") for _, path in dots] == [len(pool)] * 2


def test_same_picks_same_bytes(tmp_path):
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    store = job.store
    report.run(job)
    first = contents(store)
    report.run(job)
    assert contents(store) == first
    assert sorted(store.names("report")) == sorted([*NAMES, "baselines.parquet", "pool.parquet"])


def test_a_terminal_of_any_encoding_is_no_obstacle(tmp_path, monkeypatch):
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    store = job.store
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="ascii"))
    report.run(job)
    assert b"mean delta to En-Dev" in printed.getvalue()
    assert "mean Δ to En-Dev" in store.read_bytes("report/report.md").decode()


def test_names_of_checkpoints_are_shown_as_they_are(tmp_path):
    pool = pool_of(("sv", "hu"), 6).rename(index=lambda name: f"<b>|*_`{name}")
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    store = job.store
    report.run(job)
    name = pool.index[ALL["LMS"]]
    assert name.replace("<", "&lt;").replace(">", "&gt;") in store.read_bytes("report/report.html").decode()
    assert f"\\<b>\\|\\*\\_\\`{name[7:]}" in store.read_bytes("report/report.md").decode()


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        ({"selection": {"bootstrap": 500}}, "selection.bootstrap is 2000 there and 500 here"),
        ({"ranker": {"hidden": 5}}, "ranker.hidden is 1024 there and 5 here"),
        ({"meta_split": {"draw": 1}}, "meta_split.draw is 0 there and 1 here"),
        ({"seed": 3}, "seed is 0 there and 3 here"),
    ],
)
def test_a_page_never_speaks_of_picks_that_were_made_otherwise(tmp_path, settings, difference):
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    other = Job(experiment(("sv", "hu"), **settings), job.store)
    with pytest.raises(MissingError, match=rf"picks were made otherwise: {difference}.*lms_ray\.selection"):
        report.run(other)
    assert job.store.names("report") == ["baselines.parquet", "pool.parquet"], "the page of other picks is not touched"


def test_a_page_never_speaks_of_rankings_that_its_picks_did_not_follow(tmp_path):
    """Rankings of another draw, made after the picks: the page shows their validation."""
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    store, other = job.store, experiment(("sv", "hu"), meta_split={"draw": 1})
    candidates, names = tables.candidates(store), roles.ranked_from(other, TaggedSentence)
    store.commit(rankings.UNIT, lineage.origin(other, lineage.RANKING, store, candidates, names), {})
    with pytest.raises(MissingError, match=r"rankings were made otherwise: meta_split\.draw is 1 there and 0 here"):
        report.run(job)


def test_candidates_that_diverged_are_counted(tmp_path, capsys):
    pool = pool_of(("sv", "hu"), 6)
    report.run(job_of(tmp_path, pool, picks_of(pool, ALL)))
    assert "25 candidates were fine-tuned, 1 of them diverged and are left out" in " ".join(
        capsys.readouterr().out.split()
    )


def test_rules_that_need_no_model_are_the_last_columns(tmp_path):
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL), baselines={"commonest class": {"sv": 0.25, "hu": 0.31}})
    report.run(job)
    lines = job.store.read_bytes("report/report.md").decode().splitlines()
    start = next(number for number, line in enumerate(lines) if line.endswith("| commonest class   |"))
    last = {
        line.split("|")[1].strip(): line.split("|")[-2].strip()
        for line in lines[start : lines.index("## Every pick")]
        if line.startswith("|")
    }
    assert (last["sv"], last["hu"], last["mean score"], last["mean regret"]) == ("25.0", "31.0", "28.0", "")


def test_candidates_that_are_not_in_the_pool_are_named_with_the_reason(tmp_path, capsys):
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL), sweep={"max_missing": 2})
    missing.write(
        job.store,
        [
            Missing("b-failed", "failed", 4, 0, 0, "ValueError: <no> words"),
            Missing("a-lost", "lost", 0, 11, 3, "its worker or node was lost 11 times"),
        ],
    )
    report.run(job)
    rows = [
        ("a-lost", "lost", "its worker or node was lost 11 times"),
        ("b-failed", "failed", "ValueError: <no> words"),
        ("worse", "diverged", "a loss or a weight is not finite"),
    ]
    printed, page = capsys.readouterr().out, job.store.read_bytes("report/report.html").decode()
    markdown = job.store.read_bytes("report/report.md").decode()
    for row in rows:
        assert re.search(r"\s+".join(map(re.escape, row)), printed)
        assert re.search(r"\s*\|\s*".join(re.escape(cell.replace("<", "\\<")) for cell in row), markdown)
        assert list(row) in Rows(page).found
    missing.write(job.store, [Missing(f"{number}", "failed", 4, 0, 0, "") for number in range(3)])
    with pytest.raises(MissingError, match=r"^3 candidates are missing \(3 failed\)"):
        report.run(job)


def test_many_candidates_that_are_not_in_the_pool_are_counted_in_a_terminal_and_folded_on_the_page(tmp_path, capsys):
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    kept = [{"id": candidate} for candidate in tables.candidates(job.store)]
    tables.write(job.store, [*kept, *({"id": f"bad-{number:02}", "diverged": True} for number in range(40))], {})
    report.run(job)
    printed, page = capsys.readouterr().out, job.store.read_bytes("report/report.html").decode()
    assert "bad-07" not in printed and re.search(r"40 +diverged +a loss or a weight is not finite", printed)
    assert "<summary>Candidates that are not in the pool: 40 rows</summary>" in page
    assert all(f"bad-{number:02}" in page for number in range(40))


def test_a_whole_pool_has_no_table_of_what_is_missing(tmp_path):
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    tables.write(job.store, [{"id": candidate} for candidate in tables.candidates(job.store)], {})
    report.run(job)
    for name in ("report.md", "report.html"):
        assert b"are not in the pool" not in job.store.read_bytes(f"report/{name}")
