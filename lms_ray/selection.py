"""Stage 4: every selector's pick for every target, scored on the target's test set.

    python -m lms_ray.selection CONFIG [key=value ...]

This is the first place that reads labels of a target; those that have none are not judged. All selectors pick from the
same pool, the meta-test candidates; and once more from the pool of every draw of the meta split.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from lms_ray import tasks
from lms_ray.choosing import calibration, keeping
from lms_ray.choosing.bootstrap import Comparison, TestSet, resampled_scores
from lms_ray.choosing.gathering import oracles, recall
from lms_ray.choosing.picking import (
    Choice,
    Oracles,
    averages,
    choices,
    compare_all,
    corrected,
    distinct_candidates,
    judge,
    judge_draw,
)
from lms_ray.choosing.ranker import ranks
from lms_ray.choosing.redrawn import Redrawn, picked
from lms_ray.choosing.rules import FOUNDATION
from lms_ray.choosing.taught import LMS
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.pages.progress import say
from lms_ray.settings import languages
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import seed_for
from lms_ray.store import deployment, encodings, lineage, missing, picks, pool, rankings, redrawn
from lms_ray.store.encodings import CorpusRow
from lms_ray.store.files import Store
from lms_ray.store.picks import Outcome, Pick


def run(job: Job) -> None:
    """Pick for every target, and write the table of picks and the pool's test scores.

    Raises:
        MissingError: an earlier stage has not done its part, or did it for other settings or other input.
    """
    experiment, store = job.experiment, job.store
    missing.require_few(store, experiment.sweep.max_missing)
    candidates = pool.candidates(store)
    example = tasks.get(experiment.task).example
    ranked_from = roles.ranked_from(experiment, example)
    ranked = lineage.origin(experiment, lineage.RANKING, store, candidates, ranked_from)
    rankings.require(store, ranked)
    redrawn.require(store, ranked)
    corpora = roles.picked_from(experiment, example)
    encodings.require(store, candidates, corpora)
    origin = lineage.origin(experiment, lineage.SELECTION, store, candidates, corpora)
    if not experiment.targets:
        say("selection", f"no target has labels, and nothing is judged; {deployment.PATH} has the picks for use")
        picks.write(store, [], [], [], pd.DataFrame(index=candidates), {}, origin)
        keeping.after_selection(experiment, store, [], deployment.kept(store, ranked))
        return
    judged = oracles(experiment, store, candidates)
    said = recall(store, ranked, candidates)
    pool_C = np.flatnonzero(rankings.read_split(store)[candidates] == "test")
    choosable = [candidates[index] for index in pool_C]
    tests = encodings.corpora(store, [f"{target}-test" for target in experiment.targets])
    chosen = _choices(experiment, store, said, judged, pool_C, choosable)
    in_pool = {target: of_target.of(pool_C) for target, of_target in judged.items()}
    compared = _compared(chosen, in_pool, tests, job, choosable)
    made: list[Pick] = []
    of_selector: dict[str, list[Comparison]] = {}
    for target in experiment.targets:
        made += judge(target, chosen[target], choosable, in_pool[target].test_C, compared[target])
        for choice in chosen[target]:
            of_selector.setdefault(choice.selector, []).append(compared[target][choice.candidate])
    made = corrected(made)
    made += averages(made, of_selector, experiment.selection.confidence)
    splits = [
        pick
        for draw in range(len(said.part_DC))
        for target in experiment.targets
        for pick in judge_draw(draw, target, said.of_draw(target, draw), judged[target].of(said.pool(draw)))
    ]
    baselines = _baselines(experiment, tests)
    without_model = {
        target: max(scores)
        for target in experiment.targets
        if (scores := [of_target[target] for of_target in baselines.values() if target in of_target])
    }
    outcomes = [
        outcome
        for draw in range(len(said.part_DC))
        for target in experiment.targets
        for outcome in _outcomes(
            experiment, said, draw, target, judged[target].of(said.pool(draw)), without_model.get(target)
        )
    ]
    test_scores = pd.DataFrame({target: in_pool[target].test_C for target in experiment.targets}, index=choosable)
    picks.write(store, made, splits, outcomes, test_scores, baselines, origin)
    keeping.after_selection(experiment, store, made, deployment.kept(store, ranked))


def _outcomes(
    experiment: Experiment, said: Redrawn, draw: int, target: str, judged: Oracles, without_model: float | None
) -> Iterator[Outcome]:
    """What came of the statements about the picks from one draw's pool."""
    scores = said.of_draw(target, draw)
    expected = said.expected(scores, target, seed_for(experiment.seed, "draw", draw, target))
    picked_by = {rule: picked(score_C) for rule, score_C in scores.items()}
    rules = [rule for rule in deployment.FOR_USE if rule in expected]
    return calibration.outcomes(
        draw, target, rules, picked_by, expected, "En-Dev", FOUNDATION, judged.test_C, without_model
    )


def _choices(
    experiment: Experiment,
    store: Store,
    said: Redrawn,
    judged: Mapping[str, Oracles],
    pool_C: np.ndarray,
    choosable: Sequence[str],
) -> dict[str, list[Choice]]:
    """What every selector picks for each target from the pool, LMS by the rankers as they are configured."""
    ranker_KC, kind = rankings.read_scores(store, choosable), experiment.ranker.language_vector
    chosen = {}
    for target in experiment.targets:
        pivots = experiment.pivots_for(target)
        followed = None if kind == "none" else _most_similar(target, pivots, kind)
        scores = said.of_draw(target, 0) | {LMS: -ranks(ranker_KC[target]).mean(0)}  # the mean over ranker seeds
        chosen[target] = choices(scores, judged[target].of(pool_C), followed)
    return chosen


def _most_similar(target: str, pivots: Sequence[str], kind: languages.VectorKind) -> str:
    return max(pivots, key=lambda pivot: languages.similarity(target, pivot, kind))


def _baselines(experiment: Experiment, tests: Mapping[str, CorpusRow]) -> dict[str, dict[str, float]]:
    """Test scores of rules that need no model, by their names and by target."""
    score, scores = tasks.get(experiment.task).score, dict[str, dict[str, float]]()
    for target in experiment.targets:
        for name, sum_S in tests[f"{target}-test"].baselines.items():
            scores.setdefault(name, {})[target] = float(score(np.asarray(sum_S)))
    return scores


def _compared(
    chosen: dict[str, list[Choice]],
    judged: Mapping[str, Oracles],
    tests: Mapping[str, CorpusRow],
    job: Job,
    choosable: Sequence[str],
) -> dict[str, dict[int, Comparison]]:
    """Comparisons with En-Dev by target and candidate, from joint resamples of all test sets."""
    experiment, settings = job.experiment, job.experiment.selection
    task = tasks.get(experiment.task)
    distinct = {target: distinct_candidates(of_target) for target, of_target in chosen.items()}
    picked = sorted(set(chain.from_iterable(distinct.values())))
    test_CES = encodings.statistics(job.store, [choosable[index] for index in picked], list(tests), task.statistics)
    test_sets = {}
    for target in chosen:
        test = f"{target}-test"
        own = [picked.index(candidate) for candidate in distinct[target]]
        test_sets[target] = TestSet.grouped(np.asarray(tests[test].groups), test_CES[test][own])
    score_RC = resampled_scores(test_sets, task.score, settings.bootstrap, experiment.seed)
    return {
        target: compare_all(chosen[target], score_RC[target], judged[target].test_C, settings.confidence)
        for target in chosen
    }


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="selection")
