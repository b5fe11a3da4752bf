"""`candidates/<id>/attempts/<started>-<token>.json`: every attempt to fine-tune a candidate, and what it took.

    with recorded(store, pool.unit(candidate), machine, examples=12544, planned=4) as attempt:
        attempt.tell("begun", 0)

Each attempt writes a file of its own, and renews it about once a minute. So the storage alone tells what a machine
that was lost had cost: when it was last heard of, and which of its epochs are safe. How it ended is said by the attempt
itself, or else by the driver. Work never waits for this record, nor ends for want of it.
"""

import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from lms_ray.settings.base import Model
from lms_ray.settings.errors import BrokenError, StorageError
from lms_ray.settings.resources import Counted
from lms_ray.store.files import Store

Event = Literal["begun", "ended", "saved"]
Cause = Literal["failed", "lost", "preempted"]
"""What ended an attempt that did not end well: an error of its own; its worker or node was lost without notice; its
node was drained."""
FOLDER = "attempts"  # of a candidate
BEAT_EVERY = 60.0  # seconds


class Recorded(BaseModel):
    """What is recorded is read as strictly as a configuration."""

    model_config = Model.model_config


class Machine(Counted, Recorded):
    """Where something ran, and how much of it was taken."""

    host: str
    market: str | None
    """`spot` or `on-demand`, as its node is labelled; None where it is not."""
    accelerator: str | None
    """Name of the GPU; None where none was used."""
    cpus: float
    gpus: float


class Use(Recorded):
    """How long a machine was used, in seconds."""

    machine: Machine
    seconds: float
    lost: float = 0.0
    """Of these, work that was lost with its machine or its driver."""
    failed: float = 0.0
    """Of these, work that ended in an error."""
    work: float = 0.0
    """What was done in them: examples passed through a model, once for each epoch in training; rankers."""


def by_machine(uses: Iterable[Use]) -> list[Use]:
    """One use of each machine, its seconds and work summed up."""
    of_machine: dict[Machine, list[Use]] = {}
    for use in uses:
        of_machine.setdefault(use.machine, []).append(use)
    return [
        Use(machine=machine, seconds=sum(use.seconds for use in some), work=sum(use.work for use in some))
        for machine, some in of_machine.items()
    ]


class Attempt(Recorded):
    """One attempt to fine-tune a candidate; times are in seconds since 1970, by its machine's clock when it began."""

    machine: Machine
    number: int = 0
    """Which attempt at the candidate it is, from 1; 0 where it was not counted yet. Clocks of machines differ."""
    run: str = ""
    """Token of the driver's run."""
    examples: int
    """Of one epoch."""
    planned: int
    """Epochs of the whole candidate."""
    started: float
    seen: float
    """When it was last heard of."""
    first: int = 0
    """Epochs that earlier attempts had saved."""
    epochs: int = 0
    """Epochs that are done, those of earlier attempts included."""
    saved: float | None = None
    """When the last epoch had ended that this attempt has saved."""
    ended: float | None = None
    outcome: Literal["done"] | Cause | None = None
    """None: it is at work, or was lost together with its driver."""

    @property
    def place(self) -> tuple[int, float]:
        """By which attempts are put in order: their numbers, and for those that have none their clocks."""
        return self.number, self.started

    @property
    def use(self) -> Use:
        """What it took; lost or failed is what comes after the last saved epoch."""
        last = self.ended or self.seen
        unsaved = last - (self.saved or self.started)
        return Use(
            machine=self.machine,
            seconds=last - self.started,
            lost=unsaved if self.outcome in (None, "lost", "preempted") else 0.0,
            failed=unsaved if self.outcome == "failed" else 0.0,
            work=self.examples * (self.epochs - self.first),
        )


class Running:
    """The record of an attempt that is at work."""

    def __init__(self, store: Store, path: str, attempt: Attempt):
        self.store, self.path, self.attempt = store.hasty(), path, attempt
        self.began = time.monotonic()
        self.lock = threading.Lock()
        self.ended_at: dict[int, float] = {}
        self.renew()

    def tell(self, event: Event, epochs: int) -> None:
        """Hear how far the training is.

        Args:
            event: it has `begun` after so many epochs, one more has `ended`, or a state is `saved`: in the storage,
                which may be later, and said by another thread.
            epochs: how many were done then.
        """
        match event:
            case "begun":
                self.renew(first=epochs, epochs=epochs)
            case "ended":
                self.ended_at[epochs] = self.now()
                self.renew(epochs=epochs)
            case "saved":
                self.renew(saved=self.ended_at[epochs])

    def now(self) -> float:
        """Its start and what has passed since, whatever becomes of the machine's clock."""
        return self.attempt.started + time.monotonic() - self.began

    def renew(self, **changes: Any) -> None:
        """Write what is known now."""
        with self.lock:
            self.attempt = self.attempt.model_copy(update={"seen": self.now(), **changes})
            with suppress(StorageError):
                self.store.write_json(self.path, self.attempt.model_dump())


@contextmanager
def recorded(
    store: Store, unit: str, machine: Machine, examples: int, planned: int, run: str = ""
) -> Iterator[Running]:
    """Record an attempt for the length of the block.

    Args:
        store: the experiment's folder.
        unit: the candidate's folder.
        machine: where it runs.
        examples: of one epoch.
        planned: epochs of the whole candidate.
        run: token of the driver's run.
    """
    now, number = time.time(), 0
    with suppress(StorageError):
        number = 1 + len(_names(store, unit))
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}-{uuid.uuid4().hex[:8]}.json"
    attempt = Attempt(
        machine=machine, number=number, run=run, examples=examples, planned=planned, started=now, seen=now
    )
    running = Running(store, f"{unit}/{FOLDER}/{name}", attempt)
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(running, stop), daemon=True, name="attempt")
    beating.start()
    ended: dict[str, Any] = {}
    try:
        yield running
        ended = {"outcome": "done"}
    except Exception:
        ended = {"outcome": "failed"}
        raise
    finally:
        stop.set()
        beating.join()
        if ended:  # else this process is being ended, and the attempt counts as lost
            running.renew(ended=running.now(), **ended)


def close(store: Store, unit: str, run: str, cause: Cause) -> None:
    """Say what ended those attempts at a candidate, of one run of the driver, that did not say it themselves.

    Raises:
        StorageError: the storage does not do it.
    """
    for name in _names(store, unit):
        path = f"{unit}/{FOLDER}/{name}"
        try:
            attempt = parse(store.read_bytes(path), store.where(path))
        except BrokenError:
            continue  # `status` names it
        if attempt.run == run and attempt.outcome is None:
            store.write_json(path, attempt.model_copy(update={"outcome": cause}).model_dump())


def parse(content: bytes, where: str) -> Attempt:
    """An attempt from its file.

    Raises:
        BrokenError: it is none.
    """
    try:
        return Attempt.model_validate_json(content)
    except ValidationError:
        raise BrokenError(f"{where}: broken; it is no record of an attempt") from None


def _names(store: Store, unit: str) -> list[str]:
    """Files of the attempts; one that is being written has another name."""
    return [name for name in store.names(f"{unit}/{FOLDER}") if not name.startswith(".")]


def _beat(running: Running, stop: threading.Event) -> None:
    while not stop.wait(BEAT_EVERY):
        running.renew()
