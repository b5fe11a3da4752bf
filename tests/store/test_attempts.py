"""What an attempt cost is known from the storage, however it ended."""

import time
from pathlib import Path

import pytest

from lms_ray.settings.errors import BrokenError
from lms_ray.store import attempts
from lms_ray.store.attempts import Attempt, Machine, Use, recorded
from lms_ray.store.files import Store

MACHINE = Machine(host="worker-1", market="spot", accelerator="NVIDIA A10G", cpus=4, gpus=0.5)
UNIT = "candidates/one"


def an_attempt(**changes) -> Attempt:
    values = {"machine": MACHINE, "examples": 100, "planned": 4, "started": 1000.0, "seen": 1500.0}
    return Attempt(**{**values, **changes})


def only_one(store: Store) -> Attempt:
    (name,) = (name for name in store.names(f"{UNIT}/attempts") if not name.startswith("."))  # one being written
    return attempts.parse(store.read_bytes(f"{UNIT}/attempts/{name}"), name)


@pytest.mark.parametrize(
    ("changes", "seconds", "lost", "failed"),
    [
        ({}, 500, 500, 0),
        ({"saved": 1300.0, "epochs": 2}, 500, 200, 0),
        ({"saved": 1300.0, "ended": 1450.0, "outcome": "failed"}, 450, 0, 150),
        ({"ended": 1450.0, "outcome": "failed"}, 450, 0, 450),
        ({"saved": 1300.0, "outcome": "lost"}, 500, 200, 0),
        ({"outcome": "preempted"}, 500, 500, 0),
        ({"saved": 1300.0, "ended": 1450.0, "outcome": "done"}, 450, 0, 0),
    ],
)
def test_lost_or_failed_is_the_work_after_the_last_saved_epoch(
    changes: dict, seconds: float, lost: float, failed: float
):
    use = an_attempt(**changes).use
    assert (use.machine, use.seconds, use.lost, use.failed) == (MACHINE, seconds, lost, failed)


@pytest.mark.parametrize(
    ("error", "outcome"), [(None, "done"), (ValueError, "failed"), (KeyboardInterrupt, None), (SystemExit, None)]
)
def test_how_it_ended_is_written(store: Store, error: type[BaseException] | None, outcome: str | None):
    try:
        with recorded(store, UNIT, MACHINE, examples=100, planned=4) as attempt:
            attempt.tell("begun", 1)
            attempt.tell("ended", 2)
            attempt.tell("saved", 2)
            attempt.tell("ended", 3)
            if error:
                raise error
    except BaseException as raised:  # it goes through
        assert type(raised) is error
    found = only_one(store)
    assert (found.machine, found.examples, found.planned) == (MACHINE, 100, 4)
    assert (found.first, found.epochs, found.outcome) == (1, 3, outcome)
    assert found.saved and found.started <= found.saved <= found.seen <= time.time()
    assert (found.ended is None) == (outcome is None)


def test_a_state_that_is_saved_late_is_of_the_moment_at_which_its_epoch_ended(local: Store):
    """The next epoch's work is lost with the machine, also where the upload ended in the middle of it."""
    with recorded(local, UNIT, MACHINE, examples=100, planned=4) as attempt:
        attempt.tell("begun", 0)
        attempt.tell("ended", 1)
        ended_before = time.time()
        time.sleep(0.01)
        attempt.tell("saved", 1)
        assert only_one(local).saved <= ended_before < only_one(local).seen


def test_it_is_renewed_while_it_works(local: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attempts, "BEAT_EVERY", 0.01)
    with recorded(local, UNIT, MACHINE, examples=100, planned=4):
        first, deadline = only_one(local).seen, time.monotonic() + 10
        while only_one(local).seen == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_work_goes_on_where_the_record_cannot_be_written(tmp_path: Path):
    (tmp_path / "candidates").write_text("a file where a folder is wanted")
    with recorded(Store(str(tmp_path)), UNIT, MACHINE, examples=100, planned=4) as attempt:
        attempt.tell("begun", 0)
    assert attempt.attempt.outcome == "done"


@pytest.mark.parametrize("content", [b"", b"{[", b"[" * 10**5, b"\xff", b"[]", b'{"started": 1}'])
def test_a_broken_record_is_named(content: bytes):
    with pytest.raises(BrokenError, match=r"x\.json: broken; it is no record of an attempt"):
        attempts.parse(content, "x.json")


def test_a_time_that_is_no_number_is_no_record():
    with pytest.raises(BrokenError):
        attempts.parse(an_attempt().model_dump_json().replace("1500.0", "NaN").encode(), "x.json")


def test_uses_are_summed_up_by_machine():
    other = MACHINE.model_copy(update={"market": None})
    uses = [Use(machine=MACHINE, seconds=1.5, work=2), Use(machine=other, seconds=2), Use(machine=MACHINE, seconds=3)]
    assert attempts.by_machine(uses) == [Use(machine=MACHINE, seconds=4.5, work=2), Use(machine=other, seconds=2)]


def test_the_work_of_an_attempt_is_its_own_epochs():
    assert an_attempt(first=1, epochs=3).use.work == 200


def test_attempts_are_numbered_whatever_the_clocks_say(store: Store, monkeypatch: pytest.MonkeyPatch):
    for number, clock in enumerate((2000.0, 1000.0, 3000.0), 1):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda clock=clock: clock)
            with recorded(store, UNIT, MACHINE, examples=100, planned=4) as attempt:
                assert attempt.attempt.number == number
