"""A training state is written beside the training, one at a time, and never after the training has ended."""

import threading
from pathlib import Path

import pytest

from lms_ray.models.saving import Saver
from lms_ray.settings.errors import StorageError
from lms_ray.store.files import Store

SECONDS = 10  # for what must happen; nothing waits that long


class Gated(Store):
    """A storage that writes when it is let."""

    def __init__(self, root: str):
        super().__init__(root)
        self.gate = threading.Semaphore(0)

    def write_bytes(self, path, content):
        assert self.gate.acquire(timeout=SECONDS)
        return super().write_bytes(path, content)


@pytest.fixture
def gated(tmp_path: Path) -> Gated:
    return Gated(str(tmp_path))


def test_a_write_does_not_hold_up_the_training_and_is_over_when_the_block_is_left(gated: Gated):
    with Saver(gated, "state") as saver:
        saver.save(lambda: b"first")
        assert not gated.exists("state")  # the next epoch trains
        threading.Timer(0.2, gated.gate.release).start()
    assert gated.read_bytes("state") == b"first"


def test_the_next_state_is_made_when_the_one_before_is_written(gated: Gated):
    with Saver(gated, "state") as saver:
        saver.save(lambda: b"first")
        threading.Timer(0.2, gated.gate.release).start()
        saver.save(lambda: gated.read_bytes("state") + b", then the second")
        gated.gate.release()
    assert gated.read_bytes("state") == b"first, then the second"


@pytest.mark.parametrize("when", ["at the next save", "at the end"])
def test_a_write_that_failed_stops_the_training(tmp_path: Path, when: str):
    (tmp_path / "file").write_text("where a folder is wanted")
    with pytest.raises(StorageError, match="there is a file where"), Saver(Store(str(tmp_path)), "file/state") as saver:
        saver.save(lambda: b"first")
        if when == "at the next save":
            saver.save(lambda: pytest.fail("went on"))


def test_where_the_training_fails_its_last_state_is_written_and_its_error_is_raised(gated: Gated):
    with pytest.raises(ZeroDivisionError), Saver(gated, "state") as saver:
        saver.save(lambda: b"first")
        threading.Timer(0.2, gated.gate.release).start()
        _ = 1 / 0
    assert gated.read_bytes("state") == b"first"
