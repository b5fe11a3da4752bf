"""Which candidates are averaged, and what their soups are worth beside single picks.

A soup is the model whose weights are the mean of its members' (Wortsman et al., 2022); Schmidt et al. (2023, "One For
All & All For One") average runs instead of choosing among them, which wants candidates whose heads began alike. Members
are chosen by what rules say of single candidates, or not chosen at all. Labels of a target say only how good a soup is.

Shape suffixes: C candidates, P pivots, S soups of settings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
import pandas as pd

from lms_ray.choosing.evidence import z_scores
from lms_ray.choosing.picking import Oracles
from lms_ray.choosing.rules import FOUNDATION, best
from lms_ray.data import roles
from lms_ray.settings.candidates import AXES, Sweep, grid
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash
from lms_ray.store.soups import Kind, Scored

REFERENCE = "En-Dev"


@dataclass(frozen=True)
class Soup:
    """A set of candidates whose weights are averaged, and why these."""

    kind: Kind
    members: tuple[str, ...]
    """Ids, sorted."""
    target: str | None = None
    """For which it is; None for every one."""
    selector: str | None = None
    """The rule that chose the members."""
    setting: str | None = None
    """Of which they are the seeds."""

    @property
    def id(self) -> str:
        """The same for the same members: `003-3f9a1c2b4d5e`."""
        return f"{len(self.members):03d}-{content_hash(self.members)[:12]}"


def require_shared_head(experiment: Experiment) -> None:
    """Refuse candidates whose heads did not begin with the same weights: their mean is no head.

    Raises:
        ConfigError: names the key.
    """
    if experiment.sweep.checkpoints:
        raise ConfigError(
            "sweep.checkpoints: soups average candidates whose heads began with the same weights, which nobody knows "
            "of checkpoints that were brought; accepted are candidates fine-tuned here with finetune.shared_head=true"
        )
    if not experiment.finetune.shared_head:
        raise ConfigError(
            "finetune.shared_head is false: every candidate has a head of its own, and the mean of several is none; "
            "accepted is true, which fine-tunes other candidates (give the experiment another name to keep these)"
        )


def of_runs(table: pd.DataFrame, sweep: Sweep) -> list[Soup]:
    """The soups for which nothing is chosen: of all candidates, of the first 2, 4, 8, ..., and of each setting's seeds.

    A setting with one seed has no soup.

    Args:
        table: the columns of `store.pool`, of the candidates that did not diverge.
        sweep: says in which order they come: all settings with the first seed, then all with the second.
    """
    place = {astuple(candidate): place for place, candidate in enumerate(grid(sweep))}
    settings = list(table[[*AXES, "seed"]].itertuples(index=False, name=None))
    order = sorted(range(len(table)), key=lambda row: place.get(settings[row], settings[row][-1]))  # or as proposed
    names = [table["id"].iloc[row] for row in order]
    soups = [Soup("all", tuple(sorted(names)))]
    soups += [Soup("first", tuple(sorted(names[:count]))) for count in (*_doubled(len(names)), len(names))]
    seeds_of: dict[str, list[str]] = {}
    for row in order:
        learning_rate, epochs, batch_size, _ = settings[row]
        seeds_of.setdefault(f"lr{learning_rate:.3g}/ep{epochs}/bs{batch_size}", []).append(table["id"].iloc[row])
    soups += [
        Soup("setting", tuple(sorted(seeds)), setting=setting) for setting, seeds in seeds_of.items() if len(seeds) > 1
    ]
    return soups


def _doubled(end: int) -> list[int]:
    """2, 4, 8, ..., below the end."""
    return [2**power for power in range(1, end.bit_length()) if 2**power < end]


def of_the_best(
    scores: Mapping[str, Mapping[str, np.ndarray]], candidates: Sequence[str], rules: Sequence[str], top: Sequence[int]
) -> list[Soup]:
    """For each target the soups of the candidates that a rule scores highest; the first one wins a tie.

    Args:
        scores: by target and rule the scores of all candidates, shape (C,); NaN for one that a rule never scored.
        candidates: their ids.
        rules: those whose soups are wanted; one that has no scores for a target has no soup for it.
        top: how many members; a number above that of the candidates that a rule scored is left out.
    """
    return [
        Soup("top", tuple(sorted(candidates[index] for index in order[:count])), target, rule)
        for target, of_target in scores.items()
        for rule in rules
        if rule in of_target
        for order in [_from_the_best(of_target[rule])]
        for count in top
        if count <= len(order)
    ]


def _from_the_best(score_C: np.ndarray) -> list[int]:
    """Candidates by their scores, the highest first, without those that have none."""
    return [int(index) for index in np.argsort(-score_C, kind="stable") if not np.isnan(score_C[index])]


def read_by(soups: Sequence[Soup], experiment: Experiment) -> dict[str, list[str]]:
    """By the soup's id the corpora that it is to read: what judges it, and what a choice among soups may look at.

    A soup for one target reads that target's test set; one for every target also the pivots' held-out sets and the
    source's dev set.
    """
    known = [roles.source(experiment), *roles.held_out(experiment)]
    read: dict[str, dict[str, None]] = {}
    for soup in soups:
        targets = experiment.targets if soup.target is None else (soup.target,)
        names = [*(known if soup.target is None else ()), *(f"{target}-test" for target in targets)]
        read.setdefault(soup.id, {}).update(dict.fromkeys(names))
    return {name: list(names) for name, names in read.items()}


def best_setting(pivot_SP: np.ndarray) -> int:
    """Number of the setting whose soup has the highest mean z-score over the pivots, among the soups of settings."""
    return best(z_scores(pivot_SP).mean(1))


@dataclass(frozen=True)
class Judged:
    """What single candidates and soups score for one target."""

    target: str
    candidates: Sequence[str]
    oracles: Oracles
    """Scores of the candidates by the target's labels."""
    for_use: Mapping[str, int]
    """By rule the candidate that it picks of all."""
    test: Mapping[str, float]
    """Test score of each soup that has read the target's test set, by its id."""

    def rows(self, soups: Sequence[Soup], chosen: Soup | None, rules: Sequence[str]) -> list[Scored]:
        """What each pick and each soup is worth.

        Args:
            soups: all; those for other targets are left out.
            chosen: of the soups of settings the one that the pivots choose for this target; None where there is none.
            rules: whose single picks are shown.
        """
        found = [self._pick("single", rule, self.for_use[rule]) for rule in rules if rule in self.for_use]
        found += [self._soup(soup) for soup in soups if soup.target in (None, self.target)]
        if chosen:
            found.append(self._soup(replace(chosen, kind="best setting", selector=FOUNDATION)))
        oracles = {"All-Target": self.oracles.dev_C, "Best": self.oracles.test_C}
        return [*found, *(self._pick("oracle", name, best(score_C)) for name, score_C in oracles.items())]

    def _pick(self, kind: Kind, selector: str, candidate: int) -> Scored:
        score, name = float(self.oracles.test_C[candidate]), self.candidates[candidate]
        return Scored(kind, selector, None, self.target, 1, score, self._above(score), None, name, (name,))

    def _soup(self, soup: Soup) -> Scored:
        score = self.test[soup.id]
        above_own = None if soup.selector is None else score - float(self.oracles.test_C[self.for_use[soup.selector]])
        return Scored(
            soup.kind, soup.selector, soup.setting, self.target, len(soup.members),
            score, self._above(score), above_own, soup.id, soup.members,
        )  # fmt: skip

    def _above(self, score: float) -> float:
        return score - float(self.oracles.test_C[self.for_use[REFERENCE]])
