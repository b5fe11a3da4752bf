"""The texts of an experiment: which file holds which language and split, checked before any work starts."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from lms_ray import tasks
from lms_ray.data import DataError
from lms_ray.data.examples import Pair
from lms_ray.data.readers import ace, arguments, conllu, hub, iob, relations, squad
from lms_ray.data.text import numbered_lines
from lms_ray.settings.data import Data, Source
from lms_ray.settings.experiment import Experiment, FineTune
from lms_ray.tasks.base import NONE, Task
from lms_ray.tasks.windows import Windows

log = logging.getLogger(__name__)

UNLABELLED = "text"
"""Split name of an unlabelled corpus."""
KINDS: dict[str, hub.Kind] = {
    "pos": "tags",
    "ner": "entities",
    "qa": "questions",
    "re": "relations",
    "arl": "arguments",
}
"""What a task's rows of a hub data set are read as."""


@dataclass(frozen=True)
class Schema:
    """What the source's whole training set says about the task, whatever part of it is trained on."""

    names: tuple[str, ...]
    """Label names, sorted."""
    type_pairs: frozenset[tuple[str, str]] | None
    """Types between which a relation was seen; None where the data names no types."""


@dataclass(frozen=True)
class Corpus:
    """One language's split, labelled or plain text."""

    task: str
    language: str
    split: str
    data: Data
    type_pairs: frozenset[tuple[str, str]] | None = None
    """Pairs of other types are left out where no relation holds between them (paper, Appendix A.1)."""
    words_of: str = "dev"
    """The labelled split whose sentences an unlabelled corpus holds, where no text is configured."""

    @property
    def name(self) -> str:
        """`de-dev`."""
        return f"{self.language}-{self.split}"

    def examples(self) -> list[Any]:
        """The labelled examples, all read.

        Raises:
            DataError: files are missing or broken, or nothing is left of them.
        """
        source = self.data.where(self.language, self.split)
        examples = self._taken()
        task = tasks.get(self.task)
        examples = [task.relabelled(example, self.data.labels) for example in examples]
        if self.data.unrelated == "drop" and examples and isinstance(examples[0], Pair):
            related = [pair for pair in examples if pair.labels]
            log.info("%s: %d of %d pairs carry no relation, and are left out (data.unrelated: drop)",
                     self.name, len(examples) - len(related), len(examples))  # fmt: skip
            examples = related
        elif self.type_pairs is not None:
            possible = [pair for pair in examples if pair.labels or pair.types is None or pair.types in self.type_pairs]
            log.info("%s: %d of %d pairs are of types that carry no relation in training, and left out",
                     self.name, len(examples) - len(possible), len(examples))  # fmt: skip
            examples = possible
        if not examples:
            raise DataError(f"{self.name}: no example is left of {source.pattern if source else self.data.hub}")
        return examples

    def shards(
        self, task: Task, tokenizer: PreTrainedTokenizerBase, settings: FineTune, size: int
    ) -> Iterator[Windows]:
        """Tokenised shards of `size` examples; plain text is read as it is needed and may be larger than memory."""
        if self.split == UNLABELLED:
            for lines in _chunks(self.sentences(), size):
                yield task.text_windows(lines, tokenizer, settings.max_length)
        else:
            for examples in _chunks(iter(self.examples()), size):
                yield task.windows(examples, tokenizer, settings.max_length, settings.stride)

    def sentences(self) -> Iterator[str]:
        """Unlabelled sentences, read as they are needed: of a text file, or of a labelled split, each once.

        Raises:
            DataError: files are missing or broken, or there is no sentence.
        """
        if self.data.text:
            yield from _lines(self.files()[0])
            return
        # Before any pair is left out, because which ones are depends on their labels.
        labelled = replace(self, split=self.words_of)
        number = None
        for pair in labelled._taken():
            if pair.sentence != number:
                number = pair.sentence
                yield " ".join(pair.words)

    def check(self, task: Task) -> int:
        """Read everything once, and count the examples.

        Raises:
            DataError: a file is missing, empty or broken, or a label is not of the task.
        """
        if self.split == UNLABELLED:
            return sum(1 for _ in self.sentences())
        examples = self.examples()
        task.check(examples)
        return len(examples)

    def digest(self) -> str:
        """Hash of the examples as they are read: the same data elsewhere, or read by other settings, has the same."""
        return digest_of(self.sentences() if self.split == UNLABELLED else self.examples())

    def files(self) -> list[Path]:
        """The files that hold the corpus; none for a data set of the hub.

        Raises:
            DataError: a file is missing.
        """
        if self.split == UNLABELLED:
            path = Path((self.data.text or "").replace("{lang}", self.language)).absolute()
            if not path.is_file():
                raise DataError(f"data.text: found no file {path}; accepted is one for every pivot and target")
            return [path]
        if self.data.format == "hub":
            return []
        if self.data.format == "ace":
            return ace.files(self._path(), self.split, self.data.split_seed)
        return [self._path()]

    def _taken(self) -> list[Any]:
        """Examples as they are read, within the configured range and limit."""
        source = self.data.where(self.language, self.split)
        return _within(self._read(), source, getattr(self.data.limit, self.split))

    def _read(self) -> list[Any]:
        if self.data.format == "hub":
            wanted, layout = self._hub(), self.data.layout(self.language)
            return hub.read(
                KINDS[self.task],
                wanted.path,
                wanted.name,
                wanted.splits[self.split],
                wanted.columns,
                self.language,
                wanted.revision,
                iob.converts(layout.scheme, layout.illegal),
            )
        path = self._path()
        match self.data.format, self.task:
            case "conllu", _:
                return conllu.read(path)
            case "iob", _:
                return iob.read(path, **self.data.layout(self.language).model_dump())
            case "squad", _:
                return squad.read(path, self.language)
            case "jsonl", "re":
                return relations.read(path)
            case "jsonl", _:
                return arguments.read(path)
            case "ace", "re":
                return ace.read_relations(path, self.split, self.data.split_seed)
            case "ace", _:
                return ace.read_arguments(path, self.split, self.data.split_seed)
        raise AssertionError(f"no reader for {self.data.format}")

    def _hub(self) -> Any:
        wanted = self.data.data_set(self.language)
        if wanted is None or self.split not in wanted.splits:
            raise self._absent("hub")
        return wanted

    def _path(self) -> Path:
        """The one file (for `ace`, folder) of the split."""
        source = self.data.where(self.language, self.split)
        if source is None:
            raise self._absent("files")
        root = Path(self.data.root or "").absolute()
        found = sorted(root.glob(source.pattern))
        if len(found) != 1:
            names = ", ".join(str(path.relative_to(root)) for path in found) or "none"
            raise DataError(f"{root}/{source.pattern}: found {names}; accepted is exactly one for {self.name}")
        return found[0]

    def _absent(self, key: str) -> DataError:
        return DataError(f"data.{key}: names no {self.split} set of {self.language}, which is needed")


def digest_of(examples: Iterable[Any]) -> str:
    """Hash of examples or sentences, whatever the place where they were read."""
    total = hashlib.sha256()
    for example in examples:
        content = example if isinstance(example, str) else replace(example, where="")
        total.update(f"{content!r}\n".encode())
    return total.hexdigest()


def schema(experiment: Experiment) -> Schema:
    """Label names and types of the source's training set.

    Raises:
        DataError: it is missing, empty or broken.
    """
    files = Corpus(experiment.task, experiment.source, "train", experiment.data).files()
    stamps = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    return _schema(experiment.task, experiment.source, experiment.data.model_dump_json(), stamps)


@lru_cache(maxsize=4)
def _schema(task_name: str, language: str, data: str, stamps: tuple[tuple[str, int, int], ...]) -> Schema:
    """The schema of files as they are now (`stamps`): it is asked for once for every corpus."""
    whole = Data.model_validate_json(data)
    whole = whole.model_copy(update={"limit": whole.limit.model_copy(update={"train": None})})
    task = tasks.get(task_name)
    examples = Corpus(task_name, language, "train", whole).examples()
    names = {name for example in examples for name in task.names(example)} - {NONE}
    pairs = [example for example in examples if isinstance(example, Pair) and example.types]
    types = frozenset(pair.types for pair in pairs if pair.labels and pair.types) if pairs else None
    return Schema(tuple(sorted(names)), types)


def task_of(experiment: Experiment) -> Task:
    """The experiment's task, with a head for the labels of its training set."""
    empty = tasks.get(experiment.task)
    return tasks.get(experiment.task, empty.outputs(schema(experiment).names))


def training(experiment: Experiment) -> list[Corpus]:
    """What the candidates are fine-tuned on: the source's training set, and the pivots' dev sets if so configured."""
    corpora = [_labelled(experiment, experiment.source, "train")]
    if experiment.train_on == "source+pivots":
        corpora += [_labelled(experiment, pivot, "dev") for pivot in experiment.pivots]
    return corpora


def source_dev(experiment: Experiment) -> Corpus:
    """The source's dev set, on which En-Dev chooses."""
    return _labelled(experiment, experiment.source, "dev")


def encoded(experiment: Experiment) -> list[Corpus]:
    """Everything that is passed through every candidate.

    Dev sets of all languages, test sets of the targets (and of the pivots, where the candidates were fine-tuned on
    their dev sets), and the text of pivots and targets where features come from other text.
    """
    tested = experiment.targets if experiment.pivot_split == "dev" else experiment.pivots + experiment.targets
    corpora = [_labelled(experiment, language, "dev") for language in experiment.languages]
    corpora += [_labelled(experiment, language, "test") for language in tested]
    return corpora + [
        Corpus(experiment.task, language, UNLABELLED, experiment.data, words_of=_seen_split(experiment, language))
        for language in dict.fromkeys(experiment.pivots + experiment.targets)
        if _has_own_text(experiment)
    ]


def feature_split(experiment: Experiment, language: str) -> str:
    """The split whose words describe a candidate in a language: text, or a labelled set that no one trained on."""
    return UNLABELLED if _has_own_text(experiment) else _seen_split(experiment, language)


def _has_own_text(experiment: Experiment) -> bool:
    """Whether features come from other corpora than the labelled ones.

    For pairs they always do: which pairs of a sentence there are depends on the labels, its words do not.
    """
    return experiment.data.text is not None or experiment.task in ("re", "arl")


def _seen_split(experiment: Experiment, language: str) -> str:
    return experiment.pivot_split if language in experiment.pivots else "dev"


def check(experiment: Experiment, task: Task) -> dict[str, int]:
    """Read everything once, so that a broken file stops the job before any work; the examples of each corpus by name.

    Raises:
        DataError: a file is missing, empty or broken, or has labels that the training set does not.
    """
    trained_on = [] if experiment.sweep.checkpoints else training(experiment)
    return {corpus.name: corpus.check(task) for corpus in [*trained_on, *encoded(experiment)]}


def _labelled(experiment: Experiment, language: str, split: str) -> Corpus:
    judges = experiment.task in ("re", "arl") and experiment.data.unrelated == "keep"
    type_pairs = schema(experiment).type_pairs if judges else None
    return Corpus(experiment.task, language, split, experiment.data, type_pairs)


def _within(examples: list[Any], source: Source | None, limit: int | None) -> list[Any]:
    """The records that a range and a limit leave; the pairs of a sentence are one record."""
    start, stop = (source.start or 0, source.stop) if source else (0, None)
    if limit is not None:
        stop = start + limit if stop is None else min(stop, start + limit)
    if examples and isinstance(examples[0], Pair):
        return [pair for pair in examples if pair.sentence >= start and (stop is None or pair.sentence < stop)]
    return examples[start:stop]


def _lines(path: Path) -> Iterator[str]:
    """Sentences of a text file.

    Raises:
        DataError: not UTF-8, or no sentence in it.
    """
    found = False
    for _, line in numbered_lines(path):
        if line.strip():
            found = True
            yield line.strip()
    if not found:
        raise DataError(f"{path}: found no sentence")


def _chunks(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while chunk := list(islice(items, size)):
        yield chunk
