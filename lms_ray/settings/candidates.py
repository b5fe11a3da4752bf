"""The part of the configuration that says which candidates there are."""

from dataclasses import asdict, dataclass
from itertools import product
from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from lms_ray.settings.base import Model, PathOrUri, PositiveFloat, PositiveInt, Several, each_once
from lms_ray.settings.hashing import content_hash
from lms_ray.settings.resources import Resources

MOST_CANDIDATES = 100_000  # a slip of the keyboard, not an experiment


class Range(Model):
    """A range to search, for `search: optuna`."""

    low: PositiveFloat
    """Lower end, included."""
    high: PositiveFloat
    """Upper end, included."""
    log: bool = False
    """Search on a logarithmic scale."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, found {self.low} and {self.high}")
        return self


class WholeRange(Range):
    """A range of whole numbers to search."""

    low: PositiveInt
    """Lower end, included."""
    high: PositiveInt
    """Upper end, included."""


def _alternative(value: Any) -> str:
    return "(range)" if isinstance(value, dict | Range) else "(list)"


Floats = Annotated[
    Annotated[Several[PositiveFloat], Tag("(list)")] | Annotated[Range, Tag("(range)")], Discriminator(_alternative)
]
Integers = Annotated[
    Annotated[Several[PositiveInt], Tag("(list)")] | Annotated[WholeRange, Tag("(range)")], Discriminator(_alternative)
]


AXES = ("learning_rate", "epochs", "batch_size")  # of the grid


class Sweep(Model):
    """The candidates: which settings are fine-tuned, and where."""

    search: Literal["grid", "optuna"] = "grid"
    """`grid` takes every combination of the lists; `optuna` samples lists and ranges (TPE on
    `objective`). What a search proposes depends on the order in which candidates finish; a grid is always the same."""
    checkpoints: PathOrUri | None = None
    """Folders of fine-tuned checkpoints, local or in an object store, to choose from in place of fine-tuning: a
    pattern (`s3://bucket/ner/*`), or one folder that holds them. The settings of the grid are then of no use. A
    relative path starts in the folder in which the command is run; `~` is the home directory."""
    learning_rate: Floats = (3e-5, 5e-5, 7e-5)
    """Peak learning rates."""
    epochs: Integers = (3, 4, 5, 6)
    """Passes over the training data."""
    batch_size: Integers = (32,)
    """Windows in each step (an example, or a part of a long one)."""
    seeds: PositiveInt = 20
    """Candidates for each setting of the grid, seeds 0, 1, ... All randomness of a candidate comes from its setting
    and its seed: no two share a head or a data order, and a larger grid later keeps the finished ones."""
    candidates: PositiveInt | None = None
    """Number of candidates, for `search: optuna` only."""
    objective: Literal["dev", "recommended"] = "dev"
    """What `search: optuna` maximises: the score on the source's dev set, or (an experiment of ours, no proven way) the
    recommended score, by which `judged_by` would pick: each candidate is passed through that experiment's texts and
    scored beside its pool. No label of a target is looked at."""
    judged_by: PathOrUri | None = None
    """Folder of an experiment with rankings, of the same task, encoder and labels, whose pool, rankers and rules judge,
    for `objective: recommended` only. Its data are read where it found them."""
    judged_for: Several[str] | None = None
    """Targets of that experiment over which the recommended score is averaged; none names all of them."""
    max_failures: Annotated[int, Field(ge=0)] = 3
    """How often a candidate goes on from its last saved epoch after an error of its own, before it counts as failed
    and the others go on without it."""
    max_losses: Annotated[int, Field(ge=0)] = 10
    """How often it goes on after its worker or node was lost without notice, before it counts as lost. A node that is
    drained, such as a spot machine after its notice, counts neither here nor there."""
    max_missing: Annotated[int, Field(ge=0)] = 0
    """How many candidates may be missing in the end, failed or lost, with the job going on with those that are there.
    With more it ends after the sweep, and the same command tries them again. One that diverged is done, and is not
    missing."""
    save_every: Annotated[int, Field(ge=0)] = 1
    """Epochs after which a candidate's weights and Adam's moments are saved, to go on from there after an interruption;
    0 saves none, and an interrupted candidate starts again. A save takes three times the bytes of the weights, less
    those of sub-words that do not occur (over 1 GB for mBERT), and is written while the next epoch trains."""
    keep_weights: Literal["all", "pool", "picks"] = "all"
    """Whose weights stay: those of all; of the pool that is picked from (meta-test), once every text has been passed
    through every candidate; or, after selection, of what was picked for any target, from the pool by the selectors of
    the main table or from all candidates for use. A new text or dev set wants the weights of all. Checkpoints that were
    brought are never deleted."""
    resources: Resources = Resources()
    """What one candidate takes while it is fine-tuned."""

    _lists = field_validator(*AXES, "judged_for")(each_once)

    @model_validator(mode="after")
    def _fits_search(self) -> Self:
        for key in AXES:
            if self.search == "grid" and isinstance(getattr(self, key), Range):
                raise ValueError(f"{key} is a range, which wants search: optuna; a grid wants a list of values")
        if self.checkpoints and self.search == "optuna":
            raise ValueError("checkpoints are taken in place of fine-tuning; search: optuna has nothing to search")
        if (self.search == "optuna") != (self.candidates is not None):
            raise ValueError(
                "candidates is the number of candidates of search: optuna, to be given there and only there"
            )
        if self.objective == "recommended" and self.search != "optuna":
            raise ValueError(
                f"objective: recommended is what a search maximises, found search: {self.search}; accepted is "
                "search: optuna"
            )
        if (self.objective == "recommended") != (self.judged_by is not None):
            raise ValueError(
                "judged_by is the folder of the experiment that judges for objective: recommended, to be given there "
                "and only there"
            )
        if self.judged_for and not self.judged_by:
            raise ValueError("judged_for names targets of the experiment in judged_by, which is not set")
        count = self.candidates or self.seeds * prod(len(getattr(self, axis)) for axis in AXES)
        if count > MOST_CANDIDATES:
            raise ValueError(f"found {count} candidates; accepted are at most {MOST_CANDIDATES}")
        return self


@dataclass(frozen=True, order=True)
class Candidate:
    """The setting of one fine-tuned model."""

    learning_rate: float
    epochs: int
    batch_size: int
    seed: int

    def id(self, config_hash: str) -> str:
        """Readable and content-hashed: `lr5e-05-ep4-bs32-seed017-3f9a1c2b`."""
        digest = content_hash(asdict(self), config_hash)[:8]
        name = f"lr{self.learning_rate:.3g}-ep{self.epochs}-bs{self.batch_size}-seed{self.seed:03d}"
        return f"{name}-{digest}"


def grid(sweep: Sweep) -> list[Candidate]:
    """Every candidate of a grid; all settings with seed 0 first, so that an early stop leaves an even pool.

    Empty where the sweep is a search.
    """
    if sweep.search != "grid":
        return []
    assert not isinstance(sweep.learning_rate, Range)
    assert not isinstance(sweep.epochs, Range)
    assert not isinstance(sweep.batch_size, Range)
    return [
        Candidate(learning_rate, epochs, batch_size, seed)
        for seed, learning_rate, epochs, batch_size in product(
            range(sweep.seeds), sweep.learning_rate, sweep.epochs, sweep.batch_size
        )
    ]
