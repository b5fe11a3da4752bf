"""Whatever dies, a reader sees whole files only, and one driver at a time writes."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from lms_ray.store import files as stores
from lms_ray.store.files import STALE_AFTER, BusyError, Store, hold

SIZE = 2_000_000
WRITER = f"""
import sys
from lms_ray.store.files import Store
for number in range(10**6):
    Store(sys.argv[1]).write_bytes("model/weights", bytes([number % 256]) * {SIZE})
    print(number, flush=True)
"""
DRIVER = """
import sys, time
from lms_ray.store.files import Store, hold
with hold(Store(sys.argv[1])):
    print("holding", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "runs" / "pos"))


@pytest.fixture
def started(store: Store):
    """Start a script in a process of its own and wait for its first line."""
    processes = []

    def start(script: str) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-c", script, store.root], stdout=subprocess.PIPE)
        processes.append(process)
        assert process.stdout.readline()
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def driver(**changes) -> dict:
    """The record of a driver: this process, unless said otherwise."""
    return {**stores._driver_record("another token"), **changes}


def test_a_killed_writer_leaves_a_whole_file(store: Store, started):
    process = started(WRITER)
    seen = [store.read_bytes("model/weights") for _ in range(200)]
    process.kill()
    process.wait()
    seen.append(store.read_bytes("model/weights"))
    assert {len(content) for content in seen} == {SIZE}
    assert all(content == content[:1] * SIZE for content in seen)
    assert len({content[:1] for content in seen}) > 1  # it was being written meanwhile
    assert [name for name in store.names("model") if not name.startswith(".")] == ["weights"]


def test_a_failed_write_keeps_the_old_content(store: Store):
    store.write_bytes("a/b", b"old")
    with pytest.raises(TypeError):
        store.write_json("a/b", {"not": {"a set"}})
    assert store.read_bytes("a/b") == b"old"
    assert store.names("a") == ["b"]


def test_a_unit_is_done_when_it_is_committed(store: Store):
    assert store.done("candidates/one") is None
    store.write_bytes("candidates/one/model.safetensors", b"weights")
    assert store.done("candidates/one") is None
    store.commit("candidates/one", {"dev_score": 0.5})
    assert store.done("candidates/one") == {"dev_score": 0.5}
    assert store.names("candidates") == ["one"]
    assert store.names("nowhere") == []
    assert store.done("candidates/one/model.safetensors") is None  # a file is no unit


def test_tables_come_back_as_they_were(store: Store):
    table = pa.table({"corpus": ["de-dev", "nl-dev"], "feature": [[1.0, 2.5], [0.1, 1e-300]], "total": [1, 2**40]})
    store.write_table("a/b.parquet", table)
    assert store.read_table("a/b.parquet").equals(table)
    assert store.read_table("a/b.parquet", columns=["total"]).column_names == ["total"]
    assert store.read_table("a/b.parquet", filters=[("corpus", "in", ["nl-dev"])])["total"].to_pylist() == [2**40]


def test_folders_go_up_and_come_back(store: Store, tmp_path: Path):
    source = tmp_path / "model"
    (source / "sub").mkdir(parents=True)
    (source / "config.json").write_text("{}")
    (source / "sub" / "weights").write_bytes(b"\0\1")
    store.write_json("candidates/one/candidate.json", {})
    store.upload(source, "candidates/one")
    with store.as_local("candidates/one") as folder:
        assert (folder / "sub" / "weights").read_bytes() == b"\0\1"
    assert store.names("candidates/one") == ["candidate.json", "config.json", "sub"]
    store.delete("candidates/one/sub")
    store.delete("candidates/one/config.json")
    store.delete("candidates/one/never-there")
    assert store.names("candidates/one") == ["candidate.json"]


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


def test_a_second_driver_is_refused_while_the_first_lives(store: Store, started):
    process = started(DRIVER)
    with pytest.raises(BusyError, match=f"process {process.pid} on .* works on this experiment"), hold(store):
        pytest.fail("two drivers")
    assert store.read_json("driver.json")["pid"] == process.pid


@pytest.mark.parametrize("reaped", [False, True], ids=["zombie", "reaped"])
def test_a_killed_driver_is_taken_over_at_once(store: Store, started, reaped: bool):
    process = started(DRIVER)
    process.kill()
    if reaped:
        process.wait()
    else:
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
    with hold(store):
        assert store.read_json("driver.json")["pid"] == os.getpid()
    assert not store.exists("driver.json")


def test_a_process_that_got_the_number_of_a_dead_driver_does_not_block(store: Store):
    store.write_json("driver.json", driver(started=psutil.Process().create_time() - 1000))
    with hold(store):
        pass


def test_a_driver_on_another_machine_is_judged_by_its_heartbeat(store: Store):
    store.write_json("driver.json", driver(host="elsewhere", pid=7, beat=time.time() - STALE_AFTER + 30))
    with pytest.raises(BusyError, match=r"process 7 on elsewhere .* 270 s ago"), hold(store):
        pytest.fail("two drivers")
    store.write_json("driver.json", driver(host="elsewhere", pid=7, beat=time.time() - STALE_AFTER - 1))
    with hold(store):
        assert store.read_json("driver.json")["pid"] == os.getpid()


def test_an_error_lets_go_of_the_experiment(store: Store):
    with pytest.raises(ZeroDivisionError), hold(store):
        _ = 1 / 0
    with hold(store):
        pass


def test_of_two_drivers_that_start_together_the_last_to_write_works(store: Store):
    def other_driver() -> None:
        while not store.exists("driver.json"):
            time.sleep(0.001)
        store.write_json("driver.json", driver(pid=7))

    thread = threading.Thread(target=other_driver)
    thread.start()
    with pytest.raises(BusyError, match=r"process 7 on .* has taken this experiment over"), hold(store):
        pytest.fail("two drivers")
    thread.join()
    assert store.read_json("driver.json")["pid"] == 7


def test_a_driver_beats_while_it_works_and_stops_when_it_was_taken_over(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(stores, "BEAT_EVERY", 0.05)
    with pytest.raises(KeyboardInterrupt), hold(store):
        before = store.read_json("driver.json")["beat"]
        time.sleep(0.3)
        assert store.read_json("driver.json")["beat"] > before
        store.write_json("driver.json", driver(host="elsewhere"))
        for _ in range(100):
            time.sleep(0.1)
        pytest.fail("went on without the right to write")
    assert "lost the right to write" in capsys.readouterr().out
    assert store.read_json("driver.json")["host"] == "elsewhere"  # not ours to remove
