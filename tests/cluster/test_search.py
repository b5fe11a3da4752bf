"""How a search begins."""

import pytest

from lms_ray.cluster.search import startup
from lms_ray.settings.candidates import Sweep


@pytest.mark.parametrize(("candidates", "at_random"), [(1, 2), (12, 3), (40, 10), (240, 10)])
def test_of_few_candidates_few_are_drawn_at_random(candidates: int, at_random: int):
    assert startup(Sweep(search="optuna", candidates=candidates)) == at_random
