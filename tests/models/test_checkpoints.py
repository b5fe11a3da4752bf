"""Checkpoints that were brought are found, mapped by label names, and refused where they do not fit."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import tiny
from lms_ray.data import DataError, corpora
from lms_ray.models import checkpoints
from lms_ray.models import encoder as encoders
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import ConfigError, load
from lms_ray.store.files import Store

JOB = Path(__file__).parents[2] / "jobs" / "ner-small.yaml"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path) -> Experiment:
    """An experiment that takes eight checkpoints of one setting, their heads drawn at random."""
    root = tmp_path_factory.mktemp("brought")
    overrides = [f"encoder={encoder_folder}", f"sweep.checkpoints={root}/models"]
    experiment = load(str(JOB), [*overrides, f"data.root={root}"])
    found = tiny.write(experiment, root / "data")
    experiment = load(str(JOB), [*overrides, *(f"{key}={value}" for key, value in found.items())])
    task, encoder = corpora.task_of(experiment), encoders.load(str(encoder_folder))
    for number in range(8):
        torch.manual_seed(number)
        model = task.build(encoder.config)
        encoders.load_weights(model, encoder)
        folder = root / "models" / f"model-{number}"
        model.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
    (root / "models" / "logs").mkdir()
    return experiment


@pytest.fixture
def model(experiment: Experiment, tmp_path: Path) -> Path:
    """A copy of a checkpoint, to be spoiled."""
    return Path(shutil.copytree(Path(experiment.sweep.checkpoints) / "model-3", tmp_path / "spoiled"))


def standard(experiment: Experiment) -> checkpoints.Standard:
    return checkpoints._standard(experiment, checkpoints.find(experiment.sweep.checkpoints)[0])


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_folder_and_a_pattern_name_checkpoints(experiment: Experiment):
    folder = experiment.sweep.checkpoints
    names = [f"{folder}/model-{number}" for number in range(8)]
    assert checkpoints.find(folder) == names
    assert checkpoints.find(f"{folder}/") == names
    assert checkpoints.find(f"{folder}/model-[2-4]") == names[2:5]
    assert checkpoints.find(f"{Path(folder).parent}/*/model-3") == [names[3]]
    for nothing in (f"{folder}/none-*", f"{folder}/logs", f"{folder}/model-1/x"):
        with pytest.raises(ConfigError, match=r"found no folder with a config\.json at"):
            checkpoints.find(nothing)


def test_its_labels_are_the_tasks(experiment: Experiment):
    assert checkpoints.task_of(experiment).labels == corpora.task_of(experiment).labels


def test_a_head_in_another_order_has_the_same_score(experiment: Experiment, model: Path):
    wanted = standard(experiment)
    straight = checkpoints._examine(f"{experiment.sweep.checkpoints}/model-3", wanted)
    assert 0 <= straight["dev_score"] <= 1
    names = json.loads((model / "config.json").read_text())["id2label"]
    order = [3, 0, 4, 1, 2]
    change_config(
        model,
        id2label={str(new): names[str(old)] for new, old in enumerate(order)},
        label2id={names[str(old)]: new for new, old in enumerate(order)},
    )
    weights = safetensors.torch.load_file(model / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = weights[name][order]
    safetensors.torch.save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    turned = checkpoints._examine(str(model), wanted)
    assert turned["dev_score"] == straight["dev_score"]
    assert turned["id"] != straight["id"]
    loaded = wanted.task.load(model, "cpu")
    original = wanted.task.load(Path(straight["path"]), "cpu")
    np.testing.assert_array_equal(loaded.classifier.weight.detach(), original.classifier.weight.detach())


def spoil_labels(folder: Path) -> None:
    names = ["O", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
    change_config(folder, id2label=dict(enumerate(names)), label2id={name: n for n, name in enumerate(names)})


def spoil_head(folder: Path) -> None:
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("classifier")}
    safetensors.torch.save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def spoil_weights(folder: Path) -> None:
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def spoil_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["elsewhere"] = len(content["model"]["vocab"])
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_labels, "its labels differ: it lacks B-PER, I-PER, and has besides B-MISC, I-MISC"),
        (spoil_head, r"it lacks classifier\.bias, classifier\.weight of BertForTokenClassification"),
        (spoil_weights, "it has no safetensors, and allow_pickled does not name it"),
        (spoil_tokenizer, "its tokenizer differs from the first one's"),
        (lambda folder: change_config(folder, num_hidden_layers=1), "num_hidden_layers 1 instead of 2"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_difference(experiment: Experiment, model: Path, spoil, message: str):
    spoil(model)
    with pytest.raises(ValueError, match=message):
        checkpoints._examine(str(model), standard(experiment))


def test_pickled_weights_are_read_where_they_are_allowed_by_name(experiment: Experiment, model: Path):
    safe = checkpoints._examine(str(model), standard(experiment))
    spoil_weights(model)
    allowed = experiment.model_copy(update={"allow_pickled": (str(model),)})
    pickled = checkpoints._examine(str(model), standard(allowed))
    assert pickled["dev_score"] == safe["dev_score"]


def test_too_few_are_refused(experiment: Experiment, tmp_path: Path):
    sweep = experiment.sweep.model_copy(update={"checkpoints": f"{experiment.sweep.checkpoints}/model-[0-4]"})
    with pytest.raises(ConfigError, match="holds 5 candidates, which meta_split divides into"):
        checkpoints.take_all(experiment.model_copy(update={"sweep": sweep}), Store(str(tmp_path)))


def test_dev_labels_that_no_checkpoint_knows_are_refused(experiment: Experiment):
    wanted = checkpoints.task_of(experiment)
    wanted.labels = wanted.labels[:3]
    wanted.number = {label: index for index, label in enumerate(wanted.labels)}
    with pytest.raises(DataError, match="found label 'B-PER', which the training data does not have"):
        corpora.check(experiment, wanted)
