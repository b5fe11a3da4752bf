"""What a user reads of soups, from rows made by hand."""

import pandas as pd

from lms_ray.pages.soups import soup_table
from made_soups import ROWS, SETTINGS, scored


def test_a_row_is_the_mean_over_targets_and_rules_stand_with_their_soups():
    of_rules, plain, first, oracles = soup_table(pd.DataFrame(ROWS)).groups
    assert of_rules == [
        ["LMS", "1", "46.0", "+1.00", "10", "-", "-"],
        ["LMS, top 1", "1", "46.0", "+1.00", "10", "+0.00", "0 of 2"],
        ["LMS, top 3", "3", "46.5", "+1.50", "15", "+0.50", "1 of 2"],
        ["En-Dev", "1", "45.0", "+0.00", "0", "-", "-"],
        ["En-Dev, top 3", "3", "50.0", "+5.00", "50", "+5.00", "2 of 2"],
    ]
    assert plain == [["All", "24", "51.0", "+6.00", "60", "-", "-"]]
    assert [(row[0], row[3]) for row in first] == [("First 2", "+3.00"), ("First 24", "+6.00")]
    assert [(row[0], row[4]) for row in oracles] == [("All-Target", "100"), ("Best", "120")]


def test_the_setting_that_the_pivots_choose_stands_beside_the_mean_of_all():
    _, plain, _, _ = soup_table(pd.DataFrame([*ROWS, *SETTINGS])).groups
    assert plain[1:] == [
        ["Seeds of the setting that the pivots choose", "3", "49.0", "+4.00", "40", "+0.00", "1 of 2"],
        ["Seeds of a setting, mean over the settings", "3 to 4", "47.0", "+2.00", "20", "-", "-"],
    ]


def test_where_a_whole_dev_set_gains_nothing_there_is_no_share_of_it():
    rows = [*ROWS[:-4], *scored("oracle", "All-Target", 1, (0.5, 0.0, None), (0.4, 0.0, None))]
    assert {row[4] for group in soup_table(pd.DataFrame(rows)).groups for row in group} == {"-"}
