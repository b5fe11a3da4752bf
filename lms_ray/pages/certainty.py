"""What to use for each target, in plain words: how sure that is, what would make it surer, and whether it came true."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from lms_ray.choosing.certainty import TELLING, USEFUL, is_useless
from lms_ray.choosing.recommended import LADDER
from lms_ray.pages.tables import Table

Row = Mapping[Any, Any]
"""Of a table, by the names of its columns."""

BINS = (0, 0.5, 0.6, 0.7, 0.8, 0.9, 1)  # of stated probabilities
LEAST = 0.0005  # of a score, half of what is shown: less is no difference
PROBABILITIES = {
    "better_than_source": "better than En-Dev's pick",
    "better_than_pivots": "better than the pick of the pivots' scores alone",
    "better_than_average": "better than an average candidate",
    "better_than_no_model": "better than an answer that needs no model",
}
AMOUNTS = {
    "gain": "points above an average candidate",
    "regret": "points below the best candidate",
    "rank": "rank",
}


def in_words(deployment: pd.DataFrame, worth: pd.DataFrame, candidates: int) -> dict[str, str]:
    """For each target which candidate to use, or that nothing can be told, why, and whose labels would help.

    Args:
        deployment: columns of `store.deployment.SCHEMA`.
        worth: columns of `store.deployment.WORTH_SCHEMA`.
        candidates: how many there are to pick from.
    """
    labels = {target: rows.to_dict("records") for target, rows in worth.groupby("target")}
    return {
        target: " ".join([*_use(of_rules, candidates), *_labels(target, labels.get(target, []))])
        for target, of_rules in by_target(deployment).items()
    }


def how_sure(deployment: pd.DataFrame) -> tuple[list[str], dict[str, list[str]]]:
    """Columns that say how sure the picks to use are, and for each target the cells in them.

    Args:
        deployment: columns of `store.deployment.SCHEMA`.
    """
    names = dict(zip(PROBABILITIES, ("> En-Dev's", "> pivots'", "> average", "> no model"), strict=True))
    useful = deployment["better_than_no_model"].notna().any()
    shown = [name for name in names if useful or name != "better_than_no_model"]
    cells = {}
    for target, of_rules in by_target(deployment).items():
        _, pick = followed_of(of_rules)
        amounts = ["-", "-"] if _unknown(pick) else [f"{100 * pick['regret']:.1f}", f"{pick['rank']:.0f}"]
        cells[target] = [*(percent(pick[column]) for column in shown), *amounts]
    return [*(f"P {names[name]}" for name in shown), "Regret", "Rank"], cells


def by_target(deployment: pd.DataFrame) -> dict[str, dict[str, Row]]:
    """Rows of the picks for use by target and rule."""
    of_targets: dict[str, dict[str, Row]] = {}
    for row in deployment.to_dict("records"):
        of_targets.setdefault(row["target"], {})[row["rule"]] = row
    return of_targets


def followed_of(of_rules: Mapping[str, Row]) -> tuple[str, Row]:
    """The rule that is followed for a target, and its pick."""
    return next((rule, row) for rule, row in of_rules.items() if row["followed"])


def _unknown(pick: Row) -> bool:
    return bool(pd.isna(pick["regret"]))


def is_untold(pick: Row) -> bool:
    """Whether nothing can be told of a pick, a row of `store.deployment.SCHEMA`."""
    return not _unknown(pick) and (pick["better_than_average"] < TELLING or is_useless(pick["better_than_no_model"]))


def percent(value: float | None) -> str:
    """A probability; `-` where there is none."""
    return "-" if pd.isna(value) else f"{value:.0%}"


def _use(of_rules: Mapping[str, Row], candidates: int) -> Iterator[str]:
    """Sentences on the picks for one target."""
    rule, pick = followed_of(of_rules)
    name = f"{pick['candidate']} ({rule})"
    if is_untold(pick):
        why = (
            "the candidates agree so little more than by chance in this language that the pick is better than an "
            f"answer that needs no model with {pick['better_than_no_model']:.0%} only"
            if is_useless(pick["better_than_no_model"])
            else "the pivots say so little of this language that the pick is better than an average candidate with "
            f"{pick['better_than_average']:.0%} only"
        )
        yield f"Nothing can be told: {why}. If one must be taken: {name}."
        return
    if _unknown(pick):
        yield (
            f"Use {name}. How sure that is cannot be told: too few pivots tell candidates apart, or their text gives "
            "signals that this language's does not."
        )
    else:
        names = (
            "En-Dev's pick",
            "that of the pivots' scores alone",
            "an average candidate",
            "an answer without a model",
        )
        beaten = [
            f"than {than} with {pick[column]:.0%}"
            for column, than in zip(PROBABILITIES, names, strict=True)
            if not pd.isna(pick[column])
        ]
        yield (
            f"Use {name}: it is better {', '.join(beaten)}, and expected to be {100 * pick['gain']:.1f} points above "
            f"an average candidate, {100 * pick['regret']:.1f} below the best one, and number {pick['rank']:.0f} of "
            f"{candidates}."
        )
    for simpler in LADDER[: LADDER.index(rule)][::-1]:
        other = of_rules.get(simpler)
        if other and other["candidate"] != pick["candidate"] and not (_unknown(other) or is_untold(other)):
            yield (
                f"Safer, as it rests on less, is {other['candidate']} ({simpler}), of which a regret of "
                f"{100 * other['regret']:.1f} is expected."
            )
            return


def _labels(target: str, worth: Sequence[Row]) -> Iterator[str]:
    """Sentences on the labels that would help one target most."""
    helping = [row for row in worth if row["before"] - row["after"] > LEAST]
    for row in helping:
        if row["language"] == target:
            yield f"A pick by {target} labels would have an expected regret of {100 * row['after']:.1f} points."
    others = [row for row in helping if row["language"] != target]
    if others:
        best = min(others, key=lambda row: row["after"])
        yield f"Of other languages' labels those of {best['language']} help most (to {100 * best['after']:.1f})."


def next_labels(worth: pd.DataFrame, shown: int = 3) -> str:
    """Whose labelled dev set would lower the expected regret most, on the mean over the targets, in a sentence."""
    if worth.empty:
        return "Nothing is told of what to annotate next: it takes three pivots, and targets that are none."
    others_of = worth[worth["language"] != worth["target"]]  # a target is no pivot of its own
    if others_of.empty:
        return "Nothing is told of what to annotate next: there is no second target that labels could help."
    means = others_of.groupby("language")[["before", "after"]].mean()
    means["saved"] = means["before"] - means["after"]
    first, *others = means.sort_values("saved", ascending=False, kind="stable").reset_index().to_dict("records")
    if first["saved"] <= LEAST:
        return f"No other language's labels would lower the mean expected regret of {100 * first['before']:.1f} points."
    then = ", ".join(f"{row['language']} (by {100 * row['saved']:.2f})" for row in others[: shown - 1])
    return (
        f"Annotate {first['language']} next: its dev set as one more pivot is expected to lower the mean regret over "
        f"the other targets from {100 * first['before']:.2f} to {100 * first['after']:.2f} points"
        + (f"; then {then}." if then else ".")
    )


def followed(recommended: pd.DataFrame, deployment: pd.DataFrame) -> str:
    """Which rule is followed and why, and for how many targets nothing can be told, in two sentences.

    Args:
        recommended: rows of rule and gains of the set of pivots that most targets have.
        deployment: columns of `store.deployment.SCHEMA`.
    """
    gains = {row["rule"]: fmean(row["gains"]) for row in recommended.to_dict("records") if len(row["gains"])}
    picks = [followed_of(of_rules) for of_rules in by_target(deployment).values()]
    rules = [rule for rule, _ in picks]
    named = " and ".join(f"{rule} for {rules.count(rule)} of {len(rules)} targets" for rule in dict.fromkeys(rules))
    tried = ", ".join(f"{rule} {gains[rule]:+.2f}" for rule in LADDER if rule in gains)
    why = (
        f": of the rules from the simplest to the most elaborate ({tried}), by how many standard deviations the picks "
        "for the pivots, made without their labels, are above an average candidate"
    )
    sentence = f"Followed is {named}{why if tried else ''}."
    stated = [pick for _, pick in picks if not _unknown(pick)]
    if not stated:
        return sentence
    untold = sum(map(is_untold, stated))
    return (
        f"{sentence} Of {len(stated)} targets there are {untold} of which nothing can be told: the pick would be "
        f"better than an average candidate with less than {TELLING:.0%}, or than an answer that needs no model with "
        f"less than {USEFUL:.0%}."
    )


def came_true(outcomes: pd.DataFrame, rule: str) -> str:
    """How often what was stated of a rule's picks with four in five and more happened, in a sentence."""
    of = outcomes[(outcomes["rule"] == rule) & outcomes["statement"].isin(PROBABILITIES) & (outcomes["stated"] >= 0.8)]
    if of.empty:
        return "Nothing was stated with 80% or more."
    stated, happened = of["stated"].mean(), of["happened"].mean()
    return (
        f"What was stated with 80% or more, {stated:.0%} on the mean, happened in {happened:.0%} of the cases: "
        "picks from the pools of all draws, which overlap."
    )


def calibration_table(outcomes: pd.DataFrame, rules: Sequence[str]) -> Table:
    """Stated probabilities and what happened, then stated amounts and what came, over all draws and targets.

    Args:
        outcomes: columns of `store.picks.Outcome`.
        rules: whose picks count.
    """
    outcomes = outcomes[outcomes["rule"].isin(rules)]
    groups = []
    for statement, name in PROBABILITIES.items():
        of = outcomes[outcomes["statement"] == statement]
        rows = []
        for bounds, within in of.groupby(pd.cut(of["stated"], BINS, include_lowest=True), observed=True):
            low, high = (round(100 * max(bound, 0)) for bound in (bounds.left, bounds.right))
            means = [f"{within[column].mean():.0%}" for column in ("stated", "happened")]
            rows.append([name, f"{low} to {high} %", f"{len(within)}", *means])
        groups.append(rows)
    amounts = []
    for statement, name in AMOUNTS.items():
        of, scale = outcomes[outcomes["statement"] == statement], 1 if statement == "rank" else 100
        if len(of):
            means = [f"{scale * of[column].mean():.2f}" for column in ("stated", "happened")]
            amounts.append([name, "any", f"{len(of)}", *means])
    groups.append(amounts)
    return Table(["Statement", "Stated", "Times", "Mean stated", "Happened"], [rows for rows in groups if rows] or [[]])
