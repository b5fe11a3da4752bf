"""Rankers of another experiment in place of fitted ones (paper, Table 4).

    python -m lms_ray.ranking CONFIG ranker.transfer_from=FOLDER

The ranker of English-only candidates orders multilingually fine-tuned ones, whose own pivots teach nothing then.

Shape suffix: C candidates.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lms_ray.choosing.grid import load, scores
from lms_ray.choosing.material import Material
from lms_ray.choosing.ranker import Ranking
from lms_ray.settings.errors import RankingError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import identity, lineage, rankings
from lms_ray.store.files import Store

ALIKE = ("ranker.fit", "ranker.features", "ranker.language_vector")
"""Settings in which both experiments must agree: how a candidate and a language are shown to a ranker."""


@dataclass(frozen=True)
class Saved:
    """A chosen ranker of another experiment."""

    pivots: tuple[str, ...]
    record: dict[str, Any]
    """What is recorded of it: its grid point, seed, and Kendall's tau on the meta-dev candidates there."""
    ranker: Ranking


def read(folder: str, experiment: Experiment, pool: Collection[str]) -> list[Saved]:
    """The rankers that an experiment has chosen.

    Args:
        folder: of that experiment.
        experiment: whose candidates they are to score.
        pool: its candidates that may be picked.

    Raises:
        MissingError: it has none of its own.
        RankingError: they take other features or language vectors, or were taught by other tasks or by the pool.
    """
    store = Store(folder, "ranker.transfer_from")
    where = f"ranker.transfer_from: {store.where()}"
    if store.root == Store(experiment.folder).root:
        raise RankingError(f"{where} is this experiment itself; accepted is the folder of another one")
    saved = kept(store)
    there = rankings.settings(store)
    here = lineage.settings(experiment, ["ranker"])
    if difference := lineage.differing({key: there.get(key) for key in ALIKE}, {key: here[key] for key in ALIKE}):
        raise RankingError(f"{where} has rankers of another kind: {difference}")
    if there["ranker.auxiliary"]:
        raise RankingError(f"{where} has rankers that other tasks taught too (ranker.auxiliary); accepted are others")
    split = rankings.read_split(store)
    if taught := set(split[split == "train"].index) & set(pool):
        raise RankingError(
            f"{where} has rankers that {len(taught)} of the candidates to pick from have taught, among them "
            f"{min(taught)}; accepted are other candidates, or the same meta_split and seed"
        )
    identity.warn_of_another_encoder(store, experiment)
    return saved


def kept(store: Store) -> list[Saved]:
    """The rankers that the experiment in a folder has chosen.

    Raises:
        MissingError: it has none of its own.
    """
    return [
        Saved(tuple(record["pivots"]), record, load(record["fit"], weights))
        for record, weights in rankings.read_kept(store)
    ]


def apply(
    saved: Sequence[Saved], targets: Sequence[str], material: Material
) -> dict[str, list[tuple[Saved, np.ndarray]]]:
    """For each target its rankers, one for each seed, each with its scores of every candidate, shape (C,).

    They are those with the most pivots among the ones that the target has not taught; the first set wins a tie.

    Raises:
        RankingError: the target has taught every ranker, or a ranker does not take the features.
    """
    result: dict[str, list[tuple[Saved, np.ndarray]]] = {}
    for target in targets:
        unseen = [one for one in saved if target not in one.pivots]
        if not unseen:
            raise RankingError(
                f"ranker.transfer_from: {target} taught every ranker there; accepted are other targets, or an "
                f"experiment that has {target} among its targets, for which it is left out of a ranker's pivots"
            )
        pivots = max((one.pivots for one in unseen), key=len)
        unknown = [pivot for pivot in pivots if pivot not in material.languages]
        if "pivot" in material.settings.features and unknown:
            raise RankingError(
                f"ranker.transfer_from: its ranker for {target} looks at the text of {', '.join(unknown)}, which are "
                "neither pivots nor targets here"
            )
        width = material.features([target], pivots).shape[-1]
        result[target] = []
        for one in unseen:
            if one.pivots != pivots:
                continue
            if one.ranker.width != width:
                raise RankingError(
                    f"ranker.transfer_from: its rankers take features of width {one.ranker.width}, and this "
                    f"experiment's are of width {width}"
                )
            result[target].append((one, scores(one.ranker, pivots, [target], material)[target]))
    return result
