"""What to annotate next: whose labelled dev set, as one more pivot, would lower the expected regret most.

A language's labels say something of every language that orders the candidates alike (`kinship`). Of itself they say as
much as a set of the pivots' size says of another one like it (`reliability`): that is a pick by these labels, for a
target is no pivot of its own. No label that is not there yet is needed to tell how much.

Shape suffix: N grid of correlations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lms_ray.choosing.certainty import Trust, expected_regret
from lms_ray.choosing.kinship import MOST, Kinship

STEPS = 6  # correlations at which the regret is simulated; between them it is interpolated


@dataclass(frozen=True)
class Worth:
    """What one more labelled language would be worth to a target."""

    language: str
    target: str
    before: float
    """Expected regret of the recommended pick now, in the unit of scores."""
    after: float
    """The same with the language as a pivot; of the target itself, of a pick by its labels."""


def worth_of_labels(
    languages: Sequence[str],
    target: str,
    pivots: Sequence[str],
    kinship: Kinship,
    reliability: float,
    score_C: np.ndarray,
    trusted: Trust,
) -> Iterator[Worth]:
    """What the labels of each of some languages would be worth to a target.

    Args:
        languages: whose labels are not known; the target may be one of them.
        target: to be picked for.
        pivots: whose labels are known.
        kinship: fitted to these.
        reliability: of a labelled set, as a correlation.
        score_C: recommended scores of the candidates for the target.
        trusted: how far they are to be trusted.
    """
    now = np.arctanh(kinship.correlation(target, pivots))
    surer = np.linspace(0, 2 * np.arctanh(MOST), STEPS)
    regret_N = [expected_regret(score_C, replace(trusted, location=trusted.location + float(by))) for by in surer]
    for language in languages:
        if language == target:
            gained = np.arctanh(min(reliability, MOST)) - trusted.location
        else:
            gained = np.arctanh(kinship.correlation(target, [*pivots, language])) - now
        yield Worth(language, target, regret_N[0], float(np.interp(gained, surer, regret_N)))
