"""When a candidate is given up: what ended each attempt at it, as Ray says it, counted in the driver's memory.

Tune counts every error alike. Here a candidate's own faults are counted apart from workers that were lost without
notice, and nodes that were drained are counted for neither. Every error is counted, wherever it comes from: also in the
setting up of a worker, and where the storage cannot be read or the worker dies before it has recorded anything. So only
what is preempted is tried without an end, and no clock is asked. A rerun of the driver begins to count anew.
"""

import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from ray import cloudpickle
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.tune.experiment import Trial

from lms_ray.cluster.order import InOrder
from lms_ray.settings.candidates import Candidate, Sweep
from lms_ray.settings.errors import AbsentError, FullError, StorageError
from lms_ray.settings.uris import without_credentials
from lms_ray.store import attempts, pool
from lms_ray.store.attempts import Cause
from lms_ray.store.files import Store
from lms_ray.store.missing import Missing

log = logging.getLogger(__name__)

SILENT = "nothing says why"
LONGEST = 200  # letters of a reason, in a line


@dataclass(frozen=True)
class Ending:
    """What ended an attempt."""

    cause: Cause
    reason: str
    """One line."""
    text: str
    """All that is known of it, such as a traceback."""
    is_full: bool = False
    """Whether there was no room in the storage."""

    @classmethod
    def of(cls, error: BaseException) -> "Ending":
        """From what Ray raises for the attempt's worker."""
        text = without_credentials(str(error))
        last = shorten(pool.reason(text), LONGEST)
        if isinstance(error, RayTaskError):
            cause = error.cause
            if isinstance(cause, RayActorError):
                return cls.of(cause)
            # An object that was lost with its node, or the like: nothing that the candidate does.
            return cls("lost" if isinstance(cause, RayError) else "failed", last, text, isinstance(cause, FullError))
        if isinstance(error, RayActorError):
            is_own = error.actor_init_failed  # in the setting up of its worker
            return cls("failed" if is_own else "preempted" if error.preempted else "lost", last, text)
        return cls.of_text(text)

    @classmethod
    def of_text(cls, text: str) -> "Ending":
        """From what Tune or Ray itself says, such as that a worker was killed for memory: the first line says what."""
        what = shorten(text.strip().partition("\n")[0], LONGEST)
        return cls("failed", what, f"{text}\n{what}")  # it is read from its end, as a traceback


@dataclass
class _Tried:
    """What befell a candidate in this run."""

    endings: list[Ending] = field(default_factory=list)

    def count(self, cause: Cause) -> int:
        return sum(ending.cause == cause for ending in self.endings)


class Tries:
    """How often candidates were tried in this run of the driver, and which of them are given up.

    Args:
        store: the experiment's folder.
        config_hash: see `Recipe.config_hash`.
        sweep: how often a candidate may fail and be lost.
    """

    def __init__(self, store: Store, config_hash: str, sweep: Sweep):
        self.store, self.config_hash, self.sweep = store, config_hash, sweep
        self.run = uuid.uuid4().hex[:8]
        """Token of this run, which each attempt bears."""
        self.holes: dict[Candidate, Missing] = {}
        """Candidates that are given up."""
        self._tried: dict[Candidate, _Tried] = {}

    @property
    def befallen(self) -> list[Candidate]:
        """Candidates of which an attempt has ended badly."""
        return list(self._tried)

    def count(self, candidate: Candidate, ending: Ending) -> None:
        """Hear what ended an attempt, and keep beside the candidate what it could not say itself."""
        tried = self._tried.setdefault(candidate, _Tried())
        tried.endings.append(ending)
        name = candidate.id(self.config_hash)
        unit = pool.unit(name)
        with suppress(StorageError):  # what counts is counted
            attempts.close(self.store, unit, self.run, ending.cause)
        hole = self._hole(name, tried)
        log.warning(
            "%s: %s for the %s time%s: %s",
            name, ending.cause, _ordinal(tried.count(ending.cause)), " and is given up" if hole else "",
            ending.reason or SILENT,
        )  # fmt: skip
        if not hole:
            return
        self.holes[candidate] = hole
        with suppress(StorageError):
            if ending.is_full:
                pool.make_room(self.store, name, resume=True)
            # The worker itself has written it, with its own traceback, if it was able to.
            if ending.cause != "failed" or self._said(unit) != ending.reason:
                self.store.write_bytes(f"{unit}/{pool.ERROR}", ending.text.encode())

    def _said(self, unit: str) -> str | None:
        """The reason that is kept beside a candidate."""
        try:
            return shorten(pool.reason(self.store.read_bytes(f"{unit}/{pool.ERROR}").decode()), LONGEST)
        except AbsentError:
            return None

    def errors(self, candidate: Candidate) -> int:
        """How often an attempt at a candidate has ended badly."""
        return len(self._tried.get(candidate, _Tried()).endings)

    def given_up(self, candidate: Candidate) -> Missing | None:
        """What there is to say of a candidate that is not tried again in this run; None of any other."""
        return self.holes.get(candidate)

    def _hole(self, name: str, tried: _Tried) -> Missing | None:
        failures, losses, preemptions = (tried.count(cause) for cause in ("failed", "lost", "preempted"))
        if failures > self.sweep.max_failures:
            last = next(ending for ending in reversed(tried.endings) if ending.cause == "failed")
            return Missing(name, "failed", failures, losses, preemptions, last.reason or SILENT)
        if losses > self.sweep.max_losses:
            reason = f"its worker or node was lost {losses} times"
            return Missing(name, "lost", failures, losses, preemptions, reason)
        return None


class Patience(InOrder):
    """Tune's scheduler: trials in their order, each until it is done or its candidate is given up.

    Args:
        tries: counts.
        places: see `InOrder`.
    """

    def __init__(self, tries: Tries, places: Callable[[], int]):
        super().__init__(places)
        self.tries = tries

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Count what ended an attempt; Tune tells of each, also where it goes on."""
        super().on_trial_error(tune_controller, trial)
        self.tries.count(candidate_of(trial), _ending_of(trial))

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Stop a trial in place of trying it again: it is added anew after each error."""
        super().on_trial_add(tune_controller, trial)
        if hole := self.tries.given_up(candidate_of(trial)):
            trial.update_last_result({**trial.last_result, "done": True, "given_up": hole.state})  # else Tune prints it
            tune_controller.stop_trial(trial)


def _ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ..."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def candidate_of(trial: Trial) -> Candidate:
    """The candidate of one of Tune's trials."""
    return Candidate(**trial.config["candidate"])


def killed_for_memory(error: BaseException | None) -> OutOfMemoryError | None:
    """Ray's own word, among the causes of an error, that it has killed a worker for its node's memory."""
    while error is not None:
        if isinstance(error, OutOfMemoryError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _ending_of(trial: Trial) -> Ending:
    """What Tune has just written of the error that ended an attempt."""
    said = ""
    with suppress(OSError):
        if trial.error_file:
            said = Path(trial.error_file).read_text().rpartition("Failure # ")[2].partition("\n")[2]
    if trial.pickled_error_file and (path := Path(trial.pickled_error_file)).exists():
        try:
            return Ending.of(cloudpickle.loads(path.read_bytes()))
        except Exception as error:  # of a class that cannot be unpickled here
            return Ending.of_text(f"{said}\n{error}")
        finally:
            path.unlink()  # Tune pickles no other kind of error, and this one would be taken for the next
    return Ending.of_text(said)
