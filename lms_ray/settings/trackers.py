"""The part of the configuration that says who else is told of the sweep, for people who follow their runs elsewhere."""

from importlib.util import find_spec
from typing import Annotated

from pydantic import Field

from lms_ray.settings.base import LocalPath, Model, Public
from lms_ray.settings.errors import ConfigError

MODULES = {"mlflow": "mlflow", "wandb": "wandb", "tensorboard": "tensorboardX"}
"""What is imported for a tracker; the key is that of the configuration and of the package's extra."""


class Trackers(Model):
    """Trackers that are told each candidate's setting, each epoch's loss, and the score on the source's dev set.

    Each is an optional package (`pip install 'lms-ray[mlflow]'`, `[wandb]`, `[tensorboard]`) and is told by the driver;
    no result depends on it. One that cannot be reached when the sweep begins ends the job; one that goes away later is
    told no more, and said so.
    """

    mlflow: Annotated[str, Field(min_length=1), Public] | None = None
    """Where MLflow's runs are kept: URI of a tracking server (`http://host:5000`) or a database (`sqlite:///mlflow.db`).
    The experiment there has this one's name, a run its candidate's. User and password are those of the environment
    (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD)."""
    wandb: Annotated[str, Field(min_length=1)] | None = None
    """Project of Weights & Biases; runs are grouped by this experiment's name. Key, entity, mode and folder are those
    of the environment (WANDB_API_KEY, WANDB_ENTITY, WANDB_MODE, WANDB_DIR) or of `wandb login`."""
    tensorboard: LocalPath | None = None
    """Folder of the driver's machine for TensorBoard's event files, in which each candidate has one of its own. A
    relative one starts in the folder in which the command is run; `~` is the home directory."""

    def require_packages(self) -> None:
        """Refuse a tracker whose package is not installed.

        Raises:
            ConfigError: names it, and the command that installs it.
        """
        for name, module in MODULES.items():
            if getattr(self, name) is not None and find_spec(module) is None:
                raise ConfigError(
                    f"trackers.{name}: found no package {module}; accepted is null, or what "
                    f"`pip install 'lms-ray[{name}]'` makes possible"
                )
