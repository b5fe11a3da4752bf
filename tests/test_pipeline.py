"""The main job on a real local Ray: complete, resumable after SIGKILL, the same for any number of workers."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from lms_ray.data import toy
from lms_ray.models import pretrain

pytestmark = pytest.mark.ray

LANGUAGES = ("en", "de", "es", "nl", "tr")
CANDIDATES = 8
ONE_WORKER = [f"{stage}.resources.workers=1" for stage in ("sweep", "encode", "ranker")]


@pytest.fixture(scope="module")
def languages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Treebanks of five small languages, and a barely trained encoder."""
    return pretrain.prepare(
        tmp_path_factory.mktemp("toy"),
        LANGUAGES,
        seed=1,
        sizes=toy.Sizes(train=300, dev=120, test=120, text=200),
        settings=pretrain.Settings(steps=60),
    )


@pytest.fixture(scope="module")
def job(languages: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job file for eight candidates, three pivots and two targets, one of them a pivot."""
    root, encoder = languages
    path = tmp_path_factory.mktemp("job") / "job.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "name": "small",
                "encoder": str(encoder),
                "pivots": ["de", "es", "nl"],
                "targets": ["nl", "tr"],
                "data": {"root": str(root), "files": toy.FILES},
                "sweep": {"learning_rate": [1e-3, 3e-3], "epochs": [2], "seeds": CANDIDATES // 2},
                "ranker": {"hidden": 32, "batch_size": [16, 64], "learning_rate": [1e-3]},
                "encode": {"shard_examples": 50},
                "cluster": {"cpus": 2},
            }
        )
    )
    return path


def start(stage: str, job: Path, storage: Path, *overrides: str) -> subprocess.Popen:
    # A relative path, as in the README: trials and workers run in other working directories than the driver.
    command = [sys.executable, "-m", f"lms_ray.{stage}", str(job), "storage=.", *overrides]
    log = (storage / "log.txt").open("a")
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=storage)


def run(stage: str, job: Path, storage: Path, *overrides: str) -> str:
    storage.mkdir(exist_ok=True)
    log = storage / "log.txt"
    before = log.stat().st_size if log.exists() else 0
    status = start(stage, job, storage, *overrides).wait()
    text = log.read_text()[before:]
    assert status == 0, text
    return text


def picks(storage: Path) -> pd.DataFrame:
    return pd.read_parquet(storage / "small" / "picks.parquet")


def rankings(storage: Path) -> pd.DataFrame:
    table = pd.read_parquet(storage / "small" / "rankers" / "scores.parquet")
    return table.sort_values(["target", "candidate", "seed"], ignore_index=True)


def done_files(storage: Path, folder: str) -> dict[str, int]:
    """Time of every finished unit's DONE.json, which a rerun must not touch."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (storage / "small" / folder).glob("*/DONE.json")}


@pytest.fixture(scope="module")
def finished(job: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Storage with the whole job run by two workers."""
    storage = tmp_path_factory.mktemp("finished")
    (storage / "output.txt").write_text(run("sweep", job, storage))
    return storage


def copy_of_candidates(finished: Path, storage: Path) -> Path:
    """A storage in which only the sweep has run."""
    (storage / "small").mkdir(parents=True)
    shutil.copytree(finished / "small" / "candidates", storage / "small" / "candidates")
    shutil.copy(finished / "small" / "candidates.parquet", storage / "small")
    return storage


def test_main_job_leaves_a_complete_experiment(finished: Path) -> None:
    folder = finished / "small"
    assert len(done_files(finished, "candidates")) == CANDIDATES
    assert len(done_files(finished, "encodings")) == CANDIDATES
    for name in ("experiment.yaml", "provenance.json", "candidates.parquet", "rankers/validation.parquet"):
        assert (folder / name).stat().st_size > 0
    assert not list(folder.glob("candidates/*/resume.safetensors")), "optimiser state must be gone"
    assert not (folder / "driver.json").exists()
    table = picks(finished)
    assert set(table["target"]) == {"nl", "tr", "average"}
    assert set(table["selector"]) == {
        *("En-Dev", "Pivot-Dev", "All-Pivot", "LMS", "Random", "100-Target", "All-Target", "Best"),
    }
    assert (table["regret"] >= 0).all()
    output = (finished / "output.txt").read_text()
    assert "8/8 done, 0 running, 0 failed" in output
    assert "LMS" in output, "the table is printed"
    assert (folder / "report" / "report.html").read_text().count("<svg") == 1


def test_every_candidate_is_a_model_that_transformers_loads_with_the_recorded_score(finished: Path) -> None:
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    for done in (finished / "small" / "candidates").glob("*/DONE.json"):
        record = json.loads(done.read_text())
        model = AutoModelForTokenClassification.from_pretrained(done.parent)
        assert model.config.id2label[7] == "NOUN"
        assert AutoTokenizer.from_pretrained(done.parent).is_fast
        table = pd.read_parquet(finished / "small" / "encodings" / record["id"] / "statistics.parquet")
        dev = table[table["corpus"] == "en-dev"]
        assert dev["correct"].sum() / dev["total"].sum() == pytest.approx(record["dev_score"], abs=1e-12)


def test_a_finished_job_does_nothing_again(job: Path, finished: Path) -> None:
    before = {folder: done_files(finished, folder) for folder in ("candidates", "encodings", "rankers")}
    table = picks(finished)
    run("sweep", job, finished)
    assert {folder: done_files(finished, folder) for folder in before} == before
    pd.testing.assert_frame_equal(picks(finished), table)


@pytest.mark.chaos
def test_a_driver_killed_in_the_sweep_and_in_the_features_loses_nothing(
    job: Path, finished: Path, tmp_path: Path
) -> None:
    def kill_when(folder: str, enough: Callable[[int], bool]) -> dict[str, int]:
        driver = start("sweep", job, tmp_path, *ONE_WORKER)
        while not enough(len(done_files(tmp_path, folder))):
            assert driver.poll() is None, (tmp_path / "log.txt").read_text()
            time.sleep(0.01)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        time.sleep(2)  # its Ray processes notice and end
        return done_files(tmp_path, folder)

    trained = kill_when("candidates", lambda count: count >= 3)
    assert 3 <= len(trained) < CANDIDATES
    encoded = kill_when("encodings", lambda count: count >= 1)
    assert 1 <= len(encoded) < CANDIDATES
    run("sweep", job, tmp_path, *ONE_WORKER)

    assert trained.items() <= done_files(tmp_path, "candidates").items()
    assert encoded.items() <= done_files(tmp_path, "encodings").items()
    pd.testing.assert_frame_equal(picks(tmp_path), picks(finished))


def test_one_worker_gives_what_two_gave(job: Path, finished: Path, tmp_path: Path) -> None:
    storage = copy_of_candidates(finished, tmp_path)
    run("sweep", job, storage, *ONE_WORKER)
    for path in (finished / "small" / "encodings").glob("*/*.parquet"):
        other = storage / path.relative_to(finished)
        pd.testing.assert_frame_equal(
            pd.read_parquet(other).sort_values("corpus", kind="stable", ignore_index=True),
            pd.read_parquet(path).sort_values("corpus", kind="stable", ignore_index=True),
        )
    pd.testing.assert_frame_equal(rankings(storage), rankings(finished))
    pd.testing.assert_frame_equal(picks(storage), picks(finished))


def test_shuffled_labels_of_the_target_change_no_ranking(
    job: Path, finished: Path, languages: tuple[Path, Path], tmp_path: Path
) -> None:
    root = tmp_path / "treebanks"
    shutil.copytree(languages[0], root)
    for path in (root / "UD_Toy-tr").glob("*.conllu"):
        shuffle_tags(path)
    storage = copy_of_candidates(finished, tmp_path / "runs")
    run("features", job, storage, f"data.root={root}")
    # The ranking stage compares its whole input with that of the earlier rankings, and finds nothing to do, ...
    shutil.copytree(finished / "small" / "rankers", storage / "small" / "rankers")
    assert "done before" in run("ranking", job, storage, f"data.root={root}")
    run("selection", job, storage, f"data.root={root}")
    honest = ["LMS", "En-Dev", "Pivot-Dev", "All-Pivot"]

    def chosen(storage: Path) -> list[str]:
        table = picks(storage)
        return table[(table["target"] == "tr") & table["selector"].isin(honest)]["candidate"].tolist()

    assert chosen(storage) == chosen(finished)

    def scores(storage: Path) -> list[float]:
        return pd.read_parquet(storage / "small" / "report" / "pool.parquet")["tr"].tolist()

    assert scores(storage) != scores(finished), "... though the shuffled labels were read"


def shuffle_tags(path: Path) -> None:
    lines = path.read_text().split("\n")
    words = [number for number, line in enumerate(lines) if line[:1].isdigit()]
    tags = [lines[number].split("\t")[3] for number in words]
    random.Random(0).shuffle(tags)
    for number, tag in zip(words, tags, strict=True):
        columns = lines[number].split("\t")
        lines[number] = "\t".join([*columns[:3], tag, *columns[4:]])
    path.write_text("\n".join(lines))


def test_optuna_searches_ranges_and_goes_on_with_what_it_knows(job: Path, tmp_path: Path) -> None:
    search = [
        "sweep={search: optuna, candidates: 8, learning_rate: {low: 1e-3, high: 5e-3, log: true}, epochs: [1], "
        "batch_size: [32, 64]}",
        "--only",
    ]
    run("sweep", job, tmp_path, *search)
    pool = pd.read_parquet(tmp_path / "small" / "candidates.parquet")
    assert len(pool) == 8
    assert pool["learning_rate"].between(1e-3, 5e-3).all()
    assert pool["learning_rate"].nunique() == 8
    assert sorted(pool["seed"]) == list(range(8))
    before = done_files(tmp_path, "candidates")
    lost = next(iter(before))
    (tmp_path / "small" / "candidates" / lost / "DONE.json").unlink()
    run("sweep", job, tmp_path, *search)
    after = done_files(tmp_path, "candidates")
    assert set(after) == set(before), "the interrupted proposal is finished, not replaced"
    assert {name for name in before if before[name] != after[name]} == {lost}


def test_a_second_driver_is_refused_while_the_first_lives(job: Path, tmp_path: Path) -> None:
    first = start("sweep", job, tmp_path)
    try:
        while not (tmp_path / "small" / "driver.json").exists():
            time.sleep(0.05)
        second = subprocess.run(
            [sys.executable, "-m", "lms_ray.sweep", str(job), f"storage={tmp_path}"], capture_output=True, text=True
        )
        assert second.returncode == 1
        assert f"process {first.pid}" in second.stderr
    finally:
        first.kill()
        first.wait()
