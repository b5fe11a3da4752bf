"""How much is needed of everything: an extra that no other stage needs.

    python -m lms_ray.curves CONFIG [key=value ...]

Picks anew with fewer candidates, fewer pivots, fewer unlabelled sentences, and by few labels of the target itself, and
says what each is worth on the targets' test sets. Needs encodings only; goes on where it was interrupted.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from lms_ray import tasks
from lms_ray.choosing.curves import K_TARGET, Point, by_labels, picks, points
from lms_ray.choosing.evidence import Known
from lms_ray.choosing.gathering import gather, know, oracles
from lms_ray.choosing.grid import targets_by_pivots
from lms_ray.choosing.picking import Oracles
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.pages.curves import curves_table, labels_needed
from lms_ray.pages.progress import Progress, say
from lms_ray.pages.terminal import show
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import curves, encodings, lineage, pool
from lms_ray.store.curves import Pick
from lms_ray.store.deployment import FOR_USE
from lms_ray.store.files import Store


def run(job: Job) -> None:
    """Make the missing points of the curves, and print them.

    Raises:
        ConfigError: no target has labels.
        MissingError: an earlier stage has not done its part.
    """
    experiment, store, task = job.experiment, job.store, tasks.get(job.experiment.task)
    if not experiment.targets:
        raise ConfigError(
            "targets: found none, and nothing can be judged without their labels; accepted is one or more"
        )
    lineage.require_encoded(experiment, store)
    candidates = pool.candidates(store)
    corpora = roles.picked_from(experiment, task.example)
    encodings.require(store, candidates, corpora)
    origin = lineage.origin(experiment, lineage.SELECTION, store, candidates, corpora)
    wanted = _points(experiment, store, len(candidates))
    missing = [point for point in wanted if store.done(curves.unit(origin, point.name)) is None]
    judged = oracles(experiment, store, candidates)
    dev_sets = [f"{target}-dev" for target in experiment.targets]
    dev_CES = encodings.statistics(store, candidates, dev_sets, task.statistics) if missing else {}
    known: dict[int | None, Known] = {}  # by how many sentences are read
    progress = Progress("curves", "points", len(wanted), done=len(wanted) - len(missing))
    for done, point in enumerate(missing, 1 + len(wanted) - len(missing)):
        if point.curve == "labels":
            rows = _by_labels(point, experiment, dev_CES, judged)
        else:
            first = point.size if point.curve == "sentences" and point.size in experiment.encode.beginnings else None
            if first not in known:
                known[first] = know(experiment, store, gather(experiment, store, first), first)
            rows = _by_rules(point, experiment, known[first], judged)
        curves.write(store, origin, point.name, rows)
        progress.show(done)
    made = curves.read(store, origin)
    said = "Mean regret of picks for use, in points:"
    show("\n".join(["", said, "", curves_table(made).to_text(), "", labels_needed(made), ""]))
    say("curves", store.where(curves.unit(origin)))


def _points(experiment: Experiment, store: Store, candidates: int) -> list[Point]:
    described = roles.describing(experiment, tasks.get(experiment.task).example).values()
    dev_sets = [f"{target}-dev" for target in experiment.targets]
    known = encodings.corpora(store, [*described, *dev_sets])
    return points(
        experiment.meta_split,
        candidates,
        max(map(len, experiment.pivot_sets)),
        experiment.encode.beginnings,
        max(known[name].examples for name in described),
        max(known[name].examples for name in dev_sets),
    )


def _by_rules(point: Point, experiment: Experiment, known: Known, judged: Mapping[str, Oracles]) -> Iterator[Pick]:
    found = picks(point, known, targets_by_pivots(experiment), experiment.meta_split, FOR_USE)
    for target in judged:
        for rule, picked in found.get(target, {}).items():
            yield _judged(point, rule, target, judged[target].test_C, picked)


def _by_labels(
    point: Point, experiment: Experiment, dev_CES: Mapping[str, np.ndarray], judged: Mapping[str, Oracles]
) -> Iterator[Pick]:
    task = tasks.get(experiment.task)
    for target in experiment.targets:
        for picked in by_labels(point, target, dev_CES[f"{target}-dev"], task.score, experiment.seed):
            yield _judged(point, K_TARGET, target, judged[target].test_C, picked)


def _judged(point: Point, rule: str, target: str, test_C: np.ndarray, picked: int) -> Pick:
    score = float(test_C[picked])
    return Pick(point.curve, point.size, point.repeat, rule, target, score, float(test_C.max()) - score)


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="curves")
