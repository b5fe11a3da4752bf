"""The pool's test scores for each target and what each selector picked (the paper's Figure 2), as SVG."""

import io
from contextlib import AbstractContextManager
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde

from lms_ray.store.picks import ORACLES, SELECTORS, Pick

INK, PAPER = "#1c1e21", "#ffffff"
POOL_GREY = "#8a8f98"
ROW_INCHES = 0.7
DENSITY_FLOOR, DENSITY_HEIGHT = 0.97, 0.8  # of a row, whose height is 1
DENSITY_POINTS, DENSITY_TAIL = 200, 2.0  # and how far beyond the pool it is drawn, in bandwidths


@dataclass(frozen=True)
class _Mark:
    shape: str
    colour: str


# Okabe and Ito's colours, told apart with any colour vision; shapes differ as well.
MARKS = {
    "En-Dev": _Mark("s", "#0072B2"),
    "Pivot-Dev": _Mark("^", "#009E73"),
    "All-Pivot": _Mark("D", "#E69F00"),
    "LMS": _Mark("o", "#D55E00"),
    "Recommended": _Mark("P", "#A8327D"),
    "Random": _Mark("X", POOL_GREY),
    "100-Target": _Mark("v", "#CC79A7"),
    "All-Target": _Mark("h", "#56B4E9"),
    "Best": _Mark("*", INK),
}


def pool_figure(pool: pd.DataFrame, picks: list[Pick], metric: str) -> str:
    """Draw a row for each target: the pool's density, a dot for each of its candidates, and a mark for each pick.

    The density is a Gaussian kernel estimate with Scott's bandwidth, as high in each row; there is none of fewer than
    three candidates, or where all have the same score. Rows are centred on the pool's mean: targets differ far more
    from each other than candidates within a target.

    Args:
        pool: test scores in [0, 1], a row for each candidate and a column for each target.
        picks: the selectors' picks.
        metric: name of the score.

    Returns:
        An SVG document, the same bytes for the same input.
    """
    targets = list(pool.columns)
    picks = [pick for pick in picks if pick.selector in SELECTORS]
    selectors = [name for name in SELECTORS if any(pick.selector == name for pick in picks)]
    with _drawing():
        figure = Figure(figsize=(7.2, 1.3 + ROW_INCHES * len(targets)), layout="constrained", facecolor=PAPER)
        axes = figure.subplots()
        axes.set_facecolor(PAPER)
        for row, target in enumerate(targets):
            _draw_row(axes, row, pool[target].to_numpy(), [pick for pick in picks if pick.target == target], selectors)
        _label(axes, pool, metric)
        figure.legend(
            handles=_legend(axes, selectors), loc="outside upper center", ncols=5, frameon=False, labelcolor=INK
        )
        return _to_svg(figure)


def draws_figure(delta_DS: pd.DataFrame, metric: str) -> str:
    """Draw a row for each selector: a dot for its mean difference to En-Dev in each draw, and a mark at their mean.

    Args:
        delta_DS: differences in points, a row for each draw and a column for each selector.
        metric: name of the score.

    Returns:
        An SVG document, the same bytes for the same input.
    """
    with _drawing():
        figure = Figure(figsize=(7.2, 0.8 + 0.24 * delta_DS.shape[1]), layout="constrained", facecolor=PAPER)
        axes = figure.subplots()
        axes.set_facecolor(PAPER)
        for row, (name, delta_D) in enumerate(delta_DS.items()):
            mark = MARKS.get(str(name), _Mark("|", INK))
            axes.scatter(delta_D, np.full(len(delta_D), row), s=9, color=POOL_GREY, alpha=0.6, linewidth=0)
            axes.plot(delta_D.mean(), row, marker=mark.shape, color=mark.colour, markersize=7, linestyle="none")
        axes.set_ylim(delta_DS.shape[1] - 0.5, -0.5)
        axes.set_yticks(np.arange(delta_DS.shape[1]), [str(name) for name in delta_DS])
        axes.set_xlabel(f"test {metric}, points above En-Dev, mean over the targets in each draw", color=INK)
        _rule(axes)
        return _to_svg(figure)


def for_page(svg: str) -> str:
    """The figure to put into HTML: without prolog and background, and with ink in the text's colour (dark mode)."""
    return svg[svg.index("<svg") :].replace(INK, "currentColor").replace(PAPER, "none")


def _draw_row(axes: Axes, row: int, score_C: np.ndarray, picks: list[Pick], selectors: list[str]) -> None:
    """Row `row` spans y from row to row + 1, downwards: a lane for each selector, then the pool."""
    mean = score_C.mean()
    if row % 2:
        axes.axhspan(row, row + 1, color=POOL_GREY, alpha=0.12, linewidth=0)
    _draw_density(axes, row, 100 * (score_C - mean))
    offset_C = np.array([-0.05, 0.0, 0.05])[np.argsort(np.argsort(score_C, kind="stable")) % 3]  # neighbours apart
    axes.scatter(100 * (score_C - mean), row + 0.86 + offset_C, s=9, color=POOL_GREY, alpha=0.6, linewidth=0)
    lane = {name: row + 0.12 + 0.62 * index / (len(selectors) - 1) for index, name in enumerate(selectors)}
    for pick in picks:
        axes.plot(100 * (pick.score - mean), lane[pick.selector], **_style(pick.selector))


def _draw_density(axes: Axes, row: int, offset_C: np.ndarray) -> None:
    if len(offset_C) < 3 or not np.ptp(offset_C):
        return
    estimate = gaussian_kde(offset_C)
    tail = DENSITY_TAIL * estimate.factor * offset_C.std(ddof=1)
    x = np.linspace(offset_C.min() - tail, offset_C.max() + tail, DENSITY_POINTS)
    density = estimate(x)
    floor = row + DENSITY_FLOOR
    axes.fill_between(
        x, floor, floor - DENSITY_HEIGHT * density / density.max(), color=POOL_GREY, alpha=0.22, linewidth=0
    )


def _style(selector: str) -> dict:
    mark = MARKS[selector]
    return {
        "marker": mark.shape,
        "color": mark.colour,
        "markerfacecolor": "none" if selector in ORACLES else mark.colour,
        "markersize": 6.5 if mark.shape == "*" else 5,
        "markeredgewidth": 1.1 if selector in ORACLES else 0,
        "linestyle": "none",
    }


def _legend(axes: Axes, selectors: list[str]) -> list:
    names = {name: f"{name} (oracle)" if name in ORACLES else name for name in selectors}
    handles = [axes.plot([], [], label=label, **_style(name))[0] for name, label in names.items()]
    dot = axes.scatter([], [], s=9, color=POOL_GREY, alpha=0.6, linewidth=0, label="pool")
    return [*handles, dot]


def _label(axes: Axes, pool: pd.DataFrame, metric: str) -> None:
    axes.set_xlabel(f"test {metric}, points from the pool's mean", color=INK)
    axes.set_ylim(len(pool.columns), 0)
    axes.set_yticks(
        np.arange(len(pool.columns)) + 0.5,
        [f"{target}\nmean {100 * pool[target].mean():.1f}" for target in pool.columns],
    )
    _rule(axes)


def _drawing() -> AbstractContextManager[None]:
    return mpl.rc_context(
        {
            "svg.hashsalt": "lms_ray",
            "svg.fonttype": "none",
            "font.size": 9,
            "text.parse_math": False,  # a name may hold dollar signs
        }
    )


def _rule(axes: Axes) -> None:
    """Thin vertical lines, a line at zero, and nothing around."""
    axes.tick_params(colors=INK, length=0)
    axes.grid(axis="x", color=POOL_GREY, alpha=0.3, linewidth=0.6)
    axes.axvline(0, color=POOL_GREY, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _to_svg(figure: Figure) -> str:
    stream = io.StringIO()
    # No date and no library version in the file.
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(stream, format="svg", metadata=metadata)
    return stream.getvalue()
