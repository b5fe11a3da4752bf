"""Stage 4: every selector's pick for every target, scored on the target's test set.

    python -m lms_ray.selection CONFIG [key=value ...]

This is the first place that reads labels of a target. All selectors pick from the same pool, the meta-test candidates.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from lms_ray import tasks
from lms_ray.choosing import keeping
from lms_ray.choosing.picking import Choice, Evidence, averages, choices, compare_all, distinct_candidates, judge
from lms_ray.choosing.significance import Comparison, TestSet, resampled_scores
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import seed_for
from lms_ray.store import encodings, lineage, picks, pool, rankings
from lms_ray.store.encodings import CorpusRow
from lms_ray.store.files import Store
from lms_ray.store.picks import Pick


def run(job: Job) -> None:
    """Pick for every target, and write the table of picks and the pool's test scores.

    Raises:
        MissingError: an earlier stage has not done its part, or did it for other settings or other input.
    """
    experiment, store = job.experiment, job.store
    candidates = pool.candidates(store)
    example = tasks.get(experiment.task).example
    ranked_from = roles.ranked_from(experiment, example)
    rankings.require(store, lineage.origin(experiment, lineage.RANKING, store, candidates, ranked_from))
    part_of = rankings.read_split(store)
    choosable = [candidate for candidate in candidates if part_of[candidate] == "test"]
    corpora = roles.picked_from(experiment, example)
    encodings.require(store, choosable, corpora)
    evidence = _evidence(experiment, store, choosable)
    tests = encodings.corpora(store, [f"{target}-test" for target in experiment.targets])
    chosen = {target: choices(target, evidence[target], experiment) for target in experiment.targets}
    compared = _compared(chosen, evidence, tests, job, choosable)
    made: list[Pick] = []
    of_selector: dict[str, list[Comparison]] = {}
    for target in experiment.targets:
        made += judge(target, chosen[target], choosable, evidence[target].test_C, compared[target])
        for choice in chosen[target]:
            of_selector.setdefault(choice.selector, []).append(compared[target][choice.candidate])
    made += averages(made, of_selector, experiment.selection.confidence)
    test_scores = pd.DataFrame({target: evidence[target].test_C for target in experiment.targets}, index=choosable)
    origin = lineage.origin(experiment, lineage.SELECTION, store, candidates, corpora)
    picks.write(store, made, test_scores, _baselines(experiment, tests), origin)
    keeping.after_selection(experiment, store, made)


def _evidence(experiment: Experiment, store: Store, choosable: Sequence[str]) -> dict[str, Evidence]:
    """For each target the scores of the pool on all that selectors and oracles look at."""
    task = tasks.get(experiment.task)
    names = roles.named(roles.labelled(experiment))
    sum_CGS = encodings.sums(store, choosable, names, task.statistics)
    score_C = dict(zip(names, task.score(sum_CGS).T, strict=True))
    dev_names = [f"{target}-dev" for target in experiment.targets]
    dev_CES = encodings.statistics(store, choosable, dev_names, task.statistics)
    ranker_KC = rankings.read_scores(store, choosable)
    evidence = {}
    for target, dev in zip(experiment.targets, dev_names, strict=True):
        examples = dev_CES[dev].shape[1]
        few = min(experiment.selection.target_examples, examples)
        rng = np.random.default_rng(seed_for(experiment.seed, "target-examples", target))
        sample = rng.choice(examples, size=few, replace=False)
        pivots = experiment.pivots_for(target)
        evidence[target] = Evidence(
            source_C=score_C[f"{experiment.source}-dev"],
            pivot_PC=np.stack([score_C[f"{pivot}-{experiment.pivot_split}"] for pivot in pivots]),
            ranker_KC=ranker_KC[target],
            few_C=task.score(dev_CES[dev][:, sample].sum(1)),
            few=few,
            dev_C=score_C[dev],
            dev=examples,
            test_C=score_C[f"{target}-test"],
        )
    return evidence


def _baselines(experiment: Experiment, tests: Mapping[str, CorpusRow]) -> dict[str, dict[str, float]]:
    """Test scores of rules that need no model, by their names and by target."""
    score, scores = tasks.get(experiment.task).score, dict[str, dict[str, float]]()
    for target in experiment.targets:
        for name, sum_S in tests[f"{target}-test"].baselines.items():
            scores.setdefault(name, {})[target] = float(score(np.asarray(sum_S)))
    return scores


def _compared(
    chosen: dict[str, list[Choice]],
    evidence: dict[str, Evidence],
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
        target: compare_all(chosen[target], score_RC[target], evidence[target].test_C, settings.confidence)
        for target in chosen
    }


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="selection")
