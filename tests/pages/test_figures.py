"""The figure shows every name as it is."""

import pandas as pd

from lms_ray.pages.figures import pool_figure


def test_names_are_no_mathematics():
    pool = pd.DataFrame({"$x_1$ & <b>": [0.5, 0.6], "$\\frac{$": [0.5, 0.55]})
    svg = pool_figure(pool, [], "$F_1$ of __$")
    for name in ("$x_1$ &amp; &lt;b&gt;", "$\\frac{$", "test $F_1$ of __$, points"):
        assert name in svg
