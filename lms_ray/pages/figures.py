"""The pool's test scores for each target and what each selector picked (the paper's Figure 2); what rules are worth.

Shape suffixes: C candidates, D draws, S selectors.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.stats import gaussian_kde

from lms_ray.pages import svg
from lms_ray.pages.svg import GREY, INK, Scale
from lms_ray.settings import languages
from lms_ray.store.picks import ORACLES, SELECTORS, Pick

ROW, WIDTH, LABELS, MARGIN = 48, 600, 200, 12  # pixels: a target's height, the plot's width, room for names, and around
DENSITY_FLOOR, DENSITY_HEIGHT = 0.97, 0.8  # of a row, whose height is 1
DENSITY_POINTS, DENSITY_TAIL = 80, 2.0  # and how far beyond the pool it is drawn, in bandwidths
POOL_LINE = 0.86  # of a row
LANES = (0.12, 0.62)  # where the picks begin, and over how much of a row they go


@dataclass(frozen=True)
class Shape:
    """A mark around the point (0, 0)."""

    path: str
    """Data of a path."""
    colour: str


def _star(points: int = 5, outer: float = 5.2, inner: float = 2.1) -> str:
    angles = (math.pi * (number / points - 0.5) for number in range(2 * points))
    radii = (inner if number % 2 else outer for number in range(2 * points))
    at = (f"{r * math.cos(a):.1f} {r * math.sin(a):.1f}" for a, r in zip(angles, radii, strict=True))
    return f"M{'L'.join(at)}z"


# Okabe and Ito's colours, told apart with any colour vision; shapes differ as well.
SHAPES = {
    "En-Dev": Shape("M-3.3-3.3h6.6v6.6h-6.6z", "#0072B2"),
    "Pivot-Dev": Shape("M0-4.2L4.2 3.4H-4.2z", "#009E73"),
    "All-Pivot": Shape("M0-4.6L4.6 0L0 4.6L-4.6 0z", "#E69F00"),
    "LMS": Shape("M-3.8 0a3.8 3.8 0 1 0 7.6 0a3.8 3.8 0 1 0-7.6 0z", "#D55E00"),
    "Recommended": Shape("M-1.5-4.4h3v2.9h2.9v3h-2.9v2.9h-3v-2.9h-2.9v-3h2.9z", "#A8327D"),
    "Random": Shape(
        "M-4.2-2.4L-2.4-4.2L0-1.8L2.4-4.2L4.2-2.4L1.8 0L4.2 2.4L2.4 4.2L0 1.8L-2.4 4.2L-4.2 2.4L-1.8 0z", GREY
    ),
    "100-Target": Shape("M0 4.2L4.2-3.4H-4.2z", "#CC79A7"),
    "All-Target": Shape("M0-4.4L3.8-2.2V2.2L0 4.4L-3.8 2.2V-2.2z", "#56B4E9"),
    "Best": Shape(_star(), INK),
}
OTHER = Shape("M-0.8-5h1.6v10h-1.6z", INK)
"""Of a rule that the paper's figure does not have."""
CLASS = {name: f"mark-{number}" for number, name in enumerate(SHAPES)}
STYLE = (
    f"text{{fill:{INK}}}.rule,.zero{{stroke:{GREY};stroke-opacity:.3;stroke-width:.7}}.zero{{stroke-opacity:1}}"
    f".band,.density{{fill:{GREY};fill-opacity:.12}}.density{{fill-opacity:.24}}"
    f".dots{{fill:none;stroke:{GREY};stroke-opacity:.7;stroke-width:3.6;stroke-linecap:round}}.other{{fill:{INK}}}"
) + "".join(
    f".{CLASS[name]}{{fill:none;stroke:{shape.colour};stroke-width:1.2;pointer-events:all}}"
    if name in ORACLES
    else f".{CLASS[name]}{{fill:{shape.colour}}}"
    for name, shape in SHAPES.items()
)
"""Of the classes in the figures."""


@dataclass(frozen=True)
class Strip:
    """What the pool figure shows of one target."""

    target: str
    mean: float
    """Of the pool's test scores, in percent."""
    content: str
    """SVG elements in a box as wide as `WIDTH` and as high as `ROW`."""


@dataclass(frozen=True)
class PoolFigure:
    """A strip for each target, all on one scale."""

    strips: list[Strip]
    scale: Scale
    title: str
    """Of the scale."""
    selectors: list[str]
    """Whose picks are shown."""

    @property
    def axis(self) -> str:
        """SVG elements in a box of `WIDTH` × 34."""
        return svg.axis(self.scale, self.title)

    @property
    def rules(self) -> str:
        """Lines to lie behind a strip."""
        return svg.rules(self.scale, ROW)

    @property
    def legend(self) -> list[tuple[str, str]]:
        """SVG elements around the point (0, 0), and what they mean."""
        marks = [(_mark(name, 0, 0), f"{name} (oracle)" if name in ORACLES else name) for name in self.selectors]
        return [*marks, ('<path class="dots" d="M0 0h0"/>', "pool")]

    def document(self) -> str:
        """All in one SVG document, the same bytes for the same input."""
        columns = 5
        legend = [
            svg.moved(MARGIN + 8 + number % columns * 158, 16 + number // columns * 18, shape + svg.text(10, 4, words))
            for number, (shape, words) in enumerate(self.legend)
        ]
        top, height = 18 * -(-len(legend) // columns) + 14, ROW * len(self.strips)
        rows = (_row(number, strip) for number, strip in enumerate(self.strips))
        content = [
            *legend,
            svg.moved(LABELS, top, svg.rules(self.scale, height)),
            svg.moved(0, top, "\n".join(rows)),
            svg.moved(LABELS, top + height + 4, self.axis),
        ]
        size = LABELS + WIDTH + MARGIN, top + height + 42
        return svg.document(*size, STYLE, "The pool and the picks", "\n".join(content))


def _row(number: int, strip: Strip) -> str:
    band = f'<rect class="band" width="{LABELS + WIDTH}" height="{ROW}"/>' if number % 2 else ""
    names = svg.text(LABELS - 10, 20, named(strip.target), "end") + svg.text(
        LABELS - 10, 35, f"mean {strip.mean:.1f}", "end"
    )
    return svg.moved(0, ROW * number, band + names + svg.moved(LABELS, 0, strip.content))


def named(code: str) -> str:
    """A language's code, and what it is called where that is known."""
    name = languages.name(code)
    return code if name == code else f"{name}, {code}"


def pool_figure(
    pool: pd.DataFrame,
    picks: Sequence[Pick],
    metric: str,
    number_of: Mapping[str, int] = MappingProxyType({}),
) -> PoolFigure:
    """A strip for each target: the pool's density, a dot for each of its candidates, and a mark for each pick.

    The density is a Gaussian kernel estimate with Scott's bandwidth, as high in each row; there is none of fewer than
    three candidates, or where all have the same score. Rows are centred on the pool's mean: targets differ far more
    from each other than candidates within a target.

    Args:
        pool: test scores in [0, 1], a row for each candidate and a column for each target.
        picks: the selectors' picks.
        metric: name of the score.
        number_of: of candidates, by which a page knows them again.
    """
    picks = [pick for pick in picks if pick.selector in SELECTORS]
    selectors = [name for name in SELECTORS if any(pick.selector == name for pick in picks)]
    offset_of = {target: 100 * (pool[target] - pool[target].mean()).to_numpy() for target in pool.columns}
    density_of = {target: density for target, offset_C in offset_of.items() if (density := _density(offset_C))}
    ends = [end for x, _ in density_of.values() for end in (x[0], x[-1])]
    ends += [100 * (pick.score - pool[pick.target].mean()) for pick in picks if pick.target in pool]
    ends += [end for offset_C in offset_of.values() for end in (offset_C.min(), offset_C.max())]
    scale = Scale.over(map(float, ends), WIDTH)
    strips = []
    for target, offset_C in offset_of.items():
        score_C = 100 * pool[target].to_numpy()
        mean = float(score_C.mean())
        parts = []
        if target in density_of:
            x, share = density_of[target]
            y = ROW * (DENSITY_FLOOR - DENSITY_HEIGHT * share)
            parts.append(f'<path class="density" d="{svg.area(_pixels(scale, x), y, ROW * DENSITY_FLOOR)}"/>')
        parts.append(_dots(scale, str(target), offset_C, score_C))
        parts += _marks(scale, mean, [pick for pick in picks if pick.target == target], selectors, number_of)
        strips.append(Strip(str(target), mean, "".join(parts)))
    return PoolFigure(strips, scale, f"test {metric}, points from the pool's mean", selectors)


def _pixels(scale: Scale, value_N: np.ndarray) -> np.ndarray:
    return np.array([scale(value) for value in value_N])


def _density(offset_C: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Points in scores, and the density there as a share of its highest."""
    if len(offset_C) < 3 or not np.ptp(offset_C):
        return None
    estimate = gaussian_kde(offset_C)
    tail = DENSITY_TAIL * estimate.factor * offset_C.std(ddof=1)
    x = np.linspace(offset_C.min() - tail, offset_C.max() + tail, DENSITY_POINTS)
    density = estimate(x)
    return x, density / density.max()


def _dots(scale: Scale, target: str, offset_C: np.ndarray, score_C: np.ndarray) -> str:
    """The pool; its scores in tenths of a percent, in the order of the candidates, stand beside the dots."""
    stagger_C = np.array([-0.06, 0.0, 0.06])[np.argsort(np.argsort(offset_C, kind="stable")) % 3]  # neighbours apart
    path = svg.dots(_pixels(scale, offset_C), ROW * (POOL_LINE + stagger_C))
    scores = " ".join(f"{score:.1f}".replace(".", "") for score in score_C)
    said = f"{target}: pool of {len(score_C)}, {score_C.min():.1f} to {score_C.max():.1f}"
    return f'<path class="dots" data-scores="{scores}" d="{path}"><title>{escape(said)}</title></path>'


def _marks(
    scale: Scale, mean: float, picks: Sequence[Pick], selectors: Sequence[str], number_of: Mapping[str, int]
) -> Iterator[str]:
    start, over = LANES
    lane = {name: ROW * (start + over * n / max(len(selectors) - 1, 1)) for n, name in enumerate(selectors)}
    for pick in picks:
        what = pick.candidate or "mean over the pool"
        said = f"{pick.target}, {pick.selector}: {what}, {100 * pick.score:.1f}"
        yield _mark(pick.selector, scale(100 * pick.score - mean), lane[pick.selector], said, number_of.get(what))


def _mark(selector: str, x: float, y: float, said: str = "", number: int | None = None) -> str:
    """A selector's shape; with what it says and the number of the candidate that it stands for, if it does for one."""
    title = f"<title>{escape(said)}</title>" if said else ""
    data = "" if number is None else f' data-c="{number}"'
    at = f' transform="translate({x:.1f} {y:.1f})"' if x or y else ""
    shape = SHAPES.get(selector, OTHER)
    return f'<path class="{CLASS.get(selector, "other")}"{data} d="{shape.path}"{at}>{title}</path>'


def draws_figure(delta_DS: pd.DataFrame, metric: str) -> str:
    """Draw a row for each selector: a dot for its mean difference to En-Dev in each draw, and a mark at their mean.

    Args:
        delta_DS: differences in points, a row for each draw and a column for each selector.
        metric: name of the score.

    Returns:
        An SVG document, the same bytes for the same input.
    """
    row, labels = 19, 200
    scale = Scale.over(map(float, delta_DS.to_numpy().ravel()), WIDTH)
    height = row * delta_DS.shape[1]
    rows = []
    for number, name in enumerate(map(str, delta_DS)):
        delta_D = delta_DS.iloc[:, number].dropna().to_numpy()
        middle = row / 2
        said = f"{name}: {delta_D.mean():+z.2f} points above En-Dev" if len(delta_D) else ""
        mark = _mark(name, scale(float(delta_D.mean())), middle, said) if len(delta_D) else ""
        path = svg.dots(_pixels(scale, delta_D), np.full(len(delta_D), middle))
        dots = f'<path class="dots" d="{path}"/>'
        label = svg.text(-10, middle + 4, name, "end")
        rows.append(svg.moved(labels, MARGIN + row * number, label + dots + mark))
    content = [
        svg.moved(labels, MARGIN, svg.rules(scale, height)),
        *rows,
        svg.moved(
            labels,
            MARGIN + height + 4,
            svg.axis(scale, f"test {metric}, points above En-Dev, mean over the targets in each draw"),
        ),
    ]
    size = labels + WIDTH + MARGIN, MARGIN + height + 42
    return svg.document(*size, STYLE, "What each selector is worth in each draw", "\n".join(content))
