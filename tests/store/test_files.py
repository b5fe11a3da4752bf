"""Whatever dies and whatever the storage answers, a reader sees whole files only, and a done unit is whole."""

import logging
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from lms_ray.settings.errors import AbsentError, BrokenError, StorageError
from lms_ray.settings.loading import ConfigError
from lms_ray.store.files import Store
from object_storage import S3

SIZE = 2_000_000
WRITER = """
import sys
from lms_ray.store.files import Store
for number in range(10**6):
    Store(sys.argv[1]).write_bytes("model/weights", bytes([number % 256]) * int(sys.argv[2]))
    print(number, flush=True)
"""
TABLE = pa.table({"corpus": ["de-dev", "nl-dev"], "feature": [[1.0, 2.5], [0.1, 1e-300]], "total": [1, 2**40]})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder before it is uploaded."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "weights").write_bytes(b"\0\1" * 1000)
    return folder


@pytest.fixture
def unit(store: Store, model: Path) -> str:
    """A done unit with a model and a table."""
    files = store.upload(model, "candidates/one")
    files["scores.parquet"] = store.write_table("candidates/one/scores.parquet", TABLE)
    store.commit("candidates/one", {"dev_score": 0.5}, files)
    return "candidates/one"


def tear(store: Store, path: str) -> None:
    """Lose the second half of a file, as a storage might."""
    content = store.read_bytes(path)
    store.write_bytes(path, content[: len(content) // 2])


def flip(store: Store, path: str) -> None:
    """Change one byte of a file."""
    content = bytearray(store.read_bytes(path))
    content[len(content) // 2] ^= 1
    store.write_bytes(path, bytes(content))


def test_files_come_back_as_they_were(store: Store):
    store.write_bytes("a/weights", b"\0\1")
    store.write_json("a/b.json", {"score": 0.1})
    assert store.read_bytes("a/weights") == b"\0\1"
    assert store.read_json("a/b.json") == {"score": 0.1}
    store.write_json("a/b.json", [1])
    assert store.read_json("a/b.json") == [1]
    assert (store.names("a"), store.names("a/weights"), store.names("nowhere")) == (["b.json", "weights"], [], [])
    assert [store.exists(path) for path in ("a", "a/weights", "a/c", "a/weights/c")] == [True, True, False, False]
    with pytest.raises(AbsentError, match=r"runs/pos/a/c: no such file"):
        store.read_bytes("a/c")
    for path in ("a/weights", "a/never-there"):
        store.delete(path)
    assert store.names("a") == ["b.json"]
    store.delete("a")
    assert not store.exists("a/b.json")


def test_tables_come_back_as_they_were(store: Store):
    store.write_table("a/b.parquet", TABLE)
    assert store.read_table("a/b.parquet").equals(TABLE)
    assert store.read_table("a/b.parquet", columns=["total"]).column_names == ["total"]
    assert store.read_table("a/b.parquet", filters=[("corpus", "in", ["nl-dev"])])["total"].to_pylist() == [2**40]


def test_a_unit_is_done_when_it_is_committed(store: Store):
    assert store.done("candidates/one") is None
    files = {"weights": store.write_bytes("candidates/one/weights", b"1234")}
    assert store.done("candidates/one") is None
    store.commit("candidates/one", {"dev_score": 0.5}, files)
    assert store.done("candidates/one") == {"dev_score": 0.5}
    assert store.read_json("candidates/one/DONE.json")["files"]["weights"]["size"] == 4
    assert store.done("candidates/one/weights") is None  # a file is no unit


def test_a_unit_comes_back_whole(store: Store, unit: str):
    with store.as_local(unit) as folder:
        assert (folder / "sub" / "weights").read_bytes() == b"\0\1" * 1000
        assert (folder / "config.json").read_text() == "{}"
    assert store.read_unit_table(unit, "scores.parquet", columns=["total"]).equals(TABLE.select(["total"]))


@pytest.mark.parametrize("name", ["config.json", "sub/weights"])
@pytest.mark.parametrize("lost", [Store.delete, tear])
def test_a_unit_that_lost_a_file_is_done_again_and_says_so_once(
    store: Store, unit: str, name: str, lost, caplog: pytest.LogCaptureFixture
):
    lost(store, f"{unit}/{name}")
    with caplog.at_level(logging.WARNING):
        assert [store.done(unit), store.done(unit)] == [None, None]
    found = "no file" if lost is Store.delete else r"\d+ bytes"
    (line,) = caplog.messages
    assert re.fullmatch(rf".*{unit}/{name}: broken \({found} instead of \d+ bytes\); the unit counts as not done", line)


@pytest.mark.parametrize("changed", [Store.delete, tear, flip])
def test_a_file_that_is_not_what_was_committed_is_found_before_it_is_used(store: Store, unit: str, changed):
    with store.as_local(unit):
        pass  # it was hashed before
    changed(store, f"{unit}/sub/weights")
    broken = rf"^\S+/{unit}/sub/weights: broken \(.* instead of .*\); the unit counts as not done now; run the same"
    with pytest.raises(BrokenError, match=broken), store.as_local(unit):
        pytest.fail("used")
    assert not store.exists(f"{unit}/DONE.json")


@pytest.mark.parametrize("changed", [tear, flip])
def test_a_table_that_is_not_what_was_committed_is_found_before_it_is_used(store: Store, unit: str, changed):
    changed(store, f"{unit}/scores.parquet")
    with pytest.raises(BrokenError, match=rf"{unit}/scores.parquet: broken \(sha256 .* instead of"):
        store.read_unit_table(unit, "scores.parquet")
    assert store.done(unit) is None


@pytest.mark.parametrize(
    "content", [b"", b'{"dev_score": 0.5', b"[1]", b"\xff\xfe", b'{"files": {"weights": 3}}', b"[" * 10**5]
)
def test_a_broken_done_json_is_named_and_its_unit_is_done_again(
    store: Store, unit: str, content: bytes, caplog: pytest.LogCaptureFixture
):
    store.write_bytes(f"{unit}/DONE.json", content)
    assert store.done(unit) is None
    assert f"{unit}/DONE.json: broken; " in caplog.text


@pytest.mark.parametrize("record", [{"seconds": 3.0}, {"path": "elsewhere", "files": [["config.json", 3, 4]]}])
def test_a_unit_of_version_0_1_0_named_no_files(local: Store, record: dict):
    local.write_json("candidates/one/DONE.json", record)
    assert local.done("candidates/one") == record


def test_what_is_not_there_as_it_was_written_is_not_committed(store: Store, model: Path):
    files = store.upload(model, "candidates/one")
    tear(store, "candidates/one/sub/weights")
    with pytest.raises(StorageError, match=r"one/sub/weights: broken \(1000 bytes instead of 2000 bytes\)"):
        store.commit("candidates/one", {}, files)
    assert store.done("candidates/one") is None


def test_an_object_store_that_refuses_a_file_is_heard(s3: S3, model: Path):
    """S3 answers 403 when an upload ends; the client that copies folders does not say so."""
    store = Store(s3("runs/pos"))
    said = r"^s3://bucket/\d+/runs/pos/candidates/one/sub/weights: .*ACCESS_DENIED"
    with s3.failing("forbid", "PUT", "weights"), pytest.raises(StorageError, match=said):
        store.commit("candidates/one", {}, store.upload(model, "candidates/one"))
    assert store.names("candidates/one") == ["config.json"]


def test_a_broken_table_is_named(store: Store):
    store.write_table("candidates.parquet", TABLE)
    tear(store, "candidates.parquet")
    with pytest.raises(BrokenError, match=r"runs/pos/candidates.parquet: broken; .*; delete it and run"):
        store.read_table("candidates.parquet")


READS = {
    "exists": (),
    "names": (),
    "sizes": (),
    "listed": (),
    "done": (),
    "delete": (),
    "read_bytes": (),
    "read_json": (),
    "read_table": (),
    "read_unit_table": ("scores.parquet",),
}
WRITES = {"write_bytes": (b"1",), "write_json": (1,), "write_table": (TABLE,), "commit": ({}, {})}


@pytest.mark.parametrize("method", [*READS, *WRITES, "upload"])
def test_every_error_of_the_storage_is_one_line(local: Store, model: Path, method: str):
    local.write_bytes("a/file", b"")
    call = getattr(local, method)
    arguments = {**READS, **WRITES}.get(method, ())
    before = (model,) if method == "upload" else ()
    with pytest.raises(StorageError, match=rf"^{local.root}/x+\S*: file name too long$"):
        call(*before, "x" * 300, *arguments)
    if method in READS:
        return
    with pytest.raises(StorageError, match=rf"^{local.root}/a/file/b\S*: there is a file where a folder is wanted$"):
        call(*before, "a/file/b", *arguments)


def test_a_full_disk_is_one_line_and_leaves_the_old_content(local: Store):
    """A limit on the size of files stands for the full disk."""
    local.write_bytes("a/b", b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StorageError, match=rf"^{local.root}/a/b: file too large$"):
            local.write_bytes("a/b", b"new" * SIZE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert local.read_bytes("a/b") == b"old"
    assert local.names("a") == ["b"]  # no partial file


def test_a_killed_writer_leaves_a_whole_file(store: Store, started):
    size = SIZE if store.is_local else 300_000  # Google's is sent in pieces of 256 KiB, and its emulator takes its time
    process = started(WRITER, store.root, str(size))
    seen = [store.read_bytes("model/weights") for _ in range(200 if store.is_local else 20)]
    process.kill()
    process.wait()
    seen.append(store.read_bytes("model/weights"))
    assert {len(content) for content in seen} == {size}
    assert all(content == content[:1] * size for content in seen)
    assert len({content[:1] for content in seen}) > 1  # it was being written meanwhile
    assert [name for name in store.names("model") if not name.startswith(".")] == ["weights"]


def test_a_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    store = Store("runs/pos")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.write_bytes("a", b"1")
    assert (tmp_path / "runs" / "pos" / "a").read_bytes() == b"1"


def test_a_folder_may_have_a_space_and_any_letter_in_its_name(tmp_path: Path):
    store = Store(str(tmp_path / "é 100% #1"))
    store.write_json("a/b.json", 1)
    assert (store.read_json("a/b.json"), store.names("a")) == (1, ["b.json"])


@pytest.mark.parametrize("root", ["", "s3:/bucket/runs", "what://bucket/runs", "runs\0"])
@pytest.mark.parametrize("key", ["storage", "--like"])
def test_what_is_no_folder_is_refused(root: str, key: str):
    with pytest.raises(ConfigError, match=re.escape(f"{key}: found {root!r}; accepted is a local folder or s3://")):
        Store(root, key)


def test_keys_in_a_uri_are_not_shown(s3: S3):
    with pytest.raises(StorageError) as caught:
        Store(s3("runs")).read_bytes("a")
    assert re.fullmatch(r"s3://bucket/\d+/runs/a: no such file or directory", str(caught.value))


def test_keys_may_come_from_the_environment(s3: S3, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    store = Store(s3("runs", credentials=""))
    store.write_json("a.json", 1)
    assert store.read_json("a.json") == 1


@pytest.mark.parametrize("size", [10, SIZE])
def test_a_file_that_is_deleted_while_it_is_opened_is_absent(s3: S3, monkeypatch: pytest.MonkeyPatch, size: int):
    """An object is asked for twice, for its size and for its content; S3's answer that it is gone may be longer."""
    store = Store(s3("runs"))
    store.write_bytes("a", bytes(size))
    opened = Store._opened

    @contextmanager
    def deleted_between(self: Store, path: str) -> Iterator[pa.NativeFile]:
        with opened(self, path) as source:
            self.delete(path)
            yield source

    monkeypatch.setattr(Store, "_opened", deleted_between)
    with pytest.raises(AbsentError, match="no such file"):
        store.read_bytes("a")


def test_a_copy_of_a_unit_leaves_out_what_is_no_file_of_it(store: Store, unit: str):
    """A training state that was left behind is three times as large as the model."""
    store.write_bytes(f"{unit}/resume.safetensors", b"left behind")
    with store.as_local(unit) as folder:
        assert (folder / "resume.safetensors").exists() == store.is_local
