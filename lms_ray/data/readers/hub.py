"""Data sets of the Hugging Face hub, or local folders in the same layout: any kind of examples.

What a row holds, and how rows become examples, is said by the module that knows the examples:

    @hub.rows(EntitySentence, {"words": "tokens", "tags": "ner_tags"})
    def _(rows: Rows) -> Records:
        return Records([EntitySentence(..., where, row["id"]) for where, row in rows])

That alone makes `data.format: hub` an accepted format of the task that takes `EntitySentence`. Several layouts may be
named; the first one whose columns a data set has is taken.

A row has no line, so an example's place is "path name split, row N", counted from 0 in the whole split, also where only
a slice of it is read.

`datasets` is imported where it is used: that takes more than a second, and only this format needs it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import TYPE_CHECKING, Any

from lms_ray.data import DataError
from lms_ray.data.readers import Place, Records, reader
from lms_ray.settings.data import Hub

if TYPE_CHECKING:
    from datasets import Dataset

ACCEPTED = (
    "accepted is a data set of the hub in Parquet, JSON or CSV files (loading scripts are not run), "
    "a local folder of such files, or one that save_to_disk wrote"
)
IDENTIFIERS = ("id", "sent_id", "idx")
"""Columns that may name a row, where the layout has no `id` of its own."""

Layout = dict[str, str]
"""What a row must hold, and the column that usually does."""


@dataclass(frozen=True)
class Rows:
    """Rows of a split, each with its place and the values of its layout's keys; label numbers became label names.

    `id` is always among the keys, a string: empty where the data set names no rows.
    """

    place: Place
    """Language, and how its data is laid out."""
    name: str
    """"path name split", for messages."""
    _rows: Iterator[tuple[str, dict[str, Any]]]

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        return self._rows


def rows(gives: type, *layouts: Layout) -> Callable[[Callable[[Rows], Records]], Callable[[Rows], Records]]:
    """Mark a function that makes examples of rows, in one of several layouts."""

    def register(make: Callable[[Rows], Records]) -> Callable[[Rows], Records]:
        @reader("hub", gives=gives)
        def read(place: Place) -> Records:
            return _read(place, layouts, make)

        return make

    return register


def _read(place: Place, layouts: tuple[Layout, ...], make: Callable[[Rows], Records]) -> Records:
    """Examples of a split in its order.

    Raises:
        DataError: there is no such data set, configuration or split, it cannot be read or the hub not be reached, a
            column is missing, a row is not in its layout, no example at all.
    """
    wanted = place.data.data_set(place.language)
    if wanted is None or place.split not in wanted.splits:
        raise place.unnamed("hub")
    split = wanted.splits[place.split]
    name = _name(wanted, split)
    accepted = list(dict.fromkeys([*(key for layout in layouts for key in layout), "id"]))
    if unknown := [key for key in wanted.columns if key not in accepted]:
        raise DataError(f"{name}: found columns for {', '.join(unknown)}; accepted are {', '.join(accepted)}")
    dataset, numbers = _load(wanted, split, name)
    columns = _chosen(layouts, wanted.columns, dataset, name)
    records = make(Rows(place, name, _rows(dataset, columns, numbers)))
    if not records.examples:
        raise DataError(f"{name}: found no example in {len(dataset)} rows")
    return records


def words_and_tags(where: str, row: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Words of a row, and the tag of each.

    Raises:
        DataError: they are no lists of strings, or not as many of the one as of the other.
    """
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
    return words, tags


def _name(wanted: Hub, split: str) -> str:
    return " ".join(part for part in (wanted.path, wanted.name, split) if part)


def _load(wanted: Hub, split: str, place: str) -> "tuple[Dataset, Iterator[str]]":
    """The rows that are asked for, and the place of each in the whole split."""
    import datasets

    path, name, revision = wanted.path, wanted.name, wanted.revision
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
    wheres = (
        f"{_name(wanted, part.splitname)}, row {number}" for part in parts for number in range(part.from_, part.to)
    )
    return chosen, wheres


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


def _chosen(layouts: tuple[Layout, ...], columns: Layout, dataset: "Dataset", place: str) -> Layout:
    """The column of every key, in the first layout that the data set has."""
    found = dataset.column_names
    fitting = [layout | columns for layout in layouts if columns.keys() - {"id"} <= layout.keys()]
    for layout in fitting:
        if set(layout.values()) <= set(found):
            named = next((column for column in IDENTIFIERS if column in found and _may_name(dataset, column)), None)
            return layout if "id" in layout or named is None else layout | {"id": named}
    needed = " or ".join(", ".join(layout.values()) for layout in fitting or layouts)
    raise DataError(f"{place}: found columns {', '.join(found)}; accepted are {needed}, or others that `columns` names")


def _may_name(dataset: "Dataset", column: str) -> bool:
    return re.match("large_string|string|u?int", str(getattr(dataset.features[column], "dtype", ""))) is not None


def _rows(dataset: "Dataset", columns: Layout, wheres: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    names = {key: _label_names(dataset.features[column]) for key, column in columns.items()}
    # in batches: row by row takes ten times as long
    for batch in dataset.with_format(None).select_columns(list(set(columns.values()))).iter(batch_size=1000):
        for values in zip(*(batch[column] for column in columns.values()), strict=True):
            where = next(wheres)
            row = {key: _named(value, names[key], where) for key, value in zip(columns, values, strict=True)}
            yield where, row | {"id": _identifier(row.get("id"), where)}


def _identifier(value: Any, where: str) -> str:
    if value is not None and not isinstance(value, str | int):
        raise DataError(f"{where}: found id {short(value)}; accepted is a string or a number")
    return "" if value is None else str(value)


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
