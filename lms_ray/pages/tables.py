"""The tables of the report and what they say in words."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType

import pandas as pd
from tabulate import SEPARATING_LINE, tabulate

from lms_ray import tasks
from lms_ray.pages.terminal import readable
from lms_ray.settings.experiment import Experiment
from lms_ray.store.missing import Missing
from lms_ray.store.picks import AVERAGE, ORACLES, SELECTORS, Pick, in_order

SIGNIFICANT = 0.05
NUMBER = re.compile(
    r"<?[+-]?\d+(\.\d+)?(e[+-]?\d+)?%?\*?"  # 0.5, +1.2*, <0.001, 83%
    r"( \(.*\)| to \d+ %| targets?)?"  # 71.3 (de), 60 to 70 %
    r"|\[[+-]?\d.*\]"  # an interval
)
"""What is sorted as a number, by the first in it."""
NOTHING = ("", "-")
"""Cells in which there is no value."""


@dataclass(frozen=True)
class Table:
    """Header and cells, ready to show anywhere; a line is drawn between groups of rows."""

    header: list[str]
    groups: list[list[list[str]]]
    apart: int = 0
    """Groups at the end that are no rows among the others, such as means over them: sorted by themselves."""
    candidates: frozenset[int] = frozenset()
    """Columns of candidates' ids, in which a page lets one be followed."""

    @property
    def length(self) -> int:
        """How many rows there are."""
        return sum(map(len, self.groups))

    @property
    def of_targets(self) -> bool:
        """Whether the first column holds languages, which a page names beside their codes."""
        return self.header[0] == "Target"

    @property
    def numeric(self) -> frozenset[int]:
        """Columns of numbers."""
        columns = zip(*(row for group in self.groups for row in group), strict=True)
        return frozenset(
            place
            for place, cells in enumerate(columns)
            if place
            and any(cell not in NOTHING for cell in cells)
            and all(cell in NOTHING or NUMBER.fullmatch(cell) for cell in cells)
        )

    @property
    def blocks(self) -> list[list[list[list[str]]]]:
        """The groups that are sorted together, then each that stands apart."""
        among = len(self.groups) - self.apart
        return [self.groups[:among], *([group] for group in self.groups[among:])]

    def to_text(self) -> str:
        """For a terminal."""
        first, *others = self._cells(readable)
        rows: list[list[str] | str] = [*first]
        for group in others:
            rows += [SEPARATING_LINE, *group]
        return tabulate(rows, [readable(cell) for cell in self.header], disable_numparse=True)

    def to_markdown(self) -> str:
        """For GitHub, which knows no lines between rows."""
        rows = [row for group in self._cells(escape) for row in group]
        return tabulate(rows, [escape(cell) for cell in self.header], tablefmt="github", disable_numparse=True)

    def to_csv(self) -> str:
        """The cells as they are."""
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([self.header, *(row for rows in self.groups for row in rows)])
        return stream.getvalue()

    def _cells(self, change: Callable[[str], str]) -> list[list[list[str]]]:
        return [[[change(cell) for cell in row] for row in group] for group in self.groups]


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in one line: names of checkpoints are names of folders, and hold anything."""
    return re.sub(r"[\\`*_<|~&$]|\](?=[(\[])", r"\\\g<0>", " ".join(text.split()))


def fenced(lines: Iterable[str]) -> str:
    """Lines that Markdown shows as they are, to be copied: what is in them ends the block nowhere."""
    text = "\n".join(" ".join(line.splitlines()) for line in lines)
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", text))]))
    return f"{fence}\n{text}\n{fence}"


def score_table(picks: list[Pick], baselines: Mapping[str, Mapping[str, float]] = MappingProxyType({})) -> Table:
    """The paper's Table 3: test scores in percent, a row for each target and a column for each selector, then means.

    Args:
        picks: every pick.
        baselines: test scores of rules that need no model, by their names and by target: the last columns.
    """
    by_selector = {name: column for name, column in _by_selector(picks).items() if name in SELECTORS}
    header = ["Target", *(f"{name} (#examples)" if name == "All-Target" else name for name in by_selector), *baselines]
    of_target = {target: {pick.selector: pick for pick in picks if pick.target == target} for target in _targets(picks)}
    rows = [
        [
            target,
            *(score_cell(chosen[name]) for name in by_selector),
            *(f"{100 * score[target]:.1f}" for score in baselines.values()),
        ]
        for target, chosen in of_target.items()
    ]
    mean_of = {pick.selector: pick for pick in picks if pick.target == AVERAGE}
    columns = [mean_of[name] for name in by_selector]
    means = [
        [
            "mean score",
            *(f"{100 * pick.score:.1f}" for pick in columns),
            *(f"{100 * fmean(score.values()):.1f}" for score in baselines.values()),
        ],
        ["mean Δ to En-Dev", *(f"{100 * pick.delta:+z.1f}{star(pick)}" for pick in columns)],
        ["mean regret", *(f"{100 * pick.regret:.1f}" for pick in columns)],
        ["mean rank in pool", *(f"{pick.rank:.1f}" for pick in columns)],
    ]
    return Table(header, [rows, [row + [""] * (len(header) - len(row)) for row in means]], apart=1)


def detail_table(picks: list[Pick]) -> Table:
    """Everything about the picks of the paper's selectors and the recommended one, grouped by target."""
    header = [
        "Target",
        "Selector",
        "Candidate",
        "Score",
        "Δ to En-Dev",
        "Interval of Δ",
        "p",
        "p (Holm)",
        "Regret",
        "Rank",
    ]
    groups = [
        [_detail_row(pick) for pick in picks if pick.target == target and pick.selector in SELECTORS]
        for target in [*_targets(picks), AVERAGE]
    ]
    return Table(header, groups, apart=1, candidates=frozenset({header.index("Candidate")}))


def ranker_table(validation: pd.DataFrame, experiment: Experiment) -> Table:
    """The chosen grid point of each set of pivots, and how much the choice mattered."""
    axes = list(experiment.ranker.axes)
    named = [axis.replace("_", " ").capitalize() for axis in axes]
    header = ["Targets", "Pivots", *named, "Kendall's tau", "Lowest in grid", "Highest in grid"]
    rows = []
    for pivots, points in validation.groupby("pivots", sort=False):
        targets = [target for target in experiment.picked_for if ",".join(experiment.pivots_for(target)) == pivots]
        taus = points.groupby(axes)["kendall_tau"].mean()
        seeds = points[points["chosen"]]
        tau = seeds["kendall_tau"].mean()
        rows.append(
            [
                " ".join(targets),
                str(pivots).replace(",", " "),
                *(f"{value:g}" for value in seeds[axes].iloc[0]),
                *(f"{value:.3f}" for value in (tau, taus.min(), taus.max())),
            ]
        )
    return Table(header, [rows])


def left_out_table(candidates: pd.DataFrame, missing: Sequence[Missing]) -> Table | None:
    """The candidates that are not in the pool, and why; None where all are.

    Args:
        candidates: the table of the candidates.
        missing: those without which the sweep has ended.
    """
    diverged = candidates[candidates["diverged"]]["id"]
    rows = [[one, "diverged", "a loss or a weight is not finite"] for one in diverged]
    rows += [[one.id, one.state, one.reason] for one in missing]
    return Table(["Candidate", "State", "Why"], [sorted(rows)], candidates=frozenset({0})) if rows else None


def left_out_briefly(table: Table, most: int = 12) -> str:
    """The same for a terminal: where there are many, how many of each state and reason."""
    rows = [row for group in table.groups for row in group]
    if len(rows) <= most:
        return table.to_text()
    counts = Counter((state, why) for _, state, why in rows)
    counted = [[f"{number}", state, why] for (state, why), number in counts.most_common()]
    return Table(["Candidates not in the pool", "State", "Why"], [counted]).to_text()


def captions(picks: list[Pick], experiment: Experiment, candidates: int, diverged: int, pool: int) -> list[str]:
    """What the table shows, and in plain words whether LMS did better than En-Dev; one paragraph each.

    Args:
        picks: every pick.
        experiment: what was run.
        candidates: how many were fine-tuned or brought.
        diverged: how many of them are left out of the pool.
        pool: how many every selector picked from.
    """
    by_selector = _by_selector(picks)
    oracles = ", ".join(name for name in by_selector if name in ORACLES)
    follows = " In parentheses: the pivot that Pivot-Dev follows." if "Pivot-Dev" in by_selector else ""
    few = sorted({pick.examples for pick in by_selector["100-Target"] if pick.examples})
    saw = "" if few == [100] else f" 100-Target saw {_span(few)} of them."
    made = "brought" if experiment.sweep.checkpoints else "fine-tuned"
    without = f", {diverged} of them diverged and are left out" if diverged else ""
    return [
        f"{experiment.name}, this one draw of the meta split: test {tasks.get(experiment.task).metric} in percent. "
        f"{candidates} candidates were {made}{without}; every selector picks from the same {pool} of them.{follows}",
        f"A star (*) marks a difference to En-Dev, for better or worse, with p < {SIGNIFICANT} (paired bootstrap, "
        "two-sided, Holm's correction over the targets).",
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
    single = in_order([pick for pick in picks if pick.target != AVERAGE])
    return {
        name: [pick for pick in single if pick.selector == name]
        for name in dict.fromkeys(pick.selector for pick in single)
    }


def _is_significant(pick: Pick) -> bool:
    return pick.p_holm is not None and pick.p_holm < SIGNIFICANT


def _significant(picks: Iterable[Pick]) -> int:
    return sum(_is_significant(pick) for pick in picks)


def star(pick: Pick) -> str:
    """A mark for a significant difference to En-Dev."""
    return "*" if _is_significant(pick) else ""


def score_cell(pick: Pick, digits: int = 1) -> str:
    """A score in percent, its star, and in parentheses what Pivot-Dev follows and how much All-Target saw."""
    cell = f"{100 * pick.score:.{digits}f}{star(pick)}"
    if pick.selector == "Pivot-Dev":
        return f"{cell} ({pick.pivot})"
    return f"{cell} ({pick.examples})" if pick.selector == "All-Target" else cell


def _detail_row(pick: Pick) -> list[str]:
    interval = "-" if pick.low is None or pick.high is None else f"[{100 * pick.low:+z.1f}, {100 * pick.high:+z.1f}]"
    return [
        pick.target,
        pick.selector,
        pick.candidate or ("mean over targets" if pick.target == AVERAGE else "mean over the pool"),
        f"{100 * pick.score:.1f}{star(pick)}",
        f"{100 * pick.delta:+z.1f}",
        interval,
        "-" if pick.p_value is None else f"{pick.p_value:.4f}",
        "-" if pick.p_holm is None else f"{pick.p_holm:.4f}",
        f"{100 * pick.regret:.1f}",
        f"{pick.rank:.1f}" if pick.target == AVERAGE else f"{pick.rank:g}",
    ]


def _outcome(delta: float) -> str:
    """A mean difference in words; in hundredths of a point, since the winner may be decided there."""
    points = f"{100 * abs(delta):.2f} points"
    if points == "0.00 points":
        return "is level with"
    return f"is {points} above" if delta > 0 else f"loses by {points} to"


def _span(counts: list[int]) -> str:
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
