"""The configuration of an experiment: typed, validated, frozen.

The field defaults are the paper's (Chen & Ritter, EMNLP 2021); `config.load` fills the fields from files.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from lms_ray.settings import languages
from lms_ray.settings.base import Model, PositiveFloat, PositiveInt, each_once
from lms_ray.settings.data import EVERY, FORMATS, Data

Decay = Annotated[float, Field(ge=0, lt=1)]
Precision = Literal["float32", "bfloat16"]


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


# pydantic adds these to the location of an error, though they are no keys.
ALTERNATIVES = ("(list)", "(range)", "(pattern)", "(splits)", "[key]")


def _alternative(value: Any) -> str:
    return "(range)" if isinstance(value, dict | Range) else "(list)"


Floats = Annotated[
    Annotated[tuple[PositiveFloat, ...], Tag("(list)")] | Annotated[Range, Tag("(range)")], Discriminator(_alternative)
]
Integers = Annotated[
    Annotated[tuple[PositiveInt, ...], Tag("(list)")] | Annotated[Range, Tag("(range)")], Discriminator(_alternative)
]


class Sweep(Model):
    """The candidates: which settings are fine-tuned, and where."""

    search: Literal["grid", "optuna"] = "grid"
    """`grid` takes every combination of the lists; `optuna` samples lists and ranges (TPE on the source's
    dev score). What a search proposes depends on the order in which candidates finish; a grid is always the same."""
    checkpoints: str | None = None
    """Folders of fine-tuned checkpoints, local or in an object store, to choose from in place of fine-tuning: a
    pattern (`s3://bucket/ner/*`), or one folder that holds them. The settings of the grid are then of no use."""
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
    max_failures: Annotated[int, Field(ge=0)] = 3
    """How often a candidate goes on from its last epoch after an error or a lost worker, before it counts as failed."""
    resources: Resources = Resources()
    """What one candidate takes while it is fine-tuned."""

    _lists = field_validator("learning_rate", "epochs", "batch_size")(each_once)

    @model_validator(mode="after")
    def _fits_search(self) -> Self:
        for key in ("learning_rate", "epochs", "batch_size"):
            if self.search == "grid" and isinstance(getattr(self, key), Range):
                raise ValueError(f"{key} is a range, which wants search: optuna; a grid wants a list of values")
        if self.checkpoints and self.search == "optuna":
            raise ValueError("checkpoints are taken in place of fine-tuning; search: optuna has nothing to search")
        if (self.search == "optuna") != (self.candidates is not None):
            raise ValueError(
                "candidates is the number of candidates of search: optuna, to be given there and only there"
            )
        return self


class FineTune(Model):
    """How one candidate is fine-tuned. Where the paper is silent the default is the common one, and said so."""

    schedule: Literal["linear", "constant"] = "linear"
    """Learning rate after the warm-up: linear decay to zero, or constant. Not in the paper; linear is common."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps in which the learning rate rises linearly. Not in the paper; 0.1 is BERT's own."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decoupled weight decay (AdamW), on weight matrices, not on biases and layer norms. Paper: 0.01."""
    adam_betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Adam's moment decay rates. Paper: 0.9, 0.999."""
    max_grad_norm: PositiveFloat = 1.0
    """Gradients are clipped to this norm. Not in the paper; 1.0 is common."""
    max_length: Annotated[int, Field(ge=8)] = 128
    """Sub-words in one window, special tokens included; longer text continues in another window. Not in the paper."""
    stride: Annotated[int, Field(ge=0)] | None = None
    """Sub-words that neighbouring windows of a question's context share. Not in the paper; None is a third of
    `max_length`, as in BERT's own 128 of 384."""
    precision: Precision = "float32"
    """Arithmetic of the forward and backward pass; bfloat16 runs under autocast, the weights stay float32."""
    save_dtype: Precision = "float32"
    """Type of the saved weights; bfloat16 halves the storage, and the dev score is measured after the rounding."""

    @model_validator(mode="after")
    def _windows_move_on(self) -> Self:
        if self.stride is not None and self.stride > self.max_length // 2:
            raise ValueError(f"stride is {self.stride}; accepted is at most half of max_length, {self.max_length // 2}")
        return self


class Encode(Model):
    """How text is passed through the checkpoints."""

    batch_tokens: Annotated[int, Field(ge=512)] = 8192
    """Sub-words in one batch, padding included; batches hold windows of like length."""
    shard_examples: PositiveInt = 4096
    """Examples in one shard, the unit of streaming. Sums are taken by shard, then over shards in their order, so the
    result does not depend on who encoded which."""
    precision: Precision = "float32"
    """Arithmetic of the forward pass; sums are float64 in any case."""
    resources: Resources = Resources()
    """What one encoding actor takes."""


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
    batch_size: tuple[PositiveInt, ...] = (16, 32, 64, 128)
    """Pairs in each step: the grid's first axis."""
    learning_rate: tuple[PositiveFloat, ...] = (1e-4, 5e-5, 1e-5, 5e-6, 1e-6)
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


class Cluster(Model):
    """Which Ray to run on."""

    address: str | None = None
    """A running cluster (`auto`, or host:port). None: the one that RAY_ADDRESS names, else a local one is started."""
    cpus: PositiveInt | None = None
    """CPU cores of a local Ray. None: all of the machine's."""


class Experiment(Model):
    """One experiment: everything that decides its result, and where it runs."""

    preset: str | None = None
    """The base of this configuration: a preset's name, or a YAML file beside the one that names it."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Name of the experiment's folder below `storage`."""
    storage: str = "runs"
    """Local folder or object store (`s3://bucket/runs`, `gs://...`) that all nodes reach."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Everything random comes from this number."""
    task: Literal["pos", "ner", "qa", "re", "arl"] = "pos"
    """What the candidates are fine-tuned for: part of speech, named entities, question answering, relation extraction,
    argument roles."""
    encoder: str = "bert-base-multilingual-cased"
    """A Hugging Face model name or folder; `toy` is a tiny BERT pre-trained on the toy languages on first use."""
    allow_pickled: tuple[str, ...] = ()
    """Encoders (as named in `encoder`) or checkpoint folders (patterns may be used) whose weights may be read from a
    pickled `pytorch_model.bin` where they have no safetensors; any other is refused."""
    source: str = "en"
    """Language of the training data."""
    pivots: tuple[str, ...]
    """Languages with a labelled dev set, on which the ranker learns."""
    targets: tuple[str, ...]
    """Languages to pick a candidate for. A target that is a pivot is left out of its own ranker's pivots."""
    train_on: Literal["source", "source+pivots"] = "source"
    """`source+pivots`: candidates are fine-tuned on the source's training set and the pivots' dev sets together
    (paper, Table 4); the ranker then learns from the pivots' test sets, which no candidate has seen, and no pivot
    may be a target."""
    data: Data
    """Where the examples come from."""
    sweep: Sweep = Sweep()
    """The candidates."""
    finetune: FineTune = FineTune()
    """How a candidate is fine-tuned."""
    encode: Encode = Encode()
    """How text is passed through the checkpoints."""
    meta_split: MetaSplit = MetaSplit()
    """How the candidates are divided."""
    ranker: Ranker = Ranker()
    """The pairwise ranker."""
    selection: Selection = Selection()
    """How picks are scored."""
    cluster: Cluster = Cluster()
    """Which Ray to run on."""

    @field_validator("source", "pivots", "targets")
    @classmethod
    def _known_languages(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for code in (value,) if isinstance(value, str) else value:
            languages.iso639_3(code)
        return value

    _lists = field_validator("pivots", "targets")(each_once)

    @model_validator(mode="after")
    def _roles_fit(self) -> Self:
        if self.source in self.pivots + self.targets:
            raise ValueError(
                f"source {self.source} is also a pivot or a target; its labels are in every candidate already"
            )
        alone = [target for target in self.targets if set(self.pivots) <= {target}]
        if alone:
            raise ValueError(f"target {alone[0]} is the only pivot: leaving it out of its own ranker leaves none")
        if self.ranker.language_vector != "none":
            for code in dict.fromkeys(self.pivots + self.targets):
                try:
                    languages.vector(code, self.ranker.language_vector)
                except languages.MissingVectorError as error:
                    raise ValueError(
                        f"ranker.language_vector is {self.ranker.language_vector}, but {error}; "
                        "accepted are other languages, syntax_knn, or none"
                    ) from None
        if self.data.format not in FORMATS[self.task]:
            raise ValueError(
                f"data.format is {self.data.format}; accepted for task {self.task} are {', '.join(FORMATS[self.task])}"
            )
        if self.task == "qa" and self.data.labels:
            raise ValueError("data.labels is for tasks with labels, and qa has none; accepted is to leave it out")
        if self.task not in ("re", "arl") and self.data.unrelated == "drop":
            raise ValueError(f"data.unrelated is for pairs (re, arl), found task {self.task}")
        for key in ("files", "hub", "iob"):
            for code in set(getattr(self.data, key)) - {EVERY}:
                try:
                    languages.iso639_3(code)  # `dan` beside `da` would name nobody
                except ValueError as error:
                    raise ValueError(f"data.{key}.{code}: {error}") from None
        unnamed = [] if self.data.format == "toy" else self.data.unnamed(self.languages)
        if unnamed:
            key = "hub" if self.data.format == "hub" else "files"
            raise ValueError(f"data.{key} names nothing for {', '.join(unnamed)}")
        both = [target for target in self.targets if target in self.pivots]
        if self.train_on == "source+pivots" and both:
            raise ValueError(
                f"train_on is source+pivots, and {both[0]} is both pivot and target: its dev set would be trained on, "
                "and its test labels would teach the ranker; accepted are targets that are no pivots"
            )
        if (self.encoder == "toy") != (self.data.format == "toy"):
            raise ValueError("encoder: toy and data.format: toy go together, each was made for the other")
        if not self.sweep.checkpoints:
            self.meta_split.require(self.number_of_candidates, "sweep describes")
        return self

    @property
    def languages(self) -> tuple[str, ...]:
        """Source, pivots and targets, each once."""
        return tuple(dict.fromkeys((self.source, *self.pivots, *self.targets)))

    @property
    def number_of_candidates(self) -> int:
        """How many candidates a grid or search describes; checkpoints are counted where they are."""
        return self.sweep.candidates or len(grid(self.sweep))

    @property
    def folder(self) -> str:
        """The experiment's folder, local path or URI."""
        path, question, options = self.storage.partition("?")  # s3://bucket/runs?endpoint_override=...
        return f"{path.rstrip('/')}/{self.name}{question}{options}"

    @property
    def pivot_split(self) -> str:
        """The pivots' labelled split that the ranker learns from: one that no candidate was fine-tuned on."""
        return "test" if self.train_on == "source+pivots" else "dev"

    def pivots_for(self, target: str) -> tuple[str, ...]:
        """The pivots that may teach the ranker of a target: all but the target itself."""
        return tuple(pivot for pivot in self.pivots if pivot != target)


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


def content_hash(*parts: Any) -> str:
    """Sha256 over JSON-able parts, stable between runs and machines."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def seed_for(*parts: Any) -> int:
    """A 32-bit seed for one use: `seed_for(experiment.seed, "meta-split")`."""
    return int(content_hash(*parts)[:8], 16)
