"""A storage that fails for a while, refuses for good, or is full, while the main job runs on a real local Ray."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from faults import Running, driver, units
from lms_ray.store.files import DONE, Store
from object_storage import S3, Fault
from small import CANDIDATES, copy_of_candidates, picks, run

pytestmark = [pytest.mark.ray, pytest.mark.chaos]

OUTAGE = 10.0  # seconds, longer than pyarrow itself tries


def done_in(store: Store, folder: str) -> dict[str, bytes]:
    """What the DONE.json of each finished unit below a folder holds."""
    paths = [f"{folder}/{name}" for name in store.listed(folder, recursive=True) if name.endswith(f"/{DONE}")]
    return {path: store.read_bytes(path) for path in paths}


def picks_in(store: Store) -> pd.DataFrame:
    return store.read_table("picks.parquet").to_pandas()


def test_a_bucket_that_fails_for_a_while_is_waited_for_and_one_that_refuses_is_named(
    job: Path, finished: Path, tmp_path: Path, s3: S3
) -> None:
    uri = s3("runs")
    folder, _, options = uri.partition("?")
    store = Store(f"{folder}/small?{options}")

    def fail(running: Running, fault: Fault, when: Callable[[], object]) -> None:
        running.until(when)
        with s3.failing(fault):
            time.sleep(OUTAGE)
            assert s3.asked and running.process.poll() is None, running.log

    with driver("sweep", job, tmp_path, f"storage={uri}") as running:
        fail(running, "503", lambda: done_in(store, "candidates"))
        with s3.failing("forbid", "GET", "model.safetensors"):
            assert running.process.wait(timeout=200) == 1, running.log
            assert s3.asked
        (error,) = [line for line in running.log.splitlines() if line.startswith("error:")]
        assert "model.safetensors" in error and "ACCESS_DENIED" in error and "key:secret" not in error
        assert "Traceback" not in running.log
    assert not store.names("drivers")
    kept = done_in(store, "candidates")
    assert len(kept) == CANDIDATES

    with driver("sweep", job, tmp_path, f"storage={uri}") as running:
        fail(running, "cut", lambda: done_in(store, "encodings"))
        fail(running, "hang", lambda: "ranking   20/20 done" in running.log)
        fail(running, "500", lambda: done_in(store, "rankers"))
        assert running.process.wait(timeout=200) == 0, running.log
        assert "tried again for" in running.log
    assert kept.items() <= done_in(store, "candidates").items(), "nothing was trained again"
    pd.testing.assert_frame_equal(picks_in(store), picks(finished))


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[int], None]]:
    """A file system of its own in memory; what is given resizes it."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")

    def resize(kilobytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", folder], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_one_error_and_with_more_room_the_same_command_goes_on(
    job: Path, finished: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "runs", kilobytes=100_000) as resize:
        storage = copy_of_candidates(finished, tmp_path / "runs")
        for stage, room in (("features", 200), ("ranking", 40)):
            resize(kilobytes_in(storage) + room)
            with driver(stage, job, tmp_path, f"storage={storage}") as running:
                assert running.process.wait(timeout=200) == 1, running.log
                said = running.log
            assert said.count("no space left on device") == said.count("error:") == 1 and "Traceback" not in said
            kept = units(storage)
            resize(100_000)
            assert not list(storage.rglob("*.partial"))
            run(stage, job, storage)
            assert kept.items() <= units(storage).items()
        run("selection", job, storage)
        pd.testing.assert_frame_equal(picks(storage), picks(finished))


def kilobytes_in(folder: Path) -> int:
    return sum(path.stat().st_blocks for path in folder.rglob("*")) // 2
