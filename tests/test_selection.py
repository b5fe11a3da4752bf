"""Every selector follows its own evidence; target labels move the oracles and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lms_ray import selection
from lms_ray.choosing.gathering import know
from lms_ray.choosing.material import Material
from lms_ray.choosing.recommended import RECOMMENDED, untaught
from lms_ray.choosing.redrawn import Redrawn
from lms_ray.choosing.rules import FOUNDATION
from lms_ray.choosing.taught import LMS
from lms_ray.data import roles
from lms_ray.data.examples import TaggedSentence
from lms_ray.models.job import Job
from lms_ray.settings import languages
from lms_ray.settings.errors import MissingError, StorageError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.store import deployment, encodings, lineage, pool, rankings, redrawn
from lms_ray.store import picks as tables
from lms_ray.store.encodings import CorpusRow, Encoding
from lms_ray.store.files import Store
from lms_ray.store.picks import ORACLES, SELECTORS, Pick

POOL = [f"candidate-{number}" for number in range(8)]
C, E, WORDS = len(POOL), 20, 10
ZERO_SHOT = [name for name in SELECTORS if name not in ORACLES]
ROLES = ["pivots=[de, es]", "targets=[nl, pt, de]", "selection.bootstrap=200", "ranker.language_vector=syntax_knn"]
# By candidate, words right of every ten. Each corpus has a favourite of its own, and All-Pivot's is second everywhere.
RIGHT = {
    "en-dev": [9, 8, 8, 8, 8, 8, 8, 8],
    "de-dev": [3, 9, 1, 8, 4, 5, 6, 7],
    "es-dev": [3, 1, 9, 8, 7, 6, 5, 4],
    "nl-dev": [5, 5, 5, 5, 5, 9, 5, 5],
    "nl-test": [2, 3, 4, 5, 6, 7, 8, 9],
    "pt-dev": [5, 5, 5, 5, 5, 9, 5, 5],
    "pt-test": [2, 3, 4, 5, 6, 7, 8, 9],
    "de-test": [5, 6, 4, 5, 7, 3, 8, 8],
}
RANKER_SCORE_KC = np.array([[0, 1, 2, 3, 9, 4, 5, 6], [0, 1, 2, 9, 8, 4, 5, 6], [0, 9, 7, 2, 8, 4, 5, 6]], float)


Corpora = dict[str, np.ndarray]
"""Example statistics of shape (C, E, S), by corpus."""


@pytest.fixture
def statistics() -> Corpora:
    """Every example of a corpus has ten words, of which a candidate has `RIGHT` right."""
    return {
        name: np.stack([np.tile([right, WORDS], (E, 1)).astype(float) for right in by_candidate])
        for name, by_candidate in RIGHT.items()
    }


@pytest.fixture
def experiment_folder(tmp_path: Path) -> Callable[..., Job]:
    """Write an experiment up to its rankings: `experiment_folder(statistics, "seed=1")`."""

    def write(statistics: Corpora, *overrides: str, groups: Mapping[str, Sequence[str]] | None = None) -> Job:
        experiment = load(None, [*ROLES, *overrides, f"storage={tmp_path}", f"name=n{len(list(tmp_path.iterdir()))}"])
        store = Store(experiment.folder)
        made_by = {"settings": lineage.settings(experiment, lineage.CANDIDATES)}
        pool.write(store, [{"id": candidate} for candidate in POOL], made_by)
        own = {name: [f"{name}-{number}" for number in range(E)] for name in statistics}
        rows = [CorpusRow(name, E, name, tuple(({**own, **(groups or {})})[name])) for name in statistics]
        encodings.write_corpora(store, rows, {"settings": lineage.settings(experiment, lineage.ENCODING)})
        for row, candidate in enumerate(POOL):
            fresh = {name: Encoding(np.zeros(2), of_corpus[row]) for name, of_corpus in statistics.items()}
            encodings.write(store, candidate, fresh, ("correct", "total"), {name: name for name in statistics}, [])
        scores = [
            rankings.score_rows(target, seed, POOL, score_C)
            for target in experiment.targets
            for seed, score_C in enumerate(RANKER_SCORE_KC)
        ]
        files = {**rankings.write_split(store, POOL, np.array(["test"] * C)), **rankings.write_scores(store, scores)}
        corpora = roles.ranked_from(experiment, TaggedSentence)
        origin = lineage.origin(experiment, lineage.RANKING, store, POOL, corpora)
        store.commit("rankers", origin, files)
        write_draw(experiment, store, statistics, origin)
        return Job(experiment, store)

    return write


def write_draw(experiment: Experiment, store: Store, statistics: Corpora, origin: dict[str, Any]) -> None:
    """What the rules say, in one draw in which all candidates may be picked."""
    spoken = tuple(dict.fromkeys(experiment.pivots + experiment.targets))
    material = Material(
        settings=experiment.ranker,
        seed=experiment.seed,
        candidates=tuple(POOL),
        part_C=np.array(["test"] * C),
        languages=spoken,
        feature_CGH=np.zeros((C, len(spoken), 2)),
        vector_GV=languages.vectors(spoken, experiment.ranker.language_vector),
        pivots=experiment.pivots,
        pivot_score_CP=np.stack([statistics[f"{p}-{experiment.pivot_split}"][:, 0, 0] for p in experiment.pivots], 1),
    )
    known = know(experiment, store, material)
    overall = {target: untaught(known, target, experiment.pivots_for(target)) for target in experiment.targets}
    for scores in overall.values():
        scores[RECOMMENDED] = scores[FOUNDATION]
    learned = {target: {LMS: np.arange(C, dtype=float)[None]} for target in experiment.targets}
    part_DC, followed = np.array([["test"] * C]), dict.fromkeys(experiment.targets, FOUNDATION)
    trust = [
        {"target": target, "followed": rule, "location": 0.5, "spread": 0.1, "quantile_PQ": [[-0.1, 0.1]] * 3}
        for target, rule in followed.items()
    ]
    redrawn.write(store, origin, POOL, part_DC, overall, learned, [], trust)
    for_use = Redrawn(part_DC, overall, {}, followed, {}).for_use
    rows = [
        {"target": target, "rule": rule, "candidate": POOL[picked], "followed": rule == followed[target]}
        for target, of_rules in for_use.items()
        for rule, picked in of_rules.items()
    ]
    deployment.write(store, rows, [], origin)


@pytest.fixture
def picks(experiment_folder: Callable[..., Job]) -> Callable[..., dict[str, Pick]]:
    """Picks for a target by selector: `picks("nl", statistics)`."""

    def pick(target: str, statistics: Corpora, *overrides: str, **groups: Any) -> dict[str, Pick]:
        job = experiment_folder(statistics, *overrides, **groups)
        selection.run(job)
        return {
            pick.selector: pick
            for pick in tables.read(job.store)
            if pick.target == target and pick.selector in SELECTORS
        }

    return pick


def candidates(picks: dict[str, Pick]) -> dict[str, int | None]:
    return {name: None if pick.candidate is None else POOL.index(pick.candidate) for name, pick in picks.items()}


def test_every_selector_takes_the_favourite_of_its_evidence(picks, statistics: Corpora):
    chosen = picks("nl", statistics)
    assert list(chosen) == list(SELECTORS)
    assert candidates(chosen) == {
        "En-Dev": 0, "Pivot-Dev": 1, "All-Pivot": 3, "LMS": 4, "Recommended": 3, "Random": None,
        "100-Target": 5, "All-Target": 5, "Best": 7,
    }  # fmt: skip
    assert chosen["Pivot-Dev"].pivot == "de"
    assert (chosen["100-Target"].examples, chosen["All-Target"].examples) == (E, E)


def test_pivot_dev_follows_the_nearest_pivot(picks, statistics: Corpora):
    chosen = picks("pt", statistics)
    assert (chosen["Pivot-Dev"].pivot, candidates(chosen)["Pivot-Dev"]) == ("es", 2)


def test_a_target_that_is_a_pivot_is_no_evidence_for_itself(picks, statistics: Corpora):
    chosen = picks("de", statistics)
    assert chosen["Pivot-Dev"].pivot == "es"
    assert candidates(chosen) == {
        "En-Dev": 0, "Pivot-Dev": 2, "All-Pivot": 2, "LMS": 4, "Recommended": 2, "Random": None,
        "100-Target": 1, "All-Target": 1, "Best": 6,
    }  # fmt: skip


def test_scores_delta_regret_and_rank_are_of_the_test_set(picks, statistics: Corpora):
    chosen = picks("de", statistics)
    seen = {name: (pick.score, pick.delta, pick.regret, pick.rank) for name, pick in chosen.items()}
    assert seen["En-Dev"] == pytest.approx((0.5, 0, 0.3, 5.5))
    assert seen["LMS"] == pytest.approx((0.7, 0.2, 0.1, 3))
    assert seen["Pivot-Dev"] == pytest.approx((0.4, -0.1, 0.4, 7))
    assert seen["Best"] == pytest.approx((0.8, 0.3, 0, 1.5))  # shares the first place


def test_random_is_the_mean_of_the_pool(picks, statistics: Corpora):
    random = picks("de", statistics)["Random"]
    assert (random.score, random.delta, random.regret, random.rank) == pytest.approx((0.575, 0.075, 0.225, 4.5))
    assert (random.candidate, random.low, random.high, random.p_value) == (None, None, None, None)


def test_a_pick_is_compared_with_that_of_en_dev(picks, statistics: Corpora):
    chosen = picks("nl", statistics)
    assert (chosen["En-Dev"].low, chosen["En-Dev"].high, chosen["En-Dev"].p_value) == (0, 0, 1)
    assert (chosen["Best"].low, chosen["Best"].high) == pytest.approx((0.7, 0.7))  # the same in every example
    assert chosen["Best"].p_value < 0.01


def test_examples_of_a_group_are_resampled_together(picks, statistics: Corpora):
    """Questions about one paragraph are not independent: the interval is that of the paragraphs."""
    gain_E = np.tile([2, -1], E // 2)  # En-Dev's candidate is right in 2 words of ten, LMS's in 4 or 1
    statistics["nl-test"][4, :, 0] = 2 + gain_E
    alone = picks("nl", statistics)["LMS"]
    paragraphs = [f"paragraph {number // 2}" for number in range(E)]  # each pair of examples gains 1 word of 20
    together = picks("nl", statistics, groups={"nl-test": paragraphs})["LMS"]
    assert alone.delta == together.delta == pytest.approx(0.05)
    assert alone.low < 0.05 < alone.high
    assert (together.low, together.high) == pytest.approx((0.05, 0.05))
    assert together.score == alone.score


def test_candidates_that_saw_the_pivots_dev_sets_are_judged_on_the_test_sets(picks, statistics: Corpora):
    for pivot, favourite in (("de", 6), ("es", 7)):
        statistics[f"{pivot}-test"] = np.tile([1.0, WORDS], (C, E, 1))
        statistics[f"{pivot}-test"][favourite, :, 0] = 9
    chosen = picks("nl", statistics, "targets=[nl, pt]", "train_on=source+pivots")
    assert candidates(chosen) == {
        "En-Dev": 0, "Pivot-Dev": 6, "All-Pivot": 6, "LMS": 4, "Recommended": 6, "Random": None,
        "100-Target": 5, "All-Target": 5, "Best": 7,
    }  # fmt: skip


def test_without_language_vectors_there_is_no_pivot_dev(picks, statistics: Corpora):
    chosen = picks("nl", statistics, "ranker.language_vector=none")
    assert list(chosen) == [name for name in SELECTORS if name != "Pivot-Dev"]


def test_100_target_sees_its_examples_only_and_the_same_ones_every_time(picks, statistics: Corpora):
    # Each example is a win of one candidate only: with one example drawn, its winner is the pick.
    winner_E = np.arange(E) % C
    statistics["nl-dev"] = np.stack([np.stack([winner_E == number, np.ones(E)], 1) for number in range(C)])
    drawn = [
        candidates(picks("nl", statistics, "selection.target_examples=1", f"seed={seed}"))["100-Target"]
        for seed in (0, 1, 2, 3, 4, 0)
    ]
    assert drawn[0] == drawn[-1]
    assert len(set(drawn)) > 1
    assert picks("nl", statistics, "selection.target_examples=7")["100-Target"].examples == 7


def test_target_labels_move_the_oracles_and_nothing_else(picks, statistics: Corpora):
    rng = np.random.default_rng(0)
    moved = set()
    for target in ("nl", "pt", "de"):
        before = candidates(picks(target, statistics))
        for split in ("dev", "test"):
            name = f"{target}-{split}"
            after = candidates(picks(target, {**statistics, name: statistics[name][rng.permutation(C)]}))
            assert {key: after[key] for key in ZERO_SHOT} == {key: before[key] for key in ZERO_SHOT}
            moved |= {key for key in ORACLES if after[key] != before[key]}
    assert moved == set(ORACLES)


def read_for_use(job: Job) -> pd.DataFrame:
    corpora = roles.ranked_from(job.experiment, TaggedSentence)
    return deployment.read(job.store, lineage.origin(job.experiment, lineage.RANKING, job.store, POOL, corpora))


def test_every_draw_is_judged_on_its_own_pool(experiment_folder, statistics: Corpora):
    job = experiment_folder(statistics)
    selection.run(job)
    splits = tables.read_splits(job.store).set_index(["selector", "target"])
    assert set(splits["draw"]) == {0}
    assert set(splits.index.get_level_values("selector")) > {*SELECTORS, "All-Pivot z", "Kernel pivots", "Best setting"}
    assert splits.loc[("LMS", "nl"), "score"] == pytest.approx(0.9)  # by the draw's own ranker
    assert splits.loc[("LMS", "nl"), "correlation"] == pytest.approx(1)
    assert splits.loc[("All-Pivot", "nl"), "delta"] == pytest.approx(0.3)
    assert splits.loc[("Random", "nl"), "score"] == pytest.approx(0.55)
    assert read_for_use(job).set_index(["rule", "target"])["candidate"]["En-Dev", "nl"] == POOL[0]


def test_p_values_are_corrected_over_the_targets(picks, experiment_folder, statistics: Corpora):
    job = experiment_folder(statistics)
    selection.run(job)
    best = [pick for pick in tables.read(job.store) if pick.selector == "Best" and pick.target != tables.AVERAGE]
    assert all(pick.p_value < 0.01 for pick in best)
    assert [pick.p_holm for pick in best] == pytest.approx([3 * pick.p_value for pick in best])


def test_a_candidate_without_a_score_is_refused(picks, statistics: Corpora):
    statistics["nl-test"][3] = 0
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="candidate 3 of the pool has no score"):
        picks("nl", statistics)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("ranker.hidden=16", "ranker.hidden is 1024 there and 16 here"),
        ("meta_split.draw=1", "meta_split.draw is 0 there and 1 here"),
        ("targets=[nl, pt]", "targets is"),
        ("sweep.seeds=3", "sweep.seeds is"),
        ("finetune.weight_decay=0.5", "finetune.weight_decay is 0.01 there and 0.5 here"),
        ("encode.precision=bfloat16", "encode.precision is 'float32' there and 'bfloat16' here"),
        ("sweep.max_failures=9", None),
        ("ranker.resources.cpus=2", None),  # says where work runs, not what comes out
        ("selection.bootstrap=300", None),  # is this stage's own
    ],
)
def test_rankings_of_other_settings_are_refused(experiment_folder, statistics: Corpora, change: str, difference):
    job = experiment_folder(statistics)
    overrides = [*ROLES, f"storage={Path(job.store.root).parent}", f"name={Path(job.store.root).name}", change]
    other = Job(load(None, overrides), job.store)
    if difference is None:
        selection.run(other)
        return
    with pytest.raises(MissingError, match=rf"rankings were made otherwise: {difference}.*lms_ray\.ranking"):
        selection.run(other)


def test_rankings_of_other_texts_are_refused(experiment_folder, statistics: Corpora):
    job = experiment_folder(statistics)
    rows = [CorpusRow(name, E, f"{name} changed", ()) for name in statistics]
    encodings.write_corpora(job.store, rows, {})
    with pytest.raises(MissingError, match=r"have changed since.*lms_ray\.ranking"):
        selection.run(job)


def test_picks_do_not_outlive_the_tables_beside_them(experiment_folder, statistics: Corpora):
    """Stopped half-way, it would leave the pool of the new settings beside the picks of the old ones."""
    job = experiment_folder(statistics)
    selection.run(job)
    (Path(job.store.root) / tables.BASELINES).unlink()
    (Path(job.store.root) / tables.BASELINES).mkdir()
    with pytest.raises(StorageError):
        selection.run(job)
    with pytest.raises(MissingError, match=r"lms_ray\.selection"):
        tables.origin(job.store)
