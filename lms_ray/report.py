"""Stage 5: the table of scores in the form of the paper's Table 3, a figure, and one self-contained page.

    python -m lms_ray.report CONFIG [key=value ...]

Reads the picks, the pool's test scores and the rankers' validation; prints the table, and writes report/report.md,
report/report.html and report/pool.svg. The same picks give the same bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from textwrap import fill

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from tabulate import SEPARATING_LINE, tabulate

from lms_ray import tasks
from lms_ray.pages.figures import for_page, pool_figure
from lms_ray.selection import AVERAGE, ORACLES, PICKS, SELECTORS, Pick
from lms_ray.settings.experiment import Experiment
from lms_ray.store.files import Store
from lms_ray.sweep import POOL

SIGNIFICANT = 0.05
TEMPLATES = Path(__file__).parent / "pages" / "templates"


@dataclass(frozen=True)
class Table:
    """Header and cells, ready to show anywhere; a line is drawn between groups of rows."""

    header: list[str]
    groups: list[list[list[str]]]

    def to_text(self) -> str:
        """For a terminal."""
        first, *others = self.groups
        rows: list[list[str] | str] = [*first]
        for group in others:
            rows += [SEPARATING_LINE, *group]
        return tabulate(rows, self.header, disable_numparse=True)

    def to_markdown(self) -> str:
        """For GitHub, which knows no lines between rows."""
        rows = [row for group in self.groups for row in group]
        return tabulate(rows, self.header, tablefmt="github", disable_numparse=True)


def run(experiment: Experiment, store: Store) -> None:
    """Print the table of scores and write the report."""
    store.require(PICKS, "selection")
    picks = [Pick(**row) for row in store.read_table(PICKS).to_pylist()]
    pool = store.read_table("report/pool.parquet").to_pandas().set_index("candidate")
    split_sizes = store.read_table(POOL).to_pandas()["meta_split"].value_counts().to_dict()
    validation = store.read_table("rankers/validation.parquet").to_pandas()

    scores, details = score_table(picks), detail_table(picks)
    caption = captions(picks, experiment, candidates=sum(split_sizes.values()), pool=len(pool))
    print(
        "\n".join(
            ["", scores.to_text(), "", *(fill(paragraph, 110, break_on_hyphens=False) for paragraph in caption), ""]
        ),
        flush=True,
    )

    figure = pool_figure(pool, picks, tasks.get(experiment.task).metric)
    page = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("report.html")
    html = page.render(
        experiment=experiment,
        caption=caption,
        scores=scores,
        details=details,
        rankers=ranker_table(validation, experiment),
        grid_points=len(validation[["batch_size", "learning_rate"]].drop_duplicates()),
        split_sizes=split_sizes,
        significant=SIGNIFICANT,
        figure=for_page(figure),
    )
    markdown = "\n\n".join(
        [f"# {experiment.name}", scores.to_markdown(), *caption, "## Every pick", details.to_markdown()]
    )
    store.write_bytes("report/pool.svg", figure.encode())
    store.write_bytes("report/report.md", f"{markdown}\n".encode())
    store.write_bytes("report/report.html", html.encode())
    print(f"{'report':9} {store.root}/report/report.html", flush=True)


def score_table(picks: list[Pick]) -> Table:
    """The paper's Table 3: test scores in percent, a row for each target and a column for each selector, then means."""
    by_selector = _by_selector(picks)
    header = ["Target", *(f"{name} (#examples)" if name == "All-Target" else name for name in by_selector)]
    of_target = {target: {pick.selector: pick for pick in picks if pick.target == target} for target in _targets(picks)}
    rows = [[target, *(_score_cell(chosen[name]) for name in by_selector)] for target, chosen in of_target.items()]
    mean_of = {pick.selector: pick for pick in picks if pick.target == AVERAGE}
    columns = [mean_of[name] for name in by_selector]
    means = [
        ["mean score", *(f"{100 * pick.score:.1f}" for pick in columns)],
        ["mean Δ to En-Dev", *(f"{100 * pick.delta:+z.1f}{_star(pick)}" for pick in columns)],
        ["mean regret", *(f"{100 * pick.regret:.1f}" for pick in columns)],
        ["mean rank in pool", *(f"{pick.rank:.1f}" for pick in columns)],
    ]
    return Table(header, [rows, means])


def detail_table(picks: list[Pick]) -> Table:
    """Everything about every pick, grouped by target."""
    header = ["Target", "Selector", "Candidate", "Score", "Δ to En-Dev", "Interval of Δ", "p", "Regret", "Rank"]
    groups = [[_detail_row(pick) for pick in picks if pick.target == target] for target in [*_targets(picks), AVERAGE]]
    return Table(header, groups)


def ranker_table(validation: pd.DataFrame, experiment: Experiment) -> Table:
    """The chosen grid point of each set of pivots, and how much the choice mattered."""
    header = ["Targets", "Pivots", "Batch size", "Learning rate", "Kendall's tau", "Lowest in grid", "Highest in grid"]
    rows = []
    for pivots, points in validation.groupby("pivots", sort=False):
        targets = [target for target in experiment.targets if ",".join(experiment.pivots_for(target)) == pivots]
        taus = points.groupby(["batch_size", "learning_rate"])["kendall_tau"].mean()
        batch_size, learning_rate = points.loc[points["chosen"], ["batch_size", "learning_rate"]].iloc[0]
        tau = taus[batch_size, learning_rate]
        rows.append(
            [
                " ".join(targets),
                str(pivots).replace(",", " "),
                f"{batch_size:g}",
                f"{learning_rate:g}",
                *(f"{value:.3f}" for value in (tau, taus.min(), taus.max())),
            ]
        )
    return Table(header, [rows])


def captions(picks: list[Pick], experiment: Experiment, candidates: int, pool: int) -> list[str]:
    """What the table shows, and in plain words whether LMS did better than En-Dev; one paragraph each."""
    by_selector = _by_selector(picks)
    oracles = ", ".join(name for name in by_selector if name in ORACLES)
    follows = " In parentheses: the pivot that Pivot-Dev follows." if "Pivot-Dev" in by_selector else ""
    few = sorted({pick.examples for pick in by_selector["100-Target"] if pick.examples})
    saw = "" if few == [100] else f" 100-Target saw {_span(few)} of them."
    made = "brought" if experiment.sweep.checkpoints else "fine-tuned"
    return [
        f"{experiment.name}: test {tasks.get(experiment.task).metric} in percent. {candidates} candidates were {made}; "
        f"every selector picks from the same {pool} of them.{follows}",
        f"A star (*) marks a difference to En-Dev, for better or worse, with p < {SIGNIFICANT} (paired bootstrap, "
        "two-sided).",
        f"Oracles, which see labels of the target: {oracles}. #examples: labelled examples that All-Target saw.{saw} "
        "Best is the highest test score in the pool. Random is the mean over the pool.",
        verdict(picks),
    ]


def verdict(picks: list[Pick]) -> str:
    """On how many targets LMS is better, equal or worse than En-Dev, and on the mean."""
    chosen = _by_selector(picks)["LMS"]
    better = [pick for pick in chosen if pick.delta > 0]
    worse = [pick for pick in chosen if pick.delta < 0]
    equal = len(chosen) - len(better) - len(worse)
    random = _by_selector(picks)["Random"]
    return (
        f"LMS against En-Dev on {len(chosen)} targets: better on {len(better)} ({_significant(better)} significantly), "
        f"equal on {equal}, worse on {len(worse)} ({_significant(worse)} significantly). "
        f"On the mean over the targets LMS {_outcome(fmean(pick.delta for pick in chosen))} En-Dev, "
        f"and {_outcome(fmean(pick.score for pick in chosen) - fmean(pick.score for pick in random))} Random."
    )


def _targets(picks: list[Pick]) -> list[str]:
    return list(dict.fromkeys(pick.target for pick in picks if pick.target != AVERAGE))


def _by_selector(picks: list[Pick]) -> dict[str, list[Pick]]:
    """Picks for targets by selectors that took part, in the order of the columns."""
    single = [pick for pick in picks if pick.target != AVERAGE]
    chosen = {name: [pick for pick in single if pick.selector == name] for name in SELECTORS}
    return {name: column for name, column in chosen.items() if column}


def _is_significant(pick: Pick) -> bool:
    return pick.p_value is not None and pick.p_value < SIGNIFICANT


def _significant(picks: Iterable[Pick]) -> int:
    return sum(_is_significant(pick) for pick in picks)


def _star(pick: Pick) -> str:
    return "*" if _is_significant(pick) else ""


def _score_cell(pick: Pick) -> str:
    cell = f"{100 * pick.score:.1f}{_star(pick)}"
    if pick.selector == "Pivot-Dev":
        return f"{cell} ({pick.pivot})"
    return f"{cell} ({pick.examples})" if pick.selector == "All-Target" else cell


def _detail_row(pick: Pick) -> list[str]:
    interval = "-" if pick.low is None or pick.high is None else f"[{100 * pick.low:+z.1f}, {100 * pick.high:+z.1f}]"
    return [
        pick.target,
        pick.selector,
        pick.candidate or ("mean over targets" if pick.target == AVERAGE else "mean over the pool"),
        f"{100 * pick.score:.1f}{_star(pick)}",
        f"{100 * pick.delta:+z.1f}",
        interval,
        "-" if pick.p_value is None else f"{pick.p_value:.4f}",
        f"{100 * pick.regret:.1f}",
        f"{pick.rank:g}",
    ]


def _outcome(delta: float) -> str:
    """A mean difference in words; in hundredths of a point, since the winner may be decided there."""
    points = f"{100 * abs(delta):.2f} points"
    if points == "0.00 points":
        return "is level with"
    return f"is {points} above" if delta > 0 else f"loses by {points} to"


def _span(counts: list[int]) -> str:
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="report")
