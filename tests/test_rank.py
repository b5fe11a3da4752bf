"""`lms-ray rank` on a finished experiment, and a search that maximises what it says."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import commands
import small
import spoiled
from lms_ray import rank
from lms_ray.choosing import judging
from lms_ray.models import candidates
from lms_ray.models.candidates import Recipe
from lms_ray.models.job import Job
from lms_ray.settings.errors import ConfigError, MissingError
from lms_ray.settings.loading import load
from lms_ray.store import identity
from lms_ray.store.files import Store
from lms_ray.tasks.pos import PartOfSpeech
from made_encodings import encoded

RULES = ["Recommended", "LMS", "All-Pivot", "En-Dev"]


@pytest.fixture
def there(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished experiment's folder, in another place than it was made in."""
    return Path(shutil.copytree(finished / "small", tmp_path / "copied" / "small"))


@pytest.fixture
def lms_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: commands.run(monkeypatch, *map(str, arguments))


def ids(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("candidates/*/DONE.json"))


@pytest.mark.ray
def test_checkpoints_stand_beside_the_pool_and_are_encoded_once(
    there: Path, lms_ray, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    one, other = ids(there)[:2]
    elsewhere = Path(shutil.copytree(there / "candidates" / one, tmp_path / "brought"))
    (elsewhere / "DONE.json").unlink()
    assert lms_ray("rank", there, "--checkpoint", elsewhere, there / "candidates" / other) == 0
    said = capsys.readouterr().out
    assert "rank      10/10 done" in said
    assert all(rule in said for rule in RULES)
    table = pd.read_parquet(there / "newcomers.parquet")
    assert set(table["target"]) == {"nl", "tr"}
    assert set(RULES) <= set(table["rule"])
    assert (table["pool"] == 8).all() and table["place"].between(1, 9).all()
    assert not table["is_picked"].any(), "copies of the pool's own"
    (copy,) = (name for name in set(table["newcomer"]) if name.startswith("brought-"))
    deployment = pd.read_parquet(there / "deployment.parquet").set_index(["target", "rule"])["candidate"]
    for row in table.itertuples():
        assert row.present == deployment[row.target, row.rule]
    record = json.loads((there / "candidates" / one / "DONE.json").read_text())
    scores = table[table["newcomer"] == copy].set_index(["target", "rule"])["score"]
    assert scores["tr", "En-Dev"] == pytest.approx(record["dev_score"], abs=1e-12)
    done = {path: path.stat().st_mtime_ns for path in there.glob("newcomers/*/DONE.json")}
    assert len(done) == 2

    monkeypatch.setattr(rank.shards, "all_encoded", lambda *_: pytest.fail("encoded again"))
    assert lms_ray("rank", there, "--checkpoint", elsewhere, "--target", "tr") == 0
    again = capsys.readouterr().out
    assert "rank      5 texts, 5 of them done before" in again
    assert " nl " not in again
    assert {path: path.stat().st_mtime_ns for path in there.glob("newcomers/*/DONE.json")} == done
    pd.testing.assert_frame_equal(
        *(one.sort_values(["newcomer", "target", "rule"], ignore_index=True)
          for one in (table, pd.read_parquet(there / "newcomers.parquet")))
    )  # fmt: skip


@pytest.mark.ray
def test_what_does_not_fit_the_pool_is_refused_before_anything_is_encoded(
    there: Path, lms_ray, tmp_path: Path, encoder_folder: Path, capsys: pytest.CaptureFixture
):
    fine = there / "candidates" / ids(there)[0]
    pickled = Path(shutil.copytree(fine, tmp_path / "pickled"))
    (pickled / "DONE.json").unlink()
    spoiled.pickled(pickled)
    relabelled = Path(shutil.copytree(fine, tmp_path / "relabelled"))
    config = json.loads((relabelled / "config.json").read_text())
    config["id2label"]["0"] = "NEW"
    (relabelled / "config.json").write_text(json.dumps(config))
    bad = [encoder_folder, pickled, tmp_path / "nowhere"]
    assert lms_ray("rank", there, "--checkpoint", fine, *bad) == 2
    said = capsys.readouterr().err
    assert (
        f"--checkpoint: {encoder_folder}: its architecture differs from the pool's: hidden_size 16 instead of" in said
    )
    assert f"--checkpoint: {pickled}: it has no safetensors, and allow_pickled does not name it" in said
    assert f"{tmp_path / 'nowhere'}: found no such folder" in said
    assert lms_ray("rank", there, "--checkpoint", fine, "sweep.seeds=x") == 2, "an override may stand anywhere"
    assert "error: sweep.seeds: found 'x'" in capsys.readouterr().err
    assert lms_ray("rank", there, "--checkpoint", relabelled) == 2
    assert "its labels differ: it lacks" in capsys.readouterr().err
    assert not list(there.glob("newcomers/*/DONE.json"))
    assert lms_ray("rank", there, f"allow_pickled=[{pickled}]", "--checkpoint", pickled, "--target", "nl") == 0
    capsys.readouterr()
    assert lms_ray("rank", there, "--checkpoint", fine, "--target", "de") == 2
    assert "--target: found de; accepted are targets of small: nl, tr" in capsys.readouterr().err
    assert lms_ray("rank", there, "data.limit.dev=40", "--checkpoint", fine) == 1
    assert "data.limit.dev is None there and 40 here" in capsys.readouterr().err


def test_a_folder_without_an_experiment_is_refused(lms_ray, tmp_path: Path, capsys: pytest.CaptureFixture):
    assert lms_ray("rank", tmp_path, "--checkpoint", "x") == 1
    assert f"PATH: found no experiment.yaml in {tmp_path}" in capsys.readouterr().err


def test_a_search_is_judged_by_another_experiment_of_its_task_that_is_done(tmp_path: Path):
    def asked(folder: Path | str) -> Any:
        search = f"sweep={{search: optuna, candidates: 9, objective: recommended, judged_by: '{folder}'}}"
        experiment = load(None, [search, f"storage={tmp_path}", "name=here"])
        return SimpleNamespace(experiment=experiment, store=Store(experiment.folder))

    with pytest.raises(ConfigError, match=r"^sweep\.judged_by: .*/here is this experiment itself"):
        judging.objective(asked(tmp_path / "here"))
    with pytest.raises(MissingError, match=r"^sweep\.judged_by: found no experiment\.yaml in .*/nowhere"):
        judging.objective(asked(tmp_path / "nowhere"))
    there = encoded(tmp_path, "there", "task=ner")
    with pytest.raises(ConfigError, match=r"^sweep\.judged_by: .*/there is on ner, this experiment on pos"):
        judging.objective(asked(there.store.root))


def searching(there: Path, targets: str = "null") -> list[str]:
    search = (
        "sweep={search: optuna, candidates: 8, seeds: 1, learning_rate: {low: 1e-3, high: 5e-3, log: true}, "
        f"epochs: [1], batch_size: [32], objective: recommended, judged_by: '{there}', judged_for: {targets}}}"
    )
    return [search, "name=search"]


def recipe(job: Path, there: Path, storage: Path, **changes: Any) -> Recipe:
    experiment = load(str(job), [f"storage={storage}", *searching(there, **changes)])
    return candidates.prepare(Job(experiment, Store(experiment.folder)))


@pytest.mark.ray
def test_judges_with_other_labels_encoders_or_targets_are_refused(job: Path, there: Path, tmp_path: Path, encoder):
    fine = recipe(job, there, tmp_path)
    with pytest.raises(ConfigError, match=r"has candidates with labels .*; accepted are the same in the same order"):
        judging.objective(replace(fine, task=_turned(fine.task)))
    with pytest.raises(ConfigError, match="has candidates of another encoder: hidden_size 16 instead of 64"):
        judging.objective(replace(fine, encoder=encoder))
    with pytest.raises(ConfigError, match=r"^sweep\.judged_for: found es; accepted are targets of small: nl, tr"):
        judging.objective(recipe(job, there, tmp_path, targets="[tr, es]"))
    judge = judging.objective(fine)
    assert judge.targets == ("nl", "tr")
    assert judge.digest == judging.objective(fine).digest
    assert judge.digest != judging.objective(recipe(job, there, tmp_path, targets="[tr]")).digest


def _turned(task: PartOfSpeech) -> PartOfSpeech:
    return PartOfSpeech(task.labels[::-1])


@pytest.mark.ray
def test_a_search_maximises_the_recommended_score_and_goes_on(job: Path, there: Path, lms_ray, tmp_path: Path):
    small.run("sweep", job, tmp_path, *searching(there), "--only")
    folder = tmp_path / "search"
    records = {path: json.loads(path.read_text()) for path in folder.glob("candidates/*/DONE.json")}
    assert len(records) == 8
    for record in records.values():
        assert set(record["judged"]) == {"nl", "tr"}
        assert record["objective"] == pytest.approx(sum(record["judged"].values()) / 2)
    assert len({record["objective"] for record in records.values()}) == 8
    path, record = max(records.items(), key=lambda item: item[1]["objective"])
    assert lms_ray("rank", there, "--checkpoint", path.parent) == 0
    table = pd.read_parquet(there / "newcomers.parquet").set_index(["target", "rule"])["score"]
    for target, score in record["judged"].items():
        assert table[target, "Recommended"] == pytest.approx(score, abs=1e-5), "the search and the verb say the same"

    small.run("sweep", job, tmp_path, *searching(there), "--only")
    assert {path: json.loads(path.read_text()) for path in records} == records, "nothing is done again"
    small.run("sweep", job, tmp_path, *searching(there, "[tr]"), "--only")
    again = {path: json.loads(path.read_text()) for path in folder.glob("candidates/*/DONE.json")}
    assert again.keys() == records.keys()
    for path, record in again.items():
        assert record["objective"] == pytest.approx(records[path]["judged"]["tr"], abs=1e-5)
        assert record["started"] == records[path]["started"], "judged again, not fine-tuned again"
    assert identity.experiment(Store(str(folder))).sweep.judged_by == str(there)
