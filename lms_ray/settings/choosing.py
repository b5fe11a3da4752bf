"""The part of the configuration that says how candidates are divided, ranked and picked."""

from math import prod
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from lms_ray.settings import languages
from lms_ray.settings.base import Model, PathOrUri, PositiveFloat, PositiveInt, Several, each_once
from lms_ray.settings.resources import Resources
from lms_ray.settings.uris import without_credentials

Fit = Literal["paper", "fast"]
Feature = Literal["source", "pivot", "target"]
Ties = Literal["skip", "half"]
Checkpoint = Literal["last", "best"]


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
    draws: Annotated[int, Field(ge=1, le=1000)] = 20
    """Divisions on which all rules are compared, this one and those after it; the rules that learn, LMS by the `fast`
    fit, learn anew in each. So much depends on one division that the report leads with the mean over these."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if abs(self.train + self.dev + self.test - 1) > 1e-9:
            raise ValueError(f"the shares must sum to 1, found {self.train + self.dev + self.test:g}")
        return self

    @property
    def each_draw(self) -> tuple[Self, ...]:
        """The settings of every division on which rules are compared."""
        return tuple(self.model_copy(update={"draw": self.draw + number}) for number in range(self.draws))

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

    fit: Fit = "paper"
    """`paper`: the paper's net, trained on mini-batches of pairs. `fast`: the same loss over all pairs at once, with a
    score that is linear in its weights; a whole grid takes less than a second, and it has neither seeds nor epochs."""
    features: Several[Feature] = ("target",)
    """The text over which a candidate's mean [CLS] vector describes it (paper, Table 5). `target`: that of the language
    that is ranked. `source`: the source's dev set, the same for every language. `pivot`: the mean over the ranker's
    pivots, the same for every language. Several are fused: `paper` sums them, for each dimension by weights that are
    learned with the net (a softmax, as in published code); `fast` takes them side by side under one penalty, which
    keeps it convex and gives every kind weights of its own in place of shared ones."""
    language_vector: languages.VectorKind = "learned"
    """Which lang2vec vector describes a language; `none` leaves the language branch out (and with it Pivot-Dev)."""
    auxiliary: Several[PathOrUri] = ()
    """Folders of experiments on other tasks, encoded by candidates of the same encoder, that teach the ranker too
    (paper, A.4): their candidates' order in each language of this experiment that they know, pivots and targets, with
    the task joined to the language vector (or alone, where there is none). So labels of another task in a target
    language are used; those of this task stay unseen, and an experiment on this same task is refused."""
    transfer_from: PathOrUri | None = None
    """Folder of an experiment whose rankers score the candidates of this one, in place of fitting any (paper, Table 4):
    for each target the ranker of the most pivots that do not hold it. `fit`, `features` and `language_vector` must be
    that experiment's; the keys that say how a ranker is fitted have no effect."""
    hidden: PositiveInt = 1024
    """`paper`: width of both branches."""
    batch_size: Several[PositiveInt] = (16, 32, 64, 128)
    """`paper`: pairs in each step, the grid's first axis."""
    learning_rate: Several[PositiveFloat] = (1e-4, 5e-5, 1e-5, 5e-6, 1e-6)
    """`paper`: Adam's learning rate, the grid's second axis."""
    epochs: PositiveInt = 3
    """`paper`: passes over all pairs."""
    ties: Ties = "skip"
    """`paper`: what two candidates of equal score teach: nothing, or that either wins as often (`half`)."""
    checkpoint: Checkpoint = "last"
    """`paper`: the net after the last epoch, or after that of the highest Kendall's tau on meta-dev (`best`)."""
    seeds: PositiveInt = 1
    """`paper`: rankers fitted at each grid point; above 1, candidates are ordered by their mean rank over the seeds."""
    l2: Several[PositiveFloat] = (10.0, 1.0, 0.1, 0.01, 0.001)
    """`fast`: strength of the L2 penalty, its grid."""
    resources: Resources = Resources()
    """What one Ray Train worker takes; the workers share the grid points."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The keys that span the grid."""
        return ("l2",) if self.fit == "fast" else ("batch_size", "learning_rate")

    @property
    def grid_points(self) -> int:
        """How many rankers are fitted for each set of pivots."""
        if self.transfer_from:
            return 0
        return prod(len(getattr(self, axis)) for axis in self.axes) * (1 if self.fit == "fast" else self.seeds)

    _lists = field_validator("features", "learning_rate", "batch_size", "l2")(each_once)

    @model_validator(mode="after")
    def _taught_by_somebody(self) -> Self:
        if len(set(self.auxiliary)) < len(self.auxiliary):
            raise ValueError(f"auxiliary names a folder twice: {', '.join(map(without_credentials, self.auxiliary))}")
        if self.auxiliary and self.transfer_from:
            raise ValueError("transfer_from fits no ranker that auxiliary could teach; accepted is one of the two")
        return self


class Selection(Model):
    """How picks are scored."""

    target_examples: PositiveInt = 100
    """Labelled target examples of the oracle 100-Target, drawn once by the experiment's seed."""
    bootstrap: Annotated[int, Field(ge=100)] = 2000
    """Resamples of the paired bootstrap against En-Dev."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Level of its interval."""


class Soups(Model):
    """Averages of candidates' weights, rivals of a single pick (`lms-ray soups`)."""

    top: Several[PositiveInt] = (3, 5, 10)
    """How many of a rule's best candidates are averaged, each number anew."""

    _lists = field_validator("top")(each_once)
