"""What is kept of the fitted rankers."""

from types import SimpleNamespace

import numpy as np

from lms_ray.choosing.grid import points
from lms_ray.ranking import _conclude
from lms_ray.settings.choosing import Ranker
from lms_ray.store import rankings
from lms_ray.store.files import Store


def test_chosen_weights_that_the_storage_lost_are_fitted_again(tmp_path):
    """A point that counts as done without its weights would end every rerun with the same error."""
    store = Store(str(tmp_path))
    grid = points(Ranker(batch_size=(16,), learning_rate=(1e-4, 1e-5)), [("de",)])
    units = [f"rankers/f/{point.name}" for point in grid]
    for tau, unit in enumerate(units):
        weights = store.write_bytes(f"{unit}/weights.safetensors", b"1234")
        table = rankings.score_rows("nl", 0, ["a", "b"], np.array([1.0, 2.0]))
        files = {"weights.safetensors": weights, "scores.parquet": store.write_table(f"{unit}/scores.parquet", table)}
        point = {"fit": "paper", "batch_size": 16, "learning_rate": 1e-4, "l2": None, "seed": 0}
        record = {**point, "kendall_tau": float(tau), "seconds": 1.0}
        store.commit(unit, record, files)
    material = SimpleNamespace(candidates=("a", "b"), part_C=np.array(["train", "test"]))
    for _ in range(2):
        _conclude(store, material, "rankers/f", grid, {})
        assert [store.exists(f"{unit}/weights.safetensors") for unit in units] == [False, True]
        assert store.done("rankers") and store.done(units[0]) and store.done(units[1])
    store.delete(f"{units[1]}/weights.safetensors")
    assert store.done("rankers") is None and store.done(units[1]) is None and store.done(units[0])
