"""A language of which there is only text joins a finished experiment: its text is encoded, and nothing else is done."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lms_ray import ablation, ranking, report, selection, tasks, verify
from lms_ray.choosing.recommended import RECOMMENDED
from lms_ray.data import toy
from lms_ray.models.job import Job
from lms_ray.pages.paper.studies import read_all
from lms_ray.settings.errors import ConfigError
from lms_ray.store import deployment, encodings, picks, pool, status, verified
from lms_ray.store.files import Store
from made_encodings import again, encoded
from small import CANDIDATES, done_files, run
from small import picks as small_picks

SENTENCES = 80


@pytest.fixture(scope="module")
def danish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text and, for later, labels of a sixth small language."""
    folder = tmp_path_factory.mktemp("danish")
    toy.write_languages(folder, ["da"], seed=1, sizes=toy.Sizes(train=1, dev=1, test=60, text=SENTENCES))
    return folder


@pytest.fixture(scope="module")
def extended(job: Path, finished: Path, danish: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Storage with the finished job, to which the language was added."""
    storage = tmp_path_factory.mktemp("extended")
    shutil.copytree(finished / "small", storage / "small")
    output = run(
        "sweep", job, storage, "unlabelled_targets=[da]", f"data.text.da={danish / toy.TEXT.format(lang='da')}"
    )
    (storage / "output.txt").write_text(output)
    return storage


def encoded_of(storage: Path, table: str) -> Callable[[str], pd.DataFrame]:
    """Rows of a candidate's encodings without those of the new text."""

    def read(candidate: str) -> pd.DataFrame:
        rows = pd.read_parquet(storage / "small" / "encodings" / candidate / table)
        return rows[rows["corpus"] != "da-text"].sort_values("corpus", kind="stable", ignore_index=True)

    return read


@pytest.mark.ray
def test_only_the_new_text_is_encoded(finished: Path, extended: Path):
    assert done_files(extended, "candidates") == done_files(finished, "candidates"), "nothing is fine-tuned"
    before, after = (encoded_of(storage, "features.parquet") for storage in (finished, extended))
    for candidate in done_files(extended, "encodings"):
        pd.testing.assert_frame_equal(before(candidate), after(candidate))
        found = json.loads((extended / "small" / "encodings" / candidate / "DONE.json").read_text())
        earlier = json.loads((finished / "small" / "encodings" / candidate / "DONE.json").read_text())
        assert found["corpora"].keys() - earlier["corpora"].keys() == {"da-text"}
        worked = [sum(use["work"] for use in record["uses"]) for record in (earlier, found)]
        assert worked[1] - worked[0] == SENTENCES


@pytest.mark.ray
def test_it_has_picks_for_use_and_changes_no_other_pick(finished: Path, extended: Path):
    pd.testing.assert_frame_equal(small_picks(extended), small_picks(finished))
    before, after = (
        pd.read_parquet(storage / "small" / deployment.PATH).set_index(["target", "rule"])["candidate"]
        for storage in (finished, extended)
    )
    pd.testing.assert_series_equal(after[before.index], before)
    assert set(after["da"].index) == set(after["tr"].index), "text gives every signal"
    markdown = (extended / "small" / "report" / "report.md").read_text()
    assert "No labels: da." in markdown
    assert re.search(rf"^\| da +\| {re.escape(after['da', 'Recommended'])} ", markdown, flags=re.M)
    assert "Of da there is plain text only" in (extended / "small" / "report" / "report.html").read_text()
    assert not status.read(Store(str(extended / "small"))).missing


@pytest.mark.ray
def test_labels_that_come_later_judge_its_picks(extended: Path, danish: Path):
    folder = extended / "small"
    verify.run(str(folder), "da", str(danish / toy.FILES.format(lang="da", split="test")))
    (within,) = (folder / verified.FOLDER).glob("da-*")
    rows = pd.read_parquet(within / verified.VERIFICATION).set_index("rule")
    deployed = pd.read_parquet(folder / deployment.PATH).query("target == 'da'").set_index("rule")["candidate"]
    assert rows.loc[deployed.index, "candidate"].equals(deployed)
    scores = pd.read_parquet(within / verified.SCORES).set_index("candidate")["score"]
    assert len(scores) == CANDIDATES and scores.max() == rows.loc["Best", "score"]
    np.testing.assert_allclose(rows.loc[deployed.index, "score"], scores[deployed])


@pytest.mark.ray
def test_what_selection_scored_is_scored_the_same(extended: Path, languages: tuple[Path, Path]):
    folder, task = extended / "small", tasks.get("pos")
    store = Store(str(folder))
    verify.run(str(folder), "tr", str(languages[0] / toy.FILES.format(lang="tr", split="test")))
    (within,) = (folder / verified.FOLDER).glob("tr-*")
    candidates = pool.candidates(store)
    wanted_C = task.score(encodings.sums(store, candidates, ["tr-test"], task.statistics))[:, 0]
    scores = pd.read_parquet(within / verified.SCORES).set_index("candidate")["score"]
    np.testing.assert_array_equal(scores[candidates], wanted_C)


@pytest.fixture
def unjudged(tmp_path: Path) -> Job:
    """An experiment without any target that has labels."""
    return encoded(tmp_path, "unjudged", "targets=[]", "unlabelled_targets=[da]", "meta_split.draws=3")


def test_without_any_labelled_target_an_experiment_ends_with_picks_for_use(
    unjudged: Job, capsys: pytest.CaptureFixture
):
    for stage in (ranking, selection, report):
        stage.run(unjudged)
    store = unjudged.store
    assert picks.read(store) == [] and picks.read_splits(store).empty
    for_use = deployment.read(store, deployment.origin(store)).set_index("rule")
    assert set(for_use["target"]) == {"da"}
    printed = " ".join(capsys.readouterr().out.split())
    assert "no target has labels, and nothing is judged; deployment.parquet has the picks for use" in printed
    assert "Use Recommended. No target has labels, so nothing here says how well it picks for them;" in printed
    for name in ("report.md", "report.html"):
        page = store.read_bytes(f"report/{name}").decode()
        assert for_use.loc[RECOMMENDED, "candidate"] in page
        assert "One draw" not in page and "Every pick" not in page
    with pytest.raises(ConfigError, match="has no target with labels"):
        read_all([store.root])
    with pytest.raises(ConfigError, match=r"^targets: found none; accepted is at least one, by whose labels"):
        ablation.run(unjudged)


def test_another_task_does_not_teach_by_a_language_of_which_it_has_only_text(tmp_path: Path):
    ner = encoded(tmp_path, "ner", "task=ner", "targets=[it]", "unlabelled_targets=[nl]", seed=1)
    job = encoded(tmp_path, "pos", f"ranker.auxiliary=[{ner.store.root}]", "meta_split.draws=1")
    ranking.run(job)
    assert deployment.origin(job.store)


def test_a_text_that_is_new_makes_the_rankings_new(tmp_path: Path):
    job = encoded(tmp_path, "job", "unlabelled_targets=[da]", "meta_split.draws=1")
    ranking.run(job)
    both = deployment.read(job.store, deployment.origin(job.store))
    without = again(job, "meta_split.draws=1")
    ranking.run(without)
    alone = deployment.read(job.store, deployment.origin(job.store))
    assert set(both["target"]) - set(alone["target"]) == {"da"}
    pd.testing.assert_frame_equal(both[both["target"] != "da"].reset_index(drop=True), alone)
