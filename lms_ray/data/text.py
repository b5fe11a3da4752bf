r"""Text files as every reader takes them: UTF-8, with or without a byte-order mark; a line ends at `\n` or `\r\n`."""

import codecs
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from lms_ray.data import DataError
from lms_ray.data.files import File

_SENTENCE_ID = re.compile(r"#\s*sent_id\s*=\s*(\S+)")


def exists(path: File) -> bool:
    """Whether there is such a file.

    Raises:
        DataError: there is something else, or what is there cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:  # ValueError: NUL in a path
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise DataError(f"{path}: found {what}; accepted is a file")
    return True


def numbered_lines(path: File) -> Iterator[tuple[int, str]]:
    """Lines of a file without their ends, each with its number from 1.

    Raises:
        DataError: the file is not there or cannot be read, or a line is not UTF-8 or holds NUL.
    """
    with _opened(path) as file:
        for number, raw in enumerate(file, start=1):
            line = _decoded(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw, path, number)
            yield number, line.rstrip("\r\n")


def whole(path: File) -> str:
    """A file's text as it is, but for a byte-order mark.

    Raises:
        DataError: the file is not there or cannot be read, is not UTF-8 or holds NUL.
    """
    with _opened(path) as file:
        return _decoded(file.read().removeprefix(codecs.BOM_UTF8), path, 1)


def blocks(path: File) -> Iterator[list[tuple[int, str]]]:
    """Groups of numbered lines that blank lines set apart."""
    block: list[tuple[int, str]] = []
    for number, line in numbered_lines(path):
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def sentence_id(comment: str) -> str:
    """The id that a comment such as `# sent_id = n01001` gives its sentence; empty for other comments."""
    named = _SENTENCE_ID.match(comment)
    return named[1] if named else ""


@contextmanager
def _opened(path: File) -> Iterator[BinaryIO]:
    if not exists(path):
        raise DataError(f"{path}: found no such file")
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: File, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or error
    return DataError(f"{str(path)[:300]}: cannot be read: {reason}")


def _decoded(raw: bytes, path: File, first_line: int) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = first_line + raw.count(b"\n", 0, error.start)
        raise DataError(f"{path}:{line}: not UTF-8: {error.reason} at byte {error.start}") from None
    if "\0" in text:
        line = first_line + text.count("\n", 0, text.index("\0"))
        raise DataError(f"{path}:{line}: found NUL, which no text holds (is the file damaged, or in UTF-16?)")
    return text
