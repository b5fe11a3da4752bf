"""The part of the configuration that says how candidates are divided, ranked and picked."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from lms_ray.settings import languages
from lms_ray.settings.base import Model, PositiveFloat, PositiveInt, Several, each_once
from lms_ray.settings.resources import Resources


class MetaSplit(Model):
    """Shares of the candidates: to train the ranker, to choose its grid point, to pick from (paper: 120/60/60)."""

    train: PositiveFloat = 0.5
    """Meta-train: the ranker is fitted on pairs of these."""
    dev: PositiveFloat = 0.25
    """Meta-dev: the grid point is chosen on these."""
    test: PositiveFloat = 0.25
    """Meta-test: the pool from which every selector picks."""
    draw: Annotated[int, Field(ge=0)] = 0
    """Which division is drawn; another one ranks and picks anew among the same candidates (paper, Table 9)."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if abs(self.train + self.dev + self.test - 1) > 1e-9:
            raise ValueError(f"the shares must sum to 1, found {self.train + self.dev + self.test:g}")
        return self

    def sizes(self, count: int) -> tuple[int, int, int]:
        """How many of `count` candidates are in each part."""
        train, dev = round(count * self.train), round(count * self.dev)
        return train, dev, count - train - dev

    def require(self, count: int, found: str) -> None:
        """Refuse a number of candidates that leaves a part with fewer than two.

        Raises:
            ValueError: names what was `found`, and the parts.
        """
        if min(self.sizes(count)) < 2:
            raise ValueError(
                f"{found} {count} candidates, which meta_split divides into {self.sizes(count)}; "
                "accepted are at least 2 in each part"
            )


class Ranker(Model):
    """The pairwise ranker (paper, section 3) and its grid."""

    language_vector: languages.VectorKind = "learned"
    """Which lang2vec vector describes a language; `none` leaves the language branch out (and with it Pivot-Dev)."""
    hidden: PositiveInt = 1024
    """Width of both branches."""
    batch_size: Several[PositiveInt] = (16, 32, 64, 128)
    """Pairs in each step: the grid's first axis."""
    learning_rate: Several[PositiveFloat] = (1e-4, 5e-5, 1e-5, 5e-6, 1e-6)
    """Adam's learning rate: the grid's second axis."""
    epochs: PositiveInt = 3
    """Passes over all pairs."""
    seeds: PositiveInt = 1
    """Rankers fitted at each grid point; above 1, candidates are ordered by their mean rank over the seeds."""
    resources: Resources = Resources()
    """What one Ray Train worker takes; the workers share the grid points."""

    _lists = field_validator("learning_rate", "batch_size")(each_once)


class Selection(Model):
    """How picks are scored."""

    target_examples: PositiveInt = 100
    """Labelled target examples of the oracle 100-Target, drawn once by the experiment's seed."""
    bootstrap: Annotated[int, Field(ge=100)] = 2000
    """Resamples of the paired bootstrap against En-Dev."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Level of its interval."""
