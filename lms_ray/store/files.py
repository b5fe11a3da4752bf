"""The experiment folder, and the units of work in it.

    experiment.yaml  provenance.json
    drivers/             who is at work: see lms_ray.store.lock
    nodes/               of a cluster: see lms_ray.cluster.nodes
    candidates/<id>/     Hugging Face model folder + DONE.json; while it trains, resume.safetensors; the weights go
                         where `sweep.keep_weights` says so; in attempts/ what each attempt took
    candidates.parquet   every candidate, once the sweep has ended
    missing.parquet      those that it has ended without, failed or lost, and why
    corpora.parquet      every corpus that is encoded
    encodings/<id>/      tables of every corpus, see `encodings.py`, + DONE.json
    newcomers/<id>/      the same tables of checkpoints that were held against the pool; newcomers.parquet
    rankers/             validation.parquet, scores.parquet + DONE.json; in <hash>/<grid point>/ what each worker wrote
    picks.parquet  report/
    soups/<id>/          what an average of candidates encodes, as in encodings/ + DONE.json; soups.parquet

A unit of work is a folder. It is done when its DONE.json exists, which is written last and atomically, and names
every file of the unit with its size and sha256; that is the only truth, so any process may die at any moment:

- dies before DONE.json: the rerun does the unit again (a candidate from its last saved epoch) and overwrites what is
  there;
- dies after it: the rerun skips the unit;
- dies while DONE.json is written: locally it is renamed into place, in an object store it appears when its upload ends.

What a storage lost or cut is found twice: sizes when a stage asks whether the unit is done, hashes before a file is
used. Either way the unit is not done any more, and the rerun does it again.
"""

import functools
import hashlib
import logging
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from lms_ray.settings.errors import AbsentError, BrokenError, MissingError, StorageError
from lms_ray.store.folder import Folder, Written

DONE = "DONE.json"
log = logging.getLogger(__name__)


class Store(Folder):
    """An experiment's folder."""

    def require(self, path: str, stage: str) -> None:
        """Refuse to go on without what an earlier stage makes.

        Raises:
            MissingError: it is not there; names the stage to run.
        """
        if not self.exists(path):
            raise MissingError(f"{self.where(path)}: not there yet; run `python -m lms_ray.{stage}` first")

    def commit(self, unit: str, record: Mapping[str, Any], files: Mapping[str, Written]) -> None:
        """Declare a unit of work done.

        Args:
            unit: its folder.
            record: what `done` gives back.
            files: what was written into the folder, by the path from there.

        Raises:
            StorageError: a file is not there as it was written.
        """
        assert "files" not in record, "the key is taken"
        if fault := self._fault(unit, files):
            raise StorageError(f"{fault}; {unit} is not done; run the same command again")
        named = {name: asdict(written) for name, written in files.items()}
        self.write_json(f"{unit}/{DONE}", {**record, "files": named})

    def done(self, unit: str, sizes: Mapping[str, int] | None = None) -> dict[str, Any] | None:
        """The record of a finished unit of work, or None.

        None too where DONE.json or a file that it names is not whole, which is said once.

        Args:
            unit: its folder.
            sizes: bytes of each file in it by the path from there, of an earlier list; where that does not fit, the
                unit is listed again.
        """
        try:
            record, files = self._committed(unit)
        except AbsentError:
            return None
        except BrokenError as error:
            _warn_once(f"{error}; the unit counts as not done")
            return None
        if sizes is not None and not _misfit(files, sizes):
            return record
        if fault := self._fault(unit, files):
            _warn_once(f"{fault}; the unit counts as not done")
            return None
        return record

    def drop(self, unit: str, names: Collection[str]) -> None:
        """Delete files of a done unit, which stays done: first it names them no more, then they go.

        Args:
            unit: its folder.
            names: of the files, as `commit` was told them.
        """
        record, files = self._committed(unit)
        rest = {name: written for name, written in files.items() if name not in names}
        if len(rest) < len(files):
            self.commit(unit, record, rest)
        for name in names:
            self.delete(f"{unit}/{name}")

    def read_unit_table(self, unit: str, name: str, **options: Any) -> pa.Table:
        """A Parquet table of a unit, checked if the unit is done; options as of pyarrow.parquet.read_table.

        Raises:
            AbsentError: there is no such file.
            BrokenError: it is not what was committed, and the unit counts as not done from now on; or it is no table.
        """
        path = f"{unit}/{name}"
        content = self.read_bytes(path)
        if expected := self.files_of(unit).get(name):
            self._require_same(unit, {name: expected}, {name: hashlib.sha256(content).hexdigest()})
        return self._parse_table(path, content, options)

    @contextmanager
    def as_local(self, path: str) -> Iterator[Path]:
        """A folder as a local folder: itself, or a copy that is removed afterwards; a done unit's files are checked.

        Raises:
            BrokenError: a file is not what was committed; the unit counts as not done from now on.
        """
        expected = self.files_of(path)
        if fault := self._fault(path, expected):
            raise self._undone(path, fault)
        if self.is_local:
            folder = Path(self._at(path))
            with self._storage(path):
                found = {name: _hash_of(folder / name) for name in expected}
            self._require_same(path, expected, found)
            yield folder
            return
        with tempfile.TemporaryDirectory(prefix="lms-ray-") as copy:
            names = list(expected) or self.sizes(path, recursive=True)
            read = self.download(path, names, Path(copy))
            self._require_same(path, expected, {name: written.sha256 for name, written in read.items()})
            yield Path(copy)

    def _committed(self, unit: str) -> tuple[dict[str, Any], dict[str, Written]]:
        """Record and files of a unit.

        Raises:
            AbsentError: it has no DONE.json.
            BrokenError: its DONE.json is not one.
        """
        path = f"{unit}/{DONE}"
        record = self.read_json(path)
        if not isinstance(record, dict):
            raise BrokenError(f"{self.where(path)}: broken; it is no record")
        # Version 0.1.0 named no files; it kept a list of another meaning under this key.
        named = record.pop("files") if isinstance(record.get("files"), dict) else {}
        try:
            return record, {name: Written(**written) for name, written in named.items()}
        except TypeError:
            raise BrokenError(f"{self.where(path)}: broken; its files are not named by size and sha256") from None

    def files_of(self, path: str) -> dict[str, Written]:
        """What was written into a folder if it is a done unit, by the path from there; nothing otherwise."""
        try:
            return self._committed(path)[1] if path else {}
        except (AbsentError, BrokenError):
            return {}

    def _fault(self, unit: str, files: Mapping[str, Written]) -> str | None:
        """What is wrong with the first file that is not there with its size."""
        sizes = self.sizes(unit, recursive=any("/" in name for name in files)) if files else {}
        if name := _misfit(files, sizes):
            found = f"{sizes[name]} bytes" if name in sizes else "no file"
            return f"{self.where(f'{unit}/{name}')}: broken ({found} instead of {files[name].size} bytes)"
        return None

    def _require_same(self, unit: str, files: Mapping[str, Written], hashes: Mapping[str, str]) -> None:
        for name, written in files.items():
            if hashes[name] != written.sha256:
                path = self.where(f"{unit}/{name}")
                fault = f"{path}: broken (sha256 {hashes[name][:12]}... instead of {written.sha256[:12]}...)"
                raise self._undone(unit, fault)

    def _undone(self, unit: str, fault: str) -> BrokenError:
        self.delete(f"{unit}/{DONE}")
        return BrokenError(f"{fault}; the unit counts as not done now; run the same command again")


def _misfit(files: Mapping[str, Written], sizes: Mapping[str, int]) -> str | None:
    """The first file that is not there with its size."""
    return next((name for name, written in files.items() if sizes.get(name) != written.size), None)


def _hash_of(path: Path) -> str:
    status = path.stat()
    return _hash_once(path, status.st_mtime_ns, status.st_size)


@functools.cache
def _hash_once(path: Path, mtime: int, size: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@functools.cache
def _warn_once(message: str) -> None:
    log.warning("%s", message)
