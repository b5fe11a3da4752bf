"""A checkpoint that was not in the pool stands where it would stand in it, and its labels in a target say nothing."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pool96
from lms_ray import ranking, tasks
from lms_ray.choosing import judging
from lms_ray.choosing.evidence import Known, z_scores
from lms_ray.choosing.grid import fit_fast, load
from lms_ray.choosing.judging import Judge
from lms_ray.choosing.newcomers import ALIKE, Newcomer, Place, beside, place, pool_z, score
from lms_ray.choosing.recommended import RECOMMENDED, untaught
from lms_ray.choosing.rules import FOUNDATION
from lms_ray.choosing.signals import Observed
from lms_ray.choosing.taught import LMS
from lms_ray.choosing.transfer import Saved, kept
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.settings.choosing import Ranker
from lms_ray.settings.errors import ConfigError, MissingError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import encodings, pool
from made_encodings import encoded
from made_material import LANGUAGES, PIVOTS, TARGETS, TARGETS_OF, WANTED_H, C, planted

pytestmark = pytest.mark.slow  # each finishes an experiment first

FAST = Ranker(fit="fast", l2=(0.1,))
PIVOTS_OF = dict.fromkeys(TARGETS, PIVOTS)
WEIGHTS = {PIVOTS: {FOUNDATION: 0.4, LMS: 0.3, "Label shares": 0.1, "Ridge": 0.2}}
U, K, BINS = 40, 3, 10


def observed(rng: np.random.Generator) -> Observed:
    numbers = ("confidence", "entropy", "softmax_norm", "taylor_norm", "spread", "nuclear_norm")
    return Observed(
        languages=LANGUAGES,
        seen={
            **{name: rng.random((C, len(LANGUAGES))) for name in numbers},
            "confidences": rng.dirichlet(np.ones(BINS), (C, len(LANGUAGES))),
            "label_share": rng.dirichlet(np.ones(K), (C, len(LANGUAGES))),
        },
        label_CU={language: rng.integers(0, K, (C, U)).astype(np.int32) for language in LANGUAGES},
        gold_share={pivot: rng.dirichlet(np.ones(K)) for pivot in PIVOTS},
        source_confidences_CN=rng.dirichlet(np.ones(BINS), C),
        source_right_C=rng.random(C),
    )


@pytest.fixture(scope="module")
def known() -> Known:
    """A pool of which everything is known; its features show which candidates are good."""
    rng = np.random.default_rng(5)
    material, _ = planted(FAST, "target")
    return Known(material, rng.random(C), np.arange(C) % 4, observed(rng))


@pytest.fixture(scope="module")
def rankers(known: Known) -> list[Saved]:
    return taught(known)


def taught(known: Known) -> list[Saved]:
    made = fit_fast(
        known.material, TARGETS_OF if known.material.pivots == PIVOTS else {known.material.pivots: ()}, "cpu"
    )
    return [Saved(point.pivots, fitted.record, load("fast", fitted.weights)) for point, fitted in made.items()]


def like(known: Known, candidate: int) -> Newcomer:
    """A checkpoint that is one of the pool."""
    material, seen = known.material, known.observed
    return Newcomer(
        name="newcomer",
        feature_GH=material.feature_CGH[candidate],
        source_H=np.zeros(material.feature_CGH.shape[-1])
        if material.source_CH is None
        else material.source_CH[candidate],
        source_score=float(known.source_C[candidate]),
        pivot_score_P=material.pivot_score_CP[candidate],
        seen={name: of_all[candidate] for name, of_all in seen.seen.items()},
        label_U={language: label_CU[candidate] for language, label_CU in seen.label_CU.items()},
        source_confidences_N=seen.source_confidences_CN[candidate] if seen.seen else np.empty(0),
        source_right=float(seen.source_right_C[candidate]) if seen.seen else 0.0,
        setting=int(known.setting_C[candidate]),
    )


@pytest.mark.parametrize("candidate", [0, 17, C - 1])
def test_a_copy_of_a_candidate_has_its_scores(known: Known, rankers: list[Saved], candidate: int):
    for target, said in score(known, like(known, candidate), PIVOTS_OF, rankers, WEIGHTS).items():
        assert {LMS, "En-Dev", "All-Pivot", FOUNDATION, "Label shares", "ATC", RECOMMENDED} <= said.scores.keys()
        for rule, score_J in said.scores.items():
            assert len(score_J) == C + 1
            assert score_J[-1] == pytest.approx(score_J[candidate], abs=1e-9), rule
            if rule != RECOMMENDED:
                assert place(score_J).place == 1 + (score_J[:-1] > score_J[-1] - ALIKE).sum()
        assert said.left_out == {"Ridge": 0.2}
        ranker_C = rankers[0].ranker.score(
            known.material.features([target], PIVOTS)[:, 0], known.material.vector(target)
        )
        assert np.allclose(said.scores[LMS][:-1], z_scores(ranker_C)), "the pool's own z-scores, whoever comes"
        assert np.allclose(said.scores["En-Dev"][:-1], known.source_C)


def test_a_candidate_that_is_taken_out_and_comes_back_stands_where_it_stood(known: Known, rankers: list[Saved]):
    whole = untaught(known, "nl", PIVOTS)
    for candidate in (3, 40):
        rest = known.of(np.delete(np.arange(C), candidate))
        found = score(rest, like(known, candidate), PIVOTS_OF, rankers, WEIGHTS)["nl"].scores
        order = np.r_[np.delete(np.arange(C), candidate), candidate]
        for rule, score_C in whole.items():
            assert np.allclose(found[rule], score_C[order]), rule


def test_the_recommended_score_is_the_mean_of_those_that_are_left(known: Known, rankers: list[Saved]):
    said = score(known, like(known, 5), PIVOTS_OF, rankers, WEIGHTS)["nl"]
    parts = {rule: pool_z(said.scores[rule]) for rule in (FOUNDATION, LMS, "Label shares")}
    expected = (0.4 * parts[FOUNDATION] + 0.3 * parts[LMS] + 0.1 * parts["Label shares"]) / 0.8
    assert np.allclose(said.scores[RECOMMENDED], expected)
    nothing = score(known, like(known, 5), PIVOTS_OF, rankers, {PIVOTS: {"Ridge": 1.0, "ATC": 0.0}})["nl"]
    assert RECOMMENDED not in nothing.scores
    assert nothing.left_out == {"Ridge": 1.0}


@pytest.mark.parametrize(("strength", "stands"), [(6, 1), (-6, C + 1)])
def test_what_is_wanted_stands_before_the_pool_and_its_opposite_behind(known: Known, rankers, strength, stands):
    plain = like(known, 0)
    newcomer = replace(
        plain,
        feature_GH=np.tile(3 * strength * WANTED_H, (len(LANGUAGES), 1)),
        pivot_score_P=np.full(len(PIVOTS), float(strength)),
    )
    for said in score(known, newcomer, PIVOTS_OF, rankers, WEIGHTS).values():
        for rule in (LMS, FOUNDATION, RECOMMENDED):
            assert place(said.scores[rule]).place == stands, rule


def test_equals_of_the_pool_come_first():
    assert place(np.array([1.0, 3.0, 3.0])) == Place(3.0, 2, 1)
    assert place(np.array([1.0, 3.0, 3.0 + ALIKE / 2])).is_picked is False
    assert place(np.array([1.0, 3.0, 3.1])).is_picked
    assert not pool_z(np.array([2.0, 2.0, 5.0])).any(), "a pool of one score tells nothing apart"


def test_a_setting_of_the_pool_is_shared_and_any_other_is_ones_own(known: Known):
    shared, own = like(known, 6), replace(like(known, 6), setting=None)
    assert beside(known, shared).setting_C[-1] == known.setting_C[6]
    assert (beside(known, own).setting_C == beside(known, own).setting_C[-1]).sum() == 1


@pytest.fixture
def finished(tmp_path: Path) -> Job:
    """An experiment with rankings, one target among its pivots."""
    job = encoded(tmp_path, "there")
    ranking.run(job)
    return job


def of_candidate(job: Job, candidate: str) -> dict[str, encodings.Encoding]:
    task = tasks.get(job.experiment.task)
    corpora = roles.ranked_from(job.experiment, task.example)
    return encodings.read(job.store, candidate, corpora, task.statistics)


def judged(judge: Judge, made: dict[str, encodings.Encoding]) -> dict[str, dict[str, np.ndarray]]:
    said = judge.score("newcomer", made, judge.experiment.targets)
    assert said is not None
    return {target: of_target.scores for target, of_target in said.items()}


def test_a_finished_experiment_judges_from_its_folder(finished: Job):
    judge = judging.read(finished)
    candidates = pool.candidates(finished.store)
    assert set(judge.picked) == set(finished.experiment.targets)
    assert set(judge.weights) == {("ar", "de", "es"), ("ar", "es")}
    made = of_candidate(finished, candidates[7])
    scores = judged(judge, made)
    for target in ("nl", "pt", "de"):
        for rule in (LMS, "En-Dev", FOUNDATION, RECOMMENDED):
            assert scores[target][rule][-1] == pytest.approx(scores[target][rule][7], abs=1e-9), (target, rule)
    assert len(kept(finished.store)) == 2, "one ranker for each set of pivots; the target de has its own"


def test_no_label_of_a_target_reaches_what_is_said(finished: Job):
    judge, candidate = judging.read(finished), pool.candidates(finished.store)[3]
    made = of_candidate(finished, candidate)

    def relabelled(corpus: str) -> dict[str, encodings.Encoding]:
        return {**made, corpus: replace(made[corpus], statistics_ES=made[corpus].statistics_ES[:, ::-1] + 7)}

    before = judged(judge, made)
    for target in ("nl", "pt"):
        after = judged(judge, relabelled(f"{target}-dev"))
        assert all(np.array_equal(before[t][r], after[t][r]) for t in before for r in before[t])
    after = judged(judge, relabelled("de-dev"))
    assert not np.array_equal(before["nl"][FOUNDATION], after["nl"][FOUNDATION]), "a pivot, whose labels are known"
    assert np.array_equal(before["de"][FOUNDATION], after["de"][FOUNDATION]), "but not where it is the target"


def test_a_model_that_diverged_has_no_place(finished: Job):
    made = of_candidate(finished, pool.candidates(finished.store)[0])
    broken = {**made, "nl-dev": replace(made["nl-dev"], feature_H=np.full_like(made["nl-dev"].feature_H, np.nan))}
    assert judging.read(finished).score("newcomer", broken, ["pt"]) is None


def test_only_an_experiment_with_rankings_judges_and_only_for_its_targets(tmp_path: Path, finished: Job):
    with pytest.raises(MissingError, match=r"rankers: not there yet; run `python -m lms_ray\.ranking` first"):
        judging.read(encoded(tmp_path, "young"))
    other = finished.experiment.model_copy(update={"pivots": ("ar", "de")})
    with pytest.raises(MissingError, match="pivots is"):
        judging.read(Job(Experiment.model_validate(other.model_dump()), finished.store))
    with pytest.raises(ConfigError, match=r"^--target: found tr; accepted are targets of there: nl, pt, de$"):
        judging.read(finished).require_targets(["nl", "tr"], "--target")


def test_weights_on_rules_alone_that_were_not_saved_are_refused(caplog: pytest.LogCaptureFixture):
    weights = {"Ridge": 0.5, LMS: 0.3, "Vote": 0.2, "LambdaRank": 0.0}
    assert judging.not_saved(weights) == {"Ridge": 0.5}
    with caplog.at_level(logging.INFO, "lms_ray"):
        judging._refuse_or_say("there", ("de", "es"), {LMS: 0.8, "Vote": 0.2})
        assert not caplog.text
        judging._refuse_or_say("there", ("de", "es"), weights)
        assert "there: Ridge (50 %) count for pivots de, es" in caplog.text
    with pytest.raises(MissingError, match=r"rests on Ridge \(60 %\), LambdaRank \(40 %\) alone"):
        judging._refuse_or_say("there", ("de", "es"), {"Ridge": 0.6, "LambdaRank": 0.4, LMS: 0.0})


@pytest.mark.real
def test_each_of_a_real_pool_comes_back_to_its_place(shared: Path):
    """In 96 taggers, of which rankers have never seen one."""
    nothing = replace(pool96.NOTHING_OBSERVED, source_confidences_CN=np.empty((96, 0)), source_right_C=np.zeros(96))
    known = replace(pool96.read(shared).known, observed=nothing)
    whole = untaught(known, "tr", pool96.PIVOTS)
    for candidate in (0, 50, 95):
        rest = known.of(np.delete(np.arange(96), candidate))
        (ranker,) = rankers = taught(rest)[-1:]  # one strength of the penalty
        weights = {pool96.PIVOTS: {FOUNDATION: 0.5, LMS: 0.5}}
        said = score(rest, like(known, candidate), {"tr": pool96.PIVOTS}, rankers, weights)["tr"].scores
        for rule in ("En-Dev", FOUNDATION, "Kernel pivots"):
            ahead_C = np.delete(whole[rule], candidate) > whole[rule][candidate] - ALIKE
            assert place(said[rule]).place == 1 + ahead_C.sum(), rule
        feature_CH = known.material.features(["tr"], pool96.PIVOTS)[:, 0]
        ranker_C = ranker.ranker.score(feature_CH, known.material.vector("tr"))
        assert place(said[LMS]).place == 1 + (np.delete(ranker_C, candidate) > ranker_C[candidate]).sum()
