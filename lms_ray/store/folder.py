"""Files below one folder, on a local disk or in an object store; the only module that touches pyarrow.fs.

Every error of the storage (read-only, full, forbidden, a file where a folder is wanted) is a `StorageError` with the
path and the reason, a `FullError` where there is no room; content that cannot be read is a `BrokenError`. An object
store that does not answer, is busy or fails by its own fault is asked again for `PATIENCE` seconds, here and nowhere
else: so any operation may be done twice.
"""

import errno
import functools
import hashlib
import io
import json
import logging
import os
import random
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Concatenate, ParamSpec, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from lms_ray.settings.base import shown
from lms_ray.settings.errors import AbsentError, BrokenError, ConfigError, FullError, StorageError, UnavailableError
from lms_ray.settings.uris import split, without_credentials

log = logging.getLogger(__name__)

CHUNK = 1 << 24  # bytes held in memory of a file that is copied; an object store is asked once for each
PARTIAL = ".partial"
FULL = (errno.ENOSPC, errno.EDQUOT)
ORIGIN = b"lms_ray.origin"  # key of a table's metadata
PATIENCE = 240.0  # seconds, as long as a driver goes on that cannot renew its claim; pyarrow itself gives up after 6
PAUSES = (1.0, 15.0)  # seconds between two tries: at first, twice as long each time, and at most
# What pyarrow says of S3 then. (It has Google Cloud Storage asked again for minutes by itself.)
PASSING = re.compile(
    r"AWS Error (NETWORK_CONNECTION|SLOW_DOWN|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|THROTTLING|REQUEST_TIMEOUT)"
    r"|HTTP status (408|429|5\d\d)"
)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Written:
    """What a file holds, as it was written."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True)
class Listed:
    """A file, as a list of the storage tells of it."""

    size: int
    """Bytes."""
    modified: float
    """When it was last written, in seconds since 1970 by the storage's clock; NaN where the storage does not say."""

    @classmethod
    def of(cls, info: fs.FileInfo) -> "Listed":
        """As pyarrow tells of it."""
        return cls(info.size, float("nan") if info.mtime_ns is None else info.mtime_ns / 1e9)


def _patiently(operation: "Callable[Concatenate[Folder, P], T]") -> "Callable[Concatenate[Folder, P], T]":
    """Have an operation that changes nothing when it is done twice tried again while the storage is unavailable."""

    @functools.wraps(operation)
    def tried(folder: "Folder", *args: P.args, **options: P.kwargs) -> T:
        until, pause = time.monotonic() + folder.patience, PAUSES[0]
        while True:
            try:
                return operation(folder, *args, **options)
            except UnavailableError as error:
                left = until - time.monotonic()
                if left <= 0:
                    raise
                if pause == PAUSES[0]:
                    log.warning("%s; tried again for %.0f s", error, left)
                time.sleep(min(left, pause * random.uniform(0.5, 1)))  # many workers shall not come at one moment
                pause = min(2 * pause, PAUSES[1])

    return tried


class Folder:
    """Files below one folder; their paths are relative to it and use forward slashes.

    Args:
        root: local path or URI.
        key: which part of the configuration or the command line names it, for messages.

    Raises:
        ConfigError: no file system is known for the URI.
    """

    def __init__(self, root: str, key: str = "storage"):
        if not root or "\0" in root or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)", root):
            raise ConfigError(f"{key}: found {shown(root)}; accepted is a local folder or s3://, gs://, ...")
        self.key, self.patience = key, PATIENCE
        # Absolute, because trials and workers run in other working directories.
        self.root = root if "://" in root else str(Path(root).absolute())
        try:
            self._fs, self._base = self._open()
        except ValueError as error:
            raise ConfigError(
                f"{key}: found {shown(root)}; accepted is a local folder or s3://, gs://, ... "
                f"({without_credentials(str(error))})"
            ) from None
        except StorageError as error:
            raise ConfigError(
                f"{key}: {shown(root)} cannot be reached: {without_credentials(_one_line(error))}; is the name of the "
                "bucket right, and are its region and the credentials?"
            ) from None

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.root, self.key)  # to another process, which opens its own connections

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.where()!r})"

    def hasty(self) -> Self:
        """The same folder, for whoever cannot wait: nothing is tried again."""
        other = object.__new__(type(self))  # with the same connections; a copy would open its own
        other.__dict__.update(self.__dict__, patience=0.0)
        return other

    @property
    def file_system(self) -> tuple[fs.FileSystem, str]:
        """The file system and this folder's path in it, for libraries that write there themselves."""
        return self._fs, self._base

    @property
    def is_local(self) -> bool:
        """Whether the files can be opened by path on this machine."""
        return isinstance(self._fs, fs.LocalFileSystem)

    def where(self, path: str = "") -> str:
        """Full path of a file, for messages: without a URI's options and keys."""
        root = without_credentials(split(self.root)[0]) if "://" in self.root else self.root
        return f"{root}/{path}" if path else root

    @_patiently
    def exists(self, path: str) -> bool:
        """Whether there is a file or folder of this name."""
        with self._storage(path):
            return self._fs.get_file_info(self._at(path)).type != fs.FileType.NotFound

    @_patiently
    def names(self, folder: str) -> list[str]:
        """Sorted names in a folder; none where there is no such folder."""
        with self._storage(folder):
            if self._fs.get_file_info(self._at(folder)).type == fs.FileType.File:
                return []
            if self._fs.type_name == "gcs":  # one level of it lacks the folders (github.com/apache/arrow/issues/35993)
                return sorted({path.partition("/")[0] for path in self.sizes(folder, recursive=True)})
            return sorted({info.base_name for info in self._list(folder)})  # an object may be named as a folder

    def sizes(self, folder: str, recursive: bool = False) -> dict[str, int]:
        """Bytes of each file in a folder, as `listed`."""
        return {name: file.size for name, file in self.listed(folder, recursive).items()}

    @_patiently
    def listed(self, folder: str = "", recursive: bool = False) -> dict[str, Listed]:
        """Each file in a folder by its path from there; none where there is no such folder.

        With those of its subfolders, it takes as few requests as the storage allows.
        """
        with self._storage(folder):
            start = len(self._at(folder)) + 1
            infos = [info for info in self._list(folder, recursive) if info.is_file]
        return {info.path[start:]: Listed.of(info) for info in infos}

    @_patiently
    def signature(self) -> list[list[Any]]:
        """Name, size and time of every file directly in this folder: changes with any of them."""
        with self._storage(""):
            files = self._fs.get_file_info(fs.FileSelector(self._base))
        return sorted([info.base_name, info.size, info.mtime_ns or 0] for info in files if info.is_file)

    @_patiently
    def read_bytes(self, path: str) -> bytes:
        """Content of a file.

        Raises:
            AbsentError: there is no such file.
        """
        content = io.BytesIO()
        with self._storage(path), self._opened(path) as source:
            shutil.copyfileobj(source, content, CHUNK)  # read() alone would ask for 256 KB at a time
        return content.getvalue()

    def write_bytes(self, path: str, content: bytes) -> Written:
        """Write a file atomically: readers see the old content or all of the new."""
        return self._write(path, io.BytesIO(content))

    def write_file(self, path: str, source: Path) -> Written:
        """Copy a local file atomically."""
        with _plainly(str(source)), source.open("rb") as stream:
            return self._write(path, stream)

    def read_json(self, path: str) -> Any:
        """Content of a JSON file.

        Raises:
            AbsentError: there is no such file.
            BrokenError: it is no JSON.
        """
        content = self.read_bytes(path)
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BrokenError(f"{self.where(path)}: broken; it is no JSON ({error})") from None

    def write_json(self, path: str, value: Any) -> Written:
        """Write a JSON file atomically."""
        return self.write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())

    def read_table(self, path: str, **options: Any) -> pa.Table:
        """A Parquet table; options as of pyarrow.parquet.read_table (columns, filters).

        Raises:
            AbsentError: there is no such file.
            BrokenError: it is no Parquet table, or has not the wanted columns.
        """
        return self._parse_table(path, self.read_bytes(path), options)

    def read_origin(self, path: str) -> dict[str, Any]:
        """What a table was written as made from; empty where nothing was said."""
        metadata = self.read_table(path).schema.metadata or {}
        return json.loads(metadata.get(ORIGIN, b"{}"))

    def write_table(self, path: str, table: pa.Table, origin: Mapping[str, Any] | None = None) -> Written:
        """Write a Parquet table atomically, and within it what it was made from (see `lineage`)."""
        if origin is not None:
            table = table.replace_schema_metadata({ORIGIN: json.dumps(origin)})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        return self.write_bytes(path, sink.getvalue().to_pybytes())

    def upload(self, folder: Path, path: str) -> dict[str, Written]:
        """Copy a local folder's files, also those of its subfolders, into a folder of the store.

        Returns:
            What was written, by the path from that folder.
        """
        written = {}
        for source in sorted(file for file in folder.rglob("*") if file.is_file()):
            name = source.relative_to(folder).as_posix()
            written[name] = self.write_file(f"{path}/{name}", source)
        return written

    def download(self, path: str, names: Iterable[str], folder: Path) -> dict[str, Written]:
        """Copy files of a folder of the store into a local folder.

        Returns:
            What was read, by the path from that folder.
        """
        read = {}
        for name in names:
            _require_inside(name)
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            read[name] = self._read_into(f"{path}/{name}" if path else name, target)
        return read

    @_patiently
    def delete(self, path: str) -> None:
        """Remove a file or a folder; nothing happens where there is none."""
        with self._storage(path), suppress(FileNotFoundError):
            info = self._fs.get_file_info(self._at(path))
            if info.type == fs.FileType.Directory:
                self._fs.delete_dir(info.path)
            elif info.type == fs.FileType.File:
                self._fs.delete_file(info.path)

    def remove_partials(self, spare: str) -> None:
        """Remove what killed writers have left on a local disk, but for one folder; elsewhere nothing is left."""
        if self.is_local:
            with self._storage(""):
                for partial in Path(self._base).rglob(f".*{PARTIAL}"):
                    if partial.parent.name != spare:
                        partial.unlink(missing_ok=True)

    @_patiently
    def _open(self) -> tuple[fs.FileSystem, str]:
        try:
            return fs.FileSystem.from_uri(self.root)
        except OSError as error:  # where the URI names no region, the storage was asked for it
            raise _kind(error)(_one_line(error)) from error

    def _at(self, path: str) -> str:
        _require_inside(path)
        return f"{self._base}/{path}" if path else self._base

    @_patiently
    def _read_into(self, path: str, target: Path) -> Written:
        with self._storage(path), self._opened(path) as source, target.open("wb") as sink:
            return _copy(source, sink)

    @contextmanager
    def _opened(self, path: str) -> Iterator[pa.NativeFile]:
        """A file to read."""
        try:
            with self._fs.open_input_stream(self._at(path)) as source:
                yield source
        except OSError as error:
            # Gone between an object store's two requests: what that raises depends on the length of the answer.
            is_answer = _kind(error) is not UnavailableError
            if is_answer and self._fs.get_file_info(self._at(path)).type == fs.FileType.NotFound:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
            raise

    def _list(self, folder: str, recursive: bool = False) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self._at(folder), allow_not_found=True, recursive=recursive)
        return self._fs.get_file_info(selector)

    def _parse_table(self, path: str, content: bytes, options: dict[str, Any]) -> pa.Table:
        try:
            table = pq.read_table(pa.BufferReader(content), **options)
            if foreign := [field.name for field in table.schema if _holds_extension(field.type)]:
                raise pa.ArrowException(f"its column {foreign[0]} holds objects of a library, which may run code")
            return table
        except (pa.ArrowException, OSError) as error:
            raise BrokenError(
                f"{self.where(path)}: broken; it cannot be read as a table ({_one_line(error)}); "
                "delete it and run the same command again"
            ) from None

    @_patiently
    def _write(self, path: str, source: BinaryIO) -> Written:
        target = self._at(path)
        source.seek(0)
        with self._storage(path):
            if not self.is_local:  # an object appears when its stream is closed; what the close says is raised
                with self._fs.open_output_stream(target) as sink:
                    return _copy(source, sink)
            parent = target.rpartition("/")[0]
            self._fs.create_dir(parent, recursive=True)
            # Hidden, and named at random: a killed writer's leftover is never read and never in another's way.
            partial = f"{parent}/.{uuid.uuid4().hex}{PARTIAL}"
            try:
                with self._fs.open_output_stream(partial) as sink:
                    written = _copy(source, sink)
                self._fs.move(partial, target)
            except BaseException:
                with suppress(OSError):
                    self._fs.delete_file(partial)
                raise
            return written

    def _storage(self, path: str) -> AbstractContextManager[None]:
        return _plainly(self.where(path))


@contextmanager
def _plainly(where: str) -> Iterator[None]:
    """Say an error of the storage in one line, with the path."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        kind = _kind(error)
        said = f"disk full: {where} ({_reason(error)})" if kind is FullError else f"{where}: {_reason(error)}"
        raise kind(said) from error


def _kind(error: Exception) -> type[StorageError]:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return AbsentError
    if getattr(error, "errno", None) in FULL:
        return FullError
    return UnavailableError if PASSING.search(str(error)) else StorageError


def _require_inside(path: str) -> None:
    """Refuse a name that leads out of its folder: tables, records and lists of an object store may hold any.

    Raises:
        BrokenError: names it.
    """
    if path.startswith("/") or ".." in path.split("/"):
        raise BrokenError(f"found the file name {shown(path)}, which leads out of its folder; accepted are names in it")


def _holds_extension(kind: pa.DataType) -> bool:
    """Whether there is a type of some library in it: the values of Ray's `arrow_pickled_object` are pickles."""
    inner = [kind.field(index).type for index in range(kind.num_fields)]
    inner += [kind.value_type] if pa.types.is_dictionary(kind) else []
    return isinstance(kind, pa.BaseExtensionType) or any(map(_holds_extension, inner))


def _copy(source: Any, sink: Any) -> Written:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        sink.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return Written(size, digest.hexdigest())


def _reason(error: Exception) -> str:
    """Why, in the words of the operating system where they are its own, else of the object store."""
    number = getattr(error, "errno", None)
    if number in (errno.EEXIST, errno.ENOTDIR):
        return "there is a file where a folder is wanted"
    return os.strerror(number).lower() if number else _one_line(error)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
