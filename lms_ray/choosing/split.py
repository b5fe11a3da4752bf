"""The division of the candidates into meta-train, meta-dev and meta-test (paper, section 4.2)."""

import numpy as np

from lms_ray.settings.candidates import Sweep
from lms_ray.settings.choosing import MetaSplit
from lms_ray.settings.errors import SweepError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import seed_for

PARTS = ("train", "dev", "test")


def divide(count: int, settings: MetaSplit, seed: int) -> np.ndarray:
    """Part of each of `count` candidates in the order of their ids, shape (C,): `train`, `dev` or `test`.

    Args:
        count: number of candidates.
        settings: shares, and which division is drawn.
        seed: of the experiment.

    Raises:
        ValueError: a part would have fewer than two.
    """
    settings.require(count, "there are")
    train, dev, _ = settings.sizes(count)
    order = np.random.default_rng(seed_for(seed + settings.draw, "meta-split")).permutation(count)
    part_C = np.empty(count, dtype=object)
    part_C[order[:train]], part_C[order[train : train + dev]], part_C[order[train + dev :]] = PARTS
    return part_C


def require_left(experiment: Experiment, finished: int, diverged: int, absent: int) -> None:
    """Refuse a pool in which too few candidates are left to divide.

    Args:
        experiment: whose sweep has ended, or will end so.
        finished: candidates that are done.
        diverged: of these, the ones that are no part of the pool.
        absent: candidates that were given up.

    Raises:
        SweepError: says how many there are, and every way to have more.
    """
    without = [*["those that diverged"] * bool(diverged), *["those that are missing"] * bool(absent)]
    if not without:
        return
    try:
        experiment.meta_split.require(finished - diverged, f"without {' and '.join(without)} there are")
    except ValueError as error:
        raise SweepError(f"{error}. {'; '.join(_ways_to_have_more(experiment.sweep, diverged, absent))}") from None


def _ways_to_have_more(sweep: Sweep, diverged: int, absent: int) -> list[str]:
    ways = []
    if absent:
        ways.append(f"run the job again to try the {absent} missing ones again (sweep.max_missing only does without)")
    if sweep.checkpoints:
        return [*ways, "name more in sweep.checkpoints"]
    if sweep.search == "optuna":
        ways.append(f"have more proposed, with sweep.candidates above {sweep.candidates}")
    else:
        ways.append(
            f"have more candidates, with sweep.seeds above {sweep.seeds} or more values of sweep.learning_rate, "
            "sweep.epochs or sweep.batch_size (those that are done are kept)"
        )
    if diverged:
        ways.append("or leave values out that diverge, such as high learning rates")
    return ways
