"""Stage 5: what each selector is worth, the paper's Table 3, figures, and one self-contained page.

    python -m lms_ray.report CONFIG [key=value ...]

Reads the picks, the draws, the pool's test scores and the rankers' validation; prints the tables, and writes
report/report.md, report/report.html, report/draws.svg and report/pool.svg. All begin with the answer: for each target
the candidate to use, where it is, how sure that is, and the command that exports it. Then comes why, then what is known
of how good such picks are, then how it was obtained. The page asks for nothing from elsewhere; its script sorts,
searches and follows a candidate through tables and figures, and without it the page says the same. The same picks give
the same bytes. Where no target has labels, it shows the picks for use.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any

import pandas as pd

from lms_ray import tasks
from lms_ray.choosing.recommended import RECOMMENDED
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.pages import answer, certainty, rivals
from lms_ray.pages.answer import Answers
from lms_ray.pages.candidates import candidate_table, facts
from lms_ray.pages.draws import advice, deployment_table, unjudged_advice, worth_table, worths
from lms_ray.pages.figures import draws_figure, pool_figure
from lms_ray.pages.page import Findings, Judged, to_html, to_markdown
from lms_ray.pages.progress import say
from lms_ray.pages.soups import soup_table
from lms_ray.pages.tables import (
    Table,
    captions,
    detail_table,
    left_out_briefly,
    left_out_table,
    ranker_table,
    score_table,
)
from lms_ray.pages.terminal import show
from lms_ray.settings.errors import MissingError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import deployment, lineage, missing, picks, pool, rankings, redrawn, soups
from lms_ray.store.files import Store

log = logging.getLogger(__name__)


def run(job: Job) -> None:
    """Print the table of scores and write the report.

    Raises:
        MissingError: there are no picks or rankings, or they were made for other settings or from other input.
    """
    experiment, store = job.experiment, job.store
    missing.require_few(store, experiment.sweep.max_missing)
    task, candidates = tasks.get(experiment.task), pool.candidates(store)

    def origin(keys: Sequence[str], corpora: Sequence[str]) -> dict[str, Any]:
        return lineage.origin(experiment, keys, store, candidates, corpora)

    picked_from = roles.picked_from(experiment, task.example)
    lineage.require_same("picks", picks.origin(store), origin(lineage.SELECTION, picked_from), "selection")
    ranked = origin(lineage.RANKING, roles.ranked_from(experiment, task.example))
    rankings.require(store, ranked)
    redrawn.require(store, ranked)
    split_sizes = Counter(rankings.read_split(store))
    validation = rankings.read_validation(store)
    for_use, worth_of_labels = deployment.read(store, ranked), deployment.read_worth(store, ranked)
    by_pivots = redrawn.read_recommended(store, ranked)
    recommended = of_most_targets(by_pivots, experiment)
    rules = for_use.loc[for_use["followed"], "rule"].unique()
    to_use = for_use.loc[for_use["followed"], "candidate"].unique()
    use = answer.answers(for_use, {one: pool.weights_at(store, one) for one in to_use}, store.where())
    made = pool.read(store)
    judged, said, pool_scores = None, unjudged_advice(recommended), None
    if experiment.targets:
        pool_scores = picks.read_pool_scores(store)
        judged, said = _judged(job, recommended, split_sizes.total(), origin(lineage.SOUPS, picked_from), pool_scores)
    found = Findings(
        answers=use,
        advice=said,
        use=certainty.in_words(for_use, worth_of_labels, split_sizes.total()),
        followed=certainty.followed(recommended, for_use),
        why=rivals.rivals(for_use, redrawn.read_scores(store, ranked, rules)),
        pivots=rivals.pivot_tables(by_pivots, experiment),
        next_labels=certainty.next_labels(worth_of_labels),
        deployment=deployment_table(for_use, deployment.FOR_USE),
        candidates=candidate_table(made, use, pool_scores, experiment.source),
        facts=facts(made, use, pool_scores, experiment.source),
        judged=judged,
        left_out=left_out_table(made, missing.read(store)),
    )
    show("\n".join(["", *_printed(found), ""]))

    grid_points = len(validation[list(experiment.ranker.axes)].drop_duplicates())
    html = to_html(experiment, found, ranker_table(validation, experiment), split_sizes, grid_points)
    if found.judged:
        store.write_bytes("report/pool.svg", found.judged.figure.document().encode())
        store.write_bytes("report/draws.svg", found.judged.draws.encode())
    store.write_bytes("report/report.md", to_markdown(experiment, found).encode())
    store.write_bytes("report/report.html", html.encode())
    say("report", store.where("report/report.html"))


def _judged(
    job: Job, recommended: pd.DataFrame, choosable: int, soups_from: Mapping[str, Any], pool_scores: pd.DataFrame
) -> tuple[Judged, str]:
    """What the labels of the targets say, and which rule to use.

    Args:
        job: the experiment.
        recommended: rows of the set of pivots that most targets have.
        choosable: candidates that did not diverge.
        soups_from: what soups would be made from now.
        pool_scores: test scores of the pool.
    """
    experiment, store, metric = job.experiment, job.store, tasks.get(job.experiment.task).metric
    candidates, made = pool.read(store), picks.read(store)
    pool_size, diverged = len(pool_scores), int(candidates["diverged"].sum())
    taught = choosable - pool_size
    worth = worths(picks.read_splits(store), pool_size, taught)
    deltas = pd.DataFrame({of_selector.selector: of_selector.delta_D for of_selector in worth})
    outcomes = picks.read_outcomes(store)
    judged = Judged(
        worth=worth_table(worth),
        draws=draws_figure(deltas, metric),
        calibration=certainty.calibration_table(outcomes, [RECOMMENDED]),
        came_true=certainty.came_true(outcomes, RECOMMENDED),
        caption=captions(made, experiment, len(candidates), diverged, pool_size),
        scores=score_table(made, picks.read_baselines(store)),
        details=detail_table(made),
        figure=pool_figure(pool_scores, made, metric, {one: number for number, one in enumerate(candidates["id"])}),
        pool=list(pool_scores.index),
        soups=_soups(store, soups_from),
    )
    return judged, advice(worth, recommended, pool_size, taught)


def _soups(store: Store, origin: Mapping[str, Any]) -> Table | None:
    """What averages of weights are worth, where that was asked for; what was made otherwise is left out, and said."""
    if not store.exists(soups.PATH):
        return None
    try:
        return soup_table(soups.read(store, origin))
    except MissingError as error:
        log.warning("no soups in the report: %s", error)
        return None


def of_most_targets(recommended: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """The rows of the set of pivots that most targets have."""
    sets = Counter(",".join(experiment.pivots_for(target)) for target in experiment.picked_for)
    return recommended[recommended["pivots"] == sets.most_common(1)[0][0]]


def _printed(found: Findings) -> Iterator[str]:
    """The tables, why, the answer, and how to take a model: what comes last is what stands in a terminal."""
    if (judged := found.judged) is not None:
        yield from (judged.scores.to_text(), "", *map(_wrapped, judged.caption), "", judged.worth.to_text(), "")
    if found.left_out:
        yield from (left_out_briefly(found.left_out), "")
    yield from (_wrapped(found.advice), "", found.answers.brief().to_text(), "", _wrapped(found.followed))
    if judged:
        yield _wrapped(judged.came_true)
    yield from (_wrapped(found.next_labels), "", *_to_take(found.answers))


def _to_take(answers: Answers) -> Iterator[str]:
    """The command that exports a model, for one target, and what stands in the way for others."""
    if answers.commands:
        yield f"The model itself, as for any target: {answers.commands[0]}"
    if gone := answers.without_weights:
        yield _wrapped(f"Weights that were not kept (sweep.keep_weights): of {', '.join(gone)}.")


def _wrapped(paragraph: str) -> str:
    return fill(paragraph, 110, break_on_hyphens=False)


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="report")
