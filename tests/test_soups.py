"""The stage of soups: every row of its table, what each soup reads, and going on after a kill, on a real local Ray."""

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import commands
from lms_ray import features, ranking, soups
from lms_ray.cluster import encoding
from lms_ray.cluster.encoding import Read
from lms_ray.models import candidates, shards
from lms_ray.models.job import Job
from lms_ray.settings.candidates import grid
from lms_ray.settings.errors import ConfigError, MissingError
from lms_ray.settings.loading import load
from lms_ray.store import encodings, lineage, pool
from lms_ray.store import soups as kept
from lms_ray.store.files import Store
from small import CANDIDATES, done_files, run, start

pytestmark = pytest.mark.slow  # candidates are trained first

SETTINGS = (
    *("finetune.shared_head=true", "sweep.epochs=[1]", "meta_split.draws=3"),
    *("ranker.fit=fast", "ranker.l2=[0.1]", "soups.top=[1,3]"),
)


def encode_here(job: Job, tokenizer, wanted, models) -> Iterator[Read]:
    """What `cluster.encoding.encode_all` does, without Ray."""
    for name, corpora in wanted.items():
        chosen = [corpus for corpus in job.corpora.encoded if corpus.name in corpora]
        windows = shards.all_tokenised(chosen, job.task, tokenizer, job.experiment)
        yield Read(name, shards.all_encoded(models.load(name, "cpu"), job.task, windows, job.experiment.encode), [])


@pytest.fixture(scope="module")
def without_ray() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "encode_all", encode_here)
        yield


def job_in(storage: Path, job: Path, *settings: str) -> Job:
    experiment = load(str(job), [f"storage={storage}", *SETTINGS, *settings])
    return Job(experiment, Store(experiment.folder))


@pytest.fixture(scope="module")
def ranked(job: Path, without_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Storage with candidates that share a head, encoded and ranked."""
    storage = tmp_path_factory.mktemp("ranked")
    found = job_in(storage, job)
    recipe = candidates.prepare(found)
    records = [candidates.fine_tune(candidate, recipe, "cpu") for candidate in grid(found.experiment.sweep)]
    origin = {"settings": lineage.settings(found.experiment, lineage.CANDIDATES)}
    pool.write(found.store, records, origin)
    features.run(found)
    ranking.run(found)
    return storage


@pytest.fixture(scope="module")
def souped(job: Path, ranked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with its soups."""
    storage = copied(ranked, tmp_path_factory.mktemp("souped"))
    soups.run(job_in(storage, job))
    return storage


def copied(storage: Path, to: Path) -> Path:
    shutil.copytree(storage / "small", to / "small")
    return to


def table(storage: Path) -> pd.DataFrame:
    return pd.read_parquet(storage / "small" / "soups.parquet")


def test_every_soup_is_scored_for_every_target(souped: Path):
    rows = table(souped)
    kinds = {"single": 4, "top": 8, "all": 1, "first": 3, "setting": 2, "best setting": 1, "oracle": 2}
    for target in ("nl", "tr"):
        assert rows[rows["target"] == target]["kind"].value_counts().to_dict() == kinds
    assert (rows["members"] == rows["recipe"].map(len)).all()
    assert rows.loc[rows["kind"] == "all", "members"].unique().tolist() == [CANDIDATES]
    assert not list((souped / "small" / "soups").rglob("*.safetensors")), "a recipe is kept, no weights"
    settings = rows[rows["kind"] == "setting"].set_index(["target", "setting"])["score"]
    for best in rows[rows["kind"] == "best setting"].itertuples():
        assert best.score == settings[best.target, best.setting]


def test_the_soup_of_one_candidate_scores_exactly_as_the_candidate(souped: Path):
    rows, store = table(souped), Store(str(souped / "small"))
    ones = rows[(rows["kind"] == "top") & (rows["members"] == 1)]
    picks = rows[rows["kind"] == "single"].set_index(["target", "selector"])["score"]
    assert len(ones) == len(picks) == 8
    assert (ones["delta_to_pick"] == 0).all()
    for one in ones.itertuples():
        assert one.score == picks[one.target, one.selector]
        test = f"{one.target}-test"
        own = encodings.statistics(store, list(one.recipe), [test], ("correct", "total"))[test][0]
        soup = store.read_unit_table(encodings.unit(one.id, kept.FOLDER), "statistics.parquet").to_pandas()
        assert (soup[soup["corpus"] == test][["correct", "total"]].to_numpy() == own).all()


def test_a_soup_reads_only_what_it_needs_and_equal_members_are_encoded_once(souped: Path):
    rows = table(souped)
    made = rows[~rows["kind"].isin(["single", "oracle"])]
    units = {path.parent.name: json.loads(path.read_text()) for path in souped.glob("small/soups/*/DONE.json")}
    assert set(units) == set(made["id"])
    for name, record in units.items():
        of_soup = made[made["id"] == name]
        if set(of_soup["kind"]) == {"top"}:
            assert set(record["corpora"]) == {f"{target}-test" for target in of_soup["target"]}
        else:
            assert set(record["corpora"]) == {"en-dev", "de-dev", "es-dev", "nl-dev", "nl-test", "tr-test"}


def test_only_what_is_missing_is_encoded_and_only_that_needs_weights(
    job: Path, souped: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    found = job_in(copied(souped, tmp_path), job)
    before, rows = done_files(tmp_path, "soups"), table(tmp_path)
    lost = rows[rows["kind"] == "top"]["id"].iloc[-1]
    shutil.rmtree(tmp_path / "small" / "soups" / lost)
    soups.run(found)
    assert f"{len(before)} soups, {len(before) - 1} of them done before" in capsys.readouterr().out
    pd.testing.assert_frame_equal(table(tmp_path), rows)
    after = done_files(tmp_path, "soups")
    assert {name for name in before if after[name] != before[name]} == {lost}

    for name in pool.candidates(found.store):
        found.store.drop(pool.unit(name), ["model.safetensors"])
    soups.run(found)
    shutil.rmtree(tmp_path / "small" / "soups" / lost)
    said = r"^soups are averages of weights, and the weights of \d candidates .*keep_weights.*; delete \S+/candidates/"
    with pytest.raises(MissingError, match=said):
        soups.run(found)


def test_what_was_ranked_or_encoded_otherwise_is_refused(job: Path, souped: Path, tmp_path: Path):
    copied(souped, tmp_path)
    with pytest.raises(MissingError, match=r"not there yet; run `python -m lms_ray\.ranking` first"):
        soups.run(job_in(tmp_path, job, "ranker.l2=[0.5]"))
    with pytest.raises(MissingError, match=r"candidates were made otherwise: sweep\.seeds is"):
        soups.run(job_in(tmp_path, job, "sweep.seeds=5"))
    with pytest.raises(ConfigError, match=r"finetune\.shared_head is false"):
        soups.run(job_in(tmp_path, job, "finetune.shared_head=false"))


def test_texts_that_have_changed_since_are_refused(
    job: Path, souped: Path, languages: tuple[Path, Path], tmp_path: Path
):
    copied(souped, tmp_path)
    shutil.copytree(languages[0], tmp_path / "treebanks")
    (test,) = (tmp_path / "treebanks").glob("*-tr/*test.conllu")
    test.write_text("\n\n".join(test.read_text().split("\n\n")[1:]))
    with pytest.raises(MissingError, match=r"texts have changed: tr-test is .*; run `python -m lms_ray\.features`"):
        soups.run(job_in(tmp_path, job, f"data.root={tmp_path / 'treebanks'}"))


def test_the_command_refuses_heads_of_their_own_before_a_folder_is_made(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    assert commands.run(monkeypatch, "soups", str(job), f"storage={tmp_path}") == 2
    assert "finetune.shared_head is false" in capsys.readouterr().err
    assert not (tmp_path / "small").exists()


@pytest.mark.ray
@pytest.mark.chaos
def test_a_driver_that_was_killed_goes_on_with_the_soups_that_are_missing(
    job: Path, ranked: Path, souped: Path, tmp_path: Path
):
    copied(ranked, tmp_path)
    driver = start("soups", job, tmp_path, *SETTINGS, "encode.resources.workers=1")
    while len(done_files(tmp_path, "soups")) < 2:
        assert driver.poll() is None, (tmp_path / "log.txt").read_text()
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    time.sleep(2)  # its Ray processes notice and end
    done = done_files(tmp_path, "soups")
    assert 2 <= len(done) < len(done_files(souped, "soups"))
    assert not (tmp_path / "small" / "soups.parquet").exists()
    output = run("soups", job, tmp_path, *SETTINGS)
    assert f"soups, {len(done)} of them done before" in output and "Seeds of the setting that the pivots" in output
    assert done.items() <= done_files(tmp_path, "soups").items(), "they are not made again"
    pd.testing.assert_frame_equal(table(tmp_path), table(souped))
