"""One module for each file format; which formats there are is what the modules of this folder say.

A module says what it reads and gives by marking a function:

    @reader("conllu", gives=TaggedSentence)
    def read(place: Place) -> Records: ...

How rows of a data set of the hub become these examples, it says beside that, see `hub`.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from reprlib import repr as short
from typing import Any

from lms_ray.data import DataError
from lms_ray.data.files import File, relative
from lms_ray.settings.data import Data
from lms_ray.settings.errors import ConfigError

SHOWN = 5
"""So many files are named where several fit."""


@dataclass(frozen=True)
class Place:
    """The split of a language, where the configuration says that it is."""

    data: Data
    language: str
    split: str
    root: File | None
    """The folder `data.root`, shared by all places; None where the data set is not below one."""

    @property
    def name(self) -> str:
        """`de-dev`."""
        return f"{self.language}-{self.split}"

    @cached_property
    def path(self) -> File:
        """The one file of the split; for some formats a folder.

        Raises:
            DataError: none or several fit, none is named, or a folder cannot be read.
            StorageError: an object store does not answer, or forbids to look.
        """
        root, source = self.root, self.data.where(self.language, self.split)
        if root is None or source is None:
            raise self.unnamed("files")
        accepted = f"accepted is exactly one for {self.name}"
        try:
            found: list[File] = sorted(root.glob(source.pattern), key=str)
            is_there = bool(found) or root.is_dir()
        except OSError as error:
            raise DataError(f"{root}/{short(source.pattern)}: {error.strerror or error}; {accepted}") from None
        except (ValueError, NotImplementedError) as error:  # what pathlib takes for no pattern
            raise DataError(f"data.files: found {short(source.pattern)}, {error}; {accepted}") from None
        if not is_there:
            raise DataError(f"data.root: found no folder {root}; accepted is the one that holds the files")
        if len(found) != 1:
            names = ", ".join(str(relative(path, root)) for path in found[:SHOWN]) or "none"
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise DataError(f"{root}/{source.pattern}: found {names}{more}; {accepted}")
        return found[0]

    def unnamed(self, key: str) -> DataError:
        """The error for a split that the configuration does not name."""
        return DataError(f"data.{key}: names no {self.split} set of {self.language}, which is needed")


@dataclass(frozen=True)
class Records:
    """What a reader gives."""

    examples: Sequence[Any]
    """In the order of the file."""
    sentences: Sequence[tuple[str, ...]] | None = None
    """Words of every record, where examples are parts of records and a record may hold none (pairs)."""


Read = Callable[[Place], Records]
_READERS: dict[tuple[str, type], Read] = {}


def reader(format_name: str, gives: type) -> Callable[[Read], Read]:
    """Mark a function as the reader of a format for a kind of examples."""

    def register(read: Read) -> Read:
        _READERS[format_name, gives] = read
        return read

    return register


def find(format_name: str, gives: type) -> Read:
    """The reader of a format for a kind of examples.

    Raises:
        ConfigError: there is none; names the formats that hold such examples.
    """
    _import_all()
    if (format_name, gives) not in _READERS:
        accepted = sorted(name for name, kind in _READERS if kind is gives)
        raise ConfigError(
            f"data.format: found {format_name!r}; accepted for this task's examples ({gives.__name__}) "
            f"are {', '.join(accepted)}"
        )
    return _READERS[format_name, gives]


@cache
def _import_all() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
