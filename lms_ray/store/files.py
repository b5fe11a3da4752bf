"""The experiment folder, on a local disk or in an object store; the only module that touches pyarrow.fs.

    experiment.yaml  provenance.json  driver.json
    candidates/<id>/     Hugging Face model folder + DONE.json; while it trains, resume.safetensors
    encodings/<id>/      features.parquet, statistics.parquet + DONE.json
    rankers/             validation.parquet, scores.parquet + DONE.json; in <hash>/<grid point>/ what each worker wrote
    picks.parquet  report/

A unit of work is a folder. It is done when its DONE.json exists, which is written last and atomically; that is the
only truth, so any process may die at any moment:

- dies before DONE.json: the rerun does the unit again (a candidate from its last epoch) and overwrites what is there;
- dies after it: the rerun skips the unit;
- dies while DONE.json is written: locally it is renamed into place, in an object store it appears when its upload ends.

One driver at a time writes. `driver.json` names it and carries a heartbeat; `hold` refuses a second driver unless the
first is gone: its process has ended (same machine), or its heartbeat is older than `STALE_AFTER`, and a driver that
could not renew its heartbeat for that long has stopped itself.
"""

import json
import os
import signal
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from lms_ray.settings.errors import BusyError, MissingError
from lms_ray.settings.loading import ConfigError

DONE = "DONE.json"
BEAT_EVERY = 20.0  # seconds
STALE_AFTER = 300.0  # seconds
# Interrupts the main thread, also where it waits for Ray. Not SIGINT: background jobs ignore it, and Ray Train takes
# it over.
LOST = signal.SIGUSR1


class Store:
    """Files below one folder, local path or URI; paths are relative and use forward slashes.

    Raises:
        ConfigError: no file system is known for the URI.
    """

    def __init__(self, root: str):
        # Absolute, because trials and workers run in other working directories.
        self.root = root if "://" in root else str(Path(root).absolute())
        try:
            self._fs, self._base = fs.FileSystem.from_uri(self.root)
        except (pa.ArrowInvalid, OSError) as error:
            raise ConfigError(
                f"storage: found {root!r}; accepted is a local folder or s3://, gs://, ... ({error})"
            ) from None

    @property
    def file_system(self) -> tuple[fs.FileSystem, str]:
        """The file system and this folder's path in it, for libraries that write there themselves."""
        return self._fs, self._base

    @property
    def is_local(self) -> bool:
        """Whether the files can be opened by path on this machine."""
        return isinstance(self._fs, fs.LocalFileSystem)

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder of this name."""
        return self._fs.get_file_info(self._at(path)).type != fs.FileType.NotFound

    def names(self, folder: str) -> list[str]:
        """Sorted names in a folder; none where there is no such folder."""
        if self._fs.get_file_info(self._at(folder)).type == fs.FileType.File:
            return []
        selector = fs.FileSelector(self._at(folder), allow_not_found=True)
        return sorted(info.base_name for info in self._fs.get_file_info(selector))

    def signature(self) -> list[list[Any]]:
        """Name, size and time of every file directly in this folder: changes with any of them."""
        files = self._fs.get_file_info(fs.FileSelector(self._base))
        return sorted([info.base_name, info.size, info.mtime_ns or 0] for info in files if info.is_file)

    def read_bytes(self, path: str) -> bytes:
        """Content of a file."""
        with self._fs.open_input_stream(self._at(path)) as stream:
            return stream.read()

    def write_bytes(self, path: str, content: bytes) -> None:
        """Write a file atomically: readers see the old content or all of the new."""
        target = self._at(path)
        if not self.is_local:
            with self._fs.open_output_stream(target) as stream:
                stream.write(content)
            return
        self._fs.create_dir(target.rpartition("/")[0], recursive=True)
        # Hidden, and named at random: a killed writer's leftover is never read and never in another's way.
        partial = f"{target.rpartition('/')[0]}/.{uuid.uuid4().hex}.partial"
        with self._fs.open_output_stream(partial) as stream:
            stream.write(content)
        self._fs.move(partial, target)

    def read_json(self, path: str) -> Any:
        """Content of a JSON file."""
        return json.loads(self.read_bytes(path))

    def write_json(self, path: str, value: Any) -> None:
        """Write a JSON file atomically."""
        self.write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())

    def read_table(self, path: str, **options: Any) -> pa.Table:
        """A Parquet table; options as of pyarrow.parquet.read_table (columns, filters)."""
        return pq.read_table(self._at(path), filesystem=self._fs, **options)

    def write_table(self, path: str, table: pa.Table) -> None:
        """Write a Parquet table atomically."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self.write_bytes(path, sink.getvalue().to_pybytes())

    def delete(self, path: str) -> None:
        """Remove a file or a folder; nothing happens where there is none."""
        info = self._fs.get_file_info(self._at(path))
        if info.type == fs.FileType.Directory:
            self._fs.delete_dir(info.path)
        elif info.type == fs.FileType.File:
            self._fs.delete_file(info.path)

    def upload(self, folder: Path, path: str) -> None:
        """Copy a local folder's files into a folder of the store."""
        self._fs.create_dir(self._at(path), recursive=True)
        fs.copy_files(str(folder), self._at(path), destination_filesystem=self._fs)

    @contextmanager
    def as_local(self, path: str) -> Iterator[Path]:
        """A folder of the store as a local folder: itself, or a copy that is removed afterwards."""
        if self.is_local:
            yield Path(self._at(path))
            return
        with tempfile.TemporaryDirectory(prefix="lms-ray-") as copy:
            fs.copy_files(self._at(path), copy, source_filesystem=self._fs)
            yield Path(copy)

    def require(self, path: str, stage: str) -> None:
        """Refuse to go on without what an earlier stage makes.

        Raises:
            MissingError: it is not there; names the stage to run.
        """
        if not self.exists(path):
            raise MissingError(f"{self.root}/{path}: not there yet; run `python -m lms_ray.{stage}` first")

    def done(self, unit: str) -> dict[str, Any] | None:
        """The record of a finished unit of work, or None."""
        path = f"{unit}/{DONE}"
        return self.read_json(path) if self.exists(path) else None

    def commit(self, unit: str, record: dict[str, Any]) -> None:
        """Declare a unit of work done. Everything else of it must have been written before."""
        self.write_json(f"{unit}/{DONE}", record)

    def _at(self, path: str) -> str:
        return f"{self._base}/{path}" if path else self._base


@contextmanager
def hold(store: Store) -> Iterator[None]:
    """Be the only driver of an experiment for the length of the block; for the main thread.

    Raises:
        BusyError: another driver works on it and is not gone.
    """
    token = uuid.uuid4().hex
    if store.exists("driver.json"):
        other = store.read_json("driver.json")
        if not _is_gone(other):
            raise BusyError(
                f"{store.root}: process {other['pid']} on {other['host']} works on this experiment, last heard of "
                f"{time.time() - other['beat']:.0f} s ago; wait for it, stop it, or choose another name"
            )
    store.write_json("driver.json", _driver_record(token))
    time.sleep(0.2)  # two drivers that start together both write; the first one sees the other's token here
    _require_own(store, token)
    before = signal.signal(LOST, signal.default_int_handler)
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(store, token, stop), daemon=True, name="heartbeat")
    beating.start()
    try:
        yield
    finally:
        stop.set()
        beating.join()
        signal.signal(LOST, before)
        with suppress(BusyError, FileNotFoundError):
            _require_own(store, token)
            store.delete("driver.json")


def _driver_record(token: str) -> dict[str, Any]:
    process = psutil.Process()
    return {
        "token": token,
        "host": socket.gethostname(),
        "pid": process.pid,
        "started": process.create_time(),
        "beat": time.time(),
    }


def _is_gone(driver: dict[str, Any]) -> bool:
    if driver["host"] != socket.gethostname():
        return time.time() - driver["beat"] > STALE_AFTER
    try:
        process = psutil.Process(driver["pid"])
        return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - driver["started"]) > 2
    except psutil.NoSuchProcess:
        return True


def _require_own(store: Store, token: str) -> None:
    driver = store.read_json("driver.json")
    if driver["token"] != token:
        raise BusyError(f"{store.root}: process {driver['pid']} on {driver['host']} has taken this experiment over")


def _beat(store: Store, token: str, stop: threading.Event) -> None:
    last = time.time()
    while not stop.wait(BEAT_EVERY):
        try:
            _require_own(store, token)
            store.write_json("driver.json", _driver_record(token))
            last = time.time()
        except BusyError:
            break
        except OSError:  # the storage may come back; past STALE_AFTER another driver may have begun
            if time.time() - last > STALE_AFTER:
                break
    if not stop.is_set():
        print(f"{store.root}: lost the right to write here, stopping", flush=True)
        os.kill(os.getpid(), LOST)
        stop.wait(30)
        if not stop.is_set():
            os._exit(1)
