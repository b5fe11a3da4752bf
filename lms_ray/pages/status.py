"""How far an experiment is, for a terminal or a log."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import shorten
from typing import get_args

from tabulate import tabulate

from lms_ray.pages.commands import export_command
from lms_ray.pages.cost import Prices, bill, spent
from lms_ray.pages.counting import span
from lms_ray.pages.progress import Notes, noting
from lms_ray.pages.terminal import readable, show
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.uris import split, without_credentials
from lms_ray.store import identity, status
from lms_ray.store.files import Store
from lms_ray.store.status import Candidate, State, Status

FEW = 30  # candidates that are listed without being asked for
LONGEST = 80  # letters of a reason, in a table


def show_status(path: str, all_candidates: bool = False) -> None:
    """Print what is done, what failed, who is at work, what it cost, and how to go on.

    Args:
        path: the experiment's folder, local path or URI.
        all_candidates: list each candidate, however many they are.

    Raises:
        ConfigError: there is no experiment in that folder.
        StorageError: the folder cannot be read.
    """
    with noting(Notes()) as notes:
        found = status.read(Store(path, "PATH"))
    show("\n".join([*notes.lines, *lines(found, all_candidates)]))


def lines(found: Status, all_candidates: bool) -> Iterator[str]:
    """All that there is to say of an experiment."""
    yield from (stage_line(found, stage) for stage in status.STAGES)
    yield from drivers(found)
    if found.candidates and (all_candidates or len(found.candidates) <= FEW):
        yield ""
        yield from table(found.candidates, found.time)
    else:
        yield from unwell(found)
    yield ""
    yield from bill(spent(found.uses), Prices.of(found.experiment))
    yield ""
    yield from how_to_go_on(found)


def unwell(found: Status) -> Iterator[str]:
    """Of many candidates, how many are in a state that is not as it should be, and one of them."""
    for state in ("failed", "lost", "preempted", "stopped"):
        if some := [candidate for candidate in found.candidates if candidate.state == state]:
            yield f"{len(some)} {state}, among them {some[0].id}: {_what_happened(some[0], found.time)}"


def counted(found: Status, stage: str) -> tuple[int, int | None, str] | None:
    """How many units of a stage are done, how many there are if that is known, and what they are; None without any."""
    rankers = None if found.experiment is None else found.experiment.number_of_rankers
    return {
        "sweep": (found.tuned, found.wanted, "candidates"),
        "features": (found.encoded, found.to_encode, "candidates"),
        "ranking": (found.rankers, rankers, "rankers"),
    }.get(stage)


def stage_line(found: Status, stage: str) -> str:
    """A stage, whether it is done, and how far it is."""
    told = ""
    if of_stage := counted(found, stage):
        done, total, unit = of_stage
        told = f"{done}/{'?' if total is None else total} {unit}"
    if stage == "sweep":
        numbers = {state: found.count(state) for state in get_args(State) if found.count(state)}
        listed = ", ".join(f"{number} {state}" for state, number in numbers.items())
        told += "" if numbers.keys() <= {"done"} else f": {listed}"
    if stage == "report" and found.reported:
        told = found.store.where(status.REPORT) + ", which is older than what is missing" * (stage in found.missing)
    return f"{'·' if stage in found.missing else '✓'} {stage:10} {told}".rstrip()


def drivers(found: Status) -> Iterator[str]:
    """Who is at work, or was."""
    for claim in found.drivers:
        who = claim.driver or f"{found.store.where(claim.path)}: broken"
        gone = "; it is gone" if claim.is_gone(found.time) else ""
        yield f"driver: {who}, last heard of {max(0.0, found.time - claim.modified):.0f} s ago{gone}"
    if not found.drivers:
        yield "driver: none"


def table(candidates: Sequence[Candidate], now: float) -> list[str]:
    """A line for each candidate, below a header."""
    header = ("candidate", "state", "attempts", "device", "market", "time", "dev score")
    rows = [[readable(cell) for cell in _row(candidate, now)] for candidate in candidates]
    return tabulate(rows, header, tablefmt="plain", disable_numparse=True).splitlines()


def _row(candidate: Candidate, now: float) -> tuple[str, ...]:
    last = candidate.attempts[-1] if candidate.attempts else None
    state: str = candidate.state
    if last and candidate.state == "training":
        epoch, begun = min(last.epochs + 1, last.planned), _since(last.started, now)
        state = f"training epoch {epoch} of {last.planned}, for {begun}"
    elif candidate.state == "failed":
        state = f"failed: {_what_happened(candidate, now)}"
    elif candidate.state in ("lost", "preempted", "stopped"):
        state = f"{candidate.state} {_what_happened(candidate, now)}"
    if candidate.preemptions and candidate.state != "preempted":
        state += f", preempted {_times(candidate.preemptions)}"
    return (
        candidate.id,
        state,
        str(len(candidate.attempts) or "-"),
        (last.machine.accelerator or "CPU") if last else "-",
        (last.machine.market or "-") if last else "-",
        span(sum(attempt.use.seconds for attempt in candidate.attempts)) if last else "-",
        "-" if candidate.dev_score is None or candidate.state == "diverged" else f"{candidate.dev_score:.4f}",
    )


def _since(then: float, now: float) -> str:
    return span(max(0.0, now - then))  # they are by the clocks of two machines


def _what_happened(candidate: Candidate, now: float) -> str:
    """Why a candidate failed; or where it was lost, preempted or stopped, and how often."""
    if candidate.state == "failed":
        return shorten(candidate.reason, LONGEST) or "nothing says why"
    if not candidate.attempts:
        return "before anything was recorded"
    last = candidate.attempts[-1]
    often = {"lost": candidate.losses, "preempted": candidate.preemptions}.get(candidate.state, 1)
    where = f"in epoch {min(last.epochs + 1, last.planned)} of {last.planned}, {_since(last.seen, now)} ago"
    return where if often == 1 else f"{where}, {_times(often)} so far"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def how_to_go_on(found: Status) -> Iterator[str]:
    """What is missing, and the command that does it; or what to do with what is done."""
    if not found.missing:
        yield "done"
        if found.experiment:
            target = found.experiment.picked_for[0]
            yield f"to use a pick: {export_command(found.store.where(), target)}"
        return
    yield f"missing: {', '.join(found.missing)}"
    if found.holes and "sweep" in found.missing and not found.driver:
        yield (
            f"{len(found.holes)} candidates were given up; they are tried again, or the job goes on without them with "
            f"sweep.max_missing={len(found.holes)}"
        )
    if found.driver:
        yield f"{found.driver} is at work on it"
    elif found.experiment is None:
        yield "to go on, give the command again with which it was begun: its experiment.yaml is broken"
    elif found.store.is_local:
        yield f"to go on: {_command(found.store.where(identity.CONFIGURATION), found.experiment, found.store)}"
    else:
        yield f"to go on, copy {found.store.where(identity.CONFIGURATION)} to where you start or submit jobs, then"
        yield f"  {_command(identity.CONFIGURATION, found.experiment, found.store)}"


def _command(configuration: str, experiment: Experiment, store: Store) -> str:
    """What goes on with an experiment, also where its folder was moved or its `storage` is relative to another."""
    words = ["python", "-m", "lms_ray.sweep", configuration]
    folder = without_credentials(split(experiment.folder)[0])
    if (folder if "://" in folder else str(Path(folder).absolute())) != store.where():
        storage, _, name = store.where().rpartition("/")
        words += [f"storage={storage}", *([] if name == experiment.name else [f"name={name}"])]
    return shlex.join(words)
