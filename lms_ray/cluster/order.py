"""In which order Tune's trials get workers."""

import time
from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

LOOK_EVERY = 5.0  # seconds


class InOrder(FIFOScheduler):
    """First come, first served, but a worker that has become free takes no trial whose own worker is starting.

    Tune's own gives it the first trial that waits, and ends the worker that was starting for that one. Where candidates
    take less time than a worker needs to start, the other places of a cluster are never filled. It also looks through
    all trials at each event.

    Args:
        places: says how many workers have a place at the moment.
    """

    def __init__(self, places: Callable[[], int]):
        super().__init__()
        self._places, self._seen, self._looked = places, 0, float("-inf")
        self._worker_of: dict[str, Any] = {}
        """The worker that a trial was given last, by the trial's id."""
        self._up: set[Any] = set()
        """Workers that have started."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Hear of a worker that it is there."""
        if worker := trial.temporary_state.ray_actor:
            self._worker_of[trial.trial_id] = worker._actor_id
            self._up.add(worker._actor_id)
        return super().on_trial_result(tune_controller, trial, result)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Forget the trial; its worker is still there."""
        self._worker_of.pop(trial.trial_id, None)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Forget the trial's worker, which does not survive an error."""
        self._up.discard(self._worker_of.pop(trial.trial_id, None))

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The first trial that waits for a worker, of which none is starting."""
        waiting = []
        for trial in tune_controller.get_live_trials():  # those that are done are not among them
            if worker := trial.temporary_state.ray_actor:
                self._worker_of[trial.trial_id] = worker._actor_id  # Tune forgets it before it tells of an error
            elif trial.status == Trial.PENDING:
                waiting.append(trial)
        if not waiting:
            return None
        waiting.sort(key=lambda trial: trial.trial_id)  # of a grid, in its order
        return waiting[min(self._starting, len(waiting) - 1)]

    @property
    def _starting(self) -> int:
        """How many workers may be starting: for the first trials that wait."""
        if time.monotonic() - self._looked > LOOK_EVERY:
            self._seen, self._looked = self._places(), time.monotonic()
        return max(0, self._seen - len(self._up))
