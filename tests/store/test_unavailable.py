"""An object store that fails, hangs or hangs up: it is asked again, for so long and not longer."""

import threading
import time
from contextlib import ExitStack

import pytest

from lms_ray.pages.progress import Notes, noting
from lms_ray.settings.errors import StorageError, UnavailableError
from lms_ray.store import folder
from lms_ray.store.files import Store
from object_storage import S3, Fault

pytestmark = pytest.mark.slow  # pyarrow itself tries for six seconds


@pytest.fixture
def store(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(folder, "PATIENCE", 30.0)
    store = Store(s3("runs"))
    store.write_bytes("a/old", b"old")
    return store


@pytest.mark.parametrize("fault", ["500", "503", "cut", "hang"])
def test_what_passes_is_waited_for(s3: S3, store: Store, tmp_path, fault: Fault):
    """Each operation begins while the storage fails, longer than pyarrow tries by itself."""
    done = {}
    operations = {
        "write": lambda: store.write_bytes("b/new", b"new").size,
        "read": lambda: store.read_bytes("a/old"),
        "download": lambda: store.download("a", ["old"], tmp_path)["old"].size,
        "exists": lambda: store.exists("a/old"),
        "list": lambda: store.listed("a", recursive=True).keys(),
        "delete": lambda: store.delete("a/other"),
    }

    def do(name: str) -> None:
        done[name] = operations[name]()

    with noting(Notes()) as notes:
        with s3.failing(fault):
            threads = [threading.Thread(target=do, args=(name,), daemon=True) for name in operations]
            for thread in threads:
                thread.start()
            until = time.monotonic() + (8 if fault == "hang" else 60)  # pyarrow itself survives that for a while
            while len(notes.lines) < len(operations) and time.monotonic() < until:
                time.sleep(0.1)
            assert s3.asked and not done
        for thread in threads:
            thread.join(timeout=30)
    assert done == {"write": 3, "read": b"old", "download": 3, "exists": True, "list": {"old"}, "delete": None}
    assert store.read_bytes("b/new") == b"new" and (tmp_path / "old").read_bytes() == b"old"
    if fault != "hang":
        assert len(notes.lines) == len(operations)
        assert all("; tried again for" in line for line in notes.lines)


@pytest.mark.parametrize("hasty", [False, True])
def test_what_does_not_pass_is_an_error_of_one_line(s3: S3, store: Store, monkeypatch, hasty: bool):
    store.patience = 20.0  # pyarrow itself gives up after six
    asked = store.hasty() if hasty else store
    started = time.monotonic()
    with s3.failing("503"), pytest.raises(UnavailableError, match=r"^s3://bucket/\d+/runs/a/old: .*503[^\n]*$"):
        asked.read_bytes("a/old")
    assert (time.monotonic() - started < 20) == hasty
    assert store.read_bytes("a/old") == b"old"


def test_who_cannot_wait_has_the_same_connections(store: Store):
    hasty = store.hasty()
    assert (hasty.file_system, hasty.patience, hasty.root) == (store.file_system, 0.0, store.root)
    assert hasty.file_system[0] is store.file_system[0]


def test_what_is_forbidden_is_asked_for_once(s3: S3, store: Store):
    started = time.monotonic()
    with s3.failing("forbid", "PUT"), pytest.raises(StorageError, match="ACCESS_DENIED") as caught:
        store.write_bytes("b", b"new")
    assert not isinstance(caught.value, UnavailableError) and time.monotonic() - started < 5


def test_an_answer_that_is_cut_short_is_read_again(s3: S3, store: Store):
    content = bytes(range(256)) * 80_000
    store.write_bytes("large", content)
    with ExitStack() as stack:
        stack.enter_context(s3.failing("cut short", "GET", "large"))
        threading.Timer(3, stack.pop_all().close).start()
        assert store.read_bytes("large") == content
    assert s3.asked
