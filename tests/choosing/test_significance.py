"""Corrections and tests over divisions, against their formulas."""

import numpy as np
import pytest
from scipy import stats

from lms_ray.choosing.significance import corrected_half_width, corrected_t_test, holm, z_test


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6, 0.001]) == pytest.approx([1, 1, 0.003])
    assert holm([0.02]) == [0.02]


def test_the_corrected_test_equals_its_formula_and_doubts_more_than_the_plain_one():
    difference_D = np.array([1.0, 2.0, 0.5, 1.5, 0.2])
    t = difference_D.mean() / np.sqrt(difference_D.var(ddof=1) * (1 / 5 + 24 / 72))
    p = corrected_t_test(difference_D, pool=24, taught=72)
    assert p == pytest.approx(2 * stats.t.sf(t, 4))
    assert p > stats.ttest_1samp(difference_D, 0).pvalue
    assert corrected_t_test(-difference_D, 24, 72) == pytest.approx(p)
    at_the_edge_D = difference_D - difference_D.mean() + corrected_half_width(difference_D, 24, 72)
    assert corrected_t_test(at_the_edge_D, 24, 72) == pytest.approx(0.05)


def test_the_papers_test_is_that_of_two_samples():
    first_D, second_D = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 0.0])
    z = (2 - 0.5) / np.sqrt(1 / 3 + 0.25 / 3)
    assert z_test(first_D, second_D) == pytest.approx(2 * stats.norm.sf(z))


def test_one_division_and_no_difference_prove_nothing():
    assert corrected_t_test(np.array([3.0]), 6, 18) == 1
    assert corrected_t_test(np.zeros(4), 6, 18) == 1
    assert z_test(np.ones(1), np.zeros(1)) == z_test(np.ones(3), np.ones(3)) == 1


def test_a_difference_that_never_varies_is_certain():
    assert corrected_t_test(np.ones(4), 6, 18) == 0
    assert z_test(np.ones(3), np.zeros(3)) == 0
