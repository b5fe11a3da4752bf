"""Examples of every task from data sets of the Hugging Face hub, or from local folders in the same layout.

    read("tags", "commul/universal_dependencies", "de_gsd", "dev", {}, "de")
    read("entities", "unimelb-nlp/wikiann", "de", "validation", {}, "de")
    read("questions", "google/xquad", "xquad.de", "validation", {}, "de")

A row has no line, so an example's place is "path name split, row N", from 0 in the split as it was asked for.

`datasets` is imported where it is used: that takes more than a second, and only this format needs it.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as short
from typing import TYPE_CHECKING, Any, Literal

from lms_ray.data import DataError
from lms_ray.data.examples import Question, TaggedSentence
from lms_ray.data.readers import arguments, relations, squad
from lms_ray.data.readers.conllu import UPOS
from lms_ray.data.readers.iob import DOCUMENT_MARK, iob2

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)

Kind = Literal["tags", "entities", "questions", "relations", "arguments"]
Rows = Iterator[tuple[str, dict[str, Any]]]

COLUMNS: dict[Kind, tuple[dict[str, str], ...]] = {
    "tags": ({"words": "tokens", "tags": "upos"},),
    "entities": ({"words": "tokens", "tags": "ner_tags"},),
    "questions": ({"id": "id", "question": "question", "context": "context", "answers": "answers"},),
    "relations": (
        {"tokens": "tokens", "entities": "entities", "relations": "relations"},
        {"text": "text", "label": "label"},
    ),
    "arguments": ({"tokens": "tokens", "predicates": "predicates"},),
}
"""What a row must hold, and the columns that usually do; relations come in two layouts."""

ACCEPTED = (
    "accepted is a data set of the hub in Parquet, JSON or CSV files (loading scripts are not run), "
    "a local folder of such files, or one that save_to_disk wrote"
)
NOT_ANNOTATED = "_"  # the tag of multi-word tokens' ranges and of empty nodes, where a data set lists them as words


def read(
    kind: Kind,
    path: str,
    name: str | None,
    split: str,
    columns: Mapping[str, str],
    language: str,
    revision: str | None = None,
    convert: bool = False,
) -> list[Any]:
    """Examples of a split in its order.

    Args:
        kind: `tags` and `entities` give tagged sentences, `questions` questions, `relations` and `arguments` pairs.
        path: name of a data set of the hub, or a local folder.
        name: configuration of the data set; None where it has only one, or a default.
        split: a split, a slice (`train[:100]`) or a sum of them (`train+test`).
        columns: columns that are not named as in `COLUMNS`.
        language: language of the contexts of questions.
        revision: commit, tag or branch of a data set of the hub.
        convert: whether an `I-` that continues no entity begins one (IOB1), or is refused.

    Raises:
        DataError: there is no such data set, configuration or split, it cannot be read or the hub not be reached, a
            column is missing, a row is not in the layout of its kind, no example at all.
    """
    place = _place(path, name, split)
    accepted = [key for layout in COLUMNS[kind] for key in layout]
    if unknown := [key for key in columns if key not in accepted]:
        raise DataError(f"{place}: found columns for {', '.join(unknown)}; accepted are {', '.join(accepted)}")
    dataset = _load(path, name, split, revision, place)
    rows = _rows(dataset, _chosen(kind, columns, dataset.column_names, place), place)
    examples: list[Any]
    match kind:
        case "tags":
            examples = _parts_of_speech(rows, place)
        case "entities":
            examples = _entities(rows, place, convert)
        case "questions":
            examples = _questions(rows, language)
        case "relations":
            examples = relations.all_pairs(rows, place)
        case "arguments":
            examples = [pair for n, (where, row) in enumerate(rows) for pair in arguments.pairs(row, n, where)]
    if not examples:
        raise DataError(f"{place}: found no example in {len(dataset)} rows")
    return examples


def _place(path: str, name: str | None, split: str) -> str:
    return " ".join(part for part in (path, name, split) if part)


def _load(path: str, name: str | None, split: str, revision: str | None, place: str) -> "Dataset":
    import datasets

    folder = Path(path)
    files = (datasets.config.DATASETDICT_JSON_FILENAME, datasets.config.DATASET_STATE_JSON_FILENAME)
    saved = any((folder / file).is_file() for file in files)
    if folder.is_file():
        raise DataError(f"{place}: found a file; accepted is the folder that it is in")
    if saved and name is not None:
        raise DataError(f"{place}: found configuration {name}; accepted is none for what save_to_disk wrote")
    if folder.is_dir() and revision is not None:
        raise DataError(f"{place}: found revision {revision}; accepted is none for a local folder")
    try:
        with _no_progress_bars():
            loaded = datasets.load_from_disk(path) if saved else datasets.load_dataset(path, name, revision=revision)
    except ConnectionError as error:
        raise DataError(f"{place}: found no such folder, and the hub cannot be reached ({error}); {ACCEPTED}") from None
    except Exception as error:  # of datasets, the hub, pyarrow, yaml: whatever it is, the data set cannot be read
        raise DataError(f"{place}: cannot be read: {_reason(error)}; {ACCEPTED}") from None
    if isinstance(loaded, datasets.DatasetDict):
        splits = dict(loaded)
    else:  # a single one may know that it was cut from a split, as "train[:100]"
        splits = {re.split(r"[\[+(]", str(loaded.split or "train"))[0]: loaded}
    try:
        parts = datasets.ReadInstruction.from_spec(split).to_absolute({key: len(rows) for key, rows in splits.items()})
        chosen = datasets.concatenate_datasets(
            [splits[part.splitname].select(range(part.from_, part.to) or range(0)) for part in parts]
        )
    except ValueError as error:
        accepted = f"{', '.join(splits)}, slices of them ([:100]) and sums (train+test)"
        raise DataError(f"{place}: {str(error).rstrip('.')}; accepted are {accepted}") from None
    try:
        chosen.data.validate(full=True)
    except ValueError as error:  # nothing before this has looked whether text is UTF-8
        raise DataError(f"{place}: {error}") from None
    return chosen


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    import datasets.utils
    import huggingface_hub.utils

    libraries = (datasets.utils, huggingface_hub.utils)
    shown = [library for library in libraries if not library.are_progress_bars_disabled()]
    for library in shown:
        library.disable_progress_bars()
    try:
        yield
    finally:
        for library in shown:
            library.enable_progress_bars()


def _reason(error: BaseException) -> str:
    """What went wrong first: datasets wraps it in "An error occurred while generating the dataset"."""
    while error.__cause__:
        error = error.__cause__
    if isinstance(error, StopIteration):
        return "a file without rows"
    return " ".join(str(error).split()) or type(error).__name__


def _chosen(kind: Kind, columns: Mapping[str, str], found: list[str], place: str) -> dict[str, str]:
    """The column of every key, in the first layout that the data set has."""
    layouts = [layout | dict(columns) for layout in COLUMNS[kind] if columns.keys() <= layout.keys()]
    for layout in layouts:
        if set(layout.values()) <= set(found):
            return layout
    needed = " or ".join(", ".join(layout.values()) for layout in layouts or COLUMNS[kind])
    raise DataError(f"{place}: found columns {', '.join(found)}; accepted are {needed}, or others that `columns` names")


def _rows(dataset: "Dataset", columns: dict[str, str], place: str) -> Rows:
    """Rows with the keys of their kind, each with its place; numbers of labels become their names."""
    names = {key: _label_names(dataset.features[column]) for key, column in columns.items()}
    number = 0
    # in batches: row by row takes ten times as long
    for batch in dataset.with_format(None).select_columns(list(set(columns.values()))).iter(batch_size=1000):
        for values in zip(*(batch[column] for column in columns.values()), strict=True):
            where = f"{place}, row {number}"
            yield where, {key: _named(value, names[key], where) for key, value in zip(columns, values, strict=True)}
            number += 1


def _label_names(feature: Any) -> list[str] | None:
    """Names of a column's labels, be it one label or a list of them."""
    return getattr(getattr(feature, "feature", feature), "names", None)


def _named(value: Any, names: list[str] | None, where: str) -> Any:
    if names is None or value is None:
        return value
    if isinstance(value, list):
        return [_named(label, names, where) for label in value]
    if not 0 <= value < len(names):  # -1 is what datasets writes where a label is kept secret
        raise DataError(f"{where}: found label {value}; accepted are 0 to {len(names) - 1}, {short(names)}")
    return names[value]


def _words_and_tags(where: str, row: dict[str, Any]) -> tuple[list[str], list[str]]:
    words, tags = row["words"], row["tags"]
    if isinstance(tags, list) and any(isinstance(tag, int) for tag in tags):
        raise DataError(
            f"{where}: found tags {short(tags)} and no label names; accepted are names, or numbers with names"
        )
    for key, found in (("words", words), ("tags", tags)):
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise DataError(f"{where}: found {key} {short(found)}; accepted is a list of strings")
    if len(words) != len(tags):
        raise DataError(f"{where}: found {len(words)} words and {len(tags)} tags; accepted is a tag for every word")
    if not all(word.strip() for word in words):
        raise DataError(f"{where}: found an empty word")
    return words, tags


def _parts_of_speech(rows: Rows, place: str) -> list[TaggedSentence]:
    sentences = []
    dropped = empty = 0
    for where, row in rows:
        words, tags = _words_and_tags(where, row)
        for tag in tags:
            if tag not in UPOS and tag != NOT_ANNOTATED:
                raise DataError(f"{where}: found tag {tag!r}; accepted are {' '.join(UPOS)}")
        kept = [(word, tag) for word, tag in zip(words, tags, strict=True) if tag != NOT_ANNOTATED]
        dropped += len(words) - len(kept)
        if kept:
            sentences.append(TaggedSentence(tuple(word for word, _ in kept), tuple(tag for _, tag in kept), where))
        else:
            empty += 1
    if dropped or empty:
        log.info("%s: left out %d words tagged _ and %d rows without words", place, dropped, empty)
    return sentences


def _entities(rows: Rows, place: str, convert: bool) -> list[TaggedSentence]:
    sentences = []
    marks = empty = converted = 0
    for where, row in rows:
        words, tags = _words_and_tags(where, row)
        legal = tuple(iob2([(where, tag) for tag in tags], convert))
        converted += sum(tag != new for tag, new in zip(tags, legal, strict=True))
        if words == [DOCUMENT_MARK]:
            marks += 1
        elif words:
            sentences.append(TaggedSentence(tuple(words), legal, where))
        else:
            empty += 1
    if marks or empty or converted:
        log.info("%s: left out %d document marks and %d rows without words; %d tags I- became B-",
                 place, marks, empty, converted)  # fmt: skip
    return sentences


def _questions(rows: Rows, language: str) -> list[Question]:
    questions = []
    paragraphs: dict[Any, int] = {}
    places: dict[Any, str] = {}
    for where, row in rows:
        identifier = row["id"]
        if not isinstance(identifier, str | int):
            raise DataError(f"{where}: found id {short(identifier)}; accepted is a string or a number")
        if identifier in places:
            raise DataError(f"{where}: found id {identifier!r} of {places[identifier]} again; accepted is a new one")
        places[identifier] = where
        if isinstance(row["answers"], dict):
            row["answers"] = _transposed(row["answers"], where)
        paragraph = paragraphs.setdefault(str(row["context"]), len(paragraphs))
        questions.append(squad.question(row, language, paragraph, where))
    return questions


def _transposed(answers: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """A list of answers from the lists of their texts and offsets, which is how most data sets keep them."""
    texts, starts = answers.get("text"), answers.get("answer_start")
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        raise DataError(f"{where}: found answers {short(answers)}; accepted are as many in text as in answer_start")
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
