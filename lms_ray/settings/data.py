"""The part of the configuration that says where the examples come from."""

import glob
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from lms_ray.settings.base import LocalPath, Model, PathOrUri, PositiveInt, expanded, shown
from lms_ray.settings.uris import split

Split = Literal["train", "dev", "test"]
EVERY = "*"  # key that stands for all languages which are not named themselves
HUB_SPLITS: dict[Split, str] = {"train": "train", "dev": "validation", "test": "test"}
RANGE = re.compile(r"\[(\d{0,18}):(\d{0,18})\]$")


def _for_every_language(value: Any) -> Any:
    return {EVERY: value} if isinstance(value, str) else {} if value is None else value


Files = Annotated[
    Annotated[str, Tag("(pattern)")] | Annotated[dict[Split, str], Tag("(splits)")],
    Discriminator(lambda value: "(splits)" if isinstance(value, dict) else "(pattern)"),
]

Column = Annotated[
    Annotated[str, Tag("(name)")] | Annotated[int, Field(ge=0), Tag("(number)")],
    Discriminator(lambda value: "(number)" if isinstance(value, int | float) else "(name)"),
]


class Limit(Model):
    """First so many sentences (or questions) of each language's split; None takes all."""

    train: PositiveInt | None = None
    """Of the source's training set."""
    dev: PositiveInt | None = None
    """Of every language's dev set."""
    test: PositiveInt | None = None
    """Of every language's test set."""


class Iob(Model):
    """How an entity file is laid out."""

    token: int = 0
    """Column of the token, from 0; negative ones count from the end."""
    tag: int = -1
    """Column of the tag."""
    comments: bool = False
    """Lines that begin with `#` are comments (UNER, GermEval), not tokens."""
    scheme: Literal["iob2", "iob1"] = "iob2"
    """`iob1`: `B-` only parts touching entities (CoNLL-2003's own files); it is converted to `iob2`."""
    illegal: Literal["refuse", "repair"] = "refuse"
    """An `I-` that continues nothing: refused with file and line, or made the beginning of an entity and counted."""


class Texts(Model):
    """How a file of texts and their labels is laid out, for `tsv`, `csv` and `jsonl`."""

    columns: dict[Literal["text", "pair", "label", "id"], Column] = Field(default_factory=dict)
    """Columns (for `jsonl` keys) that are not named as usual: `{text: body, label: topic}`. A number counts from 0, for
    files without a header. `pair` (the second text of a pair) and `id` may be missing from the data."""
    header: bool = True
    """The first line names the columns."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """What separates the columns. None: a tab for `tsv`, a comma for `csv`."""


class Hub(Model):
    """A data set of the Hugging Face hub, or a local folder in the same layout."""

    path: LocalPath
    """Name on the hub (`unimelb-nlp/wikiann`) or folder; `{lang}` stands for the language. A relative folder starts in
    the one in which the command is run; `~` is the home directory."""
    name: str | None = None
    """Configuration of the data set; `{lang}` stands for the language."""
    revision: str | None = None
    """Commit, tag or branch of a hub data set."""
    splits: dict[Split, str] = Field(default_factory=lambda: dict(HUB_SPLITS))
    """The data set's name of each split; slices are allowed (`test[:100]`)."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Columns that are named otherwise than usual: `{tags: pos_tags}`."""

    def absolute(self) -> Self:
        """The same with an absolute path, where there is such a folder and not only a name on the hub."""
        pattern = glob.escape(self.path).replace("{lang}", "*")
        is_local = not Path(self.path).is_absolute() and any(Path().glob(pattern))
        return self.model_copy(update={"path": str(Path(self.path).absolute())}) if is_local else self


class Source(Model):
    """Where one language's split is."""

    pattern: str
    """File or folder below `data.root`, with wildcards."""
    start: int | None
    """First record that is taken, from 0."""
    stop: int | None
    """The record after the last."""


class Data(Model):
    """Where the examples come from."""

    format: str = "conllu"
    """How the examples are laid out: the name of a reader, of those that the task takes. `hub` is a Hugging Face data
    set, `toy` small artificial languages, generated on first use."""
    root: PathOrUri | None = None
    """Folder below which `files` are, local to the driver or in an object store (`s3://bucket/ud`); for `toy` it is
    generated and must be left out. A relative path starts in the folder in which the command is run; `~` is the home
    directory."""
    files: Annotated[dict[str, Files], BeforeValidator(_for_every_language)] = Field(default_factory=dict)
    """Each language's files: a pattern with `{lang}`, `{split}` and wildcards that fit one file only, or one for each
    split. `*` is every language that is not named. `test.json[100:200]` takes records 100 to 199 of a file. For `ace`
    the folder of the language, whose documents are split by `split_seed`."""
    hub: dict[str, Hub] = Field(default_factory=dict)
    """Each language's data set, for `hub`; `*` is every language that is not named."""
    iob: dict[str, Iob] = Field(default_factory=dict)
    """Each language's layout, for `iob` (for `hub` only `scheme` and `illegal`); `*` is every language not named."""
    texts: dict[str, Texts] = Field(default_factory=dict)
    """Each language's layout, for `tsv`, `csv` and `jsonl` with texts; `*` is every language that is not named."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels that are read as others (`{MISC: O}`), for tasks that have labels. `O` stands for none."""
    unrelated: Literal["keep", "drop"] = "keep"
    """Pairs between which no relation holds, for tasks on pairs. `drop` leaves relation classification,
    CrossRE's own task: which relation holds between two entities of which it is known that one does."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Decides which documents of `ace` are train, dev and test (80%, 10%, 10%)."""
    text: Annotated[dict[str, PathOrUri], BeforeValidator(_for_every_language)] = Field(default_factory=dict)
    """Unlabelled text, one sentence a line: a path with `{lang}` in it, local to the driver or in an object store
    (`s3://bucket/text/{lang}.txt`), or a path for each language, where `*` is every one that is not named. A language
    without one is described by the words of its dev set. A relative path starts in the folder in which the command is
    run; `~` is the home directory."""
    limit: Limit = Limit()
    """Use only the first examples of each split."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.format == "toy" and (self.root or self.files):
            raise ValueError("toy languages are generated; root and files must be left out")
        if self.format == "hub" and (self.root or self.files):
            raise ValueError("hub data sets are named by data.hub; root and files must be left out")
        if self.format not in ("toy", "hub") and not self.root:
            raise ValueError("root is not set; accepted is the folder that holds the files (data.root=/path/to/data)")
        for language, named in self.files.items():
            for pattern in [named] if isinstance(named, str) else named.values():
                if not pattern or "\0" in pattern or Path(expanded(pattern)).is_absolute():
                    raise ValueError(f"files.{language}: found {shown(pattern)}; accepted is a path below root")
        for key, formats in (("hub", ("hub",)), ("iob", ("iob", "hub"))):
            if getattr(self, key) and self.format not in formats:
                raise ValueError(f"{key} is for format {' and '.join(formats)}, found {self.format}")
        everywhere = self.text.get(EVERY)
        if everywhere is not None and "{lang}" not in split(everywhere)[0]:
            raise ValueError(
                f"text has no {{lang}} in it, found {shown(everywhere)}; accepted is a path like text/{{lang}}.txt"
            )
        return self

    def where(self, language: str, split: str) -> Source | None:
        """Where a language's split is; None where no file is named for it."""
        named = self.files.get(language, self.files.get(EVERY))
        pattern = named.get(split) if isinstance(named, dict) else named  # type: ignore[call-overload]
        if pattern is None:
            return None
        bounds = RANGE.search(pattern)
        start, stop = (int(bound) if bound else None for bound in bounds.groups()) if bounds else (None, None)
        pattern = RANGE.sub("", pattern).replace("{lang}", language).replace("{split}", split)
        return Source(pattern=pattern, start=start, stop=stop)

    def data_set(self, language: str) -> Hub | None:
        """A language's data set of the hub; None where none is named for it."""
        named = self.hub.get(language, self.hub.get(EVERY))
        if named is None:
            return None
        update = {key: value.replace("{lang}", language) for key in ("path", "name") if (value := getattr(named, key))}
        return named.model_copy(update=update)

    def layout(self, language: str) -> Iob:
        """The layout of a language's entity files."""
        return self.iob.get(language, self.iob.get(EVERY, Iob()))

    def text_layout(self, language: str) -> Texts:
        """The layout of a language's files of texts."""
        return self.texts.get(language, self.texts.get(EVERY, Texts()))

    def plain_text(self, language: str) -> str | None:
        """Path of a language's unlabelled text; None where none is named for it."""
        named = self.text.get(language, self.text.get(EVERY))
        return None if named is None else named.replace("{lang}", language)

    def absolute(self) -> Self:
        """The same with absolute local paths, which workers in other folders find too."""
        update: dict[str, Any] = {
            "root": self.root and _absolute(self.root),
            "text": {key: _absolute(path) for key, path in self.text.items()},
            "hub": {key: wanted.absolute() for key, wanted in self.hub.items()},
        }
        return self.model_copy(update=update)

    def unnamed(self, languages: tuple[str, ...]) -> list[str]:
        """Languages for which neither files nor a data set are named."""
        named = self.hub if self.format == "hub" else self.files
        return [] if EVERY in named else [language for language in languages if language not in named]


def _absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())
