"""What a user reads of all draws, from picks made by hand."""

import numpy as np
import pandas as pd
import pytest

from lms_ray.choosing.significance import corrected_t_test, z_test
from lms_ray.pages.draws import advice, deployment_table, worth_table, worths

POOL, TAUGHT = 6, 18
SCORES = {  # of two targets in each of three draws
    "En-Dev": [(0.50, 0.40), (0.52, 0.42), (0.48, 0.38)],
    "All-Pivot": [(0.55, 0.44), (0.57, 0.46), (0.52, 0.43)],
    "LMS": [(0.51, 0.41), (0.52, 0.42), (0.50, 0.36)],
    "Recommended": [(0.56, 0.44), (0.58, 0.46), (0.52, 0.43)],
    "Random": [(0.52, 0.40), (0.53, 0.42), (0.50, 0.40)],
    "All-Target": [(0.60, 0.50), (0.62, 0.52), (0.58, 0.48)],
    "Best": [(0.61, 0.51), (0.63, 0.53), (0.59, 0.49)],
}
RECOMMENDED = pd.DataFrame(
    [("ar,de", "All-Pivot z", 0.75, "it did best there"), ("ar,de", "Vote", 0.25, "it did best there")],
    columns=["pivots", "rule", "weight", "reason"],
)


def splits(scores: dict[str, list[tuple[float, float]]] = SCORES) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "draw": draw,
            "selector": selector,
            "target": target,
            "score": score,
            "delta": score - SCORES["En-Dev"][draw][place],
            "correlation": 0.25,
        }
        for selector, of_draws in scores.items()
        for draw, of_targets in enumerate(of_draws)
        for place, (target, score) in enumerate(zip(("fa", "tr"), of_targets, strict=True))
    )


def test_worth_is_the_mean_over_targets_and_its_spread_that_over_draws():
    found = {worth.selector: worth for worth in worths(splits(), POOL, TAUGHT)}
    use = found["Recommended"]
    np.testing.assert_allclose(use.delta_D, [5.0, 5.0, 4.5])
    assert use.score == pytest.approx(49.833, abs=1e-3)
    assert use.share == pytest.approx(100 * use.delta_D.mean() / 10)
    assert use.better == 100 and found["LMS"].better == 50
    assert use.p_value == pytest.approx(corrected_t_test(use.delta_D, POOL, TAUGHT))
    reference_D = np.array([45.0, 47.0, 43.0])
    assert use.p_z == pytest.approx(z_test(reference_D + use.delta_D, reference_D))


def test_the_best_rule_leads_and_what_sees_labels_of_the_target_stands_apart():
    rules, oracles = worth_table(worths(splits(), POOL, TAUGHT)).groups
    assert [row[0] for row in rules] == ["Recommended", "All-Pivot", "Random", "LMS", "En-Dev"]
    assert {row[0] for row in oracles} == {"All-Target", "Best"}
    assert rules[0][2:5] == ["+4.83", "0.29", "48"]
    assert rules[-1][-2:] == ["-", "-"]  # En-Dev is not compared with itself


def test_where_nothing_can_be_won_no_share_is_told():
    level = {**SCORES, "All-Target": SCORES["En-Dev"]}
    found = worths(splits(level), POOL, TAUGHT)
    assert all(np.isnan(worth.share) for worth in found)
    assert all(row[4] == "-" for group in worth_table(found).groups for row in group)
    assert "what All-Target gains" not in advice(found, RECOMMENDED, POOL, TAUGHT)


def test_a_rule_that_learned_nothing_in_a_draw_is_compared_over_the_others():
    rows = splits()
    missing = (rows["selector"] == "LMS") & (rows["draw"] == 1) & (rows["target"] == "tr")
    found = {worth.selector: worth for worth in worths(rows[~missing], POOL, TAUGHT)}
    assert found["LMS"].delta_D.isna().tolist() == [False, True, False]
    assert found["LMS"].share == pytest.approx(100 * found["LMS"].delta_D.mean() / 10)
    assert found["LMS"].p_value == pytest.approx(corrected_t_test(np.array([1.0, 0.0]), POOL, TAUGHT))
    without = {name: of_draws for name, of_draws in SCORES.items() if name != "LMS"}
    assert "LMS" not in advice(worths(splits(without), POOL, TAUGHT), RECOMMENDED, POOL, TAUGHT)


def test_one_draw_has_no_spread_and_proves_nothing():
    found = worths(splits({name: of_draws[:1] for name, of_draws in SCORES.items()}), POOL, TAUGHT)
    assert all(worth.p_value == worth.p_z == 1 for worth in found)
    assert all(row[3] == "-" for group in worth_table(found).groups for row in group)
    assert "over 1 draw of the meta split" in advice(found, RECOMMENDED, POOL, TAUGHT)


def test_the_advice_names_the_gain_and_what_the_rule_is_made_of():
    said = advice(worths(splits(), POOL, TAUGHT), RECOMMENDED, POOL, TAUGHT)
    assert said.startswith("Use Recommended: over 3 draws of the meta split its picks are 4.83 points above En-Dev's")
    assert "48 % of what All-Target gains" in said
    p_value = corrected_t_test(np.array([0.5, 0.5, 0.0]), POOL, TAUGHT)
    assert f"All-Pivot's 4.50 points above (Recommended - All-Pivot: p = {p_value:.3f})" in said
    assert said.endswith("as 75% All-Pivot z, 25% Vote: it did best there.")


def test_the_advice_does_not_sell_a_rule_that_gains_nothing():
    losing = {**SCORES, "Recommended": [(0.49, 0.39), (0.51, 0.41), (0.47, 0.37)]}
    said = advice(worths(splits(losing), POOL, TAUGHT), RECOMMENDED, POOL, TAUGHT)
    assert said.startswith("Here nothing is gained by Recommended: ")
    assert "1.00 points below En-Dev's" in said


def test_picks_for_use_are_one_row_for_each_target():
    deployment = pd.DataFrame(
        {"target": ["tr", "tr", "fa"], "rule": ["LMS", "Recommended", "Recommended"], "candidate": ["a", "b", "c"]}
    )
    table = deployment_table(deployment[deployment["rule"] == "Recommended"], ["Recommended", "LMS"])
    assert table.header == ["Target", "Recommended"]
    assert table.groups == [[["tr", "b"], ["fa", "c"]]]
