"""The figure shows every name as it is."""

import pandas as pd

from lms_ray.pages.figures import pool_figure


def test_names_are_no_mathematics():
    pool = pd.DataFrame({"$x_1$ & <b>": [0.5, 0.6], "$\\frac{$": [0.5, 0.55]})
    svg = pool_figure(pool, [], "$F_1$ of __$")
    for name in ("$x_1$ &amp; &lt;b&gt;", "$\\frac{$", "test $F_1$ of __$, points"):
        assert name in svg


def test_a_pool_has_a_density_where_it_has_one():
    alike, two = pd.DataFrame({"sv": [0.5] * 6}), pd.DataFrame({"sv": [0.5, 0.6]})
    assert "PolyCollection" not in pool_figure(alike, [], "accuracy")
    assert "PolyCollection" not in pool_figure(two, [], "accuracy")
    pool = pd.DataFrame({"sv": [0.5, 0.51, 0.52, 0.7], "hu": [0.5, 0.5, 0.5, 0.5], "pt": [0.4, 0.41, 0.5, 0.55]})
    assert pool_figure(pool, [], "accuracy").count('id="FillBetweenPolyCollection') == 2
