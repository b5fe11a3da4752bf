"""An experiment's folder as tables: what the stages wrote, no label where none belongs, and clear errors."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lms_ray
from html_tags import Tags
from lms_ray import ConfigError, MissingError, OpenExperiment, PairwiseRanker, tasks
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.settings.loading import load, to_yaml
from lms_ray.settings.uris import split, without_credentials
from lms_ray.store import deployment, encodings, identity, picks, pool, rankings
from lms_ray.store.files import Store
from lms_ray.store.folder import Folder
from made_encodings import FROM_FILES, MODEL_FILES, C, H, again, encoded
from object_storage import Roots

TARGETS = ["nl", "pt", "de", "da"]


@pytest.fixture(scope="module")
def experiment(made: Job) -> OpenExperiment:
    return lms_ray.open_experiment(made.store.root)


@pytest.fixture
def copied(made: Job, tmp_path: Path) -> Store:
    """A folder of one's own, to spoil."""
    shutil.copytree(made.store.root, tmp_path / "runs" / "quickstart")
    return Store(str(tmp_path / "runs" / "quickstart"))


def test_the_tables_are_those_of_the_stages(experiment: OpenExperiment, made: Job):
    store = made.store
    assert experiment.candidates.reset_index(names="id").equals(pool.read(store))
    assert [vars(pick) for pick in picks.read(store)] == [
        {key: None if pd.isna(value) else value for key, value in row.items()}
        for row in experiment.picks.to_dict("records")
    ]
    assert experiment.draws.equals(picks.read_splits(store))
    assert experiment.calibration.equals(picks.read_outcomes(store))
    assert experiment.for_use.equals(deployment.read(store, deployment.origin(store)))
    assert experiment.settings == made.experiment


def test_features_are_by_candidate_and_language(experiment: OpenExperiment, made: Job):
    ids = pool.candidates(made.store)
    danish = experiment.features("da")
    assert danish.shape == (C, H) and list(danish.index) == ids
    assert np.array_equal(danish.to_numpy(), encodings.features(made.store, ids, ["da-text"])[:, 0])
    both = experiment.features(["pt", "da"])
    assert both.index.names == ["candidate", "language"] and len(both) == 2 * C
    assert both.xs("da", level="language").equals(danish)
    assert both.loc[(ids[3], "pt")].equals(experiment.features("pt-dev").loc[ids[3]])
    assert list(both.index[:2]) == [(ids[0], "pt"), (ids[0], "da")]


def test_scores_are_of_every_labelled_set(experiment: OpenExperiment, made: Job):
    assert set(experiment.scores.columns) == set(roles.labelled(made.experiment))
    task = tasks.get(made.experiment.task)
    (row,) = encodings.sums(made.store, [experiment.scores.index[2]], ["pt-test"], task.statistics)
    assert experiment.scores["pt", "test"].iloc[2] == task.score(row)[0]
    assert list(experiment.scores["pt"].columns) == ["dev", "test"]


def test_a_table_is_read_once_and_is_the_user_s_own(experiment: OpenExperiment, monkeypatch: pytest.MonkeyPatch):
    first = experiment.candidates
    first["seed"] = -1
    features = experiment.features("pt")
    features.iloc[:] = 0.0
    monkeypatch.setattr(Store, "read_table", lambda *_, **__: pytest.fail("read again"))
    monkeypatch.setattr(Store, "read_unit_table", lambda *_, **__: pytest.fail("read again"))
    assert (experiment.candidates["seed"] >= 0).all()
    assert (experiment.features("pt") != 0).any(axis=None)


@pytest.mark.parametrize("target", TARGETS)
def test_the_first_of_each_order_is_the_pick_for_use(experiment: OpenExperiment, target: str):
    for row in experiment.for_use.query("target == @target").to_dict("records"):
        order = experiment.rank(target, row["rule"])
        assert order.index[0] == row["candidate"], row["rule"]
        assert len(order) == C and order["place"].iloc[0] == 1
        if row["followed"]:
            assert experiment.rank(target).equals(order)
    assert {"score", "learning_rate", "dev_score"} < set(order.columns)


def test_what_a_rule_never_scored_stands_last(experiment: OpenExperiment):
    order = experiment.rank("pt", "LMS")
    assert order["score"].isna().any(), "four draws leave candidates out of every pool"
    assert not order["score"].iloc[: order["score"].notna().sum()].isna().any()
    assert order["place"].isna().equals(order["score"].isna())


@pytest.mark.parametrize("target", TARGETS)
def test_a_fitted_ranker_is_that_of_the_stage(experiment: OpenExperiment, made: Job, target: str):
    """Bit for bit, and the same after it was kept."""
    ranker = experiment.fit_ranker(target)
    features = experiment.features(target)
    stored = rankings.read_scores(made.store, list(features.index))[target][0]
    assert np.array_equal(ranker.predict(features, target), stored)
    assert ranker.languages_ == made.experiment.pivots_for(target)
    order = experiment.rank(target, ranker)
    assert order["score"].equals(ranker.rank(features, target))


def test_a_fitted_net_is_that_of_the_stage(made: Job):
    from lms_ray.choosing import grid
    from lms_ray.choosing.gathering import gather

    paper = again(
        made,
        *FROM_FILES,
        "ranker.fit=paper",
        "ranker.hidden=8",
        "ranker.batch_size=[16]",
        "ranker.learning_rate=[1e-3]",
    )
    opened = OpenExperiment(made.store, paper.experiment)
    ranker = opened.fit_ranker("pt")
    material = gather(opened._read.as_run, made.store)
    point = grid.Point(("ar", "de", "es"), 16, 1e-3)
    fitted = grid.fit_point(point, ["pt"], material, "cpu")
    assert np.array_equal(ranker.predict(opened.features("pt"), "pt"), fitted.scores["pt"])


def test_parameters_of_one_s_own_take_the_place_of_the_experiment_s(experiment: OpenExperiment):
    ranker = experiment.fit_ranker("pt", l2=[3.0], language_vector="syntax_knn")
    assert ranker.chosen_ == {"l2": 3.0} and ranker.language_vector == "syntax_knn"
    with pytest.raises(TypeError, match="alpha"):
        experiment.fit_ranker("pt", alpha=1)


@pytest.mark.parametrize("target", ["nl", "de"])
def test_no_label_of_a_target_reaches_its_ranker_or_its_order(copied: Store, target: str):
    """Also where it is a pivot of the others: its labels are shuffled, and nothing that is said of it changes."""
    before = lms_ray.open_experiment(copied.root)
    ranker, order, scores = before.fit_ranker(target), before.rank(target), before.scores
    other = before.fit_ranker("pt")
    _shuffle(copied, before, target)
    after = lms_ray.open_experiment(copied.root)
    assert not after.scores[target].equals(scores[target])
    features = before.features(target)
    assert np.array_equal(after.fit_ranker(target).predict(features, target), ranker.predict(features, target))
    assert after.rank(target).equals(order)
    portuguese = before.features("pt")
    unchanged = np.array_equal(after.fit_ranker("pt").predict(portuguese, "pt"), other.predict(portuguese, "pt"))
    assert unchanged == (target not in before.settings.pivots), "the shuffled labels of a pivot teach the others"


def _shuffle(store: Store, experiment: OpenExperiment, language: str) -> None:
    """Give every candidate another one's statistics on the labelled sets of a language."""
    ids, statistics = pool.candidates(store), tasks.get(experiment.settings.task).statistics
    digests = encodings.digests(store)
    names = [name for name in digests if name.startswith(f"{language}-")]
    of = {one: encodings.read(store, one, names, statistics) for one in ids}
    for one, other in zip(ids, np.random.default_rng(0).permutation(ids), strict=True):
        fresh = {
            name: encodings.Encoding(of[one][name].feature_H, of[str(other)][name].statistics_ES) for name in names
        }
        encodings.write(store, one, fresh, statistics, digests, [])


def test_a_target_that_is_a_pivot_is_refused_where_it_was_not_left_out(experiment: OpenExperiment):
    ranker = experiment.fit_ranker()
    with pytest.raises(ValueError, match="found de, a pivot whose scores taught this ranker"):
        experiment.rank("de", ranker)
    assert len(experiment.rank("pt", ranker)) == C
    features = np.random.default_rng(0).normal(size=(C, len(experiment.features("de").columns)))
    nameless = PairwiseRanker().fit(features, features[:, 0])
    with pytest.raises(ValueError, match="found de, a pivot, and a ranker that does not know the codes"):
        experiment.rank("de", nameless)
    assert len(experiment.rank("pt", nameless)) == C


def test_reasons_are_the_report_s_sentences_and_their_tables(experiment: OpenExperiment):
    found = experiment.why("de")
    use = experiment.for_use.query("followed and target == 'de'").iloc[0]
    assert use["candidate"] in found.words and str(found).split() == found.words.split()
    assert found.rules["followed"].iloc[0] and found.rules.index[0] == use["rule"]
    assert found.rules["weight"].sum() == pytest.approx(1.0)
    assert "weight" in found._repr_html_()
    two_pivots = experiment.settings.pivots_for("de")
    assert len(two_pivots) == 2 and found.pivots.empty, "too few to try rules on"
    of_three = experiment.why("pt")
    assert list(of_three.pivots.columns) == ["ar", "de", "es"]
    assert of_three.rules.loc["LMS", "gain_on_pivots"] == pytest.approx(of_three.pivots.loc["LMS"].mean())


def test_the_model_is_exported(experiment: OpenExperiment, tmp_path: Path):
    experiment.export("da", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"README.md", *MODEL_FILES}
    with pytest.raises(ConfigError, match="accepted is a new folder or an empty one"):
        experiment.export("da", tmp_path / "out")


REFUSED = {
    "rank": (lambda one: one.rank("fr"), "language: found 'fr'; accepted are nl, pt, de, da"),
    "rank a pivot": (lambda one: one.rank("ar"), "language: found 'ar'"),
    "rule": (lambda one: one.rank("pt", "Best"), "selector: found 'Best'; accepted are All-Pivot, All-Pivot z"),
    "why": (lambda one: one.why("fr"), "language: found 'fr'"),
    "features": (lambda one: one.features("fr"), "language: found 'fr'; accepted are ar, de, es, nl, pt, da, en-dev"),
    "no features": (lambda one: one.features([]), "accepted are one or more, each once"),
    "features twice": (lambda one: one.features(["de", "de"]), "accepted are one or more, each once"),
    "target": (lambda one: one.fit_ranker("fr"), "target: found 'fr'; accepted are ar, de, es, nl, pt, da"),
    "export": (lambda one: one.export("fr", "x"), "--target: found fr"),
}


@pytest.mark.parametrize(("ask", "message"), REFUSED.values(), ids=REFUSED)
def test_what_there_cannot_be_is_refused(experiment: OpenExperiment, ask, message: str):
    with pytest.raises(ConfigError, match=message):
        ask(experiment)


@pytest.mark.parametrize("overrides", [["ranker.features=[source]"], ["ranker.auxiliary=[/x]"]], ids=str)
def test_a_ranker_that_sees_more_than_features_of_the_language_is_refused(made: Job, overrides: list[str]):
    with pytest.raises(ConfigError, match="accepted here are features over a language's own text"):
        OpenExperiment(made.store, again(made, *overrides).experiment).fit_ranker("pt")


def test_a_ranker_of_another_experiment_is_not_fitted_here(made: Job):
    with pytest.raises(ConfigError, match="accepted is an experiment with rankers of its own"):
        OpenExperiment(made.store, again(made, "ranker.transfer_from=/x").experiment).fit_ranker("pt")


def test_who_is_held_out_says_the_experiment(experiment: OpenExperiment):
    with pytest.raises(ValueError, match="dev_share: found a share"):
        experiment.fit_ranker("pt", dev_share=0.5)


ASK = {
    "candidates": lambda one: one.candidates,
    "features": lambda one: one.features("pt"),
    "scores": lambda one: one.scores,
    "fit_ranker": lambda one: one.fit_ranker("pt"),
    "for_use": lambda one: one.for_use,
    "rank": lambda one: one.rank("pt"),
    "why": lambda one: one.why("pt"),
    "export": lambda one: one.export("pt", "out"),
    "picks": lambda one: one.picks,
    "draws": lambda one: one.draws,
    "calibration": lambda one: one.calibration,
}
BY_RANKING, BY_SELECTION = ("for_use", "rank", "why", "export"), ("picks", "draws", "calibration")


def test_a_part_that_is_not_made_yet_names_its_stage(tmp_path: Path):
    empty = tmp_path / "runs" / "new"
    empty.mkdir(parents=True)
    with pytest.raises(MissingError, match=r"path: found no experiment\.yaml in "):
        lms_ray.open_experiment(empty)
    (empty / "experiment.yaml").write_text(to_yaml(load(None, ["name=new"])))
    for name in ("candidates", "features", "scores"):
        with pytest.raises(MissingError, match=r"run `python -m lms_ray\.(sweep|features)` first"):
            ASK[name](lms_ray.open_experiment(empty))
    ready = encoded(tmp_path / "runs", "encoded", *FROM_FILES, splits=("dev", "test"))
    opened = lms_ray.open_experiment(ready.store.root)
    assert ASK["fit_ranker"](opened).languages_ == ("ar", "de", "es")
    for name in [*BY_RANKING, *BY_SELECTION]:
        stage = "ranking" if name in BY_RANKING else "selection"
        with pytest.raises(MissingError, match=rf"run `python -m lms_ray\.{stage}` first"):
            ASK[name](opened)
    html = opened._repr_html_()
    assert "features ✓" in html and "ranking ·" in html


def test_what_was_made_by_other_settings_is_not_shown(copied: Store, made: Job):
    """As the folder stands after a stage ran with other settings, and the later ones have not."""
    settings = made.experiment.meta_split.model_copy(update={"draws": 5})
    changed = made.experiment.model_copy(update={"meta_split": settings})
    copied.write_bytes(identity.CONFIGURATION, to_yaml(changed).encode())
    opened = lms_ray.open_experiment(copied.root)
    assert len(opened.scores) == C
    for name in ("for_use", "rank", "picks", "draws", "calibration"):
        with pytest.raises(MissingError, match=r"were made otherwise: meta_split\.draws is 4 there and 5 here"):
            ASK[name](opened)


def test_encodings_by_other_settings_are_not_shown(copied: Store, made: Job):
    changed = made.experiment.model_copy(
        update={"finetune": made.experiment.finetune.model_copy(update={"max_grad_norm": 9.0})}
    )
    copied.write_bytes(identity.CONFIGURATION, to_yaml(changed).encode())
    opened = lms_ray.open_experiment(copied.root)
    assert len(opened.candidates) == C
    for name in ("features", "scores", "fit_ranker"):
        with pytest.raises(MissingError, match=r"candidates were made otherwise: finetune\.\w+ is .*sweep` first"):
            ASK[name](opened)


def test_a_name_is_no_markup(made: Job):
    planted = "<script>alert(1)</script>"
    settings = made.experiment.model_copy(update={"encoder": planted})
    shown = OpenExperiment(made.store, settings)._repr_html_()
    assert Tags(shown).found == Tags(OpenExperiment(made.store, made.experiment)._repr_html_()).found


def test_a_folder_is_named_in_any_way(made: Job, monkeypatch: pytest.MonkeyPatch):
    folder = Path(made.store.root)
    monkeypatch.chdir(folder.parent.parent)
    monkeypatch.setenv("HOME", str(folder.parent.parent))
    for path in (folder, "runs/quickstart", "~/runs/quickstart", folder.as_uri()):
        assert len(lms_ray.open_experiment(path).candidates) == C
    with pytest.raises(ConfigError, match="path: found ''"):
        lms_ray.open_experiment("")
    assert repr(lms_ray.open_experiment(folder)) == (
        f"OpenExperiment('{folder}': pos, pivots ar de es, targets nl pt de da)"
    )


def test_it_is_read_from_a_bucket(made: Job, experiment: OpenExperiment, s3: Roots):
    bucket, options = split(s3("runs"))
    Folder(f"{bucket}{options}").upload(Path(made.store.root), "quickstart")
    opened = lms_ray.open_experiment(f"{bucket}/quickstart{options}")
    assert opened.rank("pt").equals(experiment.rank("pt"))
    assert opened.features("pt").equals(experiment.features("pt")) and opened.scores.equals(experiment.scores)
    assert opened.fit_ranker("pt").validation_.equals(experiment.fit_ranker("pt").validation_)
    assert opened.path == without_credentials(f"{bucket}/quickstart") != f"{bucket}/quickstart"
    assert "secret" not in repr(opened) + opened._repr_html_() + repr(opened.settings)
