"""One driver at a time writes into an experiment folder.

A driver's claim is a file of its own, `drivers/<token>.json`: who it is, and whether it only asks for the experiment or
holds it. The storage must give three things, which local disks, NFS and object stores do: a file appears whole, a list
shows every file that was written before, and the times of files come from one clock. A driver that wants to work

1. writes its claim, which asks;
2. lists the claims and removes those of drivers that are gone;
   where another one holds, it withdraws and is refused;
   where others ask as well, the lowest token looks again until it is alone, and all others withdraw;
3. once it is alone, writes that it holds, looks whether it is still alone, and works;
4. renews its claim every `BEAT_EVERY` seconds, and stops where that claim is gone or another driver holds as well;
5. removes its claim when it ends.

No two pass: each lists after it has written, so of two the later writer sees the earlier one's claim.

A driver on this machine (same host name, boot and process id namespace, so no container's process is mistaken for
another's) is gone when its process has ended. Any other is gone when its claim has not been renewed for `STALE_AFTER`
seconds, on the storage's clock: the time of the own claim, just written, less the time of the other. Clocks of
machines play no part. A time so far in the future is no living driver's either: it would have been renewed since.

- It dies while it asks, or while it works: its claim is removed by the next driver as soon as it counts as gone.
- It sleeps for longer than `STALE_AFTER` and wakes: its claim was removed, so it stops at step 3 or 4.
- It sleeps between looking and renewing, and is taken over just then: both claims hold; whoever looks first stops.
- The storage does not answer: it stops itself after `GIVE_UP_AFTER`, before it counts as gone, whether its requests
  fail or hang.
- The clock of a machine jumps: nothing here is told by it. That of the storage does: who asks before the others have
  renewed their claims takes over, and they stop as soon as they would renew them.
"""

import functools
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from lms_ray.settings.errors import AbsentError, BrokenError, BusyError, StorageError
from lms_ray.store.files import Store

FOLDER = "drivers"
BEAT_EVERY = 20.0  # seconds
STALE_AFTER = 300.0  # seconds
GIVE_UP_AFTER = 240.0  # seconds
ASK_FOR = 10.0  # seconds: others that ask at the same moment withdraw at once
# Interrupts the main thread, also where it waits for Ray. Not SIGINT, which background jobs ignore and Ray Train takes
# over, and not SIGUSR1, which Ray Tune takes over.
LOST = signal.SIGUSR2


@dataclass(frozen=True)
class Driver:
    """A process that asks for an experiment, or holds it."""

    host: str
    boot: str
    """Of the machine: another one after each start."""
    namespace: str
    """Of process ids: another one in each container."""
    pid: int
    since_boot: float
    """When the process began, in seconds since its machine did: no clock that is put right changes it."""
    holds: bool

    @classmethod
    def own(cls, holds: bool) -> "Driver":
        """This process."""
        return cls(*_machine(), pid=os.getpid(), since_boot=_since_boot(psutil.Process()), holds=holds)

    @property
    def is_here(self) -> bool:
        """Whether its process id means the same here."""
        return (self.host, self.boot, self.namespace) == _machine()

    @property
    def has_ended(self) -> bool:
        """Whether its process has; for one that is here."""
        try:
            process = psutil.Process(self.pid)
            return process.status() == psutil.STATUS_ZOMBIE or abs(_since_boot(process) - self.since_boot) > 2
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True)
class Claim:
    """A driver's file."""

    path: str
    driver: Driver | None
    """None: the file is broken."""
    modified: float
    """When it was last written, in seconds since 1970, by the storage's clock."""

    def is_gone(self, now: float) -> bool:
        """Whether its driver no longer works; `now` by the storage's clock."""
        if self.driver and self.driver.is_here:
            return self.driver.has_ended
        return abs(now - self.modified) > STALE_AFTER


def claims(store: Store) -> list[Claim]:
    """The claims in a folder, sorted by token."""
    found = []
    for name, listed in sorted(store.listed(FOLDER).items()):
        if not name.endswith(".json") or name.startswith("."):
            continue
        path = f"{FOLDER}/{name}"
        try:
            driver = Driver(**store.read_json(path))
        except AbsentError:  # withdrawn meanwhile
            continue
        except (BrokenError, TypeError):
            driver = None
        found.append(Claim(path, driver, listed.modified))
    return found


@contextmanager
def hold(store: Store) -> Iterator[str]:
    """Be the only driver of an experiment for the length of the block; for the main thread.

    Yields:
        The path of the claim. Who must end without leaving the block deletes it.

    Raises:
        BusyError: another driver works on it and is not gone.
    """
    own = f"{FOLDER}/{uuid.uuid4().hex}.json"
    before = signal.signal(LOST, signal.default_int_handler)
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(store, own, stop), daemon=True, name="heartbeat")
    try:
        _take(store, own)
        # Where a dead driver's worker still writes, that write shall fail. Drivers that ask just now write as well.
        store.remove_partials(spare=FOLDER)
        beating.start()
        yield own
    finally:
        stop.set()
        if beating.ident:
            beating.join()
        signal.signal(LOST, before)
        with suppress(StorageError):
            store.hasty().delete(own)


def _take(store: Store, own: str) -> None:
    """Steps 1 to 3."""
    store.write_json(own, asdict(Driver.own(holds=False)))
    started = time.monotonic()
    while others := _others(store, own):
        for other, age in others.items():
            if other.driver is None:
                raise BusyError(
                    f"{store.where(other.path)}: broken, so another driver may be at work; if none is, delete it "
                    f"(it counts for nothing {STALE_AFTER:.0f} s after its last change)"
                )
            if other.driver.holds:
                raise BusyError(
                    f"{store.where()}: {other.driver} works on this experiment, last heard of {age:.0f} s ago; "
                    "wait for it, stop it, or choose another name"
                )
        first = min(others, key=lambda claim: claim.path)
        if first.path < own or time.monotonic() - started > ASK_FOR:
            raise BusyError(f"{store.where()}: {first.driver} begins to work on this experiment at this moment")
        time.sleep(0.1)
    _renew(store, own)


def _renew(store: Store, own: str) -> None:
    if store.exists(own):
        store.write_json(own, asdict(Driver.own(holds=True)))
        others = (other.driver for other in _others(store, own))
        taker = next((driver for driver in others if driver and driver.holds), None)
        if taker is None:
            return
    else:
        taker = None
    raise BusyError(f"{store.where()}: {taker or 'another driver'} has taken this experiment over")


def _failure(store: Store, own: str) -> Exception | None:
    """Why the claim could not be renewed, if so."""
    try:
        _renew(store, own)
    except Exception as error:
        return error
    return None


def _others(store: Store, own: str) -> dict[Claim, float]:
    """Claims of other drivers and their ages; those of drivers that are gone are removed.

    Raises:
        BusyError: the own claim was removed.
    """
    found = claims(store)
    now = next((claim.modified for claim in found if claim.path == own), None)
    if now is None:
        raise BusyError(f"{store.where()}: another driver has taken this experiment over")
    others = {}
    for claim in found:
        if claim.path == own:
            continue
        if claim.is_gone(now):
            store.delete(claim.path)
        else:
            others[claim] = now - claim.modified
    return others


def _beat(store: Store, own: str, stop: threading.Event) -> None:
    last, reason = time.monotonic(), f"{store.where()}: the storage does not answer"
    while not stop.wait(BEAT_EVERY):
        failed = list[Exception | None]()
        renewing = threading.Thread(
            target=lambda failed=failed: failed.append(_failure(store.hasty(), own)), daemon=True, name="renewal"
        )
        renewing.start()
        renewing.join(max(0.0, last + GIVE_UP_AFTER - time.monotonic()))  # a request may hang for longer
        if failed == [None]:
            last = time.monotonic()
            continue
        reason = str(failed[0]) if failed else reason
        # The storage may come back; whatever it is, a claim that is not renewed goes stale.
        if isinstance(failed[0] if failed else None, BusyError) or time.monotonic() - last > GIVE_UP_AFTER:
            break
    if not stop.is_set():
        print(f"{reason}; lost the right to write, stopping", flush=True)
        os.kill(os.getpid(), LOST)
        stop.wait(30)
        if not stop.is_set():
            os._exit(1)


def _since_boot(process: psutil.Process) -> float:
    booted = psutil.boot_time()  # first: an older psutil remembers it, and takes from it when the process began
    return process.create_time() - booted


@functools.cache
def _machine() -> tuple[str, str, str]:
    """Host, its boot, and the namespace of its process ids; where there are no namespaces the last is empty."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    return (
        socket.gethostname(),
        boot.read_text().strip() if boot.exists() else f"{psutil.boot_time():.0f}",
        str(namespace.readlink()) if namespace.is_symlink() else "",
    )
