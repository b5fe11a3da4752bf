"""Pieces of the figures, as SVG text: an axis, dots, shapes, a document.

Written here and not by a plotting library, because a page shows 48,000 dots (240 candidates, 200 targets) and names the
candidate of every mark: all dots of a row are one path, whose parts have no length, and a mark is one element. Numbers
are pixels with one digit behind the point, so the same figure is the same text everywhere.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

INK, PAPER, GREY = "#1c1e21", "#ffffff", "#8a8f98"
FONT = "font-family:system-ui,'DejaVu Sans',sans-serif"


@dataclass(frozen=True)
class Scale:
    """From values to pixels, along a line."""

    low: float
    """Value at its beginning."""
    high: float
    width: float
    """Pixels."""

    @classmethod
    def over(cls, values: Iterable[float], width: float) -> "Scale":
        """One that shows zero and all values, with a little room at both ends."""
        known = [value for value in values if math.isfinite(value)]
        low, high = min([0.0, *known]), max([0.0, *known])
        room = 0.02 * (high - low) or 1.0
        return cls(low - room, high + room, width)

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        return (value - self.low) / (self.high - self.low) * self.width

    def ticks(self, most: int = 8) -> list[float]:
        """Round values on it, no more than so many."""
        power = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        steps = (factor * power for factor in (1, 2, 5, 10, 20))
        step = next(step for step in steps if (self.high - self.low) / step <= most)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [round(number * step, 10) for number in range(first, last + 1)]


def dots(x_N: Sequence[float] | np.ndarray, y_N: Sequence[float] | np.ndarray) -> str:
    """Data of a path that shows a round dot at each point where its ends are round."""
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in zip(x_N, y_N, strict=True))


def area(x_N: np.ndarray, y_N: np.ndarray, floor: float) -> str:
    """Data of a path around what lies between a line and the floor."""
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(x_N, y_N, strict=True))
    return f"M{x_N[0]:.1f} {floor:.1f}L{line}L{x_N[-1]:.1f} {floor:.1f}z"


def rules(scale: Scale, height: float) -> str:
    """Thin vertical lines at the ticks, and a stronger one at zero."""
    at = (
        f'<path class="{"zero" if tick == 0 else "rule"}" d="M{scale(tick):.1f} 0v{height:g}"/>'
        for tick in scale.ticks()
    )
    return "".join(at)


def axis(scale: Scale, title: str) -> str:
    """The ticks' values, and below them what they are of; 34 pixels high."""
    values = (text(scale(tick), 12, f"{tick:g}", "middle") for tick in scale.ticks())
    return "".join(values) + text(scale.width / 2, 29, title, "middle")


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """A line of text; `anchor` says which of its ends, or the middle, is at the point."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def moved(x: float, y: float, content: str) -> str:
    """The content at another place."""
    return f'<g transform="translate({x:g} {y:g})">{content}</g>'


def document(width: float, height: float, style: str, label: str, content: str) -> str:
    """An SVG document on white paper."""
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-size="12" style="{FONT}" role="img" '
        f'aria-label="{escape(label)}">\n<style>{style}</style>\n'
        f'<rect width="{width:g}" height="{height:g}" fill="{PAPER}"/>\n{content}\n</svg>\n'
    )


def for_page(svg: str) -> str:
    """A document to put into HTML: without background, and with ink in the text's colour (dark mode)."""
    return svg.replace(INK, "currentColor").replace(PAPER, "none")
