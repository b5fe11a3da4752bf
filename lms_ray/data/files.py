"""Files that are read: local ones where they are, those of an object store through a copy on this machine.

    root = folder("s3://bucket/ud", key="data.root")
    (path,) = root.glob("UD_German-*/de_*-ud-dev.conllu")
    path.open("rb")   # the copy
    str(path)         # s3://bucket/ud/UD_German-GSD/de_gsd-ud-dev.conllu, without keys

`Remote` has the part of pathlib.Path that readers use, so they take either and name it in their messages. Only what is
opened is fetched, each file once; the copies are removed when nothing refers to them any more.
"""

import errno
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal
from urllib.parse import unquote

from lms_ray.settings.errors import AbsentError, StorageError
from lms_ray.settings.uris import split
from lms_ray.store.folder import Folder

log = logging.getLogger(__name__)

WILDCARDS = frozenset("*?[")
AT_ONCE = 16  # requests to a store, whose answers are slow but independent
BETWEEN_NOTES = 10.0  # seconds
LONGEST = 255  # bytes of a file's name on a disk


class Bucket(Folder):
    """A folder of an object store, taken not to change while it is read: each name and file is asked for once.

    Args:
        root: URI.
        key: of the configuration, which names it; errors begin with it.

    Raises:
        ConfigError: no file system is known for the URI.
    """

    def __init__(self, root: str, key: str):
        super().__init__(root, key)
        self.copies = Path(tempfile.mkdtemp(prefix="lms-ray-data-"))
        weakref.finalize(self, shutil.rmtree, self.copies, ignore_errors=True)
        self._names: dict[str, list[str]] = {}
        self._copies: dict[str, Path] = {}

    def names(self, folder: str) -> list[str]:
        """As `Folder.names`."""
        if folder not in self._names:
            with self._of_key():
                self._names[folder] = super().names(folder)
        return self._names[folder]

    def exists(self, path: str) -> bool:
        """As `Folder.exists`."""
        with self._of_key():
            return super().exists(path)

    def below(self, folder: str) -> list[str]:
        """Paths of all files in a folder and its subfolders."""
        with self._of_key():
            return [_joined(folder, name) for name in self.sizes(folder, recursive=True)]

    def copy(self, path: str) -> Path:
        """A file's copy on this machine.

        Raises:
            AbsentError: there is no such file.
        """
        if path not in self._copies:
            parent, _, name = path.rpartition("/")
            folder = Path(tempfile.mkdtemp(dir=self.copies))  # an object may be named as the folder of another
            with self._of_key():
                self.download(parent, [name], folder)
            self._copies[path] = folder / name
        return self._copies[path]

    @contextmanager
    def _of_key(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            is_full = getattr(error.__cause__, "errno", None) == errno.ENOSPC
            hint = f" in {self.copies}, where its copy is kept; TMPDIR names another folder" if is_full else ""
            raise type(error)(f"{self.key}: {error}{hint}") from error


@dataclass(frozen=True)
class Remote:
    """A file or folder in an object store; what it has in common with pathlib.Path does the same."""

    bucket: Bucket
    path: str
    """From the bucket's folder; empty for that itself."""

    def __str__(self) -> str:
        """Its URI, without keys and options."""
        return self.bucket.where(self.path)

    def __truediv__(self, name: str) -> "Remote":
        return Remote(self.bucket, _joined(self.path, name))

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name

    def with_name(self, name: str) -> "Remote":
        """Another in the same folder."""
        return Remote(self.bucket, _joined(self.path.rpartition("/")[0], name))

    def glob(self, pattern: str) -> Iterator["Remote"]:
        """What fits a pattern, as `matching`."""
        if not pattern:
            raise ValueError(f"Unacceptable pattern: {pattern!r}")
        if ".." in pattern.split("/"):
            raise ValueError("'..' leads out of its folder")
        if any(len(part.encode()) > LONGEST for part in pattern.split("/")):  # no copy could have its name
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return (self / found for found in matching(self.bucket, _joined(self.path, pattern)))

    def rglob(self, pattern: str) -> Iterator["Remote"]:
        """All files below it whose name fits a pattern."""
        found = (Remote(self.bucket, path) for path in self.bucket.below(self.path))
        return (file for file in found if fnmatchcase(file.name, pattern))

    def is_dir(self) -> bool:
        """Whether anything is below it."""
        return bool(self.bucket.names(self.path))

    def stat(self) -> os.stat_result:
        """Of its copy."""
        try:
            return self.bucket.copy(self.path).stat()
        except AbsentError:
            if self.is_dir():
                return self.bucket.copies.stat()
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self)) from None

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """Its copy."""
        return self.bucket.copy(self.path).open(mode)


File = Path | Remote
"""What a reader takes; `str` names it in messages."""


def folder(path: str, key: str) -> File:
    """A folder, as the configuration names it.

    Raises:
        ConfigError: no file system is known for the URI.
    """
    if "://" not in path:
        return Path(path).absolute()
    plain, options = split(path)
    bucket = Bucket(f"{plain.rstrip('/')}{options}", key)
    return Path(bucket.file_system[1]) if bucket.is_local else Remote(bucket, "")


def file(path: str, key: str) -> File:
    """A file, as the configuration names it.

    Raises:
        ConfigError: no file system is known for the URI.
    """
    parent, name = parted(path, key)
    return parent / name


def parted(path: str, key: str) -> tuple[File, str]:
    """The folder of a file, and its name there.

    Raises:
        ConfigError: no file system is known for the URI.
    """
    if "://" not in path:
        local = Path(path).absolute()
        return local.parent, local.name
    plain, options = split(path)
    parent, _, name = plain.rpartition("/")
    return folder(f"{parent}{options}", key), unquote(name)


def relative(file: File, folder: File) -> PurePosixPath:
    """A file's path from a folder."""
    return PurePosixPath(str(file)).relative_to(str(folder))


def matching(folder: Folder, pattern: str) -> list[str]:
    """Paths of the files and folders that fit a pattern, sorted by their parts.

    Args:
        folder: in which they are; only those of its subfolders are listed that the pattern may mean.
        pattern: of a path; `*`, `?` and `[...]` stand for parts of a name, `**` for any folders or none.
    """
    found = [""]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for part in PurePosixPath(pattern).parts:
            if part == "**":
                found = [_joined(at, below) for at in found for below in _folders(folder, at)]
            elif WILDCARDS & set(part):
                listed = zip(found, pool.map(folder.names, found), strict=True)
                found = [_joined(at, name) for at, names in listed for name in names if fnmatchcase(name, part)]
            else:
                found = [_joined(at, part) for at in found]
        found = sorted(set(found), key=lambda path: path.split("/"))
        return [path for path, is_there in zip(found, pool.map(folder.exists, found), strict=True) if is_there]


def fetch(files: Iterable[File]) -> None:
    """Copy files of object stores to this machine, several at once; what is not there is left to whoever opens it.

    Raises:
        StorageError: one cannot be read, or there is no room for it.
    """
    wanted = {file for file in files if isinstance(file, Remote)}
    if not wanted:
        return
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        running = {pool.submit(_fetch, file) for file in wanted}
        while running:
            finished, running = wait(running, timeout=BETWEEN_NOTES, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
            if running:
                log.info("%s", _state({file.bucket for file in wanted}, len(wanted) - len(running), len(wanted)))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fetch(file: Remote) -> None:
    try:
        file.bucket.copy(file.path)
    except AbsentError:
        return


def _state(buckets: set[Bucket], done: int, total: int) -> str:
    copies = (file for bucket in buckets for file in bucket.copies.rglob("*"))
    size = sum(file.stat().st_size for file in copies if file.is_file())
    where = ", ".join(sorted({f"{bucket.key} {bucket.where()}" for bucket in buckets}))
    return f"fetching {where}: {size / 1e6:.0f} MB so far, {done} of {total} files whole"


def _folders(folder: Folder, path: str) -> list[str]:
    """A folder and all below it that hold files, as seen from there."""
    files = folder.sizes(path, recursive=True)
    return ["", *{str(parent) for file in files for parent in PurePosixPath(file).parents} - {"."}]


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name
