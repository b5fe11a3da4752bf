"""How far something is that can be counted, how fast, and for how long: in words."""

import time
from dataclasses import dataclass


@dataclass(eq=False)
class Count:
    """How far something is that can be counted: a row of bars."""

    stage: str
    unit: str
    total: int
    done: int
    shows_time: bool = True
    """Whether it was begun with this count, so that it can say for how long it has been at work."""
    running: int | None = None
    failed: int = 0
    lost: int = 0
    given_up: int = 0
    """Units that will not be done: of those that failed and were lost, the ones that are not tried again."""

    def __post_init__(self) -> None:
        self.before, self.started = self.done, time.monotonic()
        self.last = self.started
        """When the last unit was done."""

    def tell(self, done: int, running: int | None = None, failed: int = 0, lost: int = 0, given_up: int = 0) -> None:
        """Hear how far it is now."""
        if done != self.done:
            self.last = time.monotonic()
        self.done, self.running, self.failed, self.lost, self.given_up = done, running, failed, lost, given_up

    @property
    def left(self) -> int:
        """Units that are to be done yet."""
        return self.total - self.done - self.given_up

    @property
    def share(self) -> float:
        """Of the bar that is filled."""
        return 1 - self.left / self.total if self.total else 1.0

    @property
    def parting(self) -> str:
        """The line that stays of the bar."""
        return self.line(time.monotonic())

    def line(self, now: float) -> str:
        """As a line of a log."""
        said = [f"{self.done}/{self.total} done"]
        if self.running is not None:
            said += [f"{self.running} running", f"{self.failed} failed", *[f"{self.lost} lost"] * bool(self.lost)]
        if rate := self._rate(now):
            said += [speed(rate, self.unit), f"{span(self.left / rate)} left"]
        return ", ".join(said)

    @property
    def words(self) -> list[str]:
        """What stands beside the bar, with more and with less."""
        now = time.monotonic()
        rate = self._rate(self.last)  # to the end of the last unit: else the time left would grow until the next one
        long, short = [f"{self.done}/{self.total} {self.unit}"], [f"{self.done}/{self.total}"]
        running = [] if self.running is None else [f"{self.running} running"]
        also = [f"{number} {how}" for number, how in ((self.failed, "failed"), (self.lost, "lost")) if number]
        fast = [speed(rate)] if rate else []
        since = [f"for {span(now - self.started)}"] if self.shows_time else []
        left = [f"{span(max(0.0, self.left / rate - (now - self.last)))} left"] if rate else []
        variants = (
            [*long, *running, *also, *fast, *since, *left],
            [*long, *running, *also, *fast, *left],
            [*short, *running, *also, *fast, *left],
            [*short, *running, *also, *left],
            [*short, *also, *left],
            [*short, *also],
        )
        return [", ".join(parts) for parts in variants]

    def _rate(self, now: float) -> float:
        """Units a second; 0 where none was done since it was begun."""
        return (self.done - self.before) / max(now - self.started, 1e-3)


def speed(rate: float, unit: str = "") -> str:
    """So many units a second, in the length of time in which that is a number to read: `428 candidates/h`."""
    for_each = {"h": 3600 * rate, "min": 60 * rate, "s": rate}
    time_unit, number = next(((name, number) for name, number in for_each.items() if number < 10_000), ("s", rate))
    shown = f"{number:.1f}" if number < 10 else f"{number:.0f}"
    return f"{shown} {unit}/{time_unit}" if unit else f"{shown}/{time_unit}"


def span(seconds: float) -> str:
    """A length of time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 72 * 60 else f"{minutes / 60 / 24:.1f} days"
