"""JSON lines: one object on each line, and the parts that objects of different layouts have in common."""

import json
import re
from collections.abc import Iterator
from reprlib import repr as short
from typing import Any

from lms_ray.data import DataError
from lms_ray.data.files import File
from lms_ray.data.text import numbered_lines

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # not where the backslash is escaped itself


def records(path: File) -> Iterator[tuple[str, dict[str, Any]]]:
    """Objects of a file in its order, each with its place, "path:line", and an id of its own.

    Raises:
        DataError: as `objects`; an id that is missing, no string or there twice.
    """
    lines_of_ids: dict[str, str] = {}
    for where, record in objects(path):
        (identifier,) = fields(record, ("id",), where)
        if not isinstance(identifier, str):
            raise DataError(f"{where}: found id {short(identifier)}; accepted is a string")
        if identifier in lines_of_ids:
            raise DataError(f"{where}: found id {short(identifier)} of line {lines_of_ids[identifier]} again")
        lines_of_ids[identifier] = where.rpartition(":")[2]
        yield where, record


def objects(path: File) -> Iterator[tuple[str, dict[str, Any]]]:
    """Objects of a file in its order, each with its place, "path:line"; blank lines are skipped.

    Raises:
        DataError: not UTF-8, a line that is no JSON object, NUL or half of a surrogate pair in the text.
    """
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        record = parse(line, path, number)
        if not isinstance(record, dict):
            raise DataError(f"{where}: found {short(record)}; accepted is an object")
        if "\\u" in line:
            _refuse_odd_characters(record, line, where)
        yield where, record


def parse(text: str, path: File, first_line: int = 1) -> Any:
    """The value of a JSON text that begins in this line of a file.

    Raises:
        DataError: it is no JSON, or nested too deeply, or holds NaN, Infinity or a number of thousands of digits.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(f"{path}:{line}: found no JSON at column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise DataError(f"{path}:{first_line}: found JSON that is nested too deeply to be read") from None
    except ValueError as error:
        raise DataError(f"{path}:{first_line}: found no JSON: {str(error).split(';')[0]}") from None


def fields(record: object, keys: tuple[str, ...], where: str) -> tuple[Any, ...]:
    """Values of a record's keys.

    Raises:
        DataError: the record is no object, or lacks one of them.
    """
    if not isinstance(record, dict):
        raise DataError(f"{where}: found {short(record)}; accepted is an object with {', '.join(keys)}")
    missing = [key for key in keys if key not in record]
    if missing:
        raise DataError(f"{where}: found no {' and no '.join(missing)}; accepted is an object with {', '.join(keys)}")
    return tuple(record[key] for key in keys)


def items(value: object, what: str, where: str) -> list[object]:
    """A list.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, list):
        raise DataError(f"{where}: found {what} {short(value)}; accepted is a list")
    return value


def tokens(value: object, where: str) -> tuple[str, ...]:
    """Words of a sentence, none of them empty.

    Raises:
        DataError: it is no list of strings, or one is empty or white space.
    """
    words = tuple(word for word in items(value, "tokens", where) if isinstance(word, str) and word.strip())
    if not words or len(words) != len(items(value, "tokens", where)):
        raise DataError(f"{where}: found tokens {short(value)}; accepted are strings, none empty, at least one")
    return words


def span(first: object, last: object, size: int, where: str) -> tuple[int, int]:
    """The words from the first to the last, as first word and the word after the last.

    Raises:
        DataError: they are no positions in a sentence of this size, or in the wrong order.
    """
    if type(first) is int and type(last) is int and 0 <= first <= last < size:  # isinstance would take true for 1
        return first, last + 1
    raise DataError(
        f"{where}: found words {short(first)} to {short(last)}; accepted are positions from 0 to {size - 1}, in order"
    )


def _refuse_odd_characters(record: object, line: str, where: str) -> None:
    """Now and with their line, rather than later in a tokenizer."""
    if _NUL.search(line):
        raise DataError(f"{where}: found NUL; accepted is text")
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: found half of a surrogate pair; accepted is whole characters") from None
