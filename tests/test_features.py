"""What the features stage refuses before it starts any work."""

from pathlib import Path

import pytest

import tiny
from lms_ray import features
from lms_ray.models.job import Job
from lms_ray.settings.errors import MissingError
from lms_ray.settings.loading import load
from lms_ray.store import lineage, pool
from lms_ray.store.files import Store

JOB = Path(__file__).parents[1] / "jobs" / "pos-small.yaml"


def test_a_text_that_is_new_wants_every_candidate_s_weights_and_says_whose_are_gone(
    encoder_folder: Path, tmp_path: Path
):
    overrides = [f"encoder={encoder_folder}", f"storage={tmp_path / 'runs'}", "finetune.max_length=64"]
    found = tiny.write(load(str(JOB), [*overrides, f"data.root={tmp_path}"]), tmp_path / "data")
    experiment = load(str(JOB), [*overrides, *(f"{key}={value}" for key, value in found.items())])
    store = Store(experiment.folder)
    for name in ("one", "two"):
        store.commit(pool.unit(name), {}, store.upload(encoder_folder, pool.unit(name)))
    origin = {"settings": lineage.settings(experiment, lineage.CANDIDATES)}
    pool.write(store, [{"id": name} for name in ("one", "two")], origin)
    pool.tidy(store, keep={"one"})
    said = r"^en-dev, .* was not encoded as it is now, and the weights of 1 candidates .*, among them two; "
    with pytest.raises(MissingError, match=said):
        features.run(Job(experiment, store))
