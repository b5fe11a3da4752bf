"""`lms-ray tables`: the paper's Tables 3 to 6 and 8 to 11 and Figure 2 from finished experiments.

    lms-ray tables runs/pos-ud runs/re-ace --paper paper.json --to tables

Writes tables.md, tables.html, a CSV file for each table, and Figure 2 of each experiment. Each experiment has rows of
its own, in every table that it fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lms_ray.pages.figures import pool_figure
from lms_ray.pages.page import template
from lms_ray.pages.paper import printed, scores, studies, variants
from lms_ray.pages.paper.printed import Paper
from lms_ray.pages.paper.scores import ScoreTable
from lms_ray.pages.paper.studies import Study
from lms_ray.pages.paper.variants import VariantTable
from lms_ray.pages.svg import for_page
from lms_ray.pages.tables import Table, escape
from lms_ray.pages.terminal import show
from lms_ray.store.folder import Folder

FIGURE_CAPTION = (
    "A row for each target. Grey dots: test scores of the pool of the main division, as the distance from its mean. "
    "Grey area: their kernel density (Gaussian, bandwidth by Scott's rule), as high in each row. Marks: picks, each "
    "selector at its own height; hollow ones are oracles, which see labels of the target."
)


@dataclass(frozen=True)
class Filled:
    """One table of the paper, and all that is said under it."""

    number: int
    title: str
    table: Table
    notes: Sequence[str]
    footnotes: Sequence[str]
    """Where the paper's numbers do not agree with each other."""
    further: Table | None = None
    """Of selectors that the paper's table does not have."""

    @property
    def heading(self) -> str:
        """Number and title."""
        return f"Table {self.number}: {self.title}"


def show_tables(folders: Sequence[str], paper_path: str | None, to: str) -> None:
    """Write the tables, and print what was written and which tables no experiment fills.

    Args:
        folders: of the experiments, local paths or URIs.
        paper_path: JSON file with the paper's numbers; None shows only ours.
        to: folder to write into, local path or URI.

    Raises:
        ConfigError: the paper's file or a folder is not what is accepted.
        MissingError: a folder holds no experiment, or one without its picks.
        StorageError: a folder cannot be read or written.
    """
    target = Folder(to, "--to")
    paper = printed.read(paper_path) if paper_path else None
    found = studies.read_all(folders)
    tables, absent = fill(found, paper)
    figures = {study.label: pool_figure(study.pool, study.picks, study.metric).document() for study in found}
    introduction = _introduction(found, paper_path)
    markdown, page = (
        make(introduction, tables, absent, figures, paper.remarks if paper else ()) for make in (to_markdown, to_html)
    )
    files = {"tables.md": markdown, "tables.html": page}
    for filled in tables:
        files[_csv(filled)] = filled.table.to_csv()
        if filled.further:
            files[_csv(filled, "-further")] = filled.further.to_csv()
    files |= {_figure(name): figure for name, figure in figures.items()}
    for name, content in files.items():
        target.write_bytes(name, content.encode())
    for filled in tables:
        show(f"{filled.heading}\n  {target.where(_csv(filled))}")
    for line in absent:
        show(f"not filled: {line}")
    show("\n".join(target.where(name) for name in files if not name.endswith(".csv")))


def fill(found: Sequence[Study], paper: Paper | None) -> tuple[list[Filled], list[str]]:
    """The tables that the experiments fill, in the paper's order, and a line for each that they do not."""
    tables, absent = [], []
    footnotes = paper.footnotes if paper else {}
    for of_scores in scores.TABLES:
        if taken := [study for study in found if of_scores.takes(study)]:
            tables.append(
                Filled(
                    of_scores.number,
                    of_scores.title,
                    scores.score_table(of_scores, taken, paper),
                    scores.notes(of_scores, taken, paper),
                    footnotes.get(of_scores.number, ()),
                    scores.further_table(of_scores, taken),
                )
            )
        else:
            absent.append(_absent(of_scores))
    for of_variants in variants.TABLES:
        if taken := of_variants.taken(found):
            tables.append(
                Filled(
                    of_variants.number,
                    of_variants.title,
                    variants.variant_table(of_variants, taken, paper),
                    variants.notes(of_variants, taken, paper),
                    footnotes.get(of_variants.number, ()),
                )
            )
        else:
            absent.append(_absent(of_variants))
    return sorted(tables, key=lambda filled: filled.number), [line for _, line in sorted(absent)]


def _absent(kind: ScoreTable | VariantTable) -> tuple[int, str]:
    return kind.number, f"Table {kind.number} ({kind.title}): wants {kind.wanted}"


def to_html(
    introduction: str,
    tables: Sequence[Filled],
    absent: Sequence[str],
    figures: Mapping[str, str],
    remarks: Sequence[str],
) -> str:
    """One page with everything in it."""
    return template("paper.html").render(
        introduction=introduction,
        tables=tables,
        absent=absent,
        figures={name: for_page(figure) for name, figure in figures.items()},
        figure_caption=FIGURE_CAPTION,
        remarks=remarks,
    )


def to_markdown(
    introduction: str,
    tables: Sequence[Filled],
    absent: Sequence[str],
    figures: Mapping[str, str],
    remarks: Sequence[str],
) -> str:
    """The same for GitHub; figures are files beside it."""
    blocks = ["# The paper's tables", escape(introduction)]
    for filled in tables:
        blocks += [f"## {escape(filled.heading)}", filled.table.to_markdown(), *map(escape, filled.notes)]
        if filled.footnotes:
            blocks += ["The paper's numbers do not all agree with each other:", _list(filled.footnotes)]
        if filled.further:
            blocks += ["### Further selectors", filled.further.to_markdown()]
    blocks += ["## Figure 2: the pool and the picks"]
    blocks += [f"![{escape(name)}]({_figure(name)})" for name in figures]
    blocks += [escape(FIGURE_CAPTION)]
    blocks += ["## Tables that no experiment fills", _list(absent)] if absent else []
    blocks += ["## About the paper's numbers", _list(remarks)] if remarks else []
    return "\n\n".join(blocks) + "\n"


def _introduction(found: Sequence[Study], paper_path: str | None) -> str:
    experiments = f"From {len(found)} experiment{'s' if len(found) > 1 else ''}; each has rows of its own."
    if paper_path is None:
        return f"{experiments} All numbers are ours."
    return (
        f"{experiments} In columns headed (ours) are our numbers, in those headed (paper) the paper's, as {paper_path} "
        "has them."
    )


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def _csv(filled: Filled, part: str = "") -> str:
    return f"table{filled.number}{part}.csv"


def _figure(label: str) -> str:
    """File of an experiment's Figure 2; `pos (2)` becomes `pos+2`, which is no experiment's name."""
    return f"figure2-{label.replace(' (', '+').rstrip(')')}.svg"
