"""Progress can be read from a folder in any state."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from lms_ray.settings.loading import ConfigError, load, to_yaml
from lms_ray.store import lock
from lms_ray.store.files import Store
from lms_ray.store.status import show

SHOW = """
import sys
from lms_ray.store.status import show
show(sys.argv[1])
print(sorted({"ray", "torch"} & set(sys.modules)))
"""
EIGHT = ("sweep.epochs=[1,2]", "sweep.seeds=4", "sweep.learning_rate=[1e-4]", "sweep.batch_size=[8]")


@pytest.fixture
def experiment(local: Store) -> Store:
    """Eight candidates: one is done and encoded, one failed, one is at work, the others are not begun."""
    local.write_bytes("experiment.yaml", to_yaml(load("quickstart", list(EIGHT))).encode())
    for unit in ("candidates/one", "encodings/one"):
        local.commit(unit, {}, {"weights": local.write_bytes(f"{unit}/weights", b"1234")})
    traceback = (
        b'Traceback (most recent call last):\n  File "x.py", line 3, in step\n    train()\nValueError: no words\n'
    )
    local.write_bytes("candidates/two/ERROR.txt", traceback)
    local.write_json("candidates/three/candidate.json", {})
    return local


def shown(experiment: Store, capsys: pytest.CaptureFixture) -> str:
    show(experiment.root)
    return capsys.readouterr().out


def test_status_tells_what_is_done_what_failed_and_who_works(experiment: Store, capsys: pytest.CaptureFixture):
    with lock.hold(experiment):
        lines = shown(experiment, capsys).splitlines()
    assert lines[:5] == [
        "✗ sweep      1/8 candidates",
        "  1 failed, among them two: ValueError: no words",
        "✗ features   1/8 candidates",
        "✗ ranking",
        "✗ selection",
    ]
    assert re.fullmatch(r"✗ report     \S*/runs/pos/report/report\.html", lines[5])
    assert re.fullmatch(rf"driver: process {os.getpid()} on \S+, last heard of \d s ago", lines[6])


def test_a_complete_sweep_counts_the_candidates_of_its_pool(experiment: Store, capsys: pytest.CaptureFixture):
    experiment.write_table("candidates.parquet", pa.table({"id": ["one"]}))
    text = shown(experiment, capsys)
    assert text.startswith("✓ sweep      1/1 candidates\n✓ features   1/1 candidates\n✗ ranking")
    assert text.endswith("driver: none\n")


@pytest.mark.parametrize(
    "name", ["experiment.yaml", "candidates.parquet", "drivers/1.json", "candidates/one/DONE.json"]
)
@pytest.mark.parametrize("content", [b"{[", b"[" * 10**5, b"\xff\0", b"[1]", b""])
def test_a_broken_file_is_named_and_the_rest_is_shown(
    experiment: Store, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture, name: str, content: bytes
):
    experiment.write_bytes(name, content)
    text = shown(experiment, capsys)
    assert f"{experiment.where(name)}: broken" in text + caplog.text
    assert "features" in text
    assert "driver: " in text


def test_a_folder_of_version_0_1_0_is_shown(experiment: Store, capsys: pytest.CaptureFixture):
    experiment.write_json("candidates/one/DONE.json", {"id": "one", "files": [["config.json", 3, 4]]})
    experiment.write_json("driver.json", {"pid": 3})
    experiment.write_bytes("experiment.yaml", b"name: old\nremoved_key: 1\n")
    text = shown(experiment, capsys)
    assert f"{experiment.where('experiment.yaml')}: broken; it is no experiment of this version" in text
    assert "sweep      1/? candidates" in text


def test_status_needs_neither_ray_nor_torch_nor_a_terminal_that_knows_its_signs(tmp_path: Path):
    store = Store(str(tmp_path / "läufe"))
    store.write_bytes("experiment.yaml", to_yaml(load("quickstart")).encode())
    process = subprocess.run(
        [sys.executable, "-c", SHOW, store.root],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert process.returncode == 0, process.stderr.decode()
    lines = process.stdout.decode("ascii").splitlines()
    assert lines[0].startswith("no  sweep      0/")
    assert "l?ufe/report/report.html" in process.stdout.decode("ascii")
    assert json.loads(lines[-1]) == []


def test_a_folder_without_an_experiment_is_refused(local: Store):
    with pytest.raises(ConfigError, match=r"found no experiment.yaml"):
        show(local.root)
