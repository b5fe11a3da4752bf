"""How far an experiment is, from its folder alone: whatever state that is in, and also after its cluster is gone.

The folder is listed once, and of its files only the small ones are read, many at a time: on an object store every
request takes its time.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from lms_ray.settings.candidates import grid
from lms_ray.settings.errors import AbsentError, BrokenError, ConfigError, MissingError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import attempts, encodings, identity, lineage, lock, missing, pool, rankings, soups
from lms_ray.store.attempts import Attempt, Use
from lms_ray.store.files import DONE, Store
from lms_ray.store.folder import Listed
from lms_ray.store.lock import Claim, Driver
from lms_ray.store.missing import Missing
from lms_ray.store.picks import PICKS
from lms_ray.store.requests import each

log = logging.getLogger(__name__)

LOST_AFTER = 5 * attempts.BEAT_EVERY  # seconds

State = Literal["done", "diverged", "training", "failed", "lost", "preempted", "stopped", "waiting"]
"""`failed`, `lost`, `preempted`, and `stopped` in order with its driver: what ended the last attempt; the candidate is
tried again, now or by a rerun."""
STAGES = ("sweep", "features", "ranking", "selection", "report")
REPORT = "report/report.html"
USES = TypeAdapter(list[Use])


@dataclass(frozen=True)
class Candidate:
    """What is known of one candidate."""

    id: str
    """Without the hash at its end where it is not begun."""
    state: State
    attempts: tuple[Attempt, ...] = ()
    """In the order in which they were begun."""
    dev_score: float | None = None
    reason: str = ""
    """The last line of what its failure left."""

    @property
    def losses(self) -> int:
        """How often its worker or node was lost without notice; with its driver, the last time only."""
        lost = sum(attempt.outcome == "lost" for attempt in self.attempts)
        return lost + (self.state == "lost" and bool(self.attempts) and self.attempts[-1].outcome is None)

    @property
    def preemptions(self) -> int:
        """How often its node was drained."""
        return sum(attempt.outcome == "preempted" for attempt in self.attempts)

    @property
    def uses(self) -> list[Use]:
        """What its attempts took; of one that is at work nothing is lost so far."""
        uses = [attempt.use for attempt in self.attempts]
        if self.state == "training":
            uses[-1] = uses[-1].model_copy(update={"lost": 0.0})
        return uses


@dataclass(frozen=True)
class Status:
    """How far an experiment is."""

    store: Store
    time: float
    """When it was looked at, in seconds since 1970."""
    experiment: Experiment | None
    """None: its configuration is broken."""
    candidates: tuple[Candidate, ...]
    wanted: int | None
    """Candidates that there will be; None where nobody knows yet."""
    holes: tuple[Missing, ...]
    """Those without which the sweep has ended, and that are not done since."""
    whole_pool: bool
    """Whether the sweep has ended with all of them, or with as many as there must be."""
    encoded: int
    """Candidates whose encodings are whole."""
    encoded_as_now: bool
    """Whether they were encoded by today's settings."""
    rankers: int
    """Grid points that are fitted."""
    ranked: bool
    picked: bool
    reported: bool
    uses: Mapping[str, Sequence[Use]]
    """By stage: all that was ever used for what is in the folder."""
    drivers: tuple[Claim, ...]

    def count(self, *states: State) -> int:
        """How many candidates are in these states."""
        return sum(candidate.state in states for candidate in self.candidates)

    @property
    def tuned(self) -> int:
        """Candidates that are done, also those that diverged."""
        return self.count("done", "diverged")

    @property
    def to_encode(self) -> int | None:
        """Candidates that are to be encoded."""
        absent = self.count("diverged") + (len(self.holes) if self.whole_pool else 0)
        return None if self.wanted is None else self.wanted - absent

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Stages that are not done; what comes after one that is not has to be done again."""
        encoded = self.encoded_as_now and self.encoded == self.to_encode
        done = (self.whole_pool, encoded, self.ranked, self.picked, self.reported)
        return STAGES[next((place for place, whole in enumerate(done) if not whole), len(STAGES)) :]

    @property
    def driver(self) -> Driver | None:
        """Who is at work."""
        return next((claim.driver for claim in self.drivers if claim.driver and not claim.is_gone(self.time)), None)


def read(store: Store) -> Status:
    """Look at an experiment; what is broken is logged, and counts as not there.

    Raises:
        ConfigError: there is no experiment in that folder.
        StorageError: the folder cannot be read.
    """
    if not store.exists(identity.CONFIGURATION):  # before all that is below some other folder is listed
        raise ConfigError(
            f"{store.key}: found no {identity.CONFIGURATION} in {store.where()}; accepted is an experiment's folder"
        )
    found = _Found(store)
    experiment, table, holes = _experiment(store), _pool(found), _holes(found)
    drivers, now = tuple(lock.claims(store)), time.time()
    beat = max((claim.modified for claim in drivers if not claim.is_gone(now)), default=None)
    cut: State = "lost" if drivers else "stopped"  # a driver that ends in order, also by Ctrl-C, gives up its claim
    given_up = {hole.id: hole for hole in holes}
    begun = {
        candidate.id: candidate
        for candidate in each(lambda name: _look(found, name, beat, cut, given_up.get(name)), found.in_(pool.FOLDER))
    }
    encoded, fitted, averaged = (
        dict(zip(units, each(found.done, units), strict=True))
        for units in (found.units(encodings.FOLDER), found.points, found.units(soups.FOLDER))
    )
    candidates = [begun.get(name) or Candidate(name, "waiting") for name in _names(found, experiment, table)]
    wanted, ranking = _wanted(experiment, table), found.done(rankings.UNIT)
    ranked = ranking is not None and _is_of(experiment, ranking, lineage.RANKING)
    tuned = [candidate.id for candidate in candidates if candidate.state in ("done", "diverged")]
    absent = len(holes) if experiment and len(holes) <= experiment.sweep.max_missing else 0
    return Status(
        store=store,
        time=now,
        experiment=experiment,
        candidates=tuple(candidates),
        wanted=wanted,
        holes=tuple(hole for hole in holes if hole.id not in tuned),
        whole_pool=table is not None
        and wanted is not None
        and len(table) == len(tuned) == wanted - absent
        and found.is_of(experiment, pool.PATH, lineage.CANDIDATES),
        encoded=sum(bool(encoded.get(encodings.unit(one.id))) for one in candidates if one.state != "diverged"),
        encoded_as_now=found.is_of(experiment, encodings.CORPORA, lineage.ENCODING),
        rankers=sum(record is not None for point, record in fitted.items() if point.startswith(found.latest_rankers)),
        ranked=ranked,
        picked=found.is_of(experiment, PICKS, lineage.SELECTION),
        reported=REPORT in found.files,
        uses={
            "sweep": [use for candidate in begun.values() for use in candidate.uses],
            "features": list(_uses(store, encoded)),
            "ranking": list(_uses(store, fitted)),
            "soups": list(_uses(store, averaged)),
        },
        drivers=drivers,
    )


class _Found:
    """What one list of the folder shows, and what its small files say."""

    def __init__(self, store: Store):
        self.store, self.files = store, store.listed(recursive=True)
        self.below: dict[str, dict[str, Listed]] = {}
        """Files below each folder, by their paths from there."""
        for path, listed in self.files.items():
            parts = path.split("/")
            for depth in range(1, len(parts)):
                self.below.setdefault("/".join(parts[:depth]), {})["/".join(parts[depth:])] = listed

    def in_(self, folder: str) -> list[str]:
        """Sorted names of the folders in a folder."""
        return sorted({name.partition("/")[0] for name in self.below.get(folder, ()) if "/" in name})

    def units(self, folder: str) -> list[str]:
        """Their paths."""
        return [f"{folder}/{name}" for name in self.in_(folder)]

    @property
    def points(self) -> list[str]:
        """Paths of the rankers' grid points."""
        return [point for group in self.units(rankings.UNIT) for point in self.units(group)]

    @property
    def latest_rankers(self) -> str:
        """The folder of rankers in which one was fitted last."""
        fitted = {group: self.below[group].items() for group in self.units(rankings.UNIT)}
        times = {
            group: max((listed.modified for name, listed in files if name.endswith(f"/{DONE}")), default=0.0)
            for group, files in fitted.items()
        }
        return max(times, key=lambda group: times[group], default="") + "/"

    def done(self, unit: str) -> dict[str, Any] | None:
        """The record of a unit of work that is done."""
        files = self.below.get(unit, {})
        return self.store.done(unit, {name: listed.size for name, listed in files.items()}) if DONE in files else None

    def is_of(self, experiment: Experiment | None, path: str, keys: Sequence[str]) -> bool:
        """Whether a table is there, and was made by today's settings."""
        try:
            return path in self.files and _is_of(experiment, self.store.read_origin(path), keys)
        except (AbsentError, BrokenError) as error:
            log.warning("%s", error)
            return False

    def attempts(self, unit: str) -> list[tuple[Attempt, float]]:
        """The attempts on a candidate, and when each was last written."""
        tried = []
        for name, listed in self.below.get(f"{unit}/{attempts.FOLDER}", {}).items():
            if name.startswith("."):
                continue
            path = f"{unit}/{attempts.FOLDER}/{name}"
            try:
                tried.append((attempts.parse(self.store.read_bytes(path), self.store.where(path)), listed.modified))
            except (AbsentError, BrokenError) as error:
                log.warning("%s; it is not counted", error)
        return sorted(tried, key=lambda each: each[0].place)


def _look(found: _Found, name: str, beat: float | None, cut: State, hole: Missing | None) -> Candidate:
    """What became of a candidate that was begun.

    Args:
        found: the folder.
        name: of the candidate.
        beat: when the driver was last heard of, None where none is at work; by the storage's clock as well as the
            times of the attempts.
        cut: what became of those that nobody is at work on any more, and of which nobody says how they ended.
        hole: what the last sweep that ended says of it, if it was given up.
    """
    unit = pool.unit(name)
    tried = found.attempts(unit)
    of_candidate = tuple(attempt for attempt, _ in tried)
    if record := found.done(unit):
        score = record.get("dev_score")
        return Candidate(
            name,
            "diverged" if record.get("diverged") else "done",
            of_candidate,
            dev_score=float(score) if isinstance(score, int | float) else None,
        )
    last, modified = tried[-1] if tried else (None, 0.0)
    if last and last.outcome is None:
        # NaN, where the storage does not say the time: believe that it is at work.
        is_at_work = beat is not None and not beat - modified > LOST_AFTER
        return Candidate(name, "training" if is_at_work else cut, of_candidate)
    state: State = "waiting"
    if last and last.outcome in ("failed", "lost", "preempted"):
        state = last.outcome
    elif hole:  # no attempt was recorded: its worker has died at once
        state = hole.state
    elif f"{unit}/{pool.ERROR}" in found.files:
        state = "failed"
    return Candidate(name, state, of_candidate, reason=_reason(found, unit) if state == "failed" else "")


def _reason(found: _Found, unit: str) -> str:
    """The last line of what a failure left."""
    path = f"{unit}/{pool.ERROR}"
    try:
        return pool.reason(found.store.read_bytes(path).decode(errors="replace")) if path in found.files else ""
    except AbsentError:
        return ""


def _names(found: _Found, experiment: Experiment | None, table: Sequence[str] | None) -> Sequence[str]:
    """Ids of the candidates that there are or will be, as far as it is known."""
    begun = found.in_(pool.FOLDER)
    if experiment is None or not grid(experiment.sweep):
        return begun if table is None else table
    by_setting: dict[str, list[str]] = {}
    for name in begun:
        by_setting.setdefault(name.rpartition("-")[0], []).append(name)

    def touched(name: str) -> float:
        return max(listed.modified for listed in found.below[pool.unit(name)].values())

    settings = (candidate.id("").rpartition("-")[0] for candidate in grid(experiment.sweep))
    # Several of one setting were made from other data or by other settings: the last one touched is today's.
    return [max(by_setting[setting], key=touched) if setting in by_setting else setting for setting in settings]


def _wanted(experiment: Experiment | None, table: Sequence[str] | None) -> int | None:
    if experiment is None or experiment.sweep.checkpoints:
        return None if table is None else len(table)
    return experiment.number_of_candidates


def _pool(found: _Found) -> list[str] | None:
    """The candidates with which a sweep has ended."""
    if pool.PATH not in found.files:
        return None
    try:
        return pool.read(found.store)["id"].tolist()
    except (BrokenError, MissingError) as error:
        log.warning("%s", error)
        return None


def _holes(found: _Found) -> tuple[Missing, ...]:
    """The candidates without which a sweep has ended."""
    if missing.PATH not in found.files:
        return ()
    try:
        return tuple(missing.read(found.store))
    except BrokenError as error:
        log.warning("%s", error)
        return ()


def _experiment(store: Store) -> Experiment | None:
    try:
        return identity.experiment(store)
    except BrokenError as error:
        log.warning("%s", error)
        return None


def _is_of(experiment: Experiment | None, origin: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Whether a result was made by today's settings, as far as it says by which."""
    found = origin.get("settings")
    if experiment is None or found is None:
        return True
    return not lineage.changed(experiment, keys, found)


def _uses(store: Store, records: Mapping[str, dict[str, Any] | None]) -> Iterator[Use]:
    """What finished units of work say that they took."""
    for unit, record in records.items():
        try:
            yield from USES.validate_python((record or {}).get("uses", ()))
        except ValidationError:
            log.warning("%s: what it took is not readable, and is not counted", store.where(unit))
