"""The benchmark of the features stage compares what gives the same features."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from lms_ray.data.corpora import Corpus
from lms_ray.models.encode import encode
from lms_ray.settings.models import Encode

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)  # where the processes that it starts find it too
        yield importlib.import_module("features")


@pytest.fixture(scope="module")
def corpora(sentences) -> list[Corpus]:
    return [Corpus(language, "test", sentences(70, seed=seed), ()) for seed, language in enumerate(("de", "nl"))]


def test_all_ways_give_the_same_features(benchmark, corpora, encoder, tmp_path: Path):
    (checkpoint,) = benchmark.make_checkpoints(tmp_path, encoder, 1, "encoder")
    model = benchmark.TASK.load(checkpoint, benchmark.DEVICE)
    for windows in benchmark.tokenise(corpora, encoder):
        encoded = encode(model, benchmark.TASK, windows, Encode())
        for by_length, length in ((False, benchmark.PEER_LENGTH), (True, 0)):
            batches = benchmark.of_32(windows, by_length)
            feature_H = benchmark.peer(model, windows, batches, Encode(), length)
            np.testing.assert_allclose(feature_H, encoded.cls_sum_H / encoded.examples, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_way_is_timed(benchmark, corpora, encoder, tmp_path: Path, precision: str):
    checkpoints = benchmark.make_checkpoints(tmp_path, encoder, 2, "encoder")
    rows = benchmark.in_turns(checkpoints[0], benchmark.tokenise(corpora, encoder), Encode(precision=precision), 2)
    assert all(row["s"] > 0 for row in rows)
    padded = {row[""]: row["padded / real"] for row in rows}
    assert 1 <= padded[benchmark.OURS] < padded[benchmark.PLAIN] == padded[benchmark.RELOADED]
    assert padded[benchmark.SORTED] < padded[benchmark.PLAIN]


def test_rounding_is_held_against_float64(benchmark, corpora, encoder, tmp_path: Path):
    folders = [benchmark.make_checkpoints(tmp_path / name, encoder, 1, "tiny")[0] for name in ("one", "other")]
    exact, rough = benchmark.rounding(folders, corpora, encoder)
    assert 0 < exact["highest"] < 1e-5 < rough["highest"] < 0.1


@pytest.mark.ray
def test_the_whole_stage_is_held_against_the_bare_forward_pass(benchmark, corpora, encoder, tmp_path: Path):
    checkpoints = benchmark.make_checkpoints(tmp_path, encoder, 3, "encoder")
    shards = benchmark.tokenise(corpora, encoder)
    (row,) = benchmark.whole_stage(checkpoints, corpora, shards, Encode(), tmp_path, workers=1)
    assert (row["checkpoints"], row["languages"], row["actors"]) == (3, 2, 1)
    assert 0 < row["not computing, s"] < row["whole, s"]
    assert 0 < row["actors busy"] <= 1


@pytest.mark.ray
def test_memory_is_looked_at_while_text_streams(benchmark, encoder, tmp_path: Path):
    rows = {row[""]: row["peak"] for row in benchmark.memory(encoder, 30_000, tmp_path, 100)}
    assert rows["text, MiB"] > 0.5
    assert any(name.startswith("ray::MapWorker") for name in rows)
