"""The curves of regret as a table, and how many labels a pick without any is worth."""

import pandas as pd

from lms_ray.choosing.curves import K_TARGET
from lms_ray.pages.tables import Table

NAMES = {
    "candidates": "candidates",
    "pivots": "pivots",
    "sentences": "unlabelled sentences",
    "labels": "labelled examples of the target",
}


def curves_table(picks: pd.DataFrame) -> Table:
    """Mean regret in points, a row for each size and a column for each rule; a group for each curve.

    Args:
        picks: columns of `store.curves.Pick`.
    """
    rules = list(dict.fromkeys(picks["rule"]))
    means = 100 * _means(picks)
    groups = []
    for curve, name in NAMES.items():
        rows = []
        for size in sorted(picks.loc[picks["curve"] == curve, "size"].unique()):
            found = [means.get((curve, size, rule)) for rule in rules]
            rows.append([name, f"{size}", *("-" if regret is None else f"{regret:.2f}" for regret in found)])
        if rows:
            groups.append(rows)
    return Table(["Of", "Number", *rules], groups)


def labels_needed(picks: pd.DataFrame, rule: str = "Recommended") -> str:
    """How many labelled examples of a target a pick by them takes, to be as good as a rule's pick without any."""
    means = _means(picks)
    whole = means["candidates"].xs(rule, level="rule")
    regret = float(whole.loc[whole.index.max()])
    by_labels = means["labels"].xs(K_TARGET, level="rule").sort_index()
    enough = by_labels[by_labels <= regret]
    said = f"{rule}'s picks from all candidates have a mean regret of {100 * regret:.2f} points"
    if enough.empty:
        most = by_labels.index.max()
        return f"{said}; picks by {most} labelled examples of each target do not reach that."
    return f"{said}; picks by labels of the target itself reach that with {enough.index.min()} labelled examples."


def _means(picks: pd.DataFrame) -> pd.Series:
    """Mean regret by curve, size and rule: over a target's repetitions, then over the targets."""
    of_target = picks.groupby(["curve", "size", "rule", "target"])["regret"].mean()
    return of_target.groupby(["curve", "size", "rule"]).mean()
