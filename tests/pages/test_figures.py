"""The figures show every name as it is, each candidate of the pool, and stay small."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from lms_ray.pages.figures import draws_figure, pool_figure
from lms_ray.pages.svg import Scale, for_page
from made_picks import HAND_MADE

POOL = pd.DataFrame({"sv": [0.5, 0.9], "hu": [0.5, 0.9]}, index=["c", "d"])


def test_names_are_text():
    pool = pd.DataFrame({"$x_1$ & <b>": [0.5, 0.6], "$\\frac{$": [0.5, 0.55]})
    svg = pool_figure(pool, [], "$F_1$ of __$").document()
    for name in ("$x_1$ &amp; &lt;b&gt;", "$\\frac{$", "test $F_1$ of __$, points"):
        assert name in svg
    ElementTree.fromstring(svg)
    ElementTree.fromstring(draws_figure(pd.DataFrame({"<b>&": [0.1, 0.2]}), "<i>"))


def test_languages_are_named():
    svg = pool_figure(POOL, [], "accuracy").document()
    assert ">Swedish, sv<" in svg and ">Hungarian, hu<" in svg


def test_a_pool_has_a_density_where_it_has_one():
    alike, two = pd.DataFrame({"sv": [0.5] * 6}), pd.DataFrame({"sv": [0.5, 0.6]})
    assert 'class="density"' not in pool_figure(alike, [], "accuracy").document()
    assert 'class="density"' not in pool_figure(two, [], "accuracy").document()
    pool = pd.DataFrame({"sv": [0.5, 0.51, 0.52, 0.7], "hu": [0.5, 0.5, 0.5, 0.5], "pt": [0.4, 0.41, 0.5, 0.55]})
    assert pool_figure(pool, [], "accuracy").document().count('class="density"') == 2


def test_dots_and_marks_stand_at_their_scores():
    """Both candidates lie 20 points from the mean, and so does a pick of one of them."""
    picks = [replace(pick, candidate=None if pick.selector == "Random" else "c") for pick in HAND_MADE]
    figure = pool_figure(POOL, picks, "accuracy", {"c": 7})
    of_sv = figure.strips[0].content
    dots = [float(x) for x in re.findall(r"M([\d.]+) [\d.]+h0", of_sv)]
    assert dots == pytest.approx([figure.scale(-20), figure.scale(20)], abs=0.06)
    best = re.search(r'data-c="7" d="[^"]*" transform="translate\(([\d.]+) [\d.]+\)"><title>sv, Best: c, 90.0<', of_sv)
    assert best and float(best[1]) == pytest.approx(figure.scale(20), abs=0.06)
    assert re.search(r'class="mark-5" d="[^>]*><title>sv, Random: mean over the pool, 49.0<', of_sv), "no candidate"


def test_a_large_pool_of_many_targets_is_small():
    """48,000 dots."""
    rng = np.random.default_rng(0)
    pool = pd.DataFrame(rng.normal(0.7, 0.02, (240, 200)), columns=[f"t{number}" for number in range(200)])
    assert len(pool_figure(pool, [], "accuracy").document()) < 1_300_000


def test_a_scale_has_round_ticks_and_room():
    for low, high in ((-3.2, 5.1), (0.0, 0.0), (-0.004, 0.002), (1.0, 900.0), (-1e-9, 0.0)):
        scale = Scale.over([low, high], 600)
        assert 0 < scale(low) <= scale(high) < 600
        ticks = scale.ticks()
        assert 2 <= len(ticks) <= 9 and all(scale.low <= tick <= scale.high for tick in ticks)
        assert 0 in ticks
    assert Scale.over([-3.2, 5.1], 600).ticks() == [-2, 0, 2, 4]


def test_on_a_page_ink_is_the_text_s():
    page = for_page(pool_figure(POOL, HAND_MADE[:3], "accuracy").document())
    assert "text{fill:currentColor}" in page and 'fill="none"' in page and "#ffffff" not in page
