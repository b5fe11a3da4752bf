"""MLflow, Weights & Biases and TensorBoard: Ray Tune's own callbacks, told what people want to see of a candidate."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.air.integrations.wandb import WandbLoggerCallback
from ray.tune.experiment import Trial
from ray.tune.logger import LoggerCallback, TBXLoggerCallback

from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.uris import without_credentials
from lms_ray.tasks.pretrained import first_line

log = logging.getLogger(__name__)

TOLD = ("epoch", "loss", "dev_score", "objective", "time_total_s")
"""What is told of a result; the rest is between trial and driver."""


def callbacks(experiment: Experiment) -> list[tune.Callback]:
    """A callback for each tracker that is configured, which it has reached.

    Raises:
        ConfigError: one cannot be reached.
    """
    where = experiment.trackers.model_dump(mode="json")  # without credentials
    return [Told(name, tracker, where[name]) for name, tracker in _configured(experiment)]


def _configured(experiment: Experiment) -> Iterator[tuple[str, LoggerCallback]]:
    name, trackers = experiment.name, experiment.trackers
    if trackers.mlflow is not None:
        yield "mlflow", MLflowLoggerCallback(trackers.mlflow, experiment_name=name, tags={"task": experiment.task})
    if trackers.wandb is not None:
        environment: dict[str, Any] = {
            key: os.environ[variable]
            for key, variable in (("entity", "WANDB_ENTITY"), ("mode", "WANDB_MODE"))
            if variable in os.environ
        }
        environment["dir"] = os.environ.get("WANDB_DIR") or str(Path.cwd())  # else in a folder that goes with the sweep
        yield "wandb", WandbLoggerCallback(trackers.wandb, name, **environment)
    if trackers.tensorboard is not None:
        yield "tensorboard", _EventFiles(Path(trackers.tensorboard))


class Told(tune.Callback):
    """Tells one tracker, and goes on without it where it fails.

    Args:
        name: of the tracker.
        tracker: Ray's callback for it.
        where: it is, as it is configured.

    Raises:
        ConfigError: the tracker cannot be reached.
    """

    def __init__(self, name: str, tracker: LoggerCallback, where: str):
        self.name, self.tracker, self.answers = name, tracker, True
        log.info("trackers.%s: reaching %s", name, where)  # it may try for half a minute
        try:
            tracker.setup()
        except Exception as error:  # each library has errors of its own
            raise _unreached(name, where, error) from error

    def on_trial_start(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A candidate begins, or begins again."""
        self._tell("log_trial_start", trial)

    def on_trial_result(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch has ended, or the candidate is done."""
        told = {key: result[key] for key in TOLD if key in result}
        # Tune counts anew where a candidate goes on after an interruption.
        self._tell("log_trial_result", iteration, trial, told | {"training_iteration": result["epoch"]})

    def on_trial_complete(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A candidate is done, or was given up and has no score."""
        self._tell("log_trial_end", trial, failed="dev_score" not in trial.last_result)

    def on_trial_error(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        """A candidate has failed for good."""
        self._tell("log_trial_end", trial, failed=True)

    def on_experiment_end(self, trials: Sequence[Trial], **info: Any) -> None:
        """Let the tracker write what it holds."""
        self._tell("on_experiment_end", trials, **info)

    def _tell(self, what: str, *arguments: Any, **named: Any) -> None:
        if not self.answers:
            return
        try:
            getattr(self.tracker, what)(*arguments, **named)
        except Exception as error:
            self.answers = False
            reason = without_credentials(first_line(error))
            log.warning("trackers.%s: %s; it is told no more, and the sweep goes on", self.name, reason)


def _unreached(name: str, where: str, error: BaseException) -> ConfigError:
    """What keeps a tracker from being told; of a connection that fails, what the system says and no library's words."""
    root, chain = error, [error]
    while (under := root.__cause__ or root.__context__) and under not in chain:
        root = under
        chain.append(root)
    if not any(isinstance(one, OSError) for one in chain):
        return ConfigError(f"trackers.{name}: {without_credentials(first_line(error))}")
    reason = (isinstance(root, OSError) and root.strerror) or first_line(root)
    return ConfigError(
        f"trackers.{name}: found {where}, which does not answer ({reason}); accepted is what this machine reaches, or "
        "null for none"
    )


class _EventFiles(TBXLoggerCallback):
    """Writes into a folder that stays: Tune's own is gone after the sweep."""

    def __init__(self, folder: Path):
        super().__init__()
        writer = self._summary_writer_cls
        self._summary_writer_cls = lambda of_trial, **options: writer(str(folder / Path(of_trial).name), **options)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """Write the setting beside the last result; Tune itself knows of none that it has varied."""
        trial.evaluated_params = trial.config["candidate"]
        super().log_trial_end(trial, failed)
