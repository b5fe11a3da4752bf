"""What a job says while it runs, for a terminal and for its log: lines of progress, and notes of what was left out."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lms_ray.pages.terminal import show
from lms_ray.settings.uris import without_credentials


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


class Progress:
    """Prints done, running, failed and lost units, speed and time left, at most once in `every` seconds.

    Args:
        stage: name in front of the line.
        unit: what is counted (`candidates`).
        total: how many there are.
        done: how many were finished before.
        every: seconds between lines.
    """

    def __init__(self, stage: str, unit: str, total: int, done: int = 0, every: float = 5.0):
        self.stage, self.unit, self.total, self.every = stage, unit, total, every
        self.before = self.done = done
        self.started = time.monotonic()
        self.printed = float("-inf")
        say(stage, f"{total} {unit}, {done} of them done before")

    @property
    def is_due(self) -> bool:
        """Whether the next line would be printed, also where it is not the last one."""
        return time.monotonic() - self.printed >= self.every

    def show(self, done: int, running: int | None = None, failed: int = 0, lost: int = 0) -> None:
        """Report the state; the last unit's line is always printed."""
        self.done = done
        left = self.total - done - failed - lost
        if not self.is_due and left > 0:
            return
        self.printed = now = time.monotonic()
        line = f"{done}/{self.total} done"
        if running is not None:
            line += f", {running} running, {failed} failed" + f", {lost} lost" * bool(lost)
        fresh = done - self.before
        if fresh:
            rate = fresh / (now - self.started)
            line += f", {rate * 3600:.0f} {self.unit}/h, {span(left / rate)} left"
        say(self.stage, line)


def span(seconds: float) -> str:
    """A length of time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
