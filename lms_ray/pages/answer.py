"""The answer of an experiment: for each target the candidate to use, where it is, how sure that is, how to take it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from lms_ray.pages import certainty
from lms_ray.pages.commands import export_command
from lms_ray.pages.tables import Table
from lms_ray.settings import languages

UNTOLD = "nothing can be told"
NOT_KEPT = "not kept"


@dataclass(frozen=True)
class Answer:
    """What to use for one target."""

    target: str
    name: str
    """What the language is called; its code where it has no other name."""
    candidate: str
    rule: str
    """That picked it, the one that is followed for the target."""
    is_told: bool
    """Whether something can be told; otherwise the candidate is as good a guess as another."""
    sure: list[str]
    """How sure that is, by the columns of `Answers`."""
    weights: str | None
    """Folder of its weights; None where they were not kept."""
    command: str | None
    """That copies the model; None where there are no weights to copy."""


@dataclass(frozen=True)
class Answers:
    """What to use for all targets."""

    columns: list[str]
    """That say how sure it is."""
    rows: list[Answer]

    def table(self) -> Table:
        """A row for each target, without its command, which is no cell for every kind of text."""
        header = ["Target", "Language", "Use", "Rule", *self.columns, "Weights"]
        rows = [
            [
                one.target,
                one.name if one.name != one.target else "",
                one.candidate if one.is_told else f"{UNTOLD} (else {one.candidate})",
                one.rule,
                *one.sure,
                one.weights or NOT_KEPT,
            ]
            for one in self.rows
        ]
        return Table(header, [rows])

    def brief(self) -> Table:
        """The same for a terminal, which is not so wide: without the folder, which ends in the candidate's name."""
        whole = self.table()
        return Table(whole.header[:-1], [[row[:-1] for row in rows] for rows in whole.groups])

    @property
    def commands(self) -> list[str]:
        """One for each target whose model can be taken."""
        return [one.command for one in self.rows if one.command]

    @property
    def without_weights(self) -> list[str]:
        """Candidates to use whose weights were not kept."""
        return list(dict.fromkeys(one.candidate for one in self.rows if one.weights is None))


def answers(deployment: pd.DataFrame, weights: Mapping[str, str | None], path: str) -> Answers:
    """What to use for each target.

    Args:
        deployment: columns of `store.deployment.SCHEMA`.
        weights: of each candidate to use the folder of its weights; None where they were not kept.
        path: the experiment's folder, as a command line names it.
    """
    columns, cells = certainty.how_sure(deployment)
    rows = []
    for target, of_rules in certainty.by_target(deployment).items():
        rule, pick = certainty.followed_of(of_rules)
        folder = weights[pick["candidate"]]
        rows.append(
            Answer(
                target=target,
                name=languages.name(target),
                candidate=pick["candidate"],
                rule=rule,
                is_told=not certainty.is_untold(pick),
                sure=cells[target],
                weights=folder,
                command=export_command(path, target) if folder else None,
            )
        )
    return Answers(columns, rows)
