"""How far an experiment is, again and again until all is done: bars in a terminal, lines otherwise."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lms_ray.pages import status as page
from lms_ray.pages.cost import Prices, bill, spent
from lms_ray.pages.counting import Count
from lms_ray.pages.progress import Notes, noting
from lms_ray.pages.terminal import can_redraw, show
from lms_ray.settings.errors import ConfigError
from lms_ray.store import status
from lms_ray.store.files import Store
from lms_ray.store.status import Status

NOTHING = "nothing yet; its data are being read, or no job has begun"
Take = Callable[[Status | None, Sequence[str]], None]
"""Shows a look: what was found, None before there is anything; and what is broken."""


def watch(path: str, every: float, all_candidates: bool = False) -> None:
    """Show the status again and again, until everything is done or Ctrl-C; an experiment may yet have to begin.

    Args:
        path: the experiment's folder, local path or URI.
        every: seconds between two looks.
        all_candidates: list each candidate, however many they are.

    Raises:
        StorageError: the folder cannot be read.
    """
    store = Store(path, "PATH")
    try:
        with (_redrawing if can_redraw() else _printing)(store, all_candidates) as take:
            while True:
                with noting(Notes()) as notes:
                    found = _look(store)
                take(found, list(dict.fromkeys(notes.lines)))
                if found and not found.missing:
                    return
                time.sleep(every)
    except KeyboardInterrupt:
        return


def _look(store: Store) -> Status | None:
    try:
        return status.read(store)
    except ConfigError:
        return None


def _text(store: Store, found: Status, faults: Sequence[str], all_candidates: bool) -> str:
    return "\n".join([_heading(store, found), *faults, *page.lines(found, all_candidates)])


def _heading(store: Store, found: Status) -> str:
    return f"{store.where()} at {time.strftime('%H:%M:%S', time.localtime(found.time))}"


@contextmanager
def _printing(store: Store, all_candidates: bool) -> Iterator[Take]:
    """Every look as lines below those of the one before."""

    def take(found: Status | None, faults: Sequence[str]) -> None:
        show(f"{_text(store, found, faults, all_candidates)}\n" if found else f"{store.where()}: {NOTHING}")

    yield take


@contextmanager
def _redrawing(store: Store, all_candidates: bool) -> Iterator[Take]:
    """Every look in the place of the one before, with bars; the last one stays, as lines."""
    from lms_ray.pages import bars  # what rich takes to start is for a terminal only

    counts, last = dict[str, Count](), ""
    picture = bars.Picture([bars.Line(_Working(store.where(), [NOTHING]))])

    def take(found: Status | None, faults: Sequence[str]) -> None:
        nonlocal picture, last
        if found is None:
            return
        rows = [_row(found, stage, counts) for stage in status.STAGES]
        stages = [bars.Cropped(row) if isinstance(row, str) else bars.Line(row) for row in rows]
        above, below = [_heading(store, found), *faults], _below(found, all_candidates)
        picture = bars.Picture([*map(bars.Cropped, above), *stages, *map(bars.Cropped, below)])
        last = _text(store, found, faults, all_candidates)

    try:
        with bars.live(lambda: picture, transient=True):
            yield take
    finally:
        if last:
            show(last)


@dataclass
class _Working:
    """The row of a stage of which the storage does not tell how far it is."""

    stage: str
    words: Sequence[str] = ("at work",)
    share: None = None
    parting: None = None


def _row(found: Status, stage: str, counts: dict[str, Count]) -> "str | Count | _Working":
    """A line, or for the stage that is at work a row; its speed is that since the first look.

    Args:
        found: what there is now.
        stage: of the road.
        counts: the rows of earlier looks, by stage.
    """
    if not (found.driver and found.missing[:1] == (stage,)):
        return page.stage_line(found, stage)
    name = f"> {stage:10}"
    done, total, unit = page.counted(found, stage) or (0, None, "")
    if not total:
        return _Working(name)
    count = counts.get(stage)
    if count is None or count.total != total:
        count = counts[stage] = Count(name, unit, total, done, shows_time=False)
    if stage == "sweep":
        count.tell(done, found.count("training"), found.count("failed"), found.count("lost"))
    else:
        count.tell(done)
    return count


def _below(found: Status, all_candidates: bool) -> list[str]:
    """What stands below the stages: candidates come last, where a terminal may have no room for them."""
    listed = [one for one in found.candidates if all_candidates or one.state == "training"]
    return [
        *page.drivers(found),
        *page.unwell(found),
        "",
        *bill(spent(found.uses), Prices.of(found.experiment)),
        "",
        *page.how_to_go_on(found),
        *(["", *page.table(listed, found.time)] if listed else []),
    ]
