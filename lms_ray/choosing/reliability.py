"""How much of the differences between candidates on a labelled set is more than the chance of its examples.

Shape suffixes: C candidates, E examples, S statistics.
"""

from collections.abc import Callable

import numpy as np

from lms_ray.choosing.kinship import correlations

SPLITS = 20


def split_half(statistics_CES: np.ndarray, metric: Callable[[np.ndarray], np.ndarray], seed: int) -> float:
    """Correlation to expect between scores on a set and on another one like it, from 0 to 1.

    The scores on two random halves are correlated over the candidates, on the mean over many halvings; Spearman and
    Brown's formula tells from it what two sets of twice the size would give.

    Args:
        statistics_CES: example statistics of every candidate.
        metric: from summed statistics to scores.
        seed: of the halvings.
    """
    rng, examples = np.random.default_rng(seed), statistics_CES.shape[1]
    found = []
    for _ in range(SPLITS):
        order = rng.permutation(examples)
        halves = [metric(statistics_CES[:, part].sum(1)) for part in (order[: examples // 2], order[examples // 2 :])]
        found.append(correlations(np.nan_to_num(np.column_stack(halves)))[0, 1])
    half = max(0.0, float(np.mean(found)))
    return 2 * half / (1 + half)
