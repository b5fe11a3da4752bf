"""The configuration of an experiment: typed, validated, frozen.

The field defaults are the paper's (Chen & Ritter, EMNLP 2021); `loading.load` fills the fields from files.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from lms_ray.settings import languages
from lms_ray.settings.base import LocalPath, Model, PathOrUri, Public, Several, each_once, none_twice
from lms_ray.settings.candidates import Sweep, grid
from lms_ray.settings.choosing import MetaSplit, Ranker, Selection, Soups
from lms_ray.settings.data import EVERY, Data
from lms_ray.settings.models import Encode, FineTune
from lms_ray.settings.resources import Cluster
from lms_ray.settings.trackers import Trackers
from lms_ray.settings.uris import split


class Experiment(Model):
    """One experiment: everything that decides its result, and where it runs."""

    preset: str | None = None
    """The base of this configuration: a preset's name, or a YAML file, whose relative path starts in the folder of the
    file that names it."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
    """Name of the experiment's folder below `storage`."""
    storage: PathOrUri = "runs"
    """Local folder or object store (`s3://bucket/runs`, `gs://...`) that all nodes reach. A relative path starts in the
    folder in which the command is run; `~` is the home directory. Keys belong to the environment or to a role of the
    machines; those in a URI (`s3://key:secret@bucket/runs`) are kept nowhere, and given again by who goes on."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Everything random comes from this number."""
    task: str = "pos"
    """What the candidates are fine-tuned for; accepted names are the modules of `lms_ray.tasks`."""
    encoder: LocalPath = "bert-base-multilingual-cased"
    """A Hugging Face model name or folder; `toy` is a tiny BERT pre-trained on the toy languages on first use. A
    relative folder starts in the one in which the command is run; `~` is the home directory."""
    allow_pickled: Several[Annotated[str, Public]] = ()
    """Encoders (as named in `encoder`) or checkpoint folders (patterns may be used) whose weights may be read from a
    pickled `pytorch_model.bin` where they have no safetensors; any other is refused."""
    source: str = "en"
    """Language of the training data."""
    pivots: Several[str]
    """Languages with a labelled dev set, on which the ranker learns."""
    targets: Several[str] = ()
    """Languages to pick a candidate for, with a labelled dev and test set: no rule but the oracles looks at them, they
    say how good the picks are. A target that is a pivot is left out of its own ranker's pivots."""
    unlabelled_targets: Several[str] = ()
    """Further languages to pick a candidate for, of which there is nothing but plain text (`data.text`). Their picks
    for use stand beside those of the targets, and are not judged; `lms-ray verify` judges them by labels that come
    later. One that is added to a finished experiment is encoded, and nothing else is. Plain text holds no questions and
    no pairs of spans: on these tasks, rules that look at what candidates predict have no say for such a language."""
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
    soups: Soups = Soups()
    """Which candidates are averaged."""
    cluster: Cluster = Cluster()
    """Which Ray to run on."""
    trackers: Trackers = Trackers()
    """Who else is told of the sweep."""

    @field_validator("source", "pivots", "targets", "unlabelled_targets")
    @classmethod
    def _known_languages(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for code in (value,) if isinstance(value, str) else value:
            languages.iso639_3(code)
        return value

    _lists = field_validator("pivots")(each_once)
    _may_be_empty = field_validator("targets", "unlabelled_targets")(none_twice)

    @model_validator(mode="after")
    def _roles_fit(self) -> Self:
        languages.require_distinct(self.languages)
        if not self.picked_for:
            raise ValueError("targets: found none, and no unlabelled_targets; accepted is at least one language")
        self._require_unlabelled()
        if self.source in self.pivots + self.targets:
            raise ValueError(
                f"source {self.source} is also a pivot or a target; its labels are in every candidate already"
            )
        alone = [target for target in self.targets if set(self.pivots) <= {target}]
        if alone:
            raise ValueError(f"target {alone[0]} is the only pivot: leaving it out of its own ranker leaves none")
        if self.ranker.language_vector != "none":
            for code in dict.fromkeys(self.pivots + self.picked_for):
                try:
                    languages.vector(code, self.ranker.language_vector)
                except languages.MissingVectorError as error:
                    raise ValueError(
                        f"ranker.language_vector is {self.ranker.language_vector}, but {error}; "
                        "accepted are other languages, syntax_knn, or none"
                    ) from None
        for key in ("files", "hub", "iob", "texts", "text"):
            for code in set(getattr(self.data, key)) - {EVERY}:
                try:
                    languages.iso639_3(code)  # `dan` beside `da` would name nobody
                except ValueError as error:
                    raise ValueError(f"data.{key}.{code}: {error}") from None
        unnamed = [] if self.data.format == "toy" else self.data.unnamed(self.labelled_languages)
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

    def _require_unlabelled(self) -> None:
        """Refuse an unlabelled target that is labelled, or of which there is no text.

        Raises:
            ValueError: names the language, and what is accepted.
        """
        for target in self.unlabelled_targets:
            if target in self.labelled_languages:
                role = "source" if target == self.source else "pivot" if target in self.pivots else "target"
                raise ValueError(
                    f"unlabelled_targets: found {target}, a {role}, which has labels; accepted are other languages"
                )
            if self.data.format != "toy" and self.data.plain_text(target) is None:
                raise ValueError(
                    f"unlabelled_targets: found {target}, for which data.text names no file; accepted are languages of "
                    f"which there is text, one sentence a line (data.text.{target}=/path/to/text.txt)"
                )

    @property
    def labelled_languages(self) -> tuple[str, ...]:
        """Source, pivots and targets, each once."""
        return tuple(dict.fromkeys((self.source, *self.pivots, *self.targets)))

    @property
    def picked_for(self) -> tuple[str, ...]:
        """Languages for which a candidate is picked, whether or not there are labels to judge it by."""
        return self.targets + self.unlabelled_targets

    @property
    def languages(self) -> tuple[str, ...]:
        """All, each once."""
        return tuple(dict.fromkeys((*self.labelled_languages, *self.unlabelled_targets)))

    @property
    def number_of_candidates(self) -> int:
        """How many candidates a grid or search describes; checkpoints are counted where they are."""
        return self.sweep.candidates or len(grid(self.sweep))

    @property
    def pivot_sets(self) -> set[tuple[str, ...]]:
        """The sets of pivots of which each has rankers of its own."""
        return {self.pivots_for(target) for target in self.picked_for}

    @property
    def number_of_rankers(self) -> int:
        """How many rankers are fitted: a grid for each set of pivots."""
        return len(self.pivot_sets) * self.ranker.grid_points

    @property
    def folder(self) -> str:
        """The experiment's folder, local path or URI."""
        path, options = split(self.storage)
        return f"{path.rstrip('/')}/{self.name}{options}"

    def absolute(self) -> Self:
        """The same with absolute local paths, which workers in other folders find too."""
        folders = {key: getattr(self.sweep, key) for key in ("checkpoints", "judged_by")}
        found = {key: str(Path(path).absolute()) for key, path in folders.items() if path and "://" not in path}
        return self.model_copy(update={"data": self.data.absolute(), "sweep": self.sweep.model_copy(update=found)})

    def without_credentials(self) -> Self:
        """The same as it may be shown: no URI names a key."""
        return type(self).model_validate(self.model_dump(mode="json"))

    @property
    def pivot_split(self) -> str:
        """The pivots' labelled split that the ranker learns from: one that no candidate was fine-tuned on."""
        return "test" if self.train_on == "source+pivots" else "dev"

    def pivots_for(self, target: str) -> tuple[str, ...]:
        """The pivots that may teach the ranker of a target: all but the target itself."""
        return tuple(pivot for pivot in self.pivots if pivot != target)
