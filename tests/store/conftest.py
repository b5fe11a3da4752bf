"""Every kind of storage that an experiment may lie in, and a process of its own for what runs beside the test."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from lms_ray.store.files import Store


@pytest.fixture(params=["local", "s3", "gcs"])
def store(request: pytest.FixtureRequest) -> Store:
    """What each storage must do is tested with this one."""
    storage = request.getfixturevalue(request.param)
    return storage if isinstance(storage, Store) else Store(storage("runs/pos"))


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
