"""What a job says while it runs: bars in a terminal, lines of progress in a log, and notes of what was left out."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lms_ray.pages.counting import Count, span
from lms_ray.pages.terminal import can_redraw, show
from lms_ray.settings.uris import without_credentials

if TYPE_CHECKING:
    from lms_ray.pages.bars import Screen

BAR_EVERY = 0.5  # seconds between two counts for a bar
_screen: "Screen | None" = None
"""Where there are bars at the moment."""


def say(stage: str, line: str) -> None:
    """Print a line of a stage, in the column of all such lines."""
    show(f"{stage:9} {line}")


class Notes(logging.Handler):
    """Keeps what the package's modules log: what was converted, cut or left out, with counts.

    Args:
        corpus: named in front of what tokenisation logs, which does not know what it works on.
    """

    def __init__(self, corpus: str = ""):
        super().__init__()
        self.corpus = corpus
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        of_tokenisation = self.corpus and record.name.startswith("lms_ray.tasks")
        self.lines.append(f"{self.corpus}: {record.getMessage()}" if of_tokenisation else record.getMessage())


class ShownNotes(Notes):
    """Prints each note once: several shards or workers may have the same to say."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        line = without_credentials(record.getMessage())
        if line not in self.lines:
            self.lines.append(line)
            say("note", line)


@contextmanager
def noting(notes: Notes) -> Iterator[Notes]:
    """Hear the package's modules for the length of the block, in place of whoever heard them before."""
    package = logging.getLogger("lms_ray")
    level, handlers = package.level, package.handlers
    package.setLevel(logging.INFO)
    package.handlers = [notes]
    try:
        yield notes
    finally:
        package.handlers = handlers
        package.setLevel(level)


@contextmanager
def telling() -> Iterator[None]:
    """Tell a user for the length of the block: notes as lines, and progress as bars where stdout is a terminal."""
    global _screen
    with noting(ShownNotes()):
        if _screen or not can_redraw():
            yield
            return
        from lms_ray.pages.bars import Screen  # what rich takes to start is for a terminal only

        _screen = Screen()
        try:
            with _screen.keeping():
                yield
        finally:
            _screen = None


def end_bars() -> None:
    """Give the terminal back, in a process that ends at once and leaves no block."""
    if _screen:
        for row in list(_screen.rows):
            _screen.drop(row)


@dataclass(eq=False)
class _Waiting:
    """A row for what cannot be counted."""

    stage: str
    text: str
    since: float = field(default_factory=time.monotonic)
    share: None = None
    parting: None = None

    @property
    def words(self) -> list[str]:
        return [f"{self.text}, for {span(time.monotonic() - self.since)}"]


@contextmanager
def waiting(stage: str, text: str, in_log: bool = False) -> Iterator[None]:
    """Show that something goes on which cannot be counted, for the length of the block; bars take its place.

    Args:
        stage: name in front of the line.
        text: what goes on.
        in_log: say it also where there are no bars, in a line.
    """
    if _screen:
        with _screen.keeping(_Waiting(stage, text)):
            yield
        return
    if in_log:
        say(stage, f"{text} ...")
    yield


class Progress:
    """Shows done, running, failed and lost units, speed and time left: as a bar, or a line in every `every` seconds.

    Args:
        stage: name in front of the line.
        unit: what is counted (`candidates`).
        total: how many there are.
        done: how many were finished before.
        every: seconds between lines.
    """

    def __init__(self, stage: str, unit: str, total: int, done: int = 0, every: float = 5.0):
        self.count, self.every = Count(stage, unit, total, done), every
        self.shown = float("-inf")
        self.is_bar = _screen is not None and done < total
        if _screen and self.is_bar:  # which is kept nowhere else: Tune pickles its callbacks, and this with them
            _screen.add(self.count)
        else:
            say(stage, f"{total} {unit}, {done} of them done before")

    @property
    def done(self) -> int:
        """Units that are done."""
        return self.count.done

    @property
    def is_due(self) -> bool:
        """Whether the next state would be shown, also where it is not the last one."""
        return time.monotonic() - self.shown >= (BAR_EVERY if self.is_bar else self.every)

    def show(self, done: int, running: int | None = None, failed: int = 0, lost: int = 0) -> None:
        """Report the state; the last unit's line is always printed."""
        self.count.tell(done, running, failed, lost, given_up=failed + lost)
        if not self.is_due and self.count.left > 0:
            return
        self.shown = now = time.monotonic()
        if self.is_bar and self.count.left > 0:
            return
        say(self.count.stage, self.count.line(now))
        if _screen and self.is_bar:
            _screen.drop(self.count)
        self.is_bar = False
