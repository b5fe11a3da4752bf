"""Whose weights stay: `sweep.keep_weights`, after the features and after selection."""

import logging
from collections.abc import Iterable, Set

from lms_ray.choosing.split import divide
from lms_ray.settings.experiment import Experiment
from lms_ray.store import pool
from lms_ray.store.files import Store
from lms_ray.store.picks import SELECTORS, Pick

log = logging.getLogger(__name__)


def after_features(experiment: Experiment, store: Store) -> None:
    """Keep only the weights of the candidates that will be picked from, where that is wanted."""
    if experiment.sweep.keep_weights != "pool":
        pool.tidy(store, _all(store))
        return
    candidates = pool.candidates(store)
    part_C = divide(len(candidates), experiment.meta_split, experiment.seed)
    _keep_only(store, {candidate for candidate, part in zip(candidates, part_C, strict=True) if part == "test"})


def after_selection(experiment: Experiment, store: Store, made: Iterable[Pick], for_use: Iterable[str]) -> None:
    """Keep only the weights of what was picked, where that is wanted; say whose are gone already.

    Args:
        experiment: says what is wanted.
        store: its folder.
        made: picks from the pool; those of the selectors of the main table count.
        for_use: picks from all candidates.
    """
    of_pool = [pick.candidate for pick in made if pick.candidate and pick.selector in SELECTORS]
    picked = dict.fromkeys([*of_pool, *for_use])
    if experiment.sweep.keep_weights == "picks":
        _keep_only(store, picked.keys())
    if gone := pool.without_weights(store, picked):
        log.warning(
            "%d of the picked candidates have no weights any more, among them %s: an earlier run of this experiment "
            "did not keep them (sweep.keep_weights)",
            len(gone), gone[0],
        )  # fmt: skip


def _keep_only(store: Store, wanted: Set[str]) -> None:
    """Delete the weights of all others; of nobody, where an earlier run has kept those of other candidates.

    What two draws of the meta split have in common, or a grid and a smaller one, may be nothing.
    """
    everyone, gone = _all(store), pool.without_weights(store, wanted)
    others = everyone - wanted
    if gone and len(pool.without_weights(store, others)) < len(others):
        log.warning(
            "sweep.keep_weights: no more weights are deleted, as %d of the candidates to keep have none any more, "
            "among them %s: an earlier run kept those of another draw of the meta split, or of fewer candidates",
            len(gone), gone[0],
        )  # fmt: skip
    pool.tidy(store, everyone if gone else wanted)


def _all(store: Store) -> Set[str]:
    return set(pool.read(store)["id"])
