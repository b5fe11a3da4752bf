"""The report as one self-contained HTML page, and as Markdown."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from lms_ray.pages.figures import for_page
from lms_ray.pages.tables import SIGNIFICANT, Table, escape
from lms_ray.settings.experiment import Experiment

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Findings:
    """All that the report shows."""

    advice: str
    """Which rule to use."""
    use: Mapping[str, str]
    """For each target what to use and why."""
    followed: str
    """Which rule is followed for them."""
    next_labels: str
    """Whose labels would help most."""
    deployment: Table
    """The picks of all candidates, for use."""
    judged: "Judged | None"
    """How good picks for the targets are; None where no target has labels."""
    left_out: Table | None = None
    """Candidates that are not in the pool, and why; None where all are."""


@dataclass(frozen=True)
class Judged:
    """What the labels of the targets say."""

    worth: Table
    """What every selector is worth over the draws."""
    draws: str
    """The same as a figure, an SVG document."""
    calibration: Table
    """What was stated of picks, and what came of it."""
    came_true: str
    """The same in a sentence."""
    caption: list[str]
    """Paragraphs about the table of scores, the verdict last."""
    scores: Table
    """Of every selector on every target, in one draw."""
    details: Table
    """Every pick of that draw."""
    figure: str
    """The pool and the picks, an SVG document."""
    soups: Table | None = None
    """What averages of weights are worth; None where none were made."""


def to_html(
    experiment: Experiment, found: Findings, rankers: Table, split_sizes: Mapping[str, int], grid_points: int
) -> str:
    """The page, with everything in it.

    Args:
        experiment: what was run.
        found: what to show.
        rankers: the chosen grid points.
        split_sizes: candidates of meta-train (`train`), meta-dev (`dev`) and meta-test (`test`).
        grid_points: rankers tried for each set of pivots.
    """
    judged = found.judged
    return template("report.html").render(
        experiment=experiment.without_credentials(),
        **vars(replace(found, judged=judged and _drawn(judged))),
        rankers=rankers,
        split_sizes=split_sizes,
        grid_points=grid_points,
        significant=SIGNIFICANT,
    )


def _drawn(judged: Judged) -> Judged:
    """The same with figures to put into HTML."""
    return replace(judged, draws=for_page(judged.draws), figure=for_page(judged.figure))


def template(name: str) -> Template:
    """A page of this package, in which every text is escaped."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)


def to_markdown(experiment: Experiment, found: Findings) -> str:
    """The tables, for GitHub."""
    blocks, judged = [f"# {escape(experiment.name)}", escape(found.advice)], found.judged
    blocks += [judged.worth.to_markdown()] if judged else []
    use = "\n".join(f"- **{escape(target)}** {escape(words)}" for target, words in found.use.items())
    export = "`lms-ray export PATH --target LANG --to FOLDER` copies the model to use for a target, with a model card."
    blocks += [
        "## What to use",
        escape(found.followed),
        use,
        export,
        "## What to annotate next",
        escape(found.next_labels),
    ]
    blocks += ["## Did it come true?", escape(judged.came_true), judged.calibration.to_markdown()] if judged else []
    blocks += ["## Picks for use", found.deployment.to_markdown()]
    blocks += ["## Candidates that are not in the pool", found.left_out.to_markdown()] if found.left_out else []
    blocks += [escape(f"No labels: {', '.join(unjudged)}.")] if (unjudged := experiment.unlabelled_targets) else []
    if judged:
        blocks += ["## Soups", judged.soups.to_markdown()] if judged.soups else []
        blocks += ["## One draw", judged.scores.to_markdown(), *(escape(paragraph) for paragraph in judged.caption)]
        blocks += ["## Every pick", judged.details.to_markdown()]
    return "\n\n".join(blocks) + "\n"
