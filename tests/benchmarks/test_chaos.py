"""The chaos run ends with the picks of an undisturbed run, and would see if it did not."""

import importlib
import shutil
from pathlib import Path

import pytest

import small
from lms_ray.settings.loading import load

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("chaos")


@pytest.mark.ray
@pytest.mark.chaos
def test_a_job_survives_kills_with_the_same_picks(benchmark, job: Path, finished: Path, tmp_path: Path):
    disturbed = benchmark.run([str(job), f"storage={tmp_path}"], nodes=2, every=6.0, seed=1, most=3)
    assert disturbed.killed.total() >= 1
    assert not disturbed.again
    assert len(disturbed.done) >= 2 * small.CANDIDATES, "candidates and encodings"
    assert disturbed.row()["done twice"] == "0"
    calm = benchmark.Run(load(str(job), [f"storage={finished}"]))
    assert benchmark.differing(calm, disturbed) == []


@pytest.mark.ray
def test_other_picks_and_a_unit_that_is_done_again_are_seen(benchmark, job: Path, finished: Path, tmp_path: Path):
    shutil.copytree(finished / "small", tmp_path / "small")
    calm, other = (benchmark.Run(load(str(job), [f"storage={storage}"])) for storage in (finished, tmp_path))
    other.look()
    assert benchmark.differing(calm, other) == []
    unit = next(iter(other.done))
    content = unit.read_bytes()
    unit.unlink()
    unit.write_bytes(content)
    other.look()
    assert other.again == {unit}
    table = other.store.read_table("picks.parquet")
    other.store.write_table("picks.parquet", table.slice(1))
    assert benchmark.differing(calm, other) == ["picks.parquet"]
