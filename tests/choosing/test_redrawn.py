"""All rules over many divisions of the candidates: made ones, and the real pool."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pool96
from lms_ray.choosing.evidence import Known
from lms_ray.choosing.picking import judge_draw
from lms_ray.choosing.recommended import RECOMMENDED
from lms_ray.choosing.redrawn import Redrawn, cross_fitted, redraw
from lms_ray.choosing.split import divide
from lms_ray.choosing.taught import TAUGHT
from lms_ray.pages.draws import Worth, worths
from lms_ray.settings.choosing import MetaSplit, Ranker
from made_material import TARGETS, TARGETS_OF, C, planted

DRAWS = 3


@pytest.fixture(scope="module")
def redrawn() -> Redrawn:
    material, _ = planted(Ranker(fit="fast", l2=(0.1,)), "target")
    known = Known(material, np.arange(C) / C, np.arange(C) % 4, pool96.NOTHING_OBSERVED)
    return redraw(known, TARGETS_OF, MetaSplit(draws=DRAWS))


def test_the_first_draw_is_the_experiments_own_and_others_are_other_ones(redrawn: Redrawn):
    assert np.array_equal(redrawn.part_DC[0], divide(C, MetaSplit(), 0))
    assert len({tuple(redrawn.pool(draw)) for draw in range(DRAWS)}) == DRAWS


@pytest.mark.parametrize("name", TAUGHT)
def test_no_candidate_is_scored_by_a_rule_that_learned_from_it(redrawn: Redrawn, name: str):
    for target in TARGETS:
        scored_DC = ~np.isnan(redrawn.drawn[target][name])
        assert np.array_equal(scored_DC, redrawn.part_DC == "test")


def test_every_rule_scores_the_whole_pool_of_every_draw(redrawn: Redrawn):
    for draw in range(DRAWS):
        scores = redrawn.of_draw("nl", draw)
        assert {"En-Dev", "All-Pivot", RECOMMENDED, *TAUGHT} <= set(scores)
        for name, score_C in scores.items():
            assert len(score_C) == C // 4 and np.isfinite(score_C).all(), name


def test_an_overall_score_is_the_mean_of_the_draws_that_did_not_learn_from_the_candidate():
    score_DC = np.array([[1.0, 3.0, np.nan, np.nan], [np.nan, 2.0, 6.0, np.nan]])
    np.testing.assert_array_equal(cross_fitted(score_DC), [-1, 0, 1, np.nan])


@pytest.fixture(scope="module")
def worth(shared: Path) -> dict[str, Worth]:
    """What every selector is worth on the real pool, over 20 draws."""
    if not (shared / "pool96").is_dir():
        pytest.skip(f"no real pool: {shared / 'pool96'} is no folder")
    pool, settings = pool96.read(shared), MetaSplit()
    redrawn = redraw(pool.known, {pool96.PIVOTS: list(pool96.TARGETS)}, settings)
    splits = [
        pick
        for draw in range(settings.draws)
        for target, oracles in pool.oracles.items()
        for pick in judge_draw(draw, target, redrawn.of_draw(target, draw), oracles.of(redrawn.pool(draw)))
    ]
    train, dev, chosen_from = settings.sizes(len(pool.known.source_C))
    return {found.selector: found for found in worths(pd.DataFrame(splits), chosen_from, train + dev)}


@pytest.mark.real
@pytest.mark.slow
def test_on_a_real_pool_all_pivot_wins_most_of_what_there_is_and_lms_clearly_less(worth: dict[str, Worth]):
    assert worth["All-Target"].share == pytest.approx(100)
    assert worth["All-Pivot"].share > 60
    assert worth["All-Pivot z"].share > 60
    assert worth["LMS"].share < worth["All-Pivot"].share - 15
    assert worth["All-Pivot"].correlation > worth["LMS"].correlation + 0.1


@pytest.mark.real
@pytest.mark.slow
def test_on_a_real_pool_the_corrected_test_doubts_more_than_the_papers(worth: dict[str, Worth]):
    assert worth["All-Pivot"].p_z < worth["All-Pivot"].p_value
