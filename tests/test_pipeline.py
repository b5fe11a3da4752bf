"""The main job on a real local Ray: complete, and the same for any number of workers; `chaos` has what is killed."""

import json
import random
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from lms_ray.store.picks import SELECTORS
from small import CANDIDATES, ONE_WORKER, copy_of_candidates, done_files, picks, rankings, run, start

pytestmark = pytest.mark.ray


def test_main_job_leaves_a_complete_experiment(finished: Path) -> None:
    folder = finished / "small"
    assert len(done_files(finished, "candidates")) == CANDIDATES
    assert len(done_files(finished, "encodings")) == CANDIDATES
    for name in ("experiment.yaml", "provenance.json", "candidates.parquet", "rankers/validation.parquet"):
        assert (folder / name).stat().st_size > 0
    assert not list(folder.glob("candidates/*/resume.safetensors")), "optimiser state must be gone"
    assert not list((folder / "drivers").glob("*")), "no claim is left"
    table = picks(finished)
    assert set(table["target"]) == {"nl", "tr", "average"}
    assert set(table["selector"]) > set(SELECTORS)
    for_use = pd.read_parquet(folder / "deployment.parquet")
    assert set(for_use["candidate"]) <= {path.name for path in folder.glob("candidates/*")}
    assert (table["regret"] >= 0).all()
    output = (finished / "output.txt").read_text()
    assert "8/8 done, 0 running, 0 failed" in output
    assert "LMS" in output, "the table is printed"
    page = (folder / "report" / "report.html").read_text()
    assert page.count('class="dots" data-scores=') == 2 and page.count("<svg xmlns") == 1, "the pools, and the draws"


def test_the_command_in_the_report_gives_the_model_to_use(finished: Path, tmp_path: Path) -> None:
    for_use = pd.read_parquet(finished / "small" / "deployment.parquet").query("target == 'nl' and followed")
    markdown = (finished / "small" / "report" / "report.md").read_text()
    (command,) = (line for line in markdown.splitlines() if line.startswith("lms-ray export ") and " nl " in line)
    folder = finished / "small" / "candidates" / for_use["candidate"].item()
    assert f"lms-ray export {finished / 'small'} --target nl" in command
    assert str(folder) in (finished / "small" / "report" / "report.html").read_text(), "where its weights are"
    subprocess.run([sys.executable, "-m", "lms_ray", *shlex.split(command)[1:]], check=True, cwd=tmp_path)
    weights = "model.safetensors"
    assert (tmp_path / "small-nl" / weights).read_bytes() == (folder / weights).read_bytes()


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


def test_one_worker_gives_what_two_gave_and_a_cut_file_is_made_again(job: Path, finished: Path, tmp_path: Path) -> None:
    storage = copy_of_candidates(finished, tmp_path)
    victim = next((storage / "small" / "candidates").glob("*/model.safetensors"))
    victim.write_bytes(victim.read_bytes()[:1000])
    before = done_files(storage, "candidates")
    output = run("sweep", job, storage, *ONE_WORKER)
    assert f"{victim}: broken (1000 bytes instead of" in output
    after = done_files(storage, "candidates")
    assert {name for name in after if after[name] != before[name]} == {victim.parent.name}
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
        while not list((tmp_path / "small" / "drivers").glob("*.json")):
            time.sleep(0.05)
        second = subprocess.run(
            [sys.executable, "-m", "lms_ray.sweep", str(job), f"storage={tmp_path}"], capture_output=True, text=True
        )
        assert second.returncode == 1
        assert f"process {first.pid}" in second.stderr
    finally:
        first.kill()
        first.wait()
