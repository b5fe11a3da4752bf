"""The part of the configuration that says on which machines the work runs, and what it takes there."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from lms_ray.settings.base import Model, PositiveFloat, PositiveInt

Market = Literal["spot", "on-demand"]
Unit = Literal["GPU", "core"]


class Counted:
    """Something that takes GPUs, or cores where it takes none."""

    if TYPE_CHECKING:  # fields of the models that have this
        cpus: float
        gpus: float

    @property
    def unit(self) -> Unit:
        """What its hours are counted in."""
        return "GPU" if self.gpus else "core"

    @property
    def units(self) -> float:
        """How many GPUs it takes; cores, where it takes none."""
        return self.gpus or self.cpus


class Resources(Counted, Model):
    """What one trial, actor or worker of a stage takes, and how many of them may run."""

    cpus: PositiveFloat = 1
    """CPU cores for each; also the number of torch threads."""
    gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs for each; a fraction shares one GPU between several."""
    workers: PositiveInt | None = None
    """At most this many at once. None: on a cluster, as many as there is work for; on a local Ray, as many as fit."""

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
    prices: dict[Market, PositiveFloat] = Field(default_factory=dict)
    """Price of an hour of one GPU by the market that its node is labelled with (`ray.io/market-type`), such as
    `{spot: 0.4, on-demand: 1.2}`; of one core where no stage takes a GPU. For `plan` and `status` only; no result
    depends on it. The currency is yours."""
    assumed_tflops: PositiveFloat | None = None
    """What `plan` assumes that one GPU does, or one core where a stage takes none, in 10^12 operations a second, until
    there is something measured. None: 8 for a GPU, a quarter of an A10G's peak in float32; 0.01 for a core, an
    eighth of what AVX2 reaches at 2.5 GHz."""
