"""The benchmark of the ranker compares what is the same, and judges both fits alike."""

import importlib.util
import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from lms_ray.choosing.ranker import ScoringNet, epochs
from lms_ray.settings.choosing import Ranker

PATH = Path(__file__).parents[2] / "benchmarks" / "ranker.py"
SMALL = Ranker(hidden=32, batch_size=(16, 64), learning_rate=(1e-3,), epochs=2)


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_of_the_ranker", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("batch_size", [16, 128])
def test_every_step_has_the_loss_of_published_code(benchmark, batch_size: int):
    """Same pairs, same batches, same weights: what is computed once for a batch changes nothing."""
    material, _ = benchmark.planted(40, seed=0)
    train = material.lesson(material.pivots, "train")
    torch.manual_seed(0)
    net, published = ScoringNet(64, 512, 32), benchmark.PublishedNet(64, 512, 32)
    published.load_state_dict(net.state_dict())
    ours = [float(loss) for loss in chain.from_iterable(epochs(net, [train], SMALL, batch_size, 1e-3, 7))]
    theirs = [
        float(loss)
        for loss in benchmark.published_steps(published, benchmark.materialised(train), 2, batch_size, 1e-3, 7)
    ]
    assert len(ours) == len(theirs) == 2 * -(-20 * 19 // 2 * 5 // batch_size)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert np.mean(ours[-3:]) < 0.9 * np.mean(ours[:3]), "nothing was learned, so nothing was compared"


def test_timed_steps_are_the_same_steps(benchmark):
    material, _ = benchmark.planted(16, seed=0)
    timed = benchmark.time_steps(material.lesson(material.pivots, "train"), 16, count=3, repeats=2, settings=SMALL)
    assert timed.difference < 1e-5
    assert timed.published > 0 and timed.ours > 0


def test_a_grid_is_counted_from_its_steps(benchmark):
    material, _ = benchmark.planted(16, seed=0)
    seconds = benchmark.grid_seconds(material, [material.pivots], dict.fromkeys(benchmark.PAPER.batch_size, 1.0))
    pairs = 8 * 7 // 2 * 5  # 140: 9 steps of 16, 5 of 32, 3 of 64, 2 of 128
    assert pairs == 140 and seconds == (9 + 5 + 3 + 2) * 3 * 5


@pytest.mark.slow
def test_quality_judges_both_fits_and_resumes(benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(benchmark, "PAPER", SMALL)
    pools, results = [benchmark.planted(24, seed) for seed in range(2)], tmp_path / "results.jsonl"
    table = benchmark.quality(pools, results)
    assert [json.loads(line)["draw"] for line in results.read_text().splitlines()] == [0, 1]
    assert all(way in table for way in ("| paper", "| fast", "| All-Pivot", "| fast - paper"))
    monkeypatch.setattr(benchmark, "PAPER", None)  # a grid that could not be fitted
    assert benchmark.quality(pools, results) == table


def test_a_good_ranking_is_judged_so(benchmark):
    test_CT = np.array([[0.5, 0.1], [0.7, 0.3], [0.6, 0.2]])
    assert benchmark.judge(test_CT, test_CT).tolist() == [[1, 1], [0, 0]]
    assert benchmark.judge(-test_CT, test_CT) == pytest.approx(np.array([[-1, -1], [20, 20]]))
    low, high = benchmark.interval(np.stack([np.full((5, 4), 0.1), np.arange(20.0).reshape(5, 4)]))
    assert low[0] == pytest.approx(high[0]) == pytest.approx(0.1)
    assert low[1] < 9.5 < high[1]
