"""The report as one self-contained HTML page, and as Markdown."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from lms_ray.pages.answer import Answers
from lms_ray.pages.figures import STYLE, PoolFigure
from lms_ray.pages.rivals import Pivots, Why
from lms_ray.pages.svg import for_page
from lms_ray.pages.tables import SIGNIFICANT, Table, escape, fenced
from lms_ray.settings import languages
from lms_ray.settings.experiment import Experiment

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Findings:
    """All that the report shows."""

    answers: Answers
    """What to use for each target."""
    advice: str
    """Which rule to use."""
    use: Mapping[str, str]
    """For each target what to use and why."""
    followed: str
    """Which rule is followed for them."""
    why: Mapping[str, Why]
    """For each target what came close."""
    pivots: Sequence[Pivots]
    """How the rules picked for each set of pivots."""
    next_labels: str
    """Whose labels would help most."""
    deployment: Table
    """The picks of all candidates, for use."""
    candidates: Table
    """All of them."""
    facts: Mapping[str, str]
    """By candidate, in the order of their numbers on a page, what there is to say of it in a line."""
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
    figure: PoolFigure
    """The pool and the picks."""
    pool: Sequence[str]
    """Candidates of the pool, in the order of the figure's dots."""
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
    numbers = {candidate: number for number, candidate in enumerate(found.facts)}
    judged = found.judged and replace(found.judged, draws=for_page(found.judged.draws))
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    return template("report.html").render(
        experiment=experiment.without_credentials(),
        **{**vars(found), "judged": judged},
        contents=_contents(found),
        names={code: name for code in experiment.languages if (name := languages.name(code)) != code},
        numbers=numbers,
        data=_data(found, numbers),
        script=script,
        script_hash=_hash(script),
        figure_style=for_page(STYLE),
        rankers=rankers,
        split_sizes=split_sizes,
        grid_points=grid_points,
        significant=SIGNIFICANT,
    )


def _contents(found: Findings) -> list[tuple[str, str]]:
    """Headings of the page to go to."""
    judged = found.judged
    headings = {
        "why": "Why",
        "annotate": "What to annotate next",
        "true": judged and "Did it come true?",
        "worth": judged and "What each selector is worth",
        "picks": "Picks for use",
        "soups": judged and judged.soups and "Soups",
        "draw": judged and "One draw",
        "pool": judged and "The pool and the picks",
        "every": judged and "Every pick",
        "candidates": "Candidates",
        "left-out": found.left_out and "Not in the pool",
        "rankers": "Rankers",
        "how": "How",
    }
    return [(place, str(name)) for place, name in headings.items() if name]


def _data(found: Findings, numbers: Mapping[str, int]) -> dict[str, Any]:
    """What the page's script knows of candidates."""
    pool = found.judged.pool if found.judged else ()
    return {
        "ids": list(found.facts),
        "facts": list(found.facts.values()),
        "pool": [numbers.get(candidate, -1) for candidate in pool],
    }


def _hash(script: str) -> str:
    """By which the page allows this script and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


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
    blocks, judged = (
        [f"# {escape(experiment.name)}", "## What to use", found.answers.table().to_markdown()],
        found.judged,
    )
    blocks += [fenced(found.answers.commands)] if found.answers.commands else []
    reasons = [
        f"- **{escape(target)}** {escape(words)} {escape(found.why[target].said)}"
        for target, words in found.use.items()
    ]
    blocks += ["## Why", escape(found.advice), escape(found.followed), "\n".join(reasons)]
    for group in found.pivots:
        if group.table:
            title = f"How the rules picked for the pivots {' '.join(group.names)} (of {' '.join(group.targets)})"
            blocks += [f"### {escape(title)}", group.table.to_markdown(), escape(group.sentence)]
    blocks += ["## What to annotate next", escape(found.next_labels)]
    if judged:
        blocks += ["## Did it come true?", escape(judged.came_true), judged.calibration.to_markdown()]
        blocks += ["## What each selector is worth", judged.worth.to_markdown()]
    blocks += ["## Picks for use", found.deployment.to_markdown()]
    blocks += ["## Candidates that are not in the pool", found.left_out.to_markdown()] if found.left_out else []
    blocks += [escape(f"No labels: {', '.join(unjudged)}.")] if (unjudged := experiment.unlabelled_targets) else []
    if judged:
        blocks += ["## Soups", judged.soups.to_markdown()] if judged.soups else []
        blocks += ["## One draw", judged.scores.to_markdown(), *(escape(paragraph) for paragraph in judged.caption)]
        blocks += ["## Every pick", judged.details.to_markdown()]
    return "\n\n".join(blocks) + "\n"
