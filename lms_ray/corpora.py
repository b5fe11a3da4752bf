"""The texts of an experiment: which file holds which language and split, checked before any work starts."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from lms_ray.data import DataError
from lms_ray.experiment import Data, Experiment, content_hash
from lms_ray.tasks.base import Task
from lms_ray.windows import Windows

UNLABELLED = "text"
"""Split name of an unlabelled corpus."""


@dataclass(frozen=True)
class Corpus:
    """One language's split: a treebank's, or plain text."""

    language: str
    split: str
    path: str
    """The treebank's folder, or the text file."""
    limit: int | None
    """Only the first so many examples."""

    @property
    def name(self) -> str:
        """`de-dev`."""
        return f"{self.language}-{self.split}"

    def files(self, task: Task) -> list[Path]:
        """The files that hold the corpus.

        Raises:
            DataError: a file is missing.
        """
        path = Path(self.path)
        if self.split != UNLABELLED:
            return task.files(path, self.split)
        if not path.is_file():
            raise DataError(f"data.text: found no file {path}; accepted is one for every pivot and target")
        return [path]

    def examples(self, task: Task) -> list[Any]:
        """The labelled examples, all read."""
        return task.read(Path(self.path), self.split, self.limit)

    def shards(self, task: Task, tokenizer: PreTrainedTokenizerBase, max_length: int, size: int) -> Iterator[Windows]:
        """Tokenised shards of `size` examples; plain text is read as it is needed and may be larger than memory."""
        if self.split == UNLABELLED:
            for lines in _chunks(_lines(Path(self.path)), size):
                yield task.text_windows(lines, tokenizer, max_length)
        else:
            for examples in _chunks(iter(self.examples(task)), size):
                yield task.windows(examples, tokenizer, max_length)

    def digest(self, task: Task) -> str:
        """Hash of the files' content and the limit: the same data in another place has the same digest."""
        contents = []
        for file in self.files(task):
            with file.open("rb") as stream:
                contents.append(hashlib.file_digest(stream, "sha256").hexdigest())
        return content_hash(contents, self.limit, self.split == UNLABELLED)


def training(experiment: Experiment) -> Corpus:
    """The source's training set."""
    return _corpus(experiment.data, experiment.source, "train")


def source_dev(experiment: Experiment) -> Corpus:
    """The source's dev set, on which En-Dev chooses."""
    return _corpus(experiment.data, experiment.source, "dev")


def encoded(experiment: Experiment) -> list[Corpus]:
    """Everything that is passed through every candidate.

    Dev sets of all languages, test sets of the targets, and the unlabelled text of pivots and targets where it is not
    the dev sets' own.
    """
    data = experiment.data
    corpora = [_corpus(data, language, "dev") for language in experiment.languages]
    corpora += [_corpus(data, language, "test") for language in experiment.targets]
    if data.text:
        spoken = dict.fromkeys(experiment.pivots + experiment.targets)
        text = str(Path(data.text).absolute())
        corpora += [Corpus(language, UNLABELLED, text.replace("{lang}", language), None) for language in spoken]
    return corpora


def feature_split(experiment: Experiment) -> str:
    """The split whose words describe a candidate in a language."""
    return UNLABELLED if experiment.data.text else "dev"


def check(experiment: Experiment, task: Task) -> None:
    """Read everything once, so that a broken file stops the job before any work.

    Raises:
        DataError: a file is missing, empty or broken.
    """
    for corpus in [training(experiment), *encoded(experiment)]:
        if corpus.split == UNLABELLED:
            corpus.files(task)
            for _ in _lines(Path(corpus.path)):
                pass
        else:
            corpus.examples(task)


def _corpus(data: Data, language: str, split: str) -> Corpus:
    assert data.root is not None  # validated, or filled in for toy languages
    folder = Path(data.root).absolute() / data.treebanks[language]
    return Corpus(language, split, str(folder), getattr(data.limit, split))


def _lines(path: Path) -> Iterator[str]:
    """Sentences of a text file.

    Raises:
        DataError: not UTF-8, or no sentence in it.
    """
    found = False
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise DataError(f"{path}:{number}: not UTF-8: {error.reason} at byte {error.start}") from None
            if line:
                found = True
                yield line
    if not found:
        raise DataError(f"{path}: found no sentence")


def _chunks(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while chunk := list(islice(items, size)):
        yield chunk
