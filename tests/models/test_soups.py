"""The mean of weights is exact, that of one model is the model, and what does not fit is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from lms_ray.models.encode import encode
from lms_ray.models.loading import Candidates
from lms_ray.models.soups import Soups, average
from lms_ray.settings.loading import load
from lms_ray.settings.models import Encode
from lms_ray.store import pool
from lms_ray.store.files import Store


@pytest.fixture
def model(task, encoder):
    """A model with weights of its own: `model(3)`."""

    def make(seed: int) -> PreTrainedModel:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return task.build(encoder.config).eval()

    return make


def weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_every_weight_is_the_mean_rounded_once_whatever_the_order(model):
    states = [weights(model(seed)) for seed in range(3)]
    forth, back = (weights(average(model(seed) for seed in order)) for order in ((0, 1, 2), (2, 1, 0)))
    assert forth.keys() == states[0].keys()
    for name, tensor in forth.items():
        assert tensor.dtype == states[0][name].dtype
        exact = np.mean([state[name].numpy().astype(np.longdouble) for state in states], axis=0)
        np.testing.assert_array_equal(tensor.numpy(), exact.astype(tensor.numpy().dtype))
        assert torch.equal(tensor, back[name])
    assert not torch.equal(forth["classifier.weight"], states[0]["classifier.weight"])


def test_the_mean_of_one_model_is_the_model_and_that_of_twice_the_same_too(model):
    own = weights(model(5))
    for made in (average([model(5)]), average([model(5), model(5)])):
        assert all(torch.equal(tensor, own[name]) for name, tensor in made.state_dict().items())
        assert not made.training


def test_a_weight_that_is_no_number_stays_none(model):
    broken = model(1)
    with torch.no_grad():
        broken.classifier.bias[0] = float("nan")
    made = average([model(0), broken])
    assert made.classifier.bias.isnan().tolist() == [True] + [False] * (len(made.classifier.bias) - 1)


def test_models_that_do_not_fit_each_other_are_refused(model, encoder, task):
    with pytest.raises(ValueError, match="no model to average"):
        average([])
    other = model(1)
    other.classifier = torch.nn.Linear(other.classifier.in_features, 3)
    with pytest.raises(ValueError, match=r"differ in classifier\.bias; accepted is one architecture"):
        average([model(0), other])
    del other.classifier
    with pytest.raises(ValueError, match=r"differ in classifier\.bias"):
        average([model(0), other])


def test_a_soup_is_made_of_the_folders_of_its_members(model, encoder, task, sentences, tmp_path: Path):
    store = Store(str(tmp_path / "runs"))
    for seed in range(2):
        model(seed).save_pretrained(tmp_path / "model")
        encoder.tokenizer.save_pretrained(tmp_path / "model")
        store.commit(pool.unit(f"c{seed}"), {}, store.upload(tmp_path / "model", pool.unit(f"c{seed}")))
        shutil.rmtree(tmp_path / "model")
    candidates = Candidates(task, load("quickstart"), store)
    soups = Soups(candidates, {"both": ("c0", "c1"), "one": ("c1",)})
    assert list(soups.read_for("both")) == ["c0", "c1"]
    wanted = weights(average([model(0), model(1)]))
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in soups.load("both", "cpu").state_dict().items())
    windows = task.windows(sentences(20), candidates.tokenizer("c0"), 32)
    one, own = (encode(found, task, windows, Encode()) for found in (soups.load("one", "cpu"), model(1)))
    np.testing.assert_array_equal(one.statistics_ES, own.statistics_ES)
    np.testing.assert_array_equal(one.cls_sum_H, own.cls_sum_H)
