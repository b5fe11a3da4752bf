"""The benchmark of scale counts what nodes did, finds work that was done twice, and brings a sweep through kills."""

import importlib
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("scale")


def test_the_time_of_a_node_is_divided(benchmark):
    lines = [("begun", 0, 1, 13.0), ("safe", 0, 1, 15.0), ("begun", 0, 2, 15.5), ("safe", 0, 2, 17.0)]
    whole = benchmark.Slot(starting=3.0, training=3.5, lost=0.0, idle=3.0, between=0.5)
    assert benchmark._slot(lines, 10.0, 20.0) == whole
    cut = benchmark._slot(lines[:3], 10.0, 20.0)
    assert (cut.training, cut.lost, cut.idle, cut.between) == (2.0, 4.5, 0.0, 0.5)
    assert sum(asdict(cut).values()) == 10.0
    assert benchmark._slot([], 10.0, 20.0) == benchmark.Slot(starting=10.0)


def test_work_that_was_safe_and_is_done_again_is_found(benchmark):
    one = [("begun", 0, 1, 1.0), ("safe", 0, 1, 2.0), ("begun", 0, 2, 2.5)]
    goes_on = [("begun", 0, 2, 5.0), ("safe", 0, 2, 6.0), ("begun", 1, 1, 6.5), ("safe", 1, 1, 7.0)]
    assert benchmark._again_though_safe([one, goes_on]) == 0
    begins_again = [("begun", 0, 1, 5.0), ("safe", 0, 1, 6.0)]
    assert benchmark._again_though_safe([one, begins_again]) == 2
    assert benchmark._again_though_safe([one, goes_on, [("begun", 1, 1, 8.0)]]) == 1


@pytest.mark.ray
@pytest.mark.chaos
def test_a_sweep_is_measured_while_nodes_are_killed():
    command = [sys.executable, str(FOLDER / "scale.py"), "16x0.4", "--nodes", "1", "--kill-every", "3", "--kills", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    header, _, row = ([cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[:3])
    found = dict(zip(header, row, strict=True))
    assert int(found["kills"]) == 1
    assert int(found["done twice"]) == 0
    assert 0 < float(found["ideal / wall"]) < 1
