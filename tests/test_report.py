"""The stage writes one self-contained page, a Markdown table and a figure, the same bytes for the same picks."""

import html
import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lms_ray import report
from lms_ray.data import roles
from lms_ray.data.examples import TaggedSentence
from lms_ray.models.job import Job
from lms_ray.pages.tables import score_table
from lms_ray.settings.errors import MissingError
from lms_ray.store import deployment, encodings, lineage, missing, rankings, redrawn
from lms_ray.store import picks as pick_tables
from lms_ray.store import pool as tables
from lms_ray.store import soups as soup_tables
from lms_ray.store.encodings import CorpusRow
from lms_ray.store.files import Store
from lms_ray.store.missing import Missing
from lms_ray.store.picks import SELECTORS, Pick
from made_picks import experiment, splits_of, with_means
from made_soups import ROWS, SETTINGS

NAMES = ("report.md", "report.html", "pool.svg", "draws.svg")


def pool_of(targets: tuple[str, ...], candidates: int) -> pd.DataFrame:
    """Scores that differ more between targets than between candidates."""
    rng = np.random.default_rng(0)
    names = [f"lr5e-05-ep3-bs32-seed{seed:03d}-{seed:08x}" for seed in range(candidates)]
    scores = {t: 0.55 + 0.02 * i + rng.normal(0, 0.012, candidates) for i, t in enumerate(targets)}
    return pd.DataFrame({"candidate": names, **scores}).set_index("candidate")


def picks_of(pool: pd.DataFrame, chosen: dict[str, int]) -> list[Pick]:
    """The candidates of those numbers, for every target; Best is found, Random is the mean."""
    picks = []
    for target in pool.columns:
        score_C = pool[target].to_numpy()
        reference, best = score_C[chosen["En-Dev"]], score_C.max()
        for selector in [name for name in SELECTORS if name in {*chosen, "Best", "Random"}]:
            index = chosen.get(selector, int(score_C.argmax()))
            is_random = selector == "Random"
            score = float(score_C.mean() if is_random else score_C[index])
            delta = float(score - reference)
            picks.append(
                Pick(
                    selector=selector,
                    target=target,
                    candidate=None if is_random else pool.index[index],
                    pivot="zh" if selector == "Pivot-Dev" else None,
                    examples={"100-Target": 100, "All-Target": 437}.get(selector),
                    score=score,
                    delta=delta,
                    regret=float(best - score),
                    rank=float((score_C > score).sum() + 1),
                    low=None if is_random else delta - 0.01,
                    high=None if is_random else delta + 0.01,
                    p_value=None if is_random else 0.002 if abs(delta) > 0.01 else 0.4,
                    p_holm=None if is_random else 0.002 if abs(delta) > 0.01 else 0.4,
                )
            )
    return with_means(picks)


ALL = {"En-Dev": 0, "Pivot-Dev": 1, "All-Pivot": 2, "LMS": 3, "Recommended": 4, "100-Target": 4, "All-Target": 5}


def job_of(
    folder: Path,
    pool: pd.DataFrame,
    picks: list[Pick],
    baselines: dict[str, dict[str, float]] | None = None,
    **settings: Any,
) -> Job:
    """An experiment with what the stages before the report write."""
    job = Job(experiment(tuple(pool.columns), **settings), Store(str(folder / "small")))
    store, count = job.store, len(pool)
    candidates = [*(f"other-{number}" for number in range(3 * count)), *pool.index]
    tables.write(store, [{"id": candidate} for candidate in candidates] + [{"id": "worse", "diverged": True}], {})
    parts = ["train"] * 2 * count + ["dev"] * count + ["test"] * count
    split = rankings.write_split(store, candidates, np.array(parts))
    names = roles.picked_from(job.experiment, TaggedSentence)
    encodings.write_corpora(store, [CorpusRow(name, 1, name, ()) for name in names], {})
    chosen_from = tables.candidates(store)
    origin = lineage.origin(job.experiment, lineage.SELECTION, store, chosen_from, names)
    pick_tables.write(store, picks, splits_of(picks), [], pool, baselines or {}, origin)
    ranked_from = roles.ranked_from(job.experiment, TaggedSentence)
    grid = [(16, 1e-4, 0.41, False), (16, 1e-5, 0.52, True), (32, 1e-4, -0.1, False)]
    row = {"pivots": "de,zh", "seed": 0, "seconds": 1.0}
    validation = rankings.write_validation(
        store,
        [{**row, "batch_size": b, "learning_rate": lr, "kendall_tau": tau, "chosen": c} for b, lr, tau, c in grid],
    )
    of_rankings = lineage.origin(job.experiment, lineage.RANKING, store, chosen_from, ranked_from)
    store.commit(rankings.UNIT, of_rankings, split | validation)
    score_C = np.arange(len(chosen_from), dtype=float)
    overall = {target: dict.fromkeys(("Recommended", "All-Pivot z", "LMS"), score_C) for target in pool.columns}
    recommended = [
        {"pivots": "de,zh", "rule": "All-Pivot z", "weight": 1.0, "gains": [0.5, 0.7], "reason": "it was tried"}
    ]
    followed = [{"target": target, "followed": "Recommended"} for target in pool.columns]
    redrawn.write(store, of_rankings, chosen_from, np.asarray(parts)[None], overall, {}, recommended, followed)
    row = {"rule": "Recommended", "candidate": chosen_from[-1], "followed": True}
    deployment.write(store, [{"target": target, **row} for target in pool.columns], [], of_rankings)
    return job


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
    assert "<h2>Soups</h2>" in html and '<th scope="row">En-Dev, top 3</th>' in html
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

    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"https?://|<script|<link|@import", without_namespaces)
    assert all(url.startswith("#") for url in re.findall(r'(?:href="|src="|url\()([^")]*)', without_namespaces))
    assert all("currentColor" in text for text in re.findall(r"<text [^>]*>", page))  # readable in dark mode too
    assert all(pick.candidate in page for pick in picks if pick.candidate)
    assert all(f'<th scope="row">{target}</th>' in page for target in targets)
    assert {name: len(re.findall(f"<td>{name}</td>", page)) for name in SELECTORS} == dict.fromkeys(SELECTORS, 4)
    assert "meta-train\n12, meta-dev 6, meta-test 6" in page
    assert "<td>0.520</td><td>-0.100</td><td>0.520</td>" in page and "3 grid points" in page
    assert score_table(picks).to_text() in capsys.readouterr().out


def test_figure_marks_every_pick(tmp_path):
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    store = job.store
    report.run(job)
    svg = store.read_bytes("report/pool.svg").decode()
    assert all(f">{name}" in svg for name in SELECTORS)  # legend
    assert svg.count("<use ") >= 2 * len(SELECTORS) + 2 * len(pool)


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
        assert re.search(r"</t[hd]>\s*<td>".join(re.escape(html.escape(cell)) for cell in row), page)
    missing.write(job.store, [Missing(f"{number}", "failed", 4, 0, 0, "") for number in range(3)])
    with pytest.raises(MissingError, match=r"^3 candidates are missing \(3 failed\)"):
        report.run(job)


def test_a_whole_pool_has_no_table_of_what_is_missing(tmp_path):
    pool = pool_of(("sv", "hu"), 6)
    job = job_of(tmp_path, pool, picks_of(pool, ALL))
    tables.write(job.store, [{"id": candidate} for candidate in tables.candidates(job.store)], {})
    report.run(job)
    for name in ("report.md", "report.html"):
        assert b"not in the pool" not in job.store.read_bytes(f"report/{name}")
