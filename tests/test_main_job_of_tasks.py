"""The main job of other tasks on a real local Ray, from the job files that are shipped, on tiny data.

Argument roles go the same road as relations, with a reader of their own that other tests know.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard

import tiny
from lms_ray import export, tasks
from lms_ray.models.pipelines import pipeline
from lms_ray.settings.loading import load
from lms_ray.store import encodings, pool
from lms_ray.store.files import Store

pytestmark = pytest.mark.ray

JOBS = Path(__file__).parents[1] / "jobs"
JOBS_OF = {
    "ner": ["pivots=[de,es]", "targets=[fr,zh]", "sweep.learning_rate=[3e-3,1e-2]", "sweep.epochs=[24]"],
    "qa": ["pivots=[fi,id]", "targets=[de,zh]", "sweep.learning_rate=[1e-4,1e-3]", "sweep.epochs=[4]"],
    "re": ["pivots=[de,es]", "targets=[da,zh]", "sweep.learning_rate=[1e-4,1e-3]", "sweep.epochs=[4]"],
}
"""Languages, and a grid with which tiny candidates of a task learn enough to differ, by whatever kernels of torch."""
TINY = [
    *("encode.shard_examples=10", "cluster.cpus=2"),
    *("ranker.hidden=16", "ranker.batch_size=[16]", "ranker.learning_rate=[1e-3]"),
]


def run(task: str, storage: Path, overrides: list[str]) -> str:
    job = str(JOBS / f"{task}-small.yaml")
    command = [sys.executable, "-m", "lms_ray.sweep", job, f"storage={storage}", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def configured(task: str, folder: Path, encoder_folder: Path) -> list[str]:
    """The overrides that make a small job tiny, its data written."""
    overrides = [*JOBS_OF[task], *TINY, f"encoder={encoder_folder}"]
    experiment = load(str(JOBS / f"{task}-small.yaml"), [*overrides, f"data.root={folder}"])
    found = tiny.write(experiment, folder / "data")
    return overrides + [f"{key}={value}" for key, value in found.items()]


def statistics(folder: Path) -> dict[str, pd.DataFrame]:
    return {path.parent.name: pd.read_parquet(path) for path in folder.glob("encodings/*/statistics.parquet")}


@pytest.fixture(scope="module")
def entities(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path) -> tuple[Path, list[str]]:
    """The job of entities, run to its end, and its overrides."""
    folder = tmp_path_factory.mktemp("ner")
    overrides = configured("ner", folder, encoder_folder)
    run("ner", folder, overrides)
    return folder, overrides


@pytest.mark.parametrize("task", ["qa", "re"])
def test_the_main_job(task: str, tmp_path: Path, encoder_folder: Path) -> None:
    output = run(task, tmp_path, configured(task, tmp_path, encoder_folder))
    assert "LMS" in output
    check(task, tmp_path / f"{task}-small")


def test_the_main_job_of_entities(entities: tuple[Path, list[str]]) -> None:
    check("ner", entities[0] / "ner-small")


def check(task: str, folder: Path) -> None:
    """Scores come from the statistics, and the report has the table."""
    metric = tasks.get(task)
    scores = pd.read_parquet(folder / "report" / "pool.parquet").set_index("candidate")
    of_candidates = statistics(folder)
    assert len(of_candidates) == 8
    for target in scores:
        for candidate, score in scores[target].items():
            table = of_candidates[candidate]
            rows = table[table["corpus"] == f"{target}-test"]
            assert score == pytest.approx(float(metric.score(rows[list(metric.statistics)].sum().to_numpy())))
    assert 0 < np.ptp(scores.to_numpy()) < 1
    picks = pd.read_parquet(folder / "picks.parquet")
    assert set(picks["selector"]) >= {"En-Dev", "All-Pivot", "LMS", "Random", "100-Target", "All-Target", "Best"}
    corpora = pd.read_parquet(folder / "corpora.parquet").set_index("corpus")
    if task == "qa":  # some questions share a paragraph
        groups = corpora["groups"]
        assert all(len(set(groups[f"{target}-test"])) < len(groups[f"{target}-test"]) for target in scores)
    check_signals(task, folder, corpora, list(scores))
    assert (folder / "report" / "report.html").stat().st_size > 0
    check_export(task, folder, next(iter(scores)))


WORDS = ["Ada", "lives", "in", "Oslo", "now", "."]
ASKED = {
    "ner": {"words": WORDS},
    "qa": {"question": "Where is it?", "context": "Ada lives in Oslo now ."},
    "re": {"words": ["Ada", "lives", "in", "Oslo", "now", "."], "first": (0, 1), "second": (3, 4)},
}


def check_export(task: str, folder: Path, target: str) -> None:
    """What is exported answers by itself, and says what it scored."""
    export.run(str(folder), target, None, str(folder / "exported"))
    answer = pipeline(folder / "exported")(ASKED[task])
    assert len(answer) == len(WORDS) if task == "ner" else answer["score"] > 0
    card = ModelCard.load(folder / "exported" / "README.md")
    (measured,) = [result.metric_value for result in card.data.eval_results if result.dataset_split == "test"]
    scores = pd.read_parquet(folder / "report" / "pool.parquet").set_index("candidate")[target]
    assert scores.get(card.data.model_name, measured) == pytest.approx(measured, abs=1e-4)


def check_signals(task: str, folder: Path, corpora: pd.DataFrame, targets: list[str]) -> None:
    """What is seen without labels is there for every labelled set, and no target's labels are counted."""
    labelled = [name for name in corpora.index if not name.endswith("-text")]
    store = Store(str(folder))
    candidates = pool.candidates(store)
    seen = encodings.signals(store, candidates, labelled)
    assert all(np.isfinite(of_all).all() for of_all in seen.values())
    assert ("empty" in seen) == (task == "qa") != ("label_share" in seen)
    assert np.ptp(seen["confidence"], axis=0).all(), "candidates differ"
    for corpus, label_CU in encodings.predictions(store, candidates, labelled).items():
        assert (label_CU.shape[1] == seen["units"][:, labelled.index(corpus)].round()).all()
    counted = {name.partition("-")[0] for name, shares in corpora["gold_share"].items() if len(shares)}
    assert counted.isdisjoint(targets)
    assert bool(counted) == (task != "qa")


def test_brought_checkpoints_are_scored_as_the_candidates_that_they_were(
    entities: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, overrides = entities
    made = folder / "ner-small" / "candidates"
    run("ner", tmp_path, [*overrides, f"sweep.checkpoints={made}/lr*"])
    before, after = statistics(folder / "ner-small"), statistics(tmp_path / "ner-small")
    assert len(pool.candidates(Store(str(tmp_path / "ner-small")))) == 8
    for name, table in before.items():
        (brought,) = (other for other in after if other.startswith(name))
        sides = [side.sort_values("corpus", kind="stable", ignore_index=True) for side in (table, after[brought])]
        pd.testing.assert_frame_equal(*sides)
    assert not list((tmp_path / "ner-small" / "candidates").glob("*/*.safetensors")), "they stay where they are"
    check("ner", tmp_path / "ner-small")
    again = run("ner", tmp_path, [*overrides, f"sweep.checkpoints={made}/lr*", "--only"])
    assert "8 checkpoints, 8 of them done before" in again
