"""Tables 3, 4, 8, 9 and 10: what selectors pick for each target, ours and the paper's in columns side by side.

Tables 8 and 10 have a row for each method in the paper; here they have one for each target, like the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from lms_ray.choosing.significance import corrected_t_test, z_test
from lms_ray.pages.paper.beside import NONE, cells, heads
from lms_ray.pages.paper.printed import COLUMN_OF, Paper, Printed
from lms_ray.pages.paper.studies import Study
from lms_ray.pages.tables import SIGNIFICANT, Table, score_cell, star
from lms_ray.store.picks import AVERAGE

REFERENCE = "En-Dev"
MEAN = "mean Δ to En-Dev"
PAIRS = ("re", "arl")
BOOTSTRAP = (
    f"Ours: * marks a difference to En-Dev, for better or worse, with p < {SIGNIFICANT} (paired bootstrap, two-sided; "
    "of single targets after Holm's correction over the targets)."
)
DRAWS = (
    "Ours: mean ± standard deviation over the draws of the meta split. * marks a difference to En-Dev, for better or "
    f"worse, with p ≤ {SIGNIFICANT} by the paper's Z-test, which takes draws for independent; † one with "
    f"p < {SIGNIFICANT} by the corrected resampled t-test, which allows for their sharing candidates. No correction is "
    "made for the number of targets. LMS is fitted anew in each draw, by the fast form of its ranker."
)


@dataclass(frozen=True)
class Cells:
    """What one experiment puts into a table."""

    scores: Mapping[tuple[str, str], str]
    """By target and selector."""
    deltas: Mapping[tuple[str, str], float]
    """Differences to En-Dev in points, by target and selector."""
    means: Mapping[str, str]
    """Mean differences over the targets, by selector."""


@dataclass(frozen=True)
class ScoreTable:
    """One table of the paper: which experiments it takes, and how a number is shown."""

    number: int
    title: str
    wanted: str
    """What kind of experiment it takes, in words."""
    takes: Callable[[Study], bool]
    cells: Callable[[Study, int], Cells]
    legend: str
    digits: int
    """Behind the point."""
    encoder: str
    """Of the paper's candidates."""
    train_on: str

    def is_beside(self, study: Study) -> bool:
        """Whether the paper's numbers in this table may stand beside those of an experiment."""
        experiment = study.experiment
        other = {"mBERT", "XLM-R"} - {self.encoder}
        return study.paper_name is not None and study.encoder not in other and experiment.train_on == self.train_on


def of_picks(study: Study, digits: int) -> Cells:
    """The picks of the main division."""
    single = {key: pick for key, pick in study.pick.items() if pick.target != AVERAGE}
    return Cells(
        {key: score_cell(pick, digits) for key, pick in single.items()},
        {key: 100 * pick.delta for key, pick in single.items()},
        {
            pick.selector: f"{100 * pick.delta:+z.{digits}f}{star(pick)}"
            for pick in study.picks
            if pick.target == AVERAGE
        },
    )


def of_draws(study: Study, digits: int) -> Cells:
    """Means and standard deviations over all divisions; nothing where a selector took no part in one of them."""
    targets = list(study.targets)
    score_of = {
        str(selector): 100 * rows.pivot(index="draw", columns="target", values="score").reindex(columns=targets)
        for selector, rows in study.splits.groupby("selector", sort=False)
    }
    reference_DT = score_of[REFERENCE].to_numpy()
    scores, deltas, means = {}, {}, {}
    for selector, table in score_of.items():
        score_DT = table.to_numpy()
        for target, score_D, reference_D in zip(targets, score_DT.T, reference_DT.T, strict=True):
            if not np.isnan(score_D).any():
                marks = _marks(study, selector, score_D, reference_D)
                scores[target, selector] = f"{score_D.mean():.{digits}f} ± {score_D.std(ddof=1):.{digits}f}{marks}"
                deltas[target, selector] = float((score_D - reference_D).mean())
        delta_D = (score_DT - reference_DT).mean(1)
        if not np.isnan(delta_D).any():
            marks = _marks(study, selector, score_DT.mean(1), reference_DT.mean(1))
            means[selector] = f"{delta_D.mean():+z.{digits}f} ± {delta_D.std(ddof=1):.{digits}f}{marks}"
    return Cells(scores, deltas, means)


def _marks(study: Study, selector: str, score_D: np.ndarray, reference_D: np.ndarray) -> str:
    if selector == REFERENCE:
        return ""
    by_z = z_test(score_D, reference_D) <= SIGNIFICANT
    by_t = corrected_t_test(score_D - reference_D, len(study.pool), study.taught) < SIGNIFICANT
    return ("*" if by_z else "") + ("†" if by_t else "")


def _is_of_pairs(study: Study, xlmr: bool) -> bool:
    """Whether it is on relations or argument roles, from the source alone, with XLM-R or with another encoder."""
    experiment = study.experiment
    return experiment.task in PAIRS and experiment.train_on == "source" and (study.encoder == "XLM-R") == xlmr


TABLES = (
    ScoreTable(
        number=3,
        title="Picks among candidates that were fine-tuned on the source",
        wanted="an experiment with train_on: source (on re or arl with another encoder than XLM-R)",
        takes=lambda study: study.experiment.train_on == "source" and not _is_of_pairs(study, xlmr=True),
        cells=of_picks,
        legend=BOOTSTRAP,
        digits=1,
        encoder="mBERT",
        train_on="source",
    ),
    ScoreTable(
        number=4,
        title="Picks among candidates that were fine-tuned on the source and the pivots",
        wanted="an experiment with train_on: source+pivots",
        takes=lambda study: study.experiment.train_on == "source+pivots",
        cells=of_picks,
        legend=BOOTSTRAP,
        digits=1,
        encoder="mBERT",
        train_on="source+pivots",
    ),
    ScoreTable(
        number=8,
        title="Relations and argument roles",
        wanted="an experiment on re or arl with train_on: source and another encoder than XLM-R",
        takes=lambda study: _is_of_pairs(study, xlmr=False),
        cells=of_picks,
        legend=BOOTSTRAP,
        digits=2,
        encoder="mBERT",
        train_on="source",
    ),
    ScoreTable(
        number=9,
        title="Picks in repeated draws of the meta split",
        wanted="an experiment with meta_split.draws of 2 or more",
        takes=lambda study: study.draws > 1,
        cells=of_draws,
        legend=DRAWS,
        digits=2,
        encoder="mBERT",
        train_on="source",
    ),
    ScoreTable(
        number=10,
        title="Relations and argument roles with XLM-R",
        wanted="an experiment on re or arl with train_on: source and an XLM-R encoder",
        takes=lambda study: _is_of_pairs(study, xlmr=True),
        cells=of_picks,
        legend=BOOTSTRAP,
        digits=2,
        encoder="XLM-R",
        train_on="source",
    ),
)


def score_table(kind: ScoreTable, studies: Sequence[Study], paper: Paper | None) -> Table:
    """A row for each target of each experiment, then its mean differences to En-Dev.

    Args:
        kind: which table.
        studies: those that it takes.
        paper: where the numbers to set beside are; None shows only ours.
    """
    references = paper.references(kind.number) if paper else []
    header = ["Task", "Experiment", "Target", *(f"{name} (paper)" for name in references)]
    header += heads(COLUMN_OF, with_paper=paper is not None)
    return Table(header, [_rows(kind, study, paper, references) for study in studies])


def further_table(kind: ScoreTable, studies: Sequence[Study]) -> Table | None:
    """Selectors that the paper's tables do not have: a row for each, a column for each target; None if none."""
    targets = list(dict.fromkeys(target for study in studies for target in study.targets))
    groups = []
    for study in studies:
        ours = kind.cells(study, kind.digits)
        taking_part = {selector for _, selector in ours.scores}
        rows = [
            [
                study.label,
                selector,
                *(ours.scores.get((target, selector), NONE) for target in targets),
                ours.means.get(selector, NONE),
            ]
            for selector in study.selectors
            if selector in taking_part and selector not in COLUMN_OF
        ]
        groups += [rows] if rows else []
    return Table(["Experiment", "Selector", *targets, MEAN], groups) if groups else None


def _rows(kind: ScoreTable, study: Study, paper: Paper | None, references: Sequence[str]) -> list[list[str]]:
    ours, beside = kind.cells(study, kind.digits), _beside(kind, study, paper)
    printed_means = paper.deltas.get(kind.number, {}).get(study.paper_name or "", {}) if paper and beside else {}
    shared = [target for target in study.targets if target in beside]

    def row(label: str, of_ours: Mapping[str, str], of_paper: Mapping[str, str]) -> list[str]:
        head = [study.paper_name or study.experiment.task, study.label, label]
        return [
            *head,
            *(of_paper.get(name, NONE) for name in references),
            *cells(COLUMN_OF, of_ours, of_paper if paper else None),
        ]

    rows = []
    for target in study.targets:
        of_target = {name: ours.scores[target, name] for name in COLUMN_OF if (target, name) in ours.scores}
        printed = {name: _printed(one, kind.digits) for name, one in beside.get(target, {}).items()}
        rows.append(row(target, of_target, printed))
    rows.append(row(MEAN, ours.means, {name: f"{delta:+z.1f}" for name, delta in printed_means.items()}))
    if shared:
        of_ours = {
            name: f"{fmean(ours.deltas[target, name] for target in shared):+z.{kind.digits}f}"
            for name in COLUMN_OF
            if all((target, name) in ours.deltas for target in shared)
        }
        of_paper = {
            name: f"{fmean(_delta(beside[target], name) for target in shared):+z.{kind.digits}f}"
            for name in COLUMN_OF
            if all(name in beside[target] for target in shared)
        }
        rows.append(row(f"{MEAN}, {len(shared)} shared", of_ours, of_paper))
    return rows


def _beside(kind: ScoreTable, study: Study, paper: Paper | None) -> dict[str, dict[str, Printed]]:
    """The paper's scores that may stand beside those of an experiment, by target."""
    if paper is None or not kind.is_beside(study):
        return {}
    rows = paper.scores[kind.number].items()
    return {language: of_target for (task, language), of_target in rows if task == study.paper_name}


def notes(kind: ScoreTable, studies: Sequence[Study], paper: Paper | None) -> list[str]:
    """What stands under the table: marks, and which experiments and which of the paper's numbers it holds."""
    selectors = [name for study in studies for name in study.selectors]
    follows = " In parentheses: the pivot that Pivot-Dev follows, and how many examples All-Target saw."
    metrics = ", ".join(f"{study.label} {study.metric}" for study in studies)
    said = [f"In percent: {metrics}.{follows if 'Pivot-Dev' in selectors and kind.number != 9 else ''}", kind.legend]
    if paper:
        said.append(
            f"Paper: {kind.encoder} candidates. {_test(kind, paper)} Its mean differences are as printed, over all of "
            "its targets; those of shared targets are computed here, on both sides from the rows above."
        )
    said += [f"{study.described}{_beside_in_words(kind, study, paper)}" for study in studies]
    return said


def _test(kind: ScoreTable, paper: Paper) -> str:
    if kind.number in paper.tests:
        return f"* is its mark for Pivot-Dev and LMS, there printed as: {paper.tests[kind.number].rstrip('.')}."
    return "It marks nothing here."


def _beside_in_words(kind: ScoreTable, study: Study, paper: Paper | None) -> str:
    if paper is None:
        return ""
    if study.paper_name is None:
        return " Its data are not, or not clearly, the paper's: no number of the paper stands beside."
    if not kind.is_beside(study):
        return (
            f" The paper's candidates here are of {kind.encoder}, fine-tuned on {kind.train_on.replace('+', ' and ')}: "
            "no number of the paper stands beside."
        )
    of_task = _beside(kind, study, paper)
    if not of_task:
        return f" The paper has no {study.paper_name} in this table."
    missing = [target for target in of_task if target not in study.targets]
    without = f" The paper has {', '.join(missing)} as well." if missing else ""
    if study.encoder == kind.encoder:
        return f" Beside it the paper's {study.paper_name}.{without}"
    return (
        f" Beside it the paper's {study.paper_name}, of another encoder ({kind.encoder}): compare differences, not "
        f"scores.{without}"
    )


def _printed(one: Printed, digits: int) -> str:
    deviation = "" if one.deviation is None else f" ± {one.deviation:.{digits}f}"
    seen = one.pivot or one.examples
    return f"{one.score:.{digits}f}{deviation}{'*' if one.is_significant else ''}{f' ({seen})' if seen else ''}"


def _delta(printed: Mapping[str, Printed], name: str) -> float:
    return printed[name].score - printed[REFERENCE].score
