"""Labelled texts, or pairs of texts, with a column (of an object: a key) for each part.

    SIB-200, TSV           index_id, category, text
    PAWS-X, TSV            id, sentence1, sentence2, label
    XNLI                   premise, hypothesis, label
    MASSIVE, JSON lines    id, utt, intent

These names and a few others are found; `data.texts` names any other. In `tsv` there is no quoting: what stands between
two tabs is the text. In `csv` quotes are those of Python's csv module, and a quoted text may hold line breaks.
"""

import csv
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from reprlib import repr as short
from typing import Any

from lms_ray.data import DataError, jsonl
from lms_ray.data.examples import LabelledText
from lms_ray.data.files import File
from lms_ray.data.readers import Place, Records, hub, reader
from lms_ray.data.text import numbered_lines
from lms_ray.settings.base import shown
from lms_ray.settings.data import Texts

log = logging.getLogger(__name__)

Cells = Iterator[tuple[str, list[str]]]
"""Rows of a file, each with its place."""
Rows = Iterable[tuple[str, Mapping[str, Any]]]
"""The parts of each text, with its place."""

SECOND_OF = {"premise": "hypothesis", "sentence1": "sentence2"}
"""Column of the second text, by that of the first."""
USUAL = {
    "text": ("text", "sentence", "utt", *SECOND_OF),
    "label": ("label", "category", "intent"),
    "id": ("index_id", "id", "guid"),
}
"""Columns that are found without being named."""
USUAL_LAYOUT = Texts()


@reader("tsv", gives=LabelledText)
def _(place: Place) -> Records:
    return Records(read_tsv(place.path, place.data.text_layout(place.language)))


@reader("csv", gives=LabelledText)
def _(place: Place) -> Records:
    return Records(read_csv(place.path, place.data.text_layout(place.language)))


@reader("jsonl", gives=LabelledText)
def _(place: Place) -> Records:
    return Records(read_jsonl(place.path, place.data.text_layout(place.language)))


@hub.rows(
    LabelledText,
    {"text": "text", "label": "label"},
    {"text": "sentence", "label": "label"},
    {"text": "text", "label": "category", "id": "index_id"},
    {"text": "utt", "label": "intent"},
    *({"text": first, "pair": second, "label": "label"} for first, second in SECOND_OF.items()),
)
def _(rows: hub.Rows) -> Records:
    return Records(_examples(rows, rows.name))


def read_tsv(path: File, layout: Texts = USUAL_LAYOUT) -> list[LabelledText]:
    """Texts of a file in its order; nothing is quoted.

    Raises:
        DataError: not UTF-8, no column or several for a part, a line with more or fewer columns than the first one, an
            empty text or label, an id that occurs twice, a NUL character, no text at all.
    """
    delimiter = _delimiter(layout, "\t", path)
    lines = ((f"{path}:{number}", line.split(delimiter)) for number, line in numbered_lines(path) if line)
    return _examples(_of_table(lines, layout, path), str(path))


def read_csv(path: File, layout: Texts = USUAL_LAYOUT) -> list[LabelledText]:
    """Texts of a file in its order; quotes as Python's csv module takes them.

    Raises:
        DataError: as `read_tsv`; a quote that is never closed, or goes on behind its end.
    """
    return _examples(_of_table(_quoted(path, _delimiter(layout, ",", path)), layout, path), str(path))


def read_jsonl(path: File, layout: Texts = USUAL_LAYOUT) -> list[LabelledText]:
    """Texts of a file in its order, one object a line; keys that are not asked for are not read.

    Raises:
        DataError: as `read_tsv`; a line that is no JSON object, a text or label that is no string.
    """
    return _examples(_of_objects(jsonl.objects(path), layout), str(path))


def _examples(rows: Rows, place: str) -> list[LabelledText]:
    """Texts of rows in their order.

    Args:
        rows: values of `text`, `label` and, where there are any, `pair` and `id`, with the row's place; an empty id is
            none.
        place: of them all, for errors.

    Raises:
        DataError: a value is empty or of a wrong type, an id occurs twice, there is no row.
    """
    places: dict[str, str] = {}
    found = []
    for where, row in rows:
        if type(row["label"]) is int:
            raise DataError(
                f"{where}: found label {row['label']}, a number without a name; accepted is a name (a string)"
            )
        identifier = _identifier(row.get("id", ""), where)
        if identifier and places.setdefault(identifier, where) != where:
            raise DataError(
                f"{where}: found id {short(identifier)} of {places[identifier]} again; accepted is a new id"
            )
        text, label = _text(row, "text", where), _text(row, "label", where)
        found.append(LabelledText(text, _text(row, "pair", where) if "pair" in row else None, label, where, identifier))
    if not found:
        raise DataError(f"{place}: found no text")
    return found


def _choose(layout: Texts, found: Sequence[str], where: str) -> dict[str, int]:
    """Position of each part's column: what is configured, and by its usual name what is not.

    A second text is looked for only beside a first one that was found by its name: who names `text` also names `pair`.

    Args:
        layout: what is configured.
        found: names of all columns.
        where: place of the names, for errors.

    Raises:
        DataError: no column or several for a part, or one for two parts.
    """
    columns = layout.columns
    chosen: dict[str, int] = {part: _position(part, column, found, where) for part, column in columns.items()}
    for part, usual in USUAL.items():
        fitting = [position for position, name in enumerate(found) if name in usual]
        if part in columns or (part == "id" and not fitting):
            continue
        if len(fitting) != 1:
            several = f"{' and '.join(found[position] for position in fitting)} for {part}, of" if fitting else "only"
            raise DataError(
                f"{where}: found {several} the columns {shown(', '.join(found))}; accepted for {part} is one of "
                f"{', '.join(usual)}, or another that `columns` names"
            )
        chosen[part] = fitting[0]
    first = found[chosen["text"]]
    if first in SECOND_OF and not columns.keys() & {"text", "pair"}:
        chosen["pair"] = _position("pair", SECOND_OF[first], found, where)
    parts_of: dict[int, str] = {}
    for part, position in chosen.items():
        if parts_of.setdefault(position, part) != part:
            raise DataError(
                f"{where}: found {found[position]} for {parts_of[position]} and {part}; accepted is a column of each"
            )
    return chosen


def _position(part: str, column: str | int, found: Sequence[str], where: str) -> int:
    if isinstance(column, int):
        fitting = [column] if 0 <= column < len(found) else []
        accepted = f"a number from 0 to {len(found) - 1}"
    else:
        fitting = [position for position, name in enumerate(found) if name == column]
        accepted = f"a name that stands once among {shown(', '.join(found))}"
    if len(fitting) != 1:
        raise DataError(f"{where}: found {len(fitting) or 'no'} column {column!r} for {part}; accepted is {accepted}")
    return fitting[0]


def _delimiter(layout: Texts, usual: str, path: File) -> str:
    delimiter = usual if layout.delimiter is None else layout.delimiter
    if delimiter in '"\r\n':
        raise DataError(f"{path}: found the delimiter {delimiter!r} in data.texts; accepted is any other character")
    return delimiter


def _quoted(path: File, delimiter: str) -> Cells:
    """Rows of a CSV file, each with the line on which it begins."""
    parser = csv.reader((f"{line}\n" for _, line in numbered_lines(path)), delimiter=delimiter, strict=True)
    long = 0
    while True:
        begin = parser.line_num + 1
        try:
            row = next(parser, None)
        except csv.Error as error:
            raise DataError(f"{path}:{begin}: not CSV: {error}; accepted is a quote in quotes as two of them") from None
        if row is None:
            break
        long += parser.line_num > begin
        if row:
            yield f"{path}:{begin}", row
    if long:
        log.info("%s: %d rows hold line breaks in quotes", path, long)


def _of_table(rows: Cells, layout: Texts, path: File) -> Iterator[tuple[str, dict[str, str]]]:
    where, cells = next(rows, ("", []))
    if not cells:
        raise DataError(f"{path}: found no text")
    width = len(cells)
    columns = _choose(layout, cells if layout.header else [str(number) for number in range(width)], where)
    if not layout.header:
        yield where, {part: cells[position] for part, position in columns.items()}
    for where, cells in rows:
        if len(cells) != width:
            raise DataError(f"{where}: found {len(cells)} columns; accepted are {width}, as in the first line")
        yield where, {part: cells[position] for part, position in columns.items()}


def _of_objects(
    objects: Iterable[tuple[str, dict[str, object]]], layout: Texts
) -> Iterator[tuple[str, dict[str, object]]]:
    keys: dict[str, str] = {}
    for where, record in objects:
        if not keys:
            names = list(record)
            keys = {part: names[position] for part, position in _choose(layout, names, where).items()}
        yield where, dict(zip(keys, jsonl.fields(record, tuple(keys.values()), where), strict=True))


def _identifier(value: object, where: str) -> str:
    if type(value) not in (str, int):  # isinstance would take true for a number
        raise DataError(f"{where}: found id {short(value)}; accepted is a string or a whole number")
    return str(value)


def _text(row: Mapping[str, Any], part: str, where: str) -> str:
    value = row[part]
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: found {part} {short(value)}; accepted is a string that is not empty")
    return value
