"""Who gets a worker that has become free."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from lms_ray.cluster import order
from lms_ray.cluster.order import InOrder


class Controller:
    """As much of Tune as a scheduler sees: trials that are not done, in no order."""

    def __init__(self, count: int):
        self.trials = [trial(number) for number in range(count)]

    def get_live_trials(self) -> list[Any]:
        return [each for each in reversed(self.trials) if each.status != Trial.TERMINATED]


def trial(number: int) -> Any:
    state = SimpleNamespace(ray_actor=None)
    return SimpleNamespace(trial_id=f"x_{number:05}", status=Trial.PENDING, temporary_state=state)


def start(scheduler: InOrder, controller: Controller, number: int, worker: str) -> Any:
    """A trial has reported its first epoch."""
    started = controller.trials[number]
    started.status, started.temporary_state.ray_actor = Trial.RUNNING, SimpleNamespace(_actor_id=worker)
    assert scheduler.on_trial_result(controller, started, {}) == InOrder.CONTINUE
    return started


def end(scheduler: InOrder, controller: Controller, number: int) -> None:
    ended = controller.trials[number]
    scheduler.on_trial_complete(controller, ended, {})
    ended.status, ended.temporary_state.ray_actor = Trial.TERMINATED, None


def chosen(scheduler: InOrder, controller: Controller) -> int:
    found = scheduler.choose_trial_to_run(controller)
    assert found
    return controller.trials.index(found)


def test_a_free_worker_takes_no_trial_whose_worker_is_starting():
    scheduler, controller = InOrder(lambda: 3), Controller(6)
    start(scheduler, controller, 0, "fast")
    end(scheduler, controller, 0)
    assert chosen(scheduler, controller) == 3, "the workers of 1 and 2 are starting"
    start(scheduler, controller, 3, "fast")
    start(scheduler, controller, 1, "slow")
    end(scheduler, controller, 3)
    assert chosen(scheduler, controller) == 4, "the worker of 2 is starting still"


def test_with_all_workers_there_it_is_first_come_first_served():
    scheduler, controller = InOrder(lambda: 2), Controller(5)
    for number, worker in enumerate("ab"):
        start(scheduler, controller, number, worker)
    end(scheduler, controller, 1)
    assert chosen(scheduler, controller) == 2
    controller.trials[2].temporary_state.ray_actor = SimpleNamespace(_actor_id="b")
    assert chosen(scheduler, controller) == 3, "2 has been given a worker, and is not running yet"


def test_where_every_one_that_waits_has_a_worker_that_starts_the_last_one_is_taken():
    scheduler, controller = InOrder(lambda: 4), Controller(3)
    start(scheduler, controller, 0, "a")
    end(scheduler, controller, 0)
    assert chosen(scheduler, controller) == 2
    for number in (1, 2):
        end(scheduler, controller, number)
    assert scheduler.choose_trial_to_run(controller) is None


def test_a_worker_that_is_used_again_and_ends_before_it_has_said_anything_is_missed():
    """As that of a drained node is."""
    scheduler, controller = InOrder(lambda: 2), Controller(5)
    for number, worker in enumerate("ab"):
        start(scheduler, controller, number, worker)
    end(scheduler, controller, 0)
    assert chosen(scheduler, controller) == 2
    again = controller.trials[2]
    again.status, again.temporary_state.ray_actor = Trial.RUNNING, SimpleNamespace(_actor_id="a")
    assert chosen(scheduler, controller) == 3
    again.status, again.temporary_state.ray_actor = Trial.PENDING, None
    scheduler.on_trial_error(controller, again)
    end(scheduler, controller, 1)
    assert chosen(scheduler, controller) == 3, "a worker starts for 2"


def test_a_lost_worker_has_to_start_again_and_nodes_that_join_are_seen(monkeypatch: pytest.MonkeyPatch):
    now, places = SimpleNamespace(monotonic=lambda: 0.0), [2]
    monkeypatch.setattr(order, "time", now)
    scheduler, controller = InOrder(lambda: places[0]), Controller(6)
    lost, _ = start(scheduler, controller, 0, "a"), start(scheduler, controller, 1, "b")
    end(scheduler, controller, 1)
    scheduler.on_trial_error(controller, lost)
    lost.status, lost.temporary_state.ray_actor = Trial.PENDING, None
    assert chosen(scheduler, controller) == 2, "a worker starts again for 0"
    places[0] = 4
    assert chosen(scheduler, controller) == 2, "the cluster is not asked at each event"
    now.monotonic = lambda: order.LOOK_EVERY + 1
    assert chosen(scheduler, controller) == 4
