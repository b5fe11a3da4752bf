"""Bars at the bottom of a terminal, drawn by rich; what is printed meanwhile appears above them.

Imported where stdout is a terminal that can redraw (`terminal.can_redraw`), and nowhere else.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import ControlType, Segment
from rich.text import Text

from lms_ray.pages.terminal import readable

WIDEST, NARROWEST = 30, 12  # letters of a bar
PER_SECOND = 4  # how often it is drawn anew
SPINNER, ASCII_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"


class Row(Protocol):
    """One line at the bottom."""

    stage: str

    @property
    def share(self) -> float | None:
        """How much of it is done, from 0 to 1; None where that cannot be said."""

    @property
    def words(self) -> Sequence[str]:
        """What stands beside the bar: the same with more and with less, from the longest to the shortest."""

    @property
    def parting(self) -> str | None:
        """What stays of it when it goes; None is nothing."""


class Line:
    """A row as it is drawn: `stage     ━━━━╸━━━━━  words`, in one line whatever the width of the terminal.

    Nothing is drawn in the last column, from which some terminals go on to the next line.
    """

    def __init__(self, row: Row):
        self.row = row

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it, without an end of line."""
        stage, share = f"{self.row.stage:9} ", self.row.share
        words = [readable(words) for words in self.row.words]
        if share is None:
            frames = ASCII_SPINNER if options.ascii_only else SPINNER
            frame = frames[int(console.get_time() * PER_SECOND) % len(frames)]
            yield Cropped(f"{stage}{frame} {words[0]}")
            return
        beside = options.max_width - 1 - len(stage) - 2
        said = next((words for words in words if len(words) + NARROWEST <= beside), words[-1])
        width = min(WIDEST, beside - len(said))
        if width < NARROWEST:
            yield Cropped(stage + said)
            return
        yield Text(stage, end="")
        is_begun = share > 0 or console.color_system is None  # without colours, what moves would look like what is done
        bar = ProgressBar(total=1.0, completed=share, width=width, pulse=not is_begun)
        yield from Segment.adjust_line_length(list(console.render(bar, options)), width)
        yield Text(f"  {said}", end="")


class Cropped:
    """A text of which one line is shown: as much as there is room for."""

    def __init__(self, text: str):
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it, without an end of line."""
        text = Text(readable(self.text), end="")
        text.truncate(max(options.max_width - 1, 1), overflow="crop")
        yield text


class Picture:
    """Lines one below the other, after which the cursor goes back to the begin of the last one.

    So a line that others write past rich, such as Ray's own code in C++, covers it, and does not run on at its end.
    """

    def __init__(self, lines: Iterable[RenderableType]):
        self.lines = list(lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw them."""
        for number, line in enumerate(self.lines):
            if number:
                yield Segment.line()
            yield line
        yield Control(ControlType.CARRIAGE_RETURN)


class _Console(Console):
    """Leaves the cursor alone: a job that is killed cannot bring it back."""

    def show_cursor(self, show: bool = True) -> bool:
        """Do nothing."""
        return False


def console() -> Console:
    """The terminal that stdout is; NO_COLOR is heard, and long lines are left to the terminal."""
    return _Console(force_terminal=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def live(picture: Callable[[], RenderableType], transient: bool) -> Live:
    """What draws a picture again and again, once it is started; what is printed to stdout or stderr stands above."""
    return Live(
        console=console(),
        get_renderable=picture,
        refresh_per_second=PER_SECOND,
        transient=transient,
        redirect_stderr=sys.stderr.isatty(),  # a file or a pipe shall have what is written to it
    )


class Screen:
    """The rows that there are at the moment; without any, the terminal is as others know it."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._live: Live | None = None
        self._lock = threading.RLock()

    def add(self, row: Row) -> None:
        """Show a row from now on; of a stage that is counted, in place of the one before."""
        with self._lock:
            self.rows = [one for one in self.rows if one.stage != row.stage or None in (one.share, row.share)]
            self.rows.append(row)
            if self._live is None:
                self._live = live(self._picture, transient=True)
                self._live.start(refresh=True)

    def drop(self, row: Row) -> None:
        """Show a row no more."""
        with self._lock:
            if row in self.rows:
                self.rows.remove(row)
            if not self.rows and self._live:
                self._live.stop()
                self._live = None

    @contextmanager
    def keeping(self, *added: Row) -> Iterator[None]:
        """Show rows for the length of the block, at whose end also those go that have come since."""
        before = list(self.rows)
        try:
            for row in added:
                self.add(row)
            yield
        finally:
            for row in [row for row in self.rows if row not in before]:
                if row.parting:
                    print(readable(f"{row.stage:9} {row.parting}"), flush=True)
                self.drop(row)

    def _picture(self) -> RenderableType:
        rows = list(self.rows)
        counted = [row for row in rows if row.share is not None]
        return Picture(Line(row) for row in counted or rows[-1:])
