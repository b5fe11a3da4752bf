"""One driver at a time writes, whatever dies, sleeps, or has another clock."""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from lms_ray.settings.errors import BusyError
from lms_ray.store import lock
from lms_ray.store.files import Store
from lms_ray.store.lock import STALE_AFTER, Driver, hold

Start = Callable[..., subprocess.Popen]
HOLDER = """
import sys, time
from lms_ray.store.files import Store
from lms_ray.store.lock import hold
with hold(Store(sys.argv[1])):
    print("holds", flush=True)
    time.sleep(60)
"""
# Tries at each line that it reads, held up for so long before it writes; if it holds, it lets go at the next line.
TRIER = """
import sys, time
from lms_ray.settings.errors import BusyError
from lms_ray.store.files import Store
from lms_ray.store.lock import hold

class Slow(Store):
    def write_json(self, path, value):
        time.sleep(delay)
        return super().write_json(path, value)

store = Slow(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    delay = float(line)
    try:
        with hold(store):
            print("holds", flush=True)
            sys.stdin.readline()
    except BusyError as error:
        print(error, flush=True)
        sys.stdin.readline()
"""


def other(store: Store, age: float = 0, **changes) -> Path:
    """The claim of a driver that holds: this process, unless said otherwise, last heard of `age` seconds ago."""
    path = f"{lock.FOLDER}/{'0' * 32}.json"
    store.write_json(path, asdict(replace(Driver.own(holds=True), **changes)))
    file = Path(store.root) / path
    os.utime(file, (time.time() - age, time.time() - age))
    return file


def holders(store: Store) -> list[int]:
    return [claim.driver.pid for claim in lock.claims(store)]


def test_while_one_driver_works_another_is_refused(store: Store):
    busy = pytest.raises(BusyError, match=rf"process {os.getpid()} on .* works on this experiment, last heard of 0 s")
    with hold(store), busy, hold(store):
        pytest.fail("two drivers")
    with pytest.raises(ZeroDivisionError), hold(store):
        _ = 1 / 0
    with hold(store):  # an error lets go
        assert len(holders(store)) == 1
    assert holders(store) == []


@pytest.mark.slow
def test_of_drivers_that_start_together_exactly_one_works(store: Store, started: Start):
    drivers = [started(TRIER, store.root) for _ in range(3)]
    for delays in [(0, 0, 0)] * 10 + [(0, 0, 0.5)]:
        for driver, delay in zip(drivers, delays, strict=True):
            print(delay, file=driver.stdin, flush=True)
        said = [driver.stdout.readline() for driver in drivers]
        assert said.count("holds\n") == 1, said
        for driver in drivers:
            print("end", file=driver.stdin, flush=True)
        while lock.claims(store):
            time.sleep(0.01)


@pytest.mark.parametrize("reaped", [False, True], ids=["zombie", "reaped"])
def test_a_killed_driver_is_taken_over_at_once(store: Store, started: Start, reaped: bool):
    process = started(HOLDER, store.root)
    with pytest.raises(BusyError, match=f"process {process.pid} on"), hold(store):
        pytest.fail("two drivers")
    process.kill()
    if reaped:
        process.wait()
    else:
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
    with hold(store):
        assert holders(store) == [os.getpid()]


def test_a_process_that_got_the_number_of_a_dead_driver_does_not_block(local: Store):
    other(local, since_boot=Driver.own(holds=True).since_boot - 1000)
    with hold(local):
        assert len(holders(local)) == 1


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "elsewhere"}, {"namespace": "pid:[1]"}, {"boot": "an earlier one"}],
    ids=["machine", "container", "boot"],
)
def test_a_driver_elsewhere_is_judged_by_its_heartbeat(local: Store, elsewhere: dict[str, str]):
    """Its process id means nothing here: there may be no such process, or another one of that number."""
    dead = {"pid": 2**22 - 1, "since_boot": 0.0, **elsewhere}
    other(local, age=STALE_AFTER - 30, **dead)
    with pytest.raises(BusyError, match=r"process 4194303 on .*, last heard of 270 s ago"), hold(local):
        pytest.fail("two drivers")
    other(local, age=STALE_AFTER + 1, **elsewhere)
    with hold(local):
        assert len(holders(local)) == 1


@pytest.mark.slow
def test_a_driver_elsewhere_is_judged_by_the_storage_s_clock(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lock, "STALE_AFTER", 1.0)  # S3 tells whole seconds
    claim = Driver.own(holds=True)
    store.write_json(f"{lock.FOLDER}/{'0' * 32}.json", asdict(replace(claim, host="elsewhere", since_boot=4e9)))
    with pytest.raises(BusyError, match=r"on elsewhere works on this experiment, last heard of [01] s"), hold(store):
        pytest.fail("two drivers")
    time.sleep(2.1)
    with hold(store):
        assert holders(store) == [os.getpid()]


def test_a_heartbeat_from_the_future_does_not_block_for_good(local: Store):
    other(local, age=-3600, host="elsewhere")
    with hold(local):
        assert len(holders(local)) == 1


@pytest.mark.parametrize("content", [b'{"pid": 3', b"[]", b"{}", b"\xff\0"])
def test_a_broken_claim_is_named_and_goes_stale(local: Store, content: bytes):
    file = other(local)
    file.write_bytes(content)
    with pytest.raises(BusyError, match=rf"^{file}: broken, .*; if none is, delete it"), hold(local):
        pytest.fail("two drivers")
    os.utime(file, (0, 0))
    with hold(local):
        assert not file.exists()


@pytest.mark.parametrize("taken", ["removed", "beside"])
def test_a_driver_renews_its_claim_and_stops_when_it_was_taken_over(
    local: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, taken: str
):
    monkeypatch.setattr(lock, "BEAT_EVERY", 0.05)
    with pytest.raises(KeyboardInterrupt), hold(local):
        (before,) = lock.claims(local)
        time.sleep(0.3)
        (after,) = lock.claims(local)
        assert after.modified > before.modified
        if taken == "removed":
            local.delete(after.path)
        else:
            other(local, host="elsewhere")
        time.sleep(10)
        pytest.fail("went on without the right to write")
    assert "has taken this experiment over; lost the right to write" in capsys.readouterr().out
    assert len(holders(local)) == (taken == "beside")  # not ours to remove


def test_a_driver_here_is_known_after_the_clock_was_put_right(local: Store, monkeypatch: pytest.MonkeyPatch):
    """The time at which the machine began is told from its clock, and moves with it."""
    with hold(local):
        boot = psutil.boot_time()
        monkeypatch.setattr("psutil._psplatform.boot_time", lambda: boot + 24 * 3600)
        with pytest.raises(BusyError, match=f"process {os.getpid()} on .* works on this experiment"), hold(local):
            pytest.fail("two drivers")


def test_a_driver_whose_storage_hangs_stops_before_it_counts_as_gone(
    local: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(lock, "BEAT_EVERY", 0.05)
    monkeypatch.setattr(lock, "GIVE_UP_AFTER", 0.3)
    answers = threading.Event()
    try:
        with pytest.raises(KeyboardInterrupt), hold(local):
            monkeypatch.setattr(Store, "exists", lambda self, path: answers.wait())
            time.sleep(10)
            pytest.fail("went on without the right to write")
    finally:
        answers.set()
    assert "the storage does not answer; lost the right to write" in capsys.readouterr().out


def test_a_driver_whose_storage_does_not_answer_stops_before_it_counts_as_gone(
    local: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    assert lock.GIVE_UP_AFTER + 2 * lock.BEAT_EVERY < STALE_AFTER
    monkeypatch.setattr(lock, "BEAT_EVERY", 0.05)
    monkeypatch.setattr(lock, "GIVE_UP_AFTER", 0.2)
    with pytest.raises(KeyboardInterrupt), hold(local):
        folder = Path(local.root) / lock.FOLDER
        folder.rename(folder.with_name("away"))
        folder.write_text("a file where the folder was")
        time.sleep(10)
        pytest.fail("went on without the right to write")
    assert "lost the right to write" in capsys.readouterr().out


def test_what_killed_writers_left_is_removed_at_the_next_start(local: Store):
    local.write_bytes("candidates/one/weights", b"whole")
    leftover = Path(local.root) / "candidates" / "one" / f".{'0' * 32}.partial"
    leftover.write_bytes(b"half")
    with hold(local):
        assert not leftover.exists()
        assert local.names("candidates/one") == ["weights"]
