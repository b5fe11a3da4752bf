"""What a search is compared with costs as much, and a rule that knows the truth picks the best."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from lms_ray.settings.candidates import Sweep
from lms_ray.settings.loading import load

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "objective.py"))


def made(count: int, seed: int, epochs: int) -> object:
    test_C = np.random.default_rng(seed).random(count)
    return BENCHMARK["Pool"](np.full(count, epochs), -test_C, {"de": test_C}, {"de": test_C})


def test_a_search_stays_within_the_grid_and_its_part_of_the_epochs(tmp_path: Path):
    sweep = Sweep(learning_rate=(1e-3, 3e-3), epochs=(1, 2, 3), batch_size=(32,), seeds=20)
    assert BENCHMARK["candidates_for"](0.25 * 20 * 2 * 6, sweep) == 30
    text = BENCHMARK["in_yaml"](sweep, 30, tmp_path, ["sv", "de"])
    searched = load(None, [f"sweep={text}"]).sweep
    assert (searched.candidates, searched.objective, searched.judged_for) == (30, "recommended", ("sv", "de"))
    assert (searched.learning_rate.low, searched.learning_rate.high, searched.learning_rate.log) == (1e-3, 3e-3, True)
    assert (searched.epochs.low, searched.epochs.high) == (1, 3)
    assert searched.batch_size == (32,)


def test_subsets_of_the_grid_cost_as_much_as_a_search():
    grid, searches = made(40, 0, epochs=2), [made(12, 1, epochs=3), made(12, 2, epochs=1)]
    assert BENCHMARK["size_of_subsets"](grid, searches) == 12
    cells = {
        row.split("|")[1].strip(): float(row.split("|")[2])
        for row in BENCHMARK["table"](grid, searches, ["de"]).splitlines()[2:]
    }
    assert cells["search: objective"] == cells["search: best"] > cells["search: mean"] > cells["search: En-Dev"]
    assert cells["12 of grid: Recommended"] == cells["12 of grid: best"] > cells["12 of grid: En-Dev"]
    assert cells["grid: Recommended"] == cells["grid: best"] == pytest.approx(100 * grid.test["de"].max(), abs=0.05)
    assert cells["grid: best"] >= cells["12 of grid: best"]
