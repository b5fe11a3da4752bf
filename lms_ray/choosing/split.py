"""The division of the candidates into meta-train, meta-dev and meta-test (paper, section 4.2)."""

import numpy as np

from lms_ray.settings.choosing import MetaSplit
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
