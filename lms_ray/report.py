"""Stage 5: what each selector is worth, the paper's Table 3, figures, and one self-contained page.

    python -m lms_ray.report CONFIG [key=value ...]

Reads the picks, the draws, the pool's test scores and the rankers' validation; prints the tables, and writes
report/report.md, report/report.html, report/draws.svg and report/pool.svg. The same picks give the same bytes.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import pandas as pd

from lms_ray import tasks
from lms_ray.choosing.recommended import RECOMMENDED
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.pages import certainty
from lms_ray.pages.draws import advice, deployment_table, worth_table, worths
from lms_ray.pages.figures import draws_figure, pool_figure
from lms_ray.pages.page import Findings, to_html, to_markdown
from lms_ray.pages.progress import say
from lms_ray.pages.soups import soup_table
from lms_ray.pages.tables import Table, captions, detail_table, ranker_table, score_table
from lms_ray.pages.terminal import show
from lms_ray.settings.errors import MissingError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import deployment, lineage, picks, pool, rankings, redrawn, soups
from lms_ray.store.files import Store

log = logging.getLogger(__name__)


def run(job: Job) -> None:
    """Print the table of scores and write the report.

    Raises:
        MissingError: there are no picks or rankings, or they were made for other settings or from other input.
    """
    experiment, store = job.experiment, job.store
    candidates, task = pool.read(store), tasks.get(experiment.task)

    def origin(keys: Sequence[str], corpora: Sequence[str]) -> dict[str, Any]:
        return lineage.origin(experiment, keys, store, pool.candidates(store), corpora)

    picked_from = roles.picked_from(experiment, task.example)
    lineage.require_same("picks", picks.origin(store), origin(lineage.SELECTION, picked_from), "selection")
    ranked = origin(lineage.RANKING, roles.ranked_from(experiment, task.example))
    rankings.require(store, ranked)
    redrawn.require(store, ranked)
    made, pool_scores = picks.read(store), picks.read_pool_scores(store)
    split_sizes = Counter(rankings.read_split(store))
    validation = rankings.read_validation(store)

    pool_size, diverged = len(pool_scores), int(candidates["diverged"].sum())
    taught = split_sizes.total() - pool_size
    worth = worths(picks.read_splits(store), pool_size, taught)
    deltas = pd.DataFrame({of_selector.selector: of_selector.delta_D for of_selector in worth})
    for_use, worth_of_labels = deployment.read(store, ranked), deployment.read_worth(store)
    recommended = of_most_targets(redrawn.read_recommended(store, ranked), experiment)
    use = certainty.in_words(for_use, worth_of_labels, split_sizes.total())
    found = Findings(
        advice=advice(worth, recommended, pool_size, taught),
        worth=worth_table(worth),
        draws=draws_figure(deltas, task.metric),
        use=use,
        followed=certainty.followed(recommended, for_use),
        next_labels=certainty.next_labels(worth_of_labels),
        calibration=certainty.calibration_table(picks.read_outcomes(store), [RECOMMENDED]),
        deployment=deployment_table(for_use, deployment.FOR_USE),
        caption=captions(made, experiment, len(candidates), diverged, pool_size),
        scores=score_table(made, picks.read_baselines(store)),
        details=detail_table(made),
        figure=pool_figure(pool_scores, made, task.metric),
        soups=_soups(store, origin(lineage.SOUPS, picked_from)),
    )
    wrapped = [fill(paragraph, 110, break_on_hyphens=False) for paragraph in (*found.caption, found.advice)]
    show("\n".join(["", found.scores.to_text(), "", *wrapped[:-1], "", found.worth.to_text(), "", wrapped[-1], ""]))
    lines = [fill(line, 110, break_on_hyphens=False) for line in (found.followed, found.next_labels)]
    show("\n".join([certainty.use_table(for_use).to_text(), "", *lines, ""]))

    grid_points = len(validation[list(experiment.ranker.axes)].drop_duplicates())
    html = to_html(experiment, found, ranker_table(validation, experiment), split_sizes, grid_points)
    store.write_bytes("report/pool.svg", found.figure.encode())
    store.write_bytes("report/draws.svg", found.draws.encode())
    store.write_bytes("report/report.md", to_markdown(experiment, found).encode())
    store.write_bytes("report/report.html", html.encode())
    say("report", store.where("report/report.html"))


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
    sets = Counter(",".join(experiment.pivots_for(target)) for target in experiment.targets)
    return recommended[recommended["pivots"] == sets.most_common(1)[0][0]]


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="report")
