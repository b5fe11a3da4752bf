"""Every kind of storage that an experiment may lie in, and a process of its own for what runs beside the test."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lms_ray.store.files import Store

sys.path.insert(0, str(Path(__file__).parent))
from object_store import ObjectStore


@pytest.fixture
def object_store() -> Iterator[ObjectStore]:
    server = ObjectStore()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "runs" / "pos"))


@pytest.fixture(params=["disk", "object store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """What each storage must do is tested with this one."""
    if request.param == "disk":
        return request.getfixturevalue("local")
    return Store(request.getfixturevalue("object_store").uri(f"{tmp_path.name}/runs/pos"))


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a script in a process of its own and wait for its first line."""
    processes = []

    def start(script: str, *arguments: str) -> subprocess.Popen:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen([sys.executable, "-c", script, *arguments], text=True, **pipes)
        processes.append(process)
        assert process.stdout.readline()
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()
