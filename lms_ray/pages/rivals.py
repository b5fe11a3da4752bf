"""Why a candidate is to be used: what came close to it, which rules pick it, and how the rules did on the pivots."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

import pandas as pd

from lms_ray.choosing.recommended import LADDER, RECOMMENDED
from lms_ray.pages.certainty import by_target, followed_of, percent
from lms_ray.pages.tables import Table
from lms_ray.settings.experiment import Experiment

NEXT = 3
"""Candidates that are named as next."""


@dataclass(frozen=True)
class Why:
    """What stands beside one target's pick."""

    said: str
    """In a sentence or two."""
    table: Table
    """The pick, the next by the rule that is followed, and what the other rules pick."""


def rivals(deployment: pd.DataFrame, scores: pd.DataFrame) -> dict[str, Why]:
    """For each target what came close to the pick.

    Args:
        deployment: columns of `store.deployment.SCHEMA`.
        scores: rows of target, rule, candidate and score, of the rules that are followed.
    """
    of_targets = {key: rows.set_index("candidate")["score"] for key, rows in scores.groupby(["target", "rule"])}
    found = {}
    for target, of_rules in by_target(deployment).items():
        rule, pick = followed_of(of_rules)
        score_C = of_targets[target, rule].sort_values(ascending=False, kind="stable")
        spread = score_C.std(ddof=0)
        behind = (score_C.iloc[0] - score_C) / spread if spread else 0 * score_C
        place = score_C.rank(ascending=False, method="min")
        next_ones = [one for one in score_C.index[: NEXT + 1] if one != pick["candidate"]][:NEXT]
        picked_by: dict[str, list[str]] = {pick["candidate"]: [], **{one: [] for one in next_ones}}
        for name, row in of_rules.items():
            picked_by.setdefault(row["candidate"], []).append(name)
        stated = {row["candidate"]: row for row in of_rules.values()}
        rows = []
        for candidate in sorted(picked_by, key=lambda one: (place.get(one, len(place) + 1), one)):
            of = stated.get(candidate)
            told = of is not None and not pd.isna(of["regret"])
            rows.append(
                [
                    candidate,
                    f"{place[candidate]:.0f}" if candidate in place else "-",
                    f"{behind[candidate]:.2f}" if candidate in behind else "-",
                    percent(of["better_than_average"]) if of else "-",
                    f"{100 * of['regret']:.1f}" if of and told else "-",
                    ", ".join(picked_by[candidate]) or "-",
                ]
            )
        by = len(picked_by[pick["candidate"]])
        nearest = ", ".join(f"{one} ({behind[one]:.2f})" for one in next_ones)
        said = f"{by} of {len(of_rules)} rules pick it."
        if nearest:
            said += f" Next by {rule}, with how many standard deviations of its scores they are behind: {nearest}."
        header = ["Candidate", "Place", "Behind", "P > average", "Regret", "Picked by"]
        found[target] = Why(said, Table(header, [rows], candidates=frozenset({0})))
    return found


@dataclass(frozen=True)
class Pivots:
    """A set of pivots, and how the rules picked for each of them."""

    names: list[str]
    targets: list[str]
    """Which have these pivots."""
    table: Table | None
    """None where there are too few of them to try a rule."""
    reason: str
    """Why the rules weigh what they do, to go on a sentence with."""

    @property
    def sentence(self) -> str:
        """The reason by itself."""
        return f"{self.reason[:1].upper()}{self.reason[1:]}."


def pivot_tables(recommended: pd.DataFrame, experiment: Experiment) -> list[Pivots]:
    """For each set of pivots how well the rules that count picked for them, the one of most targets first.

    Args:
        recommended: rows of pivots, rule, weight, gains and reason.
        experiment: whose targets they are for.
    """
    found = []
    for key, rows in recommended.groupby("pivots", sort=False):
        names = str(key).split(",")
        targets = [target for target in experiment.picked_for if list(experiment.pivots_for(target)) == names]
        if targets:
            records = rows.to_dict("records")
            found.append(Pivots(names, targets, _gains(names, records), str(records[0]["reason"])))
    return sorted(found, key=lambda pivots: -len(pivots.targets))


def _gains(pivots: Iterable[str], rules: Iterable[Mapping]) -> Table | None:
    shown = [row for row in rules if len(row["gains"]) and (row["weight"] > 0 or row["rule"] in LADDER)]
    rows = [
        [
            row["rule"],
            "-" if row["rule"] == RECOMMENDED else f"{row['weight']:.0%}",
            f"{fmean(row['gains']):+z.2f}",
            *(f"{gain:+z.2f}" for gain in row["gains"]),
        ]
        for row in sorted(shown, key=lambda row: -fmean(row["gains"]))
    ]
    return Table(["Rule", "Weight", "Mean", *pivots], [rows]) if rows else None
