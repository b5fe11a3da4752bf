"""Stage 3: fit the pairwise rankers over their grid.

    python -m lms_ray.ranking CONFIG [key=value ...]

The paper's rankers are fitted one by one, in one Ray Train job whose workers share them; the `fast` ones all at once.
With `ranker.transfer_from=FOLDER` none is fitted: those of another experiment score this one's candidates.
Labels of other languages than the pivots are never read here, and a ranker is handed a `Lesson` of its own pivots only.
(`ranker.auxiliary` adds those of other experiments: of another task, also in target languages.)
"""

import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import pyarrow as pa

from lms_ray import tasks
from lms_ray.choosing import transfer
from lms_ray.choosing.annotation import Worth, worth_of_labels
from lms_ray.choosing.evidence import Known
from lms_ray.choosing.gathering import gather, know, recall, reliabilities
from lms_ray.choosing.grid import Point, choose, fit_fast, points, targets_by_pivots
from lms_ray.choosing.material import Material
from lms_ray.choosing.recommended import RECOMMENDED
from lms_ray.choosing.redrawn import Redrawn, redraw
from lms_ray.cluster import fitting
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.pages.progress import Progress
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import seed_for
from lms_ray.store import deployment, lineage, rankings, redrawn
from lms_ray.store.attempts import Machine, Use
from lms_ray.store.files import DONE, Store
from lms_ray.store.folder import Written

log = logging.getLogger(__name__)


def run(job: Job) -> None:
    """Fit the missing grid points, choose among them, and write every candidate's score for every target."""
    experiment, store = job.experiment, job.store
    lineage.require_encoded(experiment, store)
    material = gather(experiment, store)
    corpora = roles.ranked_from(experiment, tasks.get(experiment.task).example)
    origin = lineage.origin(experiment, lineage.RANKING, store, material.candidates, corpora)
    known = know(experiment, store, material)
    if store.done(redrawn.unit(origin)) is None:
        _redraw(experiment, store, known, origin)
    _pick_for_use(experiment, store, known, origin)
    if experiment.ranker.transfer_from:
        _transfer(experiment, store, material, origin)
        return
    folder = f"{rankings.UNIT}/{material.digest[:12]}"
    pivot_sets = targets_by_pivots(experiment)
    grid = points(experiment.ranker, list(pivot_sets))
    missing = [point for point in grid if not store.done(f"{folder}/{point.name}")]
    progress = Progress("ranking", "rankers", len(grid), done=len(grid) - len(missing))
    if missing and experiment.ranker.fit == "fast":
        _fit_at_once(store, material, folder, missing, pivot_sets)
        progress.show(len(grid))
    elif missing:
        fitting.fit_all(experiment, store, material, folder, missing, pivot_sets, progress)
    _conclude(store, material, folder, grid, origin)


def _redraw(experiment: Experiment, store: Store, known: Known, origin: dict[str, Any]) -> None:
    """Let every rule score the candidates, in many divisions of them, and write what they say."""
    progress = Progress("ranking", "draws", experiment.meta_split.draws)
    made = redraw(known, targets_by_pivots(experiment), experiment.meta_split, progress.show)
    recommended = [
        {
            "pivots": ",".join(pivots),
            "rule": rule,
            "weight": found.weights.get(rule, 0.0),
            "gains": found.gains[rule].tolist() if found.gains else [],
            "reason": found.reason,
        }
        for pivots, found in made.recommendations.items()
        for rule in found.gains or found.weights
    ]
    trust = []
    for target, rule in made.followed.items():
        row: dict[str, Any] = {"target": target, "followed": rule}
        if target in made.trust:
            told = made.trust[target]
            row |= {**vars(told), "quantile_PQ": told.quantile_PQ.tolist(), "level": told.level and vars(told.level)}
        trust.append(row)
    candidates = known.material.candidates
    redrawn.write(store, origin, candidates, made.part_DC, made.overall, made.drawn, recommended, trust)


def _pick_for_use(experiment: Experiment, store: Store, known: Known, origin: dict[str, Any]) -> None:
    """Name what every rule picks of all candidates for every target, how sure it is, and what would make it surer."""
    candidates = known.material.candidates
    said = recall(store, origin, candidates)
    if never := int((said.part_DC != "test").all(0).sum()):
        log.info(
            "%d of %d candidates are in the pool of no draw (meta_split.draws): rules that learn from candidates "
            "cannot pick them for use",
            never, len(candidates),
        )  # fmt: skip
    rows = []
    for target, of_rules in said.for_use.items():
        expected = said.expected(said.overall[target], target, seed_for(experiment.seed, "for use", target))
        rows += [
            {
                "target": target,
                "rule": rule,
                "candidate": candidates[picked],
                "followed": rule == said.followed[target],
                **(vars(expected[rule]) if expected else {}),
            }
            for rule, picked in of_rules.items()
        ]
    deployment.write(store, rows, map(vars, _worth(experiment, store, known, said)), origin)


def _worth(experiment: Experiment, store: Store, known: Known, said: Redrawn) -> Iterator[Worth]:
    """What the labels of each target that has none would be worth to each target."""
    of_pivots = reliabilities(experiment, store, known.material.candidates)
    unknown = [target for target in experiment.picked_for if target not in experiment.pivots]
    for pivots, targets in targets_by_pivots(experiment).items():
        kinship, reliable = known.kinship(pivots), fmean(of_pivots[pivot] for pivot in pivots)
        for target in targets:
            if target in said.trust:
                score_C = said.overall[target][RECOMMENDED]
                yield from worth_of_labels(unknown, target, pivots, kinship, reliable, score_C, said.trust[target])


def _fit_at_once(
    store: Store,
    material: Material,
    folder: str,
    missing: Sequence[Point],
    targets_of: Mapping[tuple[str, ...], list[str]],
) -> None:
    """The whole grid of the `fast` fit, here: it takes seconds, less than a worker needs to start."""
    machine = Machine(host=socket.gethostname(), market=None, accelerator=None, cpus=1, gpus=0)
    for point, fitted in fit_fast(material, targets_of, "cpu").items():
        if point in missing:
            use = Use(machine=machine, seconds=fitted.record["seconds"], work=1)
            fitting.commit(store, f"{folder}/{point.name}", fitted, material.candidates, use)


def _conclude(store: Store, material: Material, folder: str, grid: list[Point], origin: dict[str, Any]) -> None:
    """Choose grid points, write the tables, and keep only the weights that were chosen."""
    records = {point: store.done(f"{folder}/{point.name}") or {} for point in grid}
    chosen = choose({point: record["kendall_tau"] for point, record in records.items()})
    validation = [_row(point.pivots, record, point in chosen) for point, record in records.items()]
    scores = [store.read_unit_table(f"{folder}/{point.name}", rankings.SCORES) for point in chosen]
    files = _write_tables(store, material, validation, scores)
    within = folder.removeprefix(f"{rankings.UNIT}/")
    for point in grid:
        unit = f"{folder}/{point.name}"
        if point in chosen:
            files[f"{within}/{point.name}/{rankings.WEIGHTS}"] = store.files_of(unit)[rankings.WEIGHTS]
        else:
            store.drop(unit, [rankings.WEIGHTS])
    store.commit(rankings.UNIT, {**origin, "chosen": [point.name for point in chosen]}, files)


def _transfer(experiment: Experiment, store: Store, material: Material, origin: dict[str, Any]) -> None:
    """Score every candidate for every target by another experiment's rankers, and write the tables."""
    assert experiment.ranker.transfer_from
    choosable = [name for name, part in zip(material.candidates, material.part_C, strict=True) if part == "test"]
    saved = transfer.read(experiment.ranker.transfer_from, experiment, choosable)
    used, scores = dict[tuple[tuple[str, ...], int], dict[str, Any]](), []
    for target, rankers in transfer.apply(saved, experiment.picked_for, material).items():
        for one, score_C in rankers:
            used[one.pivots, one.record["seed"]] = _row(one.pivots, one.record, chosen=True)
            scores.append(rankings.score_rows(target, one.record["seed"], material.candidates, score_C))
    files = _write_tables(store, material, list(used.values()), scores)
    store.commit(rankings.UNIT, {**origin, "chosen": []}, files)


def _row(pivots: Sequence[str], record: Mapping[str, Any], chosen: bool) -> dict[str, Any]:
    """A row of the validation."""
    return {key: record[key] for key in rankings.POINT} | {"pivots": ",".join(pivots), "chosen": chosen}


def _write_tables(
    store: Store, material: Material, validation: list[dict[str, Any]], scores: Sequence[pa.Table]
) -> dict[str, Written]:
    store.delete(f"{rankings.UNIT}/{DONE}")  # between these tables it would speak of others
    return {
        **rankings.write_split(store, material.candidates, material.part_C),
        **rankings.write_validation(store, validation),
        **rankings.write_scores(store, scores),
    }


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="ranking")
