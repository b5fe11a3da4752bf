"""Stage 5: the table of scores in the form of the paper's Table 3, a figure, and one self-contained page.

    python -m lms_ray.report CONFIG [key=value ...]

Reads the picks, the pool's test scores and the rankers' validation; prints the table, and writes report/report.md,
report/report.html and report/pool.svg. The same picks give the same bytes.
"""

from collections import Counter
from collections.abc import Sequence
from textwrap import fill
from typing import Any

from lms_ray import tasks
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.pages.figures import pool_figure
from lms_ray.pages.page import to_html, to_markdown
from lms_ray.pages.progress import say
from lms_ray.pages.tables import captions, detail_table, ranker_table, score_table
from lms_ray.pages.terminal import show
from lms_ray.store import lineage, picks, pool, rankings


def run(job: Job) -> None:
    """Print the table of scores and write the report.

    Raises:
        MissingError: there are no picks or rankings, or they were made for other settings or from other input.
    """
    experiment, store = job.experiment, job.store
    candidates, task = pool.read(store), tasks.get(experiment.task)

    def origin(keys: Sequence[str], corpora: Sequence[str]) -> dict[str, Any]:
        return lineage.origin(experiment, keys, store, pool.candidates(store), corpora)

    wanted = origin(lineage.SELECTION, roles.picked_from(experiment, task.example))
    lineage.require_same("picks", picks.origin(store), wanted, "selection")
    rankings.require(store, origin(lineage.RANKING, roles.ranked_from(experiment, task.example)))
    made, pool_scores = picks.read(store), picks.read_pool_scores(store)
    split_sizes = Counter(rankings.read_split(store))
    validation = rankings.read_validation(store)

    scores, details = score_table(made, picks.read_baselines(store)), detail_table(made)
    diverged = int(candidates["diverged"].sum())
    caption = captions(made, experiment, len(candidates), diverged, pool=len(pool_scores))
    paragraphs = [fill(paragraph, 110, break_on_hyphens=False) for paragraph in caption]
    show("\n".join(["", scores.to_text(), "", *paragraphs, ""]))

    figure = pool_figure(pool_scores, made, task.metric)
    html = to_html(
        experiment,
        caption,
        scores,
        details,
        rankers=ranker_table(validation, experiment),
        figure=figure,
        split_sizes=split_sizes,
        grid_points=len(validation[list(experiment.ranker.axes)].drop_duplicates()),
    )
    store.write_bytes("report/pool.svg", figure.encode())
    store.write_bytes("report/report.md", to_markdown(experiment, caption, scores, details).encode())
    store.write_bytes("report/report.html", html.encode())
    say("report", store.where("report/report.html"))


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="report")
