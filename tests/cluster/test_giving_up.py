"""Which errors count against a candidate, and when it is given up: without Ray, from the errors that it raises."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import cloudpickle
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
)

import made_folders as made
from lms_ray.cluster.giving_up import Ending, Patience, Tries, killed_for_memory
from lms_ray.settings.candidates import Candidate, grid
from lms_ray.settings.errors import FullError, StorageError
from lms_ray.store import attempts, pool
from lms_ray.store.files import Store


def raised(error: Exception, kind: str, place: str = "step") -> RayTaskError:
    """As Ray hands on what a worker has raised."""
    return RayTaskError(f"{place}()", f"Traceback:\n  File x\n{kind}: {error}", error)


FAILS = raised(ValueError("no words"), "ValueError").as_instanceof_cause()
FULL = raised(
    FullError("disk full: /runs/x (no space left on device)"), "lms_ray.settings.errors.FullError"
).as_instanceof_cause()
LOST, PREEMPTED = RayActorError(error_msg="its worker has died"), RayActorError(error_msg="drained", preempted=True)
IN_SETUP = ActorDiedError(raised(RuntimeError("no GPU"), "RuntimeError", "__init__"))


@pytest.fixture
def tries(local: Store) -> Tries:
    experiment = made.configured(local, "sweep.max_failures=2", "sweep.max_losses=3")
    return Tries(local, "hash", experiment.sweep)


@pytest.fixture
def candidate(local: Store) -> Candidate:
    return grid(made.configured(local).sweep)[0]


@pytest.mark.parametrize(
    ("error", "cause", "reason"),
    [
        (FAILS, "failed", "ValueError: no words"),
        (FULL, "failed", "disk full: /runs/x (no space left on device)"),
        (IN_SETUP, "failed", "RuntimeError: no GPU"),
        (OutOfMemoryError("1 worker(s) were killed\nSelected: Actor(1)\nMore"), "failed", "1 worker(s) were killed"),
        (LOST, "lost", "its worker has died"),
        (ActorUnavailableError("no connection", None), "lost", "The actor None is unavailable"),
        (RayTaskError("f()", "Traceback\nlost", ObjectLostError("00", None, "")), "lost", "lost"),
        (RayTaskError("f()", "Traceback\nlost", PREEMPTED), "preempted", "drained"),
        (PREEMPTED, "preempted", "drained"),
        (RuntimeError("Tune's own"), "failed", "Tune's own"),
    ],
)
def test_own_faults_losses_and_preemptions_are_told_apart(error: Exception, cause: str, reason: str):
    ending = Ending.of(error)
    assert ending.cause == cause
    assert ending.reason.startswith(reason)
    assert pool.reason(ending.text) == ending.reason, "status says the same"
    assert ending.is_full == (error is FULL)


def test_each_kind_has_its_own_count_and_preemptions_have_no_end(tries: Tries, candidate: Candidate):
    for error in [LOST, FAILS, PREEMPTED] * 2 + [PREEMPTED] * 50 + [LOST]:
        tries.count(candidate, Ending.of(error))
    assert not tries.given_up(candidate)
    tries.count(candidate, Ending.of(LOST))
    hole = tries.given_up(candidate)
    assert hole
    assert (hole.state, hole.failures, hole.losses, hole.preemptions) == ("lost", 2, 4, 52)
    other = Candidate(1e-3, 1, 8, seed=7)
    for _ in range(3):
        assert not tries.given_up(other)
        tries.count(other, Ending.of(FAILS))
    hole = tries.given_up(other)
    assert hole and (hole.state, hole.failures, hole.reason) == ("failed", 3, "ValueError: no words")


def test_an_attempt_that_could_not_say_how_it_ended_is_told_by_the_driver(
    tries: Tries, candidate: Candidate, local: Store
):
    unit = pool.unit(candidate.id("hash"))
    earlier = made.tried(local, candidate.id("hash"), ago=900, run="another driver's")
    for error in (LOST, PREEMPTED, FAILS, IN_SETUP):
        with pytest.raises(KeyboardInterrupt), attempts.recorded(local, unit, made.SPOT, 100, 2, tries.run):
            raise KeyboardInterrupt  # stands for an end at which nothing can be written
        tries.count(candidate, Ending.of(error))
    paths = [f"{unit}/attempts/{name}" for name in local.names(f"{unit}/attempts")]
    found = sorted((attempts.parse(local.read_bytes(path), path) for path in paths), key=lambda attempt: attempt.place)
    assert found[0] == earlier, "of that another run knows"
    assert [attempt.number for attempt in found] == [0, 2, 3, 4, 5]
    assert [attempt.outcome for attempt in found[1:]] == ["lost", "preempted", "failed", "failed"]


def test_what_is_given_up_leaves_its_reason_and_one_without_room_leaves_its_room(
    tries: Tries, candidate: Candidate, local: Store
):
    unit = pool.unit(candidate.id("hash"))
    for name in ("model-00001-of-00002.safetensors", "resume.safetensors", "candidate.json", ".killed.partial"):
        local.write_bytes(f"{unit}/{name}", b"1234")
    for _ in range(2):
        tries.count(candidate, Ending.of(FULL))
    assert local.exists(f"{unit}/resume.safetensors"), "the next attempt goes on from it"
    tries.count(candidate, Ending.of(FULL))
    assert local.names(unit) == ["ERROR.txt", "candidate.json"]
    assert b"disk full: /runs/x" in local.read_bytes(f"{unit}/ERROR.txt")


def test_a_storage_that_does_not_answer_changes_no_count(
    tries: Tries, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise StorageError("forbidden")

    for name in ("names", "exists", "write_bytes", "sizes"):
        monkeypatch.setattr(Store, name, refuse)
    for _ in range(3):
        tries.count(candidate, Ending.of(FULL))
    assert tries.given_up(candidate)


class TuneTrial(SimpleNamespace):
    """A trial as Tune leaves it after an error."""

    def handle_error(self, error: Exception, folder: Path) -> None:
        self.error_file = str(folder / "error.txt")
        with Path(self.error_file).open("a") as file:
            file.write(f"Failure # 1 (occurred at some time)\n{error}\n")
        if isinstance(error, RayTaskError | RayActorError):
            self.pickled_error_file = str(folder / "error.pkl")
            Path(self.pickled_error_file).write_bytes(cloudpickle.dumps(error))


def test_the_scheduler_reads_what_tune_says_and_stops_a_trial_in_place_of_another_attempt(
    tries: Tries, candidate: Candidate, tmp_path: Path
):
    stopped: list[object] = []
    controller, scheduler = SimpleNamespace(stop_trial=stopped.append), Patience(tries, lambda: 1)
    told: dict[str, object] = {}
    trial = TuneTrial(
        trial_id="0",
        config={"candidate": vars(candidate)},
        error_file=None,
        pickled_error_file=None,
        last_result={"epoch": 1},
        update_last_result=told.update,
    )
    scheduler.on_trial_add(controller, trial)
    # The last kind is not pickled, and must not be taken for the one before it.
    for error in (FAILS, PREEMPTED, LOST, FULL, OutOfMemoryError("killed")):
        assert not stopped
        trial.handle_error(error, tmp_path)
        scheduler.on_trial_error(controller, trial)
        scheduler.on_trial_add(controller, trial)
    assert stopped == [trial]
    assert told == {"epoch": 1, "done": True, "given_up": "failed"}
    hole = tries.given_up(candidate)
    assert hole and (hole.failures, hole.losses, hole.preemptions, hole.reason) == (3, 1, 1, "killed")


def test_a_kill_for_memory_is_found_among_the_causes():
    killed = OutOfMemoryError("Actor(04c9)")
    try:
        try:
            raise RuntimeError("Caught unexpected exception") from killed
        except RuntimeError as error:
            raise ValueError("Tune has failed") from error
    except ValueError as error:
        assert killed_for_memory(error) is killed
    assert killed_for_memory(ValueError()) is None
