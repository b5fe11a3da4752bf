"""Every selector follows its own evidence; target labels move the oracles and nothing else."""

import numpy as np
import pytest

from lms_ray.selection import ORACLES, SELECTORS, Pick, picks_for
from lms_ray.settings.loading import load
from lms_ray.store.encodings import Statistics

POOL = [f"candidate-{number}" for number in range(8)]
C, E, WORDS = len(POOL), 20, 10
ZERO_SHOT = [name for name in SELECTORS if name not in ORACLES]
EXPERIMENT = load(None, ["pivots=[de, es]", "targets=[nl, pt, de]", "selection.bootstrap=200",
                         "ranker.language_vector=syntax_knn"])  # fmt: skip
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


@pytest.fixture
def statistics(task) -> Statistics:
    """Every example of a corpus has ten words, of which a candidate has `RIGHT` right."""
    return Statistics(
        task,
        {
            name: np.stack([np.tile([right, WORDS], (E, 1)) for right in by_candidate])
            for name, by_candidate in RIGHT.items()
        },
        {name: np.arange(E) for name in RIGHT},
    )


def picks(target: str, statistics: Statistics, *overrides: str) -> dict[str, Pick]:
    experiment = EXPERIMENT
    if overrides:
        experiment = load(None, ["pivots=[de, es]", "targets=[nl, pt, de]", "selection.bootstrap=200",
                                 "ranker.language_vector=syntax_knn", *overrides])  # fmt: skip
    chosen, _ = picks_for(target, POOL, statistics, RANKER_SCORE_KC, experiment)
    assert {pick.target for pick in chosen} == {target}
    return {pick.selector: pick for pick in chosen}


def candidates(picks: dict[str, Pick]) -> dict[str, int | None]:
    return {name: None if pick.candidate is None else POOL.index(pick.candidate) for name, pick in picks.items()}


def test_every_selector_takes_the_favourite_of_its_evidence(statistics: Statistics):
    chosen = picks("nl", statistics)
    assert list(chosen) == list(SELECTORS)
    assert candidates(chosen) == {
        "En-Dev": 0, "Pivot-Dev": 1, "All-Pivot": 3, "LMS": 4, "Random": None,
        "100-Target": 5, "All-Target": 5, "Best": 7,
    }  # fmt: skip
    assert chosen["Pivot-Dev"].pivot == "de"
    assert (chosen["100-Target"].examples, chosen["All-Target"].examples) == (E, E)


def test_pivot_dev_follows_the_nearest_pivot(statistics: Statistics):
    chosen = picks("pt", statistics)
    assert (chosen["Pivot-Dev"].pivot, candidates(chosen)["Pivot-Dev"]) == ("es", 2)


def test_a_target_that_is_a_pivot_is_no_evidence_for_itself(statistics: Statistics):
    chosen = picks("de", statistics)
    assert chosen["Pivot-Dev"].pivot == "es"
    assert candidates(chosen) == {
        "En-Dev": 0, "Pivot-Dev": 2, "All-Pivot": 2, "LMS": 4, "Random": None,
        "100-Target": 1, "All-Target": 1, "Best": 6,
    }  # fmt: skip


def test_scores_delta_regret_and_rank_are_of_the_test_set(statistics: Statistics):
    chosen = picks("de", statistics)
    seen = {name: (pick.score, pick.delta, pick.regret, pick.rank) for name, pick in chosen.items()}
    assert seen["En-Dev"] == pytest.approx((0.5, 0, 0.3, 5.5))
    assert seen["LMS"] == pytest.approx((0.7, 0.2, 0.1, 3))
    assert seen["Pivot-Dev"] == pytest.approx((0.4, -0.1, 0.4, 7))
    assert seen["Best"] == pytest.approx((0.8, 0.3, 0, 1.5))  # shares the first place


def test_random_is_the_mean_of_the_pool(statistics: Statistics):
    random = picks("de", statistics)["Random"]
    assert (random.score, random.delta, random.regret, random.rank) == pytest.approx((0.575, 0.075, 0.225, 4.5))
    assert (random.candidate, random.low, random.high, random.p_value) == (None, None, None, None)


def test_a_pick_is_compared_with_that_of_en_dev(statistics: Statistics):
    chosen = picks("nl", statistics)
    assert (chosen["En-Dev"].low, chosen["En-Dev"].high, chosen["En-Dev"].p_value) == (0, 0, 1)
    assert (chosen["Best"].low, chosen["Best"].high) == pytest.approx((0.7, 0.7))  # the same in every example
    assert chosen["Best"].p_value < 0.01


def test_examples_of_a_group_are_resampled_together(statistics: Statistics):
    """Questions about one paragraph are not independent: the interval is that of the paragraphs."""
    gain_E = np.tile([2, -1], E // 2)  # En-Dev's candidate is right in 2 words of ten, LMS's in 4 or 1
    statistics.by_corpus["nl-test"][4, :, 0] = 2 + gain_E
    alone = picks("nl", statistics)["LMS"]
    statistics.groups["nl-test"] = np.arange(E) // 2  # each pair of examples gains 1 word of 20
    together = picks("nl", statistics)["LMS"]
    assert alone.delta == together.delta == pytest.approx(0.05)
    assert alone.low < 0.05 < alone.high
    assert (together.low, together.high) == pytest.approx((0.05, 0.05))
    assert together.score == alone.score


def test_candidates_that_saw_the_pivots_dev_sets_are_judged_on_the_test_sets(statistics: Statistics):
    for pivot, favourite in (("de", 6), ("es", 7)):
        statistics.by_corpus[f"{pivot}-test"] = np.tile([1.0, WORDS], (C, E, 1))
        statistics.by_corpus[f"{pivot}-test"][favourite, :, 0] = 9
    chosen = picks("nl", statistics, "targets=[nl, pt]", "train_on=source+pivots")
    assert candidates(chosen) == {
        "En-Dev": 0, "Pivot-Dev": 6, "All-Pivot": 6, "LMS": 4, "Random": None,
        "100-Target": 5, "All-Target": 5, "Best": 7,
    }  # fmt: skip


def test_without_language_vectors_there_is_no_pivot_dev(statistics: Statistics):
    chosen = picks("nl", statistics, "ranker.language_vector=none")
    assert list(chosen) == [name for name in SELECTORS if name != "Pivot-Dev"]


def test_100_target_sees_its_examples_only_and_the_same_ones_every_time(statistics: Statistics):
    # Each example is a win of one candidate only: with one example drawn, its winner is the pick.
    winner_E = np.arange(E) % C
    statistics.by_corpus["nl-dev"] = np.stack([np.stack([winner_E == number, np.ones(E)], 1) for number in range(C)])
    drawn = [
        candidates(picks("nl", statistics, "selection.target_examples=1", f"seed={seed}"))["100-Target"]
        for seed in (0, 1, 2, 3, 4, 0)
    ]
    assert drawn[0] == drawn[-1]
    assert len(set(drawn)) > 1
    assert picks("nl", statistics, "selection.target_examples=7")["100-Target"].examples == 7


def test_target_labels_move_the_oracles_and_nothing_else(statistics: Statistics):
    rng = np.random.default_rng(0)
    before = {target: candidates(picks(target, statistics)) for target in EXPERIMENT.targets}
    moved = set()
    for target in EXPERIMENT.targets:
        for split in ("dev", "test"):
            name = f"{target}-{split}"
            shuffled = Statistics(statistics.task, {**statistics.by_corpus}, statistics.groups)
            shuffled.by_corpus[name] = statistics.by_corpus[name][rng.permutation(C)]
            after = candidates(picks(target, shuffled))
            assert {key: after[key] for key in ZERO_SHOT} == {key: before[target][key] for key in ZERO_SHOT}
            moved |= {key for key in ORACLES if after[key] != before[target][key]}
    assert moved == set(ORACLES)


def test_a_candidate_without_a_score_is_refused(statistics: Statistics):
    statistics.by_corpus["nl-test"][3] = 0
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="candidate 3 of the pool has no score"):
        picks("nl", statistics)
