"""What labels that came later say of the picks for use, for a terminal."""

from collections.abc import Callable, Mapping, Sequence

from lms_ray.pages.tables import Table
from lms_ray.store.verified import Verified

COLUMNS: Mapping[str, Callable[[Verified], str]] = {
    "Rule": lambda row: row.rule,
    "Candidate": lambda row: row.candidate or "mean over all",
    "Score": lambda row: f"{100 * row.score:.1f}",
    "Δ to En-Dev": lambda row: f"{100 * row.delta:+z.1f}",
    "Interval of Δ": lambda row: "-" if row.low is None or row.high is None else _interval(row.low, row.high),
    "Stated P > En-Dev's": lambda row: "-" if row.stated_better is None else f"{row.stated_better:.0%}",
    "p": lambda row: "-" if row.p_value is None else f"{row.p_value:.4f}",
    "Regret": lambda row: f"{100 * row.regret:.1f}",
    "Stated": lambda row: "-" if row.stated_regret is None else f"{100 * row.stated_regret:.1f}",
    "Rank": lambda row: f"{row.rank:g}",
    "Kendall's tau": lambda row: "-" if row.kendall_tau is None else f"{row.kendall_tau:+z.2f}",
}
"""Header and cell of each column."""


def verification_table(rows: Sequence[Verified], for_use: Sequence[str]) -> Table:
    """A row for each rule; those that are meant to be used first, what is no rule (Random, Best) last.

    Args:
        rows: what the labels say.
        for_use: names of these rules, in their order.
    """
    by_rule = {row.rule: row for row in rows}
    first = [by_rule[rule] for rule in for_use if rule in by_rule]
    last = [row for row in rows if row.kendall_tau is None]
    groups = [first, [row for row in rows if row not in (*first, *last)], last]
    return Table(list(COLUMNS), [[[cell(row) for cell in COLUMNS.values()] for row in group] for group in groups])


def verification_caption(target: str, metric: str, examples: int, candidates: int, left_out: Sequence[str]) -> str:
    """What the table shows.

    Args:
        target: language of the labels.
        metric: name of the score.
        examples: how many there are.
        candidates: how many were passed through.
        left_out: those whose weights are gone.
    """
    without = ""
    if left_out:
        some = ", ".join(left_out[:4]) + (", ..." if len(left_out) > 4 else "")
        without = f"; left out are {len(left_out)}, whose weights were not kept: {some}"
    return (
        f"{target}: {metric} in percent on {examples} labelled examples, the picks for use from {candidates} candidates"
        f"{without}. Rank, regret, Best and Random (the mean) are among these candidates. Interval and p: paired "
        "bootstrap against En-Dev's pick, two-sided, not corrected over the rules. Kendall's tau: between a rule's "
        "scores and those by the labels. Stated: what the report said of the pick and its regret before any label."
    )


def _interval(low: float, high: float) -> str:
    return f"[{100 * low:+z.1f}, {100 * high:+z.1f}]"
