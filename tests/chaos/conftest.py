"""Shared by the tests that break things while an experiment runs."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def workers_at_full_speed() -> Iterator[None]:
    """Ray's workers run at nice 15 otherwise, and wait for whatever else the machine does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        yield
