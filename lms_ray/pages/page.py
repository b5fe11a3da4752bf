"""The report as one self-contained HTML page, and as Markdown."""

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lms_ray.pages.figures import for_page
from lms_ray.pages.tables import SIGNIFICANT, Table, escape
from lms_ray.settings.experiment import Experiment

TEMPLATES = Path(__file__).parent / "templates"


def to_html(
    experiment: Experiment,
    caption: list[str],
    scores: Table,
    details: Table,
    rankers: Table,
    figure: str,
    split_sizes: Mapping[str, int],
    grid_points: int,
) -> str:
    """The page, with everything in it.

    Args:
        experiment: what was run.
        caption: paragraphs about the table of scores, the verdict last.
        scores: of every selector on every target.
        details: every pick.
        rankers: the chosen grid points.
        figure: an SVG document.
        split_sizes: candidates of meta-train (`train`), meta-dev (`dev`) and meta-test (`test`).
        grid_points: rankers tried for each set of pivots.
    """
    page = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("report.html")
    return page.render(
        experiment=experiment.without_credentials(),
        caption=caption,
        scores=scores,
        details=details,
        rankers=rankers,
        figure=for_page(figure),
        split_sizes=split_sizes,
        grid_points=grid_points,
        significant=SIGNIFICANT,
    )


def to_markdown(experiment: Experiment, caption: list[str], scores: Table, details: Table) -> str:
    """The tables of scores and of picks, for GitHub."""
    paragraphs = [escape(paragraph) for paragraph in caption]
    blocks = [f"# {escape(experiment.name)}", scores.to_markdown(), *paragraphs, "## Every pick", details.to_markdown()]
    return "\n\n".join(blocks) + "\n"
