"""Whose weights stay: `sweep.keep_weights`, after the features and after selection."""

import logging
from collections.abc import Iterable

from lms_ray.choosing.split import divide
from lms_ray.settings.experiment import Experiment
from lms_ray.store import pool
from lms_ray.store.files import Store
from lms_ray.store.picks import Pick

log = logging.getLogger(__name__)


def after_features(experiment: Experiment, store: Store) -> None:
    """Keep all weights, or only those of the candidates that will be picked from."""
    candidates = pool.candidates(store)
    if experiment.sweep.keep_weights == "all":
        keep = set(pool.read(store)["id"])
    else:
        part_C = divide(len(candidates), experiment.meta_split, experiment.seed)
        keep = {candidate for candidate, part in zip(candidates, part_C, strict=True) if part == "test"}
    pool.tidy(store, keep)


def after_selection(experiment: Experiment, store: Store, made: Iterable[Pick]) -> None:
    """Keep only the weights of what was picked, where that is wanted; say whose are gone already."""
    picked = dict.fromkeys(pick.candidate for pick in made if pick.candidate)
    if experiment.sweep.keep_weights == "picks":
        pool.tidy(store, picked)
    if gone := pool.without_weights(store, picked):
        log.warning(
            "%d of the picked candidates have no weights any more, among them %s: an earlier run of this experiment "
            "did not keep them (sweep.keep_weights)",
            len(gone), gone[0],
        )  # fmt: skip
