"""What every selector is worth over many divisions of the candidates: the report's first table and sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lms_ray.choosing.significance import corrected_half_width, corrected_t_test, z_test
from lms_ray.pages.tables import Table
from lms_ray.store.picks import ORACLES

REFERENCE, CEILING, RECOMMENDED = "En-Dev", "All-Target", "Recommended"


@dataclass(frozen=True)
class Worth:
    """What one selector is worth: means over targets and draws, in points."""

    selector: str
    score: float
    delta_D: pd.Series
    """Mean over the targets of the difference to En-Dev, by draw; NaN where it had nothing to learn from for one."""
    share: float
    """Of what All-Target gains over En-Dev, in percent."""
    better: float
    """Share of targets and draws on which it is better than En-Dev, in percent."""
    correlation: float
    p_value: float
    """Corrected resampled t-test of the difference to En-Dev."""
    p_z: float
    """The paper's Z-test."""


def worths(splits: pd.DataFrame, pool: int, taught: int) -> list[Worth]:
    """Every selector's worth, the best first, oracles last.

    Args:
        splits: the columns of `store.picks.SplitPick`.
        pool: candidates that are picked from in each draw.
        taught: candidates that are learned from in each.
    """
    by_draw = splits.groupby(["draw", "selector"], sort=False)
    is_whole = by_draw["target"].transform("size") == splits["target"].nunique()  # else means are of other targets
    score_DS, delta_DS = (
        100 * splits[is_whole].pivot_table(index="draw", columns="selector", values=value)
        for value in ("score", "delta")
    )
    found = []
    for selector, rows in splits[is_whole].groupby("selector", sort=False):
        delta_D = delta_DS[selector]
        told = delta_D.notna()
        gain = delta_DS[CEILING][told].mean()
        found.append(
            Worth(
                str(selector),
                float(score_DS[selector].mean()),
                delta_D,
                float(100 * delta_D.mean() / gain) if gain > 0 else np.nan,
                float(100 * (rows["delta"] > 0).mean()),
                float(rows["correlation"].mean()),
                corrected_t_test(delta_D[told].to_numpy(), pool, taught),
                z_test(score_DS[selector][told].to_numpy(), score_DS[REFERENCE][told].to_numpy()),
            )
        )
    return sorted(found, key=lambda worth: (worth.selector in ORACLES, -worth.delta_D.mean()))


@dataclass(frozen=True)
class Beside:
    """The difference between two selectors over the same draws, in points."""

    difference_D: np.ndarray
    half_width: float
    """Of the 95 % interval of the corrected resampled t-test."""
    p_value: float


def beside(one: Worth, other: Worth, pool: int, taught: int) -> Beside:
    """How far one selector is ahead of another, in the draws in which both picked for every target.

    Args:
        one: selector.
        other: selector.
        pool: candidates that are picked from in each draw.
        taught: candidates that are learned from in each.
    """
    difference_D = (one.delta_D - other.delta_D).dropna().to_numpy()
    return Beside(
        difference_D,
        corrected_half_width(difference_D, pool, taught),
        corrected_t_test(difference_D, pool, taught),
    )


def worth_table(found: Sequence[Worth]) -> Table:
    """A row for each selector, the best first; oracles apart."""
    header = [
        "Selector", "Score", "Δ to En-Dev", "s.d.", "% of All-Target's", "% better", "Rank correlation", "p", "p (Z)"
    ]  # fmt: skip
    rows = {
        worth.selector: [
            worth.selector,
            f"{worth.score:.1f}",
            f"{worth.delta_D.mean():+z.2f}",
            f"{worth.delta_D.std():.2f}" if worth.delta_D.count() > 1 else "-",
            "-" if np.isnan(worth.share) else f"{worth.share:.0f}",
            f"{worth.better:.0f}",
            f"{worth.correlation:+z.2f}",
            "-" if worth.selector == REFERENCE else _probability(worth.p_value),
            "-" if worth.selector == REFERENCE else _probability(worth.p_z),
        ]
        for worth in found
    }
    rules = [row for name, row in rows.items() if name not in ORACLES]
    return Table(header, [rules, [row for name, row in rows.items() if name in ORACLES]], apart=1)


def advice(found: Sequence[Worth], recommended: pd.DataFrame, pool: int, taught: int) -> str:
    """Which rule to use and how much better it is, in one sentence, and what it is made of in another.

    Args:
        found: every selector's worth.
        recommended: rows of rule, weight, gains and reason of the set of pivots that most targets have.
        pool: candidates that are picked from in each draw.
        taught: candidates that are learned from in each.
    """
    by_name = {worth.selector: worth for worth in found}
    draws = len(found[0].delta_D)
    use, plain = by_name[RECOMMENDED], by_name["All-Pivot"]
    ahead = beside(use, plain, pool, taught)
    lms = f"LMS's {_points(by_name['LMS'].delta_D.mean())}, " if "LMS" in by_name else ""
    sentence = (
        f"Use {RECOMMENDED}: over {draws} {'draws' if draws > 1 else 'draw'} of the meta split its picks are "
        f"{_points(use.delta_D.mean())} En-Dev's on the mean over the targets (p {_compared(use.p_value)}, "
        f"corrected t-test), All-Pivot's {_points(plain.delta_D.mean())} (Recommended - All-Pivot: p "
        f"{_compared(ahead.p_value)}), {lms}Random's {_points(by_name['Random'].delta_D.mean())}"
    )
    if not np.isnan(use.share):
        sentence += f"; that is {use.share:.0f} % of what All-Target gains"
    if use.delta_D.mean() <= 0:
        sentence = sentence.replace(f"Use {RECOMMENDED}", f"Here nothing is gained by {RECOMMENDED}", 1)
    return f"{sentence}. {_made(recommended)}"


def unjudged_advice(recommended: pd.DataFrame) -> str:
    """The same where no target has labels.

    Args:
        recommended: rows of rule, weight, gains and reason of the set of pivots that most targets have.
    """
    return (
        f"Use {RECOMMENDED}. No target has labels, so nothing here says how well it picks for them; `lms-ray verify` "
        f"does when labels come. {_made(recommended)}"
    )


def _made(recommended: pd.DataFrame) -> str:
    weighed = recommended[recommended["weight"] > 0]
    parts = [f"{weight:.0%} {rule}" for weight, rule in zip(weighed["weight"], weighed["rule"], strict=True)]
    return f"It was made from the pivots alone, as {', '.join(parts)}: {recommended['reason'].iloc[0]}."


def deployment_table(deployment: pd.DataFrame, rules: Sequence[str]) -> Table:
    """For each target the candidate that some rules pick of all.

    Args:
        deployment: rows of target, rule and candidate.
        rules: to show.
    """
    picked = deployment.pivot(index="target", columns="rule", values="candidate")
    shown = [rule for rule in rules if rule in picked]
    rows = [[str(target), *picked.loc[target, shown]] for target in deployment["target"].drop_duplicates()]
    return Table(["Target", *shown], [rows], candidates=frozenset(range(1, len(shown) + 1)))


def _probability(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _compared(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _points(delta: float) -> str:
    return f"{abs(delta):.2f} points {'above' if delta >= 0 else 'below'}"
