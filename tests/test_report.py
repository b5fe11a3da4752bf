"""The report says what the picks say: right numbers and marks, plain words when LMS loses, one self-contained page."""

import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lms_ray import report
from lms_ray.selection import SELECTORS, Pick, averages
from lms_ray.settings.experiment import Data, Experiment
from lms_ray.store.files import Store

NAMES = ("report.md", "report.html", "pool.svg")


def experiment(targets: tuple[str, ...], **settings) -> Experiment:
    data = Data(root="none", files="none")
    return Experiment(name="small", pivots=("de", "zh"), targets=targets, data=data, **settings)


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
                )
            )
    return [*picks, *averages(picks, {}, 0.95)]


ALL = {"En-Dev": 0, "Pivot-Dev": 1, "All-Pivot": 2, "LMS": 3, "100-Target": 4, "All-Target": 5}


def fill(store: Store, pool: pd.DataFrame, picks: list[Pick], pivots: str = "de,zh") -> None:
    """Write what the stages before the report write."""
    store.write_table("report/pool.parquet", pa.Table.from_pandas(pool.reset_index(), preserve_index=False))
    store.write_table("picks.parquet", pa.Table.from_pylist([asdict(pick) for pick in picks]))
    count = len(pool)
    meta_split = ["train"] * 2 * count + ["dev"] * count + ["test"] * count
    store.write_table("candidates.parquet", pa.table({"meta_split": meta_split}))
    grid = [(16, 1e-4, 0.41, False), (16, 1e-5, 0.52, True), (32, 1e-4, -0.1, False)]
    rows = [
        {
            "pivots": pivots,
            "batch_size": b,
            "learning_rate": lr,
            "seed": 0,
            "kendall_tau": tau,
            "chosen": c,
            "seconds": 1.0,
        }
        for b, lr, tau, c in grid
    ]
    store.write_table("rankers/validation.parquet", pa.Table.from_pylist(rows))


def contents(store: Store) -> dict[str, bytes]:
    return {name: store.read_bytes(f"report/{name}") for name in NAMES}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "small"))


def pick(selector: str, target: str, score: float, p_value: float | None, **others) -> Pick:
    values = {"pivot": None, "examples": None, "regret": 0.9 - score, "rank": 2.0, "low": -0.1, "high": 0.1, **others}
    return Pick(
        selector=selector, target=target, candidate="c", score=score, delta=score - 0.5, p_value=p_value, **values
    )


HAND_MADE = [
    pick("En-Dev", "sv", 0.5, 1.0),
    pick("Pivot-Dev", "sv", 0.54, 0.01, pivot="de"),
    pick("LMS", "sv", 0.47, 0.0499),
    pick("Random", "sv", 0.49, None),
    pick("100-Target", "sv", 0.52, 0.05, examples=100),
    pick("All-Target", "sv", 0.6, 0.001, examples=912),
    pick("Best", "sv", 0.9, 0.001),
    pick("En-Dev", "hu", 0.5, 1.0, rank=3.0),
    pick("Pivot-Dev", "hu", 0.5, 1.0, pivot="zh"),
    pick("LMS", "hu", 0.52, 0.3, rank=5.0),
    pick("Random", "hu", 0.49, None),
    pick("100-Target", "hu", 0.52, 0.3, examples=100),
    pick("All-Target", "hu", 0.52, 0.3, examples=80),
    pick("Best", "hu", 0.9, 0.001),
]
HAND_MADE += averages(HAND_MADE, {}, 0.95)


def test_scores_marks_and_means():
    table = report.score_table(HAND_MADE)
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
    table = report.score_table(HAND_MADE)
    cells = [cell for group in table.groups for row in group for cell in row]
    for shown in (table.to_text(), table.to_markdown()):
        assert re.findall(r"\d+\.\d\*? \(\w+\)", shown) == [cell for cell in cells if "(" in cell]
        assert all(cell in shown for cell in [*table.header, *cells])
    assert len({line.count("|") for line in table.to_markdown().splitlines()}) == 1


def test_a_loss_of_lms_is_said_plainly():
    said = report.verdict(HAND_MADE)
    assert "better on 1 (0 significantly), equal on 0, worse on 1 (1 significantly)" in said
    assert "LMS loses by 0.50 points to En-Dev, and is 0.50 points above Random" in said


def test_a_tie_is_no_win():
    same = [replace(p, score=0.5, delta=0.0, p_value=1.0) if p.selector == "LMS" else p for p in HAND_MADE]
    said = report.verdict(same)
    assert "better on 0 (0 significantly), equal on 2, worse on 0" in said
    assert "LMS is level with En-Dev" in said


def test_oracles_are_named_and_what_they_saw():
    few = [replace(p, examples=80) if (p.selector, p.target) == ("100-Target", "hu") else p for p in HAND_MADE]
    said = " ".join(report.captions(few, experiment(("sv", "hu")), candidates=240, pool=60))
    assert "which see labels of the target: 100-Target, All-Target, Best" in said
    assert "100-Target saw 80 to 100 of them" in said
    assert "240 candidates" in said and "the same 60 of them" in said


def test_without_language_vectors_there_is_no_pivot_dev(store):
    pool = pool_of(("sv", "hu"), 6)
    fill(store, pool, picks_of(pool, {name: index for name, index in ALL.items() if name != "Pivot-Dev"}))
    without = {"ranker": {"language_vector": "none"}}
    report.run(experiment(("sv", "hu"), **without), store)
    markdown = store.read_bytes("report/report.md").decode()
    assert "Pivot-Dev" not in markdown
    assert "Pivot-Dev" not in store.read_bytes("report/pool.svg").decode()


def test_page_is_self_contained_and_complete(store, capsys):
    targets = ("sv", "hu", "pt")
    pool = pool_of(targets, 6)
    picks = picks_of(pool, ALL)
    fill(store, pool, picks)
    report.run(experiment(targets), store)
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
    assert report.score_table(picks).to_text() in capsys.readouterr().out


def test_figure_marks_every_pick(store):
    pool = pool_of(("sv", "hu"), 6)
    fill(store, pool, picks_of(pool, ALL))
    report.run(experiment(("sv", "hu")), store)
    svg = store.read_bytes("report/pool.svg").decode()
    assert all(f">{name}" in svg for name in SELECTORS)  # legend
    assert svg.count("<use ") >= 2 * len(SELECTORS) + 2 * len(pool)


def test_same_picks_same_bytes(store):
    pool = pool_of(("sv", "hu"), 6)
    fill(store, pool, picks_of(pool, ALL))
    report.run(experiment(("sv", "hu")), store)
    first = contents(store)
    report.run(experiment(("sv", "hu")), store)
    assert contents(store) == first
    assert sorted(store.names("report")) == sorted([*NAMES, "pool.parquet"])


def test_each_set_of_pivots_has_its_own_ranker():
    rows = [
        {"pivots": pivots, "batch_size": 16, "learning_rate": 1e-4, "seed": seed, "kendall_tau": tau, "chosen": True}
        for pivots, taus in (("zh", (0.2, 0.4)), ("de,zh", (0.5, 0.7)))
        for seed, tau in enumerate(taus)
    ]
    table = report.ranker_table(pd.DataFrame(rows), experiment(("de", "sv", "hu")))
    assert table.groups == [
        [
            ["de", "zh", "16", "0.0001", "0.300", "0.300", "0.300"],
            ["sv hu", "de zh", "16", "0.0001", "0.600", "0.600", "0.600"],
        ]
    ]
