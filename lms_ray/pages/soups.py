"""What soups are worth, as a table: beside the single pick of the same rule, and beside En-Dev's."""

import pandas as pd

from lms_ray.pages.tables import Table

REFERENCE, CEILING = "En-Dev", "All-Target"
HEADER = [
    "Averaged", "Candidates", "Score", "Δ to En-Dev", "% of All-Target's", "Δ to own pick", "Better than own pick"
]  # fmt: skip


def soup_table(rows: pd.DataFrame) -> Table:
    """Means over the targets; a group for the rules with their picks, one for what is not chosen, the oracles last.

    Args:
        rows: the columns of `store.soups.Scored`.
    """
    by_kind = dict(iter(rows.groupby("kind", sort=False)))
    is_ceiling = (rows["kind"] == "oracle") & (rows["selector"] == CEILING)
    gain = rows.loc[is_ceiling, "delta"].mean()

    def row(name: str, some: pd.DataFrame) -> list[str]:
        own = some["delta_to_pick"].dropna()
        return [
            name,
            _span(some["members"]),
            f"{100 * some['score'].mean():.1f}",
            f"{100 * some['delta'].mean():+z.2f}",
            f"{100 * some['delta'].mean() / gain:.0f}" if gain > 0 else "-",
            f"{100 * own.mean():+z.2f}" if len(own) else "-",
            f"{(own > 0).sum()} of {len(own)}" if len(own) else "-",
        ]

    chosen = pd.concat([by_kind["single"], by_kind["top"]]) if "top" in by_kind else by_kind["single"]
    of_rules = [
        row(str(selector) if members == 1 and kind == "single" else f"{selector}, top {members}", some)
        for selector, of_rule in chosen.groupby("selector", sort=False)
        for (kind, members), some in of_rule.groupby(["kind", "members"], sort=False)
    ]
    plain = [row("All", by_kind["all"])]
    if "setting" in by_kind:
        plain += [
            row("Seeds of the setting that the pivots choose", by_kind["best setting"]),
            row("Seeds of a setting, mean over the settings", by_kind["setting"]),
        ]
    first = [row(f"First {members}", some) for members, some in by_kind["first"].groupby("members", sort=True)]
    oracles = [row(str(selector), some) for selector, some in by_kind["oracle"].groupby("selector", sort=False)]
    return Table(HEADER, [of_rules, plain, first, oracles])


def _span(members: pd.Series) -> str:
    low, high = members.min(), members.max()
    return f"{low}" if low == high else f"{low} to {high}"
