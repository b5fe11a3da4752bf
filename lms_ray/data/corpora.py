"""The texts of an experiment: every set is read once, into a value that knows its content's hash.

    corpora = read(experiment, TaggedSentence)
    corpora.dev.examples, corpora.dev.digest

Everything is read before any work starts, so that a broken or forgotten file stops the job at its beginning.
"""

import glob
import hashlib
import logging
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import combinations
from operator import attrgetter
from typing import Any

from lms_ray.data import DataError, files, groups, roles
from lms_ray.data.examples import LabelledText, Pair
from lms_ray.data.files import File, Remote
from lms_ray.data.readers import Place, Records, find
from lms_ray.data.text import exists, numbered_lines
from lms_ray.settings.data import Data, Hub
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment

log = logging.getLogger(__name__)

LABELS = "--labels"  # what names a file that the experiment does not

TypePairs = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Corpus:
    """Labelled examples of one language's split."""

    language: str
    split: str
    examples: Sequence[Any]
    groups: Sequence[str]
    """For each example the name of the group in which it is resampled; its translations have the same, see `groups`."""

    @property
    def name(self) -> str:
        """`de-dev`."""
        return f"{self.language}-{self.split}"

    def __len__(self) -> int:
        return len(self.examples)

    @cached_property
    def digest(self) -> str:
        """Hash of the examples as they are read: the same data elsewhere, or read by other settings, has the same."""
        values = _values(type(self.examples[0]), without=())
        return _digest(repr(values(example)) for example in self.examples)


@dataclass(frozen=True)
class Text:
    """Unlabelled sentences of one language: of a file, which may be larger than memory, or of labelled records."""

    language: str
    source: File | tuple[str, ...]

    @property
    def name(self) -> str:
        """`de-text`."""
        return f"{self.language}-{roles.UNLABELLED}"

    def sentences(self) -> Iterator[str]:
        """The sentences, read as they are needed.

        Raises:
            DataError: the file is missing, not UTF-8, or has no sentence.
        """
        if isinstance(self.source, tuple):
            yield from self.source
            return
        found = False
        for _, line in numbered_lines(self.source):
            if line.strip():
                found = True
                yield line.strip()
        if not found:
            raise DataError(f"{self.source}: found no sentence")

    def __len__(self) -> int:
        return self._scanned[0]

    @property
    def digest(self) -> str:
        """Hash of the sentences."""
        return self._scanned[1]

    @cached_property
    def _scanned(self) -> tuple[int, str]:
        count = 0

        def counted() -> Iterator[str]:
            nonlocal count
            for sentence in self.sentences():
                count += 1
                yield repr(sentence)

        digest = _digest(counted())
        return count, digest


@dataclass(frozen=True)
class Corpora:
    """Everything that an experiment reads."""

    names: tuple[str, ...]
    """Label names of the source's whole training set, whatever part of it is trained on, sorted; none where candidates
    are brought."""
    training: tuple[Corpus, ...]
    """What candidates are fine-tuned on; empty where they are brought."""
    labelled: tuple[Corpus, ...]
    """Labelled sets that are passed through every candidate; the source's dev set is the first."""
    texts: tuple[Text, ...]
    """Unlabelled text that is passed through every candidate."""

    @property
    def dev(self) -> Corpus:
        """The source's dev set, on which En-Dev chooses."""
        return self.labelled[0]

    @property
    def encoded(self) -> tuple[Corpus | Text, ...]:
        """Everything that is passed through every candidate."""
        return (*self.labelled, *self.texts)


def check_settings(experiment: Experiment, example: type) -> None:
    """Refuse settings of `data` that do not fit a task's kind of examples.

    Raises:
        ConfigError: names the key, what was found and what is accepted.
    """
    data, task = experiment.data, experiment.task
    find("conllu" if data.format == "toy" else data.format, example)
    if data.labels and not example.labelled:  # type: ignore[attr-defined]
        raise ConfigError(
            f"data.labels: found labels for task {task}, whose examples have none; accepted is to leave it out"
        )
    if data.texts and example is not LabelledText:
        raise ConfigError(
            f"data.texts: found columns for task {task}; accepted is to leave it out, as it has no such files"
        )
    if data.unrelated == "drop" and not issubclass(example, Pair):
        raise ConfigError(
            f"data.unrelated: found 'drop' for task {task}; accepted is keep, as its examples are no pairs"
        )


def read(experiment: Experiment, example: type) -> Corpora:
    """Read every set that an experiment names, once.

    Args:
        experiment: which sets, and where they are.
        example: kind of examples that its task takes.

    Raises:
        ConfigError: a setting does not fit the kind of examples.
        DataError: a file is missing, empty or broken; a set has no label at all; two sets hold the same records.
        StorageError: an object store does not answer, or forbids to read.
    """
    check_settings(experiment, example)
    data = experiment.data
    read_set = find(data.format, example)
    judged_by_types = issubclass(example, Pair) and data.unrelated == "keep"
    is_brought = experiment.sweep.checkpoints is not None
    seen: Counter[str] = Counter()
    names: set[str] = set()
    type_pairs: TypePairs | None = None
    taken: dict[tuple[str, str], Records] = {}
    trained_on = [] if is_brought else roles.training(experiment)
    encoded = roles.labelled(experiment)
    wanted = list(dict.fromkeys([*trained_on, *encoded]))
    needs_training = not is_brought or judged_by_types
    places = _places(data, [*([(experiment.source, "train")] if needs_training else []), *wanted])
    if needs_training:  # first: it decides which pairs of the other sets are possible
        place = places[experiment.source, "train"]
        records = read_set(place)
        taken[experiment.source, "train"] = _taken(place, records, data.limit.train)
        whole = _relabelled(_taken(place, records, None).examples, data.labels, seen)
        names = set() if is_brought else {name for one in whole for name in one.names}
        type_pairs = _related_types(whole) if judged_by_types else None
    for key in wanted:
        if key not in taken:
            taken[key] = _taken(places[key], read_set(places[key]), getattr(data.limit, key[1]))
    examples = {key: _examples(key, taken[key], experiment, type_pairs, seen) for key in wanted}
    unused = [name for name in data.labels if not seen[name]]
    if unused:
        log.warning("data.labels: no example carries %s; these mappings change nothing", ", ".join(unused))
    in_groups: dict[str, list[str]] = {}
    for split in {split for _, split in wanted}:  # translations are of one split; running numbers are in all of them
        in_groups |= groups.named({"-".join(key): of_set for key, of_set in examples.items() if key[1] == split})
    corpora = {key: Corpus(*key, of_set, in_groups["-".join(key)]) for key, of_set in examples.items()}
    _refuse_shared(list(corpora.values()))
    texts = _texts(roles.unlabelled(experiment, example), experiment, taken)
    _refuse_shared_text(texts)
    return Corpora(
        names=tuple(sorted(names)),
        training=tuple(corpora[key] for key in trained_on),
        labelled=tuple(corpora[key] for key in encoded),
        texts=texts,
    )


def of_file(experiment: Experiment, example: type, language: str, path: str) -> Corpus:
    """A labelled file that the experiment does not name, read as its test set of that language would be.

    Args:
        experiment: says the format, and how labels are read.
        example: kind of examples that its task takes.
        language: of the file.
        path: local or in an object store; a folder for `ace` (of the language, split as configured) and `hub`.

    Raises:
        DataError: the file is missing, empty or broken, or has no label at all.
        StorageError: an object store does not answer, or forbids to read.
    """
    key, data = (language, "test"), experiment.data
    read_set = find(data.format, example)
    root, name = files.parted(path, LABELS)
    if data.format == "hub":
        own = (data.data_set(language) or Hub(path=path)).model_copy(update={"path": path, "name": None})
        place = Place(data.model_copy(update={"hub": {language: own}}), *key, None)
    else:
        files.fetch([root / name])
        if data.format != "ace" and not exists(root / name):
            raise DataError(f"{LABELS}: found no file {root / name}; accepted is one in the format {data.format}")
        named: dict[str, Any] = {language: {"test": glob.escape(name)}}
        place = Place(data.model_copy(update={"files": named}), *key, root)
    seen: Counter[str] = Counter()
    type_pairs: TypePairs | None = None
    if issubclass(example, Pair) and data.unrelated == "keep":
        train = (experiment.source, "train")
        trained_on = _places(data, [train])[train]
        taken = _taken(trained_on, read_set(trained_on), None)
        type_pairs = _related_types(_relabelled(taken.examples, data.labels, seen))
    examples = _examples(key, _taken(place, read_set(place), None), experiment, type_pairs, seen)
    return Corpus(*key, examples, groups.named({language: examples})[language])


def _places(data: Data, sets: roles.Sets) -> dict[tuple[str, str], Place]:
    """Where the sets are; what an object store holds of them is fetched."""
    root = files.folder(data.root, "data.root") if data.root else None
    places = {key: Place(data, *key, root) for key in sets}
    if isinstance(root, Remote):
        files.fetch(place.path for place in places.values())
    return places


def _taken(place: Place, records: Records, limit: int | None) -> Records:
    """Records of a set within its configured range and a limit; the pairs of a sentence are one record."""
    source = place.data.where(place.language, place.split)
    start, stop = (source.start or 0, source.stop) if source else (0, None)
    if limit is not None:
        stop = start + limit if stop is None else min(stop, start + limit)
    if records.sentences is None:
        taken = Records(records.examples[start:stop])
    else:
        sentences = records.sentences[start:stop]
        inside = [pair for pair in records.examples if start <= pair.sentence < start + len(sentences)]
        taken = Records(inside, sentences)
    if not taken.examples:
        raise DataError(f"{place.name}: no example is left of {source.pattern if source else 'its data set'}")
    return taken


def _examples(
    key: tuple[str, str], taken: Records, experiment: Experiment, type_pairs: TypePairs | None, seen: Counter[str]
) -> list[Any]:
    """The examples of a set as the task takes them.

    Raises:
        DataError: none is left, or none of them has a label.
    """
    name = "-".join(key)
    examples = _relabelled(taken.examples, experiment.data.labels, seen)
    if experiment.data.unrelated == "drop":
        examples = [pair for pair in examples if pair.labels]
        log.info("%s: %d of %d pairs carry no relation, and are left out (data.unrelated: drop)",
                 name, len(taken.examples) - len(examples), len(taken.examples))  # fmt: skip
    elif type_pairs is not None:
        examples = [pair for pair in examples if pair.labels or pair.types is None or pair.types in type_pairs]
        log.info("%s: %d of %d pairs are of types that carry no relation in training, and left out",
                 name, len(taken.examples) - len(examples), len(taken.examples))  # fmt: skip
    if not examples:
        raise DataError(f"{name}: no example is left of {len(taken.examples)} that were read")
    if examples[0].labelled and not any(example.names for example in examples):
        raise DataError(
            f"{name}: found no label in {len(examples)} examples, the first at {examples[0].where}; "
            "accepted is a set in which some carry one"
        )
    return examples


def _relabelled(examples: Sequence[Any], mapping: dict[str, str], seen: Counter[str]) -> list[Any]:
    """The examples with their labels mapped; `seen` counts their names before that."""
    if mapping:
        seen.update(name for example in examples for name in example.names)
    return [example.relabelled(mapping) for example in examples]  # without a mapping too: a label `O` is none


def _related_types(pairs: Sequence[Pair]) -> TypePairs | None:
    """Types between which a relation was seen (paper, Appendix A.1); None where the data names no types."""
    typed = [pair for pair in pairs if pair.types]
    return frozenset(pair.types for pair in typed if pair.labels and pair.types) if typed else None


def _texts(languages: Sequence[str], experiment: Experiment, taken: dict[tuple[str, str], Records]) -> tuple[Text, ...]:
    named = {language: experiment.data.plain_text(language) for language in languages}
    paths = {language: files.file(path, "data.text") for language, path in named.items() if path is not None}
    files.fetch(paths.values())
    for path in paths.values():
        if not exists(path):
            raise DataError(f"data.text: found no file {path}; accepted is one for every pivot and target")

    def of_labelled(language: str) -> tuple[str, ...]:  # before a pair is left out, which depends on the labels
        records = taken[language, roles.seen_split(experiment, language)]
        return tuple(" ".join(words) for words in records.sentences or () if words)

    return tuple(Text(language, paths.get(language) or of_labelled(language)) for language in languages)


def _refuse_shared(corpora: Sequence[Corpus]) -> None:
    """Refuse two sets that hold the same records: a forgotten `{split}` or `{lang}`, overlapping ranges, a copy."""
    set_of_place: dict[str, str] = {}
    for corpus in corpora:
        for example in corpus.examples:
            other = set_of_place.setdefault(example.where, corpus.name)
            if other != corpus.name and example.where:
                raise DataError(
                    f"{corpus.name} and {other} both hold {example.where}; accepted are sets without common records "
                    "(do their ranges overlap, or is {lang} or {split} missing?)"
                )
    contents = {corpus.name: _content(corpus.examples) for corpus in corpora}
    for (one, content), (other, others) in combinations(contents.items(), 2):
        if content in others or others in content:
            raise DataError(
                f"{one} and {other} hold the same examples, though in different places; accepted are different ones "
                "for every language and split (is one file a copy of the other?)"
            )


def _content(examples: Sequence[Any]) -> bytes:
    """What is said, example after example, whatever it is named and in whatever language it is said to be."""
    values = _values(type(examples[0]), without=("id", "language", "paragraph", "sentence"))
    return array("q", (hash(values(example)) for example in examples)).tobytes()


def _refuse_shared_text(texts: Sequence[Text]) -> None:
    language_of: dict[str, str] = {}
    for text in texts:
        other = language_of.setdefault(text.digest, text.language)
        if other != text.language:
            raise DataError(f"{text.name} and {other}-text hold the same text; accepted is each language's own")


def _values(example: type, without: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """Values of an example's fields, but for those named and its place."""
    return attrgetter(*(field.name for field in fields(example) if field.compare and field.name not in without))


def _digest(lines: Iterable[str]) -> str:
    total = hashlib.sha256()
    for line in lines:
        total.update(f"{line}\n".encode())
    return total.hexdigest()
