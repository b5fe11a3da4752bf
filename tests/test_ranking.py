"""What is read for the rankers, what is kept of them, and where else they may come from."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lms_ray import ranking, tasks
from lms_ray.choosing.grid import points
from lms_ray.models.job import Job
from lms_ray.ranking import _conclude
from lms_ray.settings.choosing import Ranker
from lms_ray.settings.errors import MissingError, RankingError
from lms_ray.store import encodings, identity, pool, rankings
from lms_ray.store.encodings import Encoding
from lms_ray.store.files import Store
from made_encodings import E, again, encoded


def test_chosen_weights_that_the_storage_lost_are_fitted_again(tmp_path):
    """A point that counts as done without its weights would end every rerun with the same error."""
    store = Store(str(tmp_path))
    grid = points(Ranker(batch_size=(16,), learning_rate=(1e-4, 1e-5)), [("de",)])
    units = [f"rankers/f/{point.name}" for point in grid]
    for tau, unit in enumerate(units):
        weights = store.write_bytes(f"{unit}/weights.safetensors", b"1234")
        table = rankings.score_rows("nl", 0, ["a", "b"], np.array([1.0, 2.0]))
        files = {"weights.safetensors": weights, "scores.parquet": store.write_table(f"{unit}/scores.parquet", table)}
        point = {"fit": "paper", "batch_size": 16, "learning_rate": 1e-4, "l2": None, "seed": 0}
        record = {**point, "kendall_tau": float(tau), "seconds": 1.0}
        store.commit(unit, record, files)
    material = SimpleNamespace(candidates=("a", "b"), part_C=np.array(["train", "test"]))
    for _ in range(2):
        _conclude(store, material, "rankers/f", grid, {})
        assert [store.exists(f"{unit}/weights.safetensors") for unit in units] == [False, True]
        assert store.done("rankers") and store.done(units[0]) and store.done(units[1])
    store.delete(f"{units[1]}/weights.safetensors")
    assert store.done("rankers") is None and store.done(units[1]) is None and store.done(units[0])


def ranked(job: Job) -> dict[str, np.ndarray]:
    """Scores of all candidates, shape (K, C), by target."""
    ranking.run(job)
    return rankings.read_scores(job.store, pool.candidates(job.store))


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[target], other[target]) for target in one)


def relabelled(job: Job, corpus: str) -> None:
    """Other labels of one corpus, under the same text."""
    names, digests = tasks.get(job.experiment.task).statistics, encodings.digests(job.store)
    for number, candidate in enumerate(pool.candidates(job.store)):
        feature_H = encodings.features(job.store, [candidate], [corpus])[0, 0]
        encoding = Encoding(feature_H, np.full((E, len(names)), 1.0 + number) ** np.arange(1, 1 + len(names)))
        encodings.write(job.store, candidate, {corpus: encoding}, names, digests, [])


@pytest.mark.slow
@pytest.mark.parametrize("vector", ["learned", "syntax_knn", "none"])
@pytest.mark.parametrize("features", ["[target]", "[source]", "[pivot]", "[source, pivot, target]"])
def test_every_variant_is_ranked_from_what_is_stored(tmp_path: Path, features: str, vector: str):
    job = encoded(tmp_path, "one", f"ranker.features={features}", f"ranker.language_vector={vector}")
    before = ranked(job)
    assert list(before) == ["de", "nl", "pt"]
    relabelled(job, "nl-dev")
    assert same(before, ranked(again(job, f"ranker.features={features}", f"ranker.language_vector={vector}")))
    alike = np.allclose(before["nl"], before["pt"])
    assert alike == (vector == "none" and "target" not in features), "nothing tells the languages apart"


@pytest.mark.slow
def test_without_vectors_none_is_asked_for(tmp_path: Path):
    job = encoded(tmp_path, "one", "targets=[gn, he]", "ranker.language_vector=none")  # which have none
    assert list(ranked(job)) == ["gn", "he"]


@pytest.mark.slow
def test_the_rankers_of_another_experiment_score_as_they_do_there(tmp_path: Path):
    settings = ("ranker.features=[pivot, target]", "ranker.language_vector=syntax_knn")
    there = encoded(tmp_path, "there", *settings)
    scores = ranked(there)
    here = encoded(tmp_path, "here", *settings, f"ranker.transfer_from={there.store.root}")
    assert same(ranked(here), scores)
    validation = rankings.read_validation(here.store)
    assert validation["chosen"].all() and set(validation["pivots"]) == {"ar,de,es", "ar,es"}
    assert not [path for path in here.store.sizes("rankers", recursive=True) if path.endswith("safetensors")]

    others = encoded(tmp_path, "others", *settings, f"ranker.transfer_from={there.store.root}", "pivots=[ar]", seed=1)
    with pytest.raises(RankingError, match="its ranker for nl looks at the text of es, which are neither"):
        ranking.run(others)
    others = encoded(
        tmp_path, "more", *settings, f"ranker.transfer_from={there.store.root}", "targets=[nl, de, it]", seed=1
    )
    moved = ranked(others)
    assert list(moved) == ["de", "it", "nl"], "a target that is new there too"
    assert not np.array_equal(moved["nl"], scores["nl"])


@pytest.mark.slow
def test_fitting_anew_where_rankers_were_taken_from(tmp_path: Path):
    """A selection made with the rankers of before is noticed, though no setting here has changed."""
    there, other = encoded(tmp_path, "there"), encoded(tmp_path, "other", seed=1)
    ranked(there)
    wanted = f"ranker.transfer_from={there.store.root}"
    before = ranked(again(other, wanted))
    made_from = other.store.done("rankers")["input"]
    ranked(again(there, "ranker.l2=[7.0]"))
    assert not same(before, ranked(again(other, wanted)))
    assert other.store.done("rankers")["input"] != made_from


@pytest.mark.slow
@pytest.mark.parametrize(
    ("there", "here", "error", "message"),
    [
        (
            [],
            ["ranker.features=[source]"],
            RankingError,
            r"ranker.features is \['target'\] there and \['source'\] here",
        ),
        (
            [],
            ["ranker.language_vector=none"],
            RankingError,
            "ranker.language_vector is 'learned' there and 'none' here",
        ),
        ([], ["ranker.fit=paper"], RankingError, "ranker.fit is 'fast' there and 'paper' here"),
        ([], ["targets=[es]"], RankingError, "es taught every ranker there; accepted are other targets"),
        ([], ["meta_split.draw=1"], RankingError, r"rankers that \d+ of the candidates to pick from have taught"),
        (None, [], MissingError, r"rankers: not there yet; run `python -m lms_ray\.ranking`"),
    ],
)
def test_rankers_that_do_not_fit_are_refused(tmp_path: Path, there, here, error, message: str):
    source = encoded(tmp_path, "there")
    if there is not None:
        ranking.run(source)
    with pytest.raises(error, match=message):
        ranking.run(encoded(tmp_path, "here", *here, f"ranker.transfer_from={source.store.root}"))


@pytest.mark.slow
def test_rankers_of_another_width_or_of_nobody_are_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    there = encoded(tmp_path, "there")
    wanted = f"ranker.transfer_from={there.store.root}"
    with pytest.raises(RankingError, match="is this experiment itself"):
        ranking.run(again(there, wanted))
    ranking.run(there)
    with pytest.raises(RankingError, match="take features of width 5, and this experiment's are of width 6"):
        ranking.run(encoded(tmp_path, "wider", wanted, seed=1, width=6))
    second = encoded(tmp_path, "second", wanted, seed=1)
    ranking.run(second)
    with pytest.raises(MissingError, match="the rankers were not fitted there but taken from another experiment"):
        ranking.run(encoded(tmp_path, "third", f"ranker.transfer_from={second.store.root}", seed=2))
    there.store.write_bytes(
        identity.CONFIGURATION, there.store.read_bytes(identity.CONFIGURATION).replace(b"encoder: toy", b"encoder: x")
    )
    with caplog.at_level(logging.WARNING):
        ranking.run(again(second, wanted))
    assert "its candidates are of the encoder x, this experiment's of toy" in caplog.text


@pytest.mark.slow
def test_another_task_teaches_also_by_its_labels_in_a_target_language(tmp_path: Path):
    ner = encoded(tmp_path, "ner", "task=ner", "targets=[nl, it]", seed=1)
    settings = (f"ranker.auxiliary=[{ner.store.root}]", "ranker.features=[source, pivot, target]")
    job = encoded(tmp_path, "pos", *settings)
    alone = ranked(again(job, settings[1]))
    taught = ranked(again(job, *settings))
    assert not np.allclose(taught["nl"], alone["nl"])
    for corpus in ("nl-dev", "pt-dev"):
        relabelled(job, corpus)
    assert same(taught, ranked(again(job, *settings))), "labels of this task in a target"
    relabelled(ner, "it-dev")
    assert same(taught, ranked(again(job, *settings))), "a language that is none here"
    relabelled(ner, "nl-dev")
    assert not np.allclose(taught["nl"], ranked(again(job, *settings))["nl"])


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        (["task=pos"], [], "is on pos as well, and its labels in a target language may teach nobody here"),
        (["task=ner", "pivots=[tr, sv]", "targets=[it]"], [], "knows tr, sv, it; needed are pivots or targets"),
        (
            ["task=ner", "pivots=[ar, de]"], ["ranker.features=[pivot]"],
            "needed are all pivots, as ranker.features names pivot: es",
        ),
        (["task=ner"], ["width"], "has features of width 6, this experiment of width 5"),
    ],
)  # fmt: skip
def test_a_task_that_cannot_teach_is_refused(tmp_path: Path, there, here, message: str):
    width = {"width": 6} if "width" in here else {}
    other = encoded(tmp_path, "other", *there, seed=1, **width)
    here = [override for override in here if "=" in override]
    job = encoded(tmp_path, "job", f"ranker.auxiliary=[{other.store.root}]", *here)
    with pytest.raises(RankingError, match=message):
        ranking.run(job)


@pytest.mark.slow
def test_a_folder_without_an_experiment_teaches_nobody(tmp_path: Path):
    for key in ("ranker.auxiliary=[{}]", "ranker.transfer_from={}"):
        job = encoded(tmp_path, "job", key.format(tmp_path / "nobody"))
        with pytest.raises(MissingError, match="nobody"):
            ranking.run(job)
