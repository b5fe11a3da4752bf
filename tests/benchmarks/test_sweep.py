"""The loops that the sweep is measured beside do the same work, and the command runs."""

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch

from lms_ray.models.candidates import Recipe
from lms_ray.models.encode import encode
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.loading import load
from lms_ray.settings.models import Encode
from lms_ray.store.files import Store
from lms_ray.tasks.windows import shuffled

COMMAND = Path(__file__).parents[2] / "benchmarks" / "sweep.py"


@pytest.fixture(scope="module")
def benchmark() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(COMMAND)))


@pytest.fixture
def recipe(task, encoder, sentences, tmp_path: Path) -> Recipe:
    train, dev = (task.windows(sentences(60, seed), encoder.tokenizer, 32) for seed in (0, 1))
    return Recipe(load("quickstart"), Store(str(tmp_path / "store")), "hash", encoder, task, train, dev, "dev")


@pytest.mark.parametrize("order", ["random", "ours"])
def test_a_plain_loop_learns_what_a_candidate_learns(benchmark, recipe: Recipe, tmp_path: Path, order: str):
    batches = benchmark.random_batches if order == "random" else shuffled
    folder = tmp_path / "model"
    score = benchmark.train_plainly(Candidate(1e-2, 12, 8, 0), recipe, "cpu", batches, folder)
    assert score > 0.9
    model = recipe.task.load(folder, "cpu")
    assert score == benchmark.dev_score(model, recipe)
    statistics_ES = encode(model, recipe.task, recipe.dev, Encode()).statistics_ES
    assert score == recipe.task.score(statistics_ES.sum(0))
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    assert weights["bert.embeddings.word_embeddings.weight"].shape == (len(recipe.encoder.tokenizer), 16)


def test_random_batches_hold_every_window_once(benchmark, recipe: Recipe):
    batches = list(benchmark.random_batches(recipe.train, 8, np.random.default_rng(0)))
    assert sorted(np.concatenate(batches)) == list(range(len(recipe.train)))
    assert len(batches) == -(-len(recipe.train) // 8)


def test_time_between_candidates_is_that_of_each_slot(benchmark):
    span = benchmark.Span
    two_slots = benchmark.Measured([span(5, 9, 1, 0), span(0, 4, 1, 0), span(1, 3, 2, 0), span(6, 8, 2, 0)], call=20.0)
    assert (two_slots.wall, two_slots.gap) == (9, (1 + 3) / 2)
    assert np.isnan(benchmark.Measured([span(0, 4, 1, 0), span(1, 3, 2, 0)], call=20.0).gap)


@pytest.mark.ray
def test_the_command_measures_the_loops_and_the_sweep(job: Path):
    command = [sys.executable, str(COMMAND), str(job), "--candidates", "1", "--slots", "1", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| ")]
    assert names[0] == ""
    assert {"plain", "plain, our batches", "ours"} <= set(names)
