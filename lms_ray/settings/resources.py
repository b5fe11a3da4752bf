"""The part of the configuration that says on which machines the work runs, and what it takes there."""

from typing import Annotated

from pydantic import Field, field_validator

from lms_ray.settings.base import Model, PositiveFloat, PositiveInt


class Resources(Model):
    """What one trial, actor or worker of a stage takes, and how many of them may run."""

    cpus: PositiveFloat = 1
    """CPU cores for each; also the number of torch threads."""
    gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs for each; a fraction shares one GPU between several."""
    workers: PositiveInt | None = None
    """At most this many at once. None: as many as fit the cluster."""

    @field_validator("gpus")
    @classmethod
    def _whole_above_one(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError("accepted are a fraction of one GPU, or a whole number")
        return gpus


class Cluster(Model):
    """Which Ray to run on."""

    address: str | None = None
    """A running cluster (`auto`, or host:port). None: the one that RAY_ADDRESS names, else a local one is started."""
    cpus: PositiveInt | None = None
    """CPU cores of a local Ray. None: all of the machine's."""
