"""Labels that come later judge the picks for use: the table says what was planted, and nothing is done twice."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import commands
from lms_ray import ranking, tasks, verify
from lms_ray.choosing.gathering import recall
from lms_ray.data import DataError, corpora, toy
from lms_ray.models import encoder as encoders
from lms_ray.models import shards
from lms_ray.models.encode import encode
from lms_ray.models.job import Job
from lms_ray.models.pretrain import materialise
from lms_ray.settings.errors import ConfigError, MissingError
from lms_ray.settings.models import Encode
from lms_ray.store import deployment, pool, redrawn, verified
from made_encodings import encoded

SENTENCES = 30
RULE = "All-Pivot z"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A labelled file of a language of which the experiment knows nothing but text."""
    toy.write_languages(tmp_path / "later", ["da"], 0, toy.Sizes(train=1, dev=1, test=SENTENCES, text=1))
    return tmp_path / "later" / toy.FILES.format(lang="da", split="test")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """An experiment of 24 candidates that are ranked, for three targets and one of which there is only text."""
    job = encoded(tmp_path, "job", "unlabelled_targets=[da]", "selection.bootstrap=200", "meta_split.draws=4")
    ranking.run(job)
    return job


def said_of(job: Job, target: str) -> tuple[list[str], dict[str, np.ndarray]]:
    """The candidates, and every rule's scores of them."""
    origin = deployment.origin(job.store)
    candidates = redrawn.candidates(job.store, origin)
    return candidates, recall(job.store, origin, candidates).overall[target]


def within(job: Job, labels: Path, target: str = "da") -> str:
    experiment = materialise(job.experiment, make=False)
    corpus = corpora.of_file(experiment, tasks.get("pos").example, target, str(labels))
    return verify.folder(corpus, experiment)


def planted(job: Job, labels: Path, right_C: np.ndarray) -> list[str]:
    """What the candidates make of the labels, as if they had been passed through."""
    candidates, _ = said_of(job, "da")
    for candidate, right in zip(candidates, right_C, strict=True):
        statistics_ES = np.tile([right, 100.0], (SENTENCES, 1))
        verified.write_statistics(job.store, within(job, labels), candidate, ("correct", "total"), statistics_ES)
    return candidates


def table(job: Job, labels: Path) -> pd.DataFrame:
    return verified.read(job.store, within(job, labels)).set_index("rule")


def test_ranking_asks_for_it_with_all_pivots_and_names_its_picks(job: Job):
    for_use = deployment.read(job.store, deployment.origin(job.store))
    of_target = dict(iter(for_use.groupby("target")["rule"]))
    assert list(of_target) == ["da", "de", "nl", "pt"]
    assert set(of_target["da"]) == set(of_target["nl"]) >= {*deployment.FOR_USE, "Ridge", "LambdaRank + pivots"}


def test_labels_that_agree_with_a_rule_make_it_the_best(job: Job, labels: Path, capsys: pytest.CaptureFixture):
    _, scores = said_of(job, "da")
    order_C = np.argsort(np.argsort(scores[RULE]))
    candidates = planted(job, labels, 10.0 + order_C)
    verify.run(job.store.root, "da", str(labels))
    rows = table(job, labels)
    best, reference = rows.loc[RULE], rows.loc["En-Dev"]
    assert best["candidate"] == rows.loc["Best", "candidate"] == candidates[int(scores[RULE].argmax())]
    assert (best["kendall_tau"], best["rank"], best["regret"]) == (pytest.approx(1), 1, 0)
    assert best["score"] == pytest.approx((10 + len(candidates) - 1) / 100)
    assert rows.loc["Random", "score"] == pytest.approx((10 + (len(candidates) - 1) / 2) / 100)
    assert best["delta"] == pytest.approx(best["score"] - reference["score"])
    assert best["low"] == best["high"] == pytest.approx(best["delta"]), "every sentence says the same"
    for rule, score_C in scores.items():
        picked = int(np.where(np.isnan(score_C), -np.inf, score_C).argmax())
        assert rows.loc[rule, "regret"] == pytest.approx((order_C.max() - order_C[picked]) / 100)
    printed = capsys.readouterr().out
    assert f"da: accuracy in percent on {SENTENCES} labelled examples, the picks for use from 24 candidates." in printed
    assert "24 candidates, 24 of them done before" in printed
    scored = pd.read_parquet(Path(job.store.root) / within(job, labels) / verified.SCORES)
    assert dict(zip(scored["candidate"], scored["score"], strict=True))[candidates[0]] == (10 + order_C[0]) / 100


def test_labels_that_say_the_opposite_make_it_the_worst(job: Job, labels: Path):
    _, scores = said_of(job, "da")
    planted(job, labels, 50.0 - np.argsort(np.argsort(scores[RULE])))
    verify.run(job.store.root, "da", str(labels))
    worst = table(job, labels).loc[RULE]
    assert (worst["kendall_tau"], worst["rank"]) == (pytest.approx(-1), 24)


def test_a_longer_file_is_another_verification(job: Job, labels: Path):
    before = within(job, labels)
    labels.write_text(labels.read_text() + "1\tx\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n")
    assert within(job, labels) != before


@pytest.mark.parametrize(
    ("target", "change", "error", "said"),
    [
        ("sv", lambda path: None, ConfigError, r"^--target: found sv; accepted are nl, pt, de, da$"),
        (
            "da",
            lambda path: path.unlink(),
            DataError,
            r"^--labels: found no file .*; accepted is one in the format con",
        ),
        ("da", lambda path: path.write_text("1\tx\n"), DataError, r"conllu:1: "),
        (
            "da",
            lambda path: path.write_text("1\tx\t_\tNOUNS\t_\t_\t0\troot\t_\t_\n\n"),
            DataError,
            r"conllu:1: .*NOUNS",
        ),
    ],
)
def test_what_cannot_be_verified_is_refused(job: Job, labels: Path, target: str, change, error, said: str):
    change(labels)
    with pytest.raises(error, match=said):
        verify.run(job.store.root, target, str(labels))
    assert not job.store.exists(verified.FOLDER)


def made_models(job: Job, encoder: encoders.Encoder, tmp_path: Path) -> None:
    """Random models under the names of the candidates."""
    task = tasks.get("pos")
    for number, candidate in enumerate(said_of(job, "da")[0]):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(number)
            model = task.build(encoder.config)
        encoders.load_weights(model, encoder)
        model.save_pretrained(tmp_path / candidate)
        encoder.tokenizer.save_pretrained(tmp_path / candidate)
        job.store.commit(pool.unit(candidate), {}, job.store.upload(tmp_path / candidate, pool.unit(candidate)))


def test_every_candidate_is_passed_through_once_and_a_run_that_was_stopped_goes_on(
    job: Job, labels: Path, encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    made_models(job, encoder, tmp_path / "models")
    monkeypatch.setattr(sys, "argv", ["lms-ray"])
    arguments = ("verify", job.store.root, "--target", "da", "--labels", str(labels))
    passed = []

    def stopping(model, *rest):
        passed.append(model)
        if len(passed) == 3:
            raise KeyboardInterrupt
        return all_encoded(model, *rest)

    all_encoded = shards.all_encoded
    monkeypatch.setattr(shards, "all_encoded", stopping)
    assert commands.run(monkeypatch, *arguments) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert commands.run(monkeypatch, *arguments) == 0
    assert len(passed) == 1 + 24, "the one that was stopped, once more"
    assert "24 candidates, 2 of them done before" in capsys.readouterr().out
    candidates = said_of(job, "da")[0]
    found_CES = verified.read_statistics(job.store, within(job, labels), candidates, ("correct", "total"))
    task = tasks.get("pos")
    examples = corpora.of_file(materialise(job.experiment, make=False), task.example, "da", str(labels)).examples
    windows = task.windows(examples, encoder.tokenizer, job.experiment.finetune.max_length)
    for number in (0, 23):
        model = task.load(tmp_path / "models" / candidates[number], "cpu")
        np.testing.assert_array_equal(found_CES[number], encode(model, task, windows, Encode()).statistics_ES)
    assert table(job, labels).loc["Best", "score"] == pytest.approx(task.score(found_CES.sum(1)).max())


def test_candidates_whose_weights_are_gone_are_named_unless_they_are_picked(
    job: Job, labels: Path, encoder, tmp_path: Path, capsys: pytest.CaptureFixture
):
    made_models(job, encoder, tmp_path / "models")
    store, for_use = job.store, set(deployment.kept(job.store, deployment.origin(job.store)))
    pool.tidy(store, for_use)
    verify.run(store.root, "da", str(labels))
    printed = capsys.readouterr().out
    gone = 24 - len(for_use)
    assert f"left out are {gone}, whose weights were not kept: " in " ".join(printed.split())
    picked = deployment.picked_for(store, deployment.origin(store), "da")
    lost = {rule for rule, candidate in picked.items() if candidate not in for_use}
    rows = table(job, labels)
    assert set(rows.index) == set(picked) - lost | {"Random", "Best"}
    assert rows["candidate"].dropna().isin(for_use).all()
    for rule in lost:
        assert f"{rule} is left out: the weights of its pick {picked[rule]} were not kept" in printed
    pool.tidy(store, for_use - {picked["Recommended"]})
    labels.write_text(labels.read_text().replace("NOUN", "VERB"))
    with pytest.raises(MissingError, match=f"the weights of {picked['Recommended']}, which "):
        verify.run(store.root, "da", str(labels))


def test_it_needs_picks_for_use(tmp_path: Path, labels: Path):
    job = encoded(tmp_path, "unranked", "unlabelled_targets=[da]")
    with pytest.raises(MissingError, match=r"deployment\.parquet: not there yet; run `python -m lms_ray\.ranking`"):
        verify.run(job.store.root, "da", str(labels))
    with pytest.raises(MissingError, match=r"^PATH: found no experiment\.yaml in "):
        verify.run(str(tmp_path / "none"), "da", str(labels))
