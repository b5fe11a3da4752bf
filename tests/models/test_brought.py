"""Checkpoints that were brought are found, mapped by label names, and refused where they do not fit."""

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import spoiled
import tiny
from lms_ray.data import DataError
from lms_ray.models import brought
from lms_ray.models import encoder as encoders
from lms_ray.models.job import Job
from lms_ray.models.work import Work
from lms_ray.settings.candidates import Sweep
from lms_ray.settings.errors import AbsentError, ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.store import pool
from lms_ray.store.files import Store
from lms_ray.store.folder import Folder
from object_storage import Roots

JOB = Path(__file__).parents[2] / "jobs" / "ner-small.yaml"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path) -> Experiment:
    """An experiment that takes eight checkpoints of one setting, their heads drawn at random."""
    root = tmp_path_factory.mktemp("brought")
    overrides = [f"encoder={encoder_folder}", f"sweep.checkpoints={root}/models"]
    experiment = load(str(JOB), [*overrides, f"data.root={root}"])
    found = tiny.write(experiment, root / "data")
    experiment = load(str(JOB), [*overrides, *(f"{key}={value}" for key, value in found.items())])
    task, encoder = job_of(experiment.model_copy(update={"sweep": Sweep()})).task, encoders.load(str(encoder_folder))
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


def job_of(experiment: Experiment) -> Job:
    return Job(experiment, Store(experiment.folder))


def standard(experiment: Experiment) -> brought.Standard:
    return job_of(experiment).standard


def taking(experiment: Experiment, checkpoints: Path | str) -> Experiment:
    """The experiment with other checkpoints."""
    sweep = experiment.sweep.model_copy(update={"checkpoints": str(checkpoints)})
    return experiment.model_copy(update={"sweep": sweep})


def test_their_work_is_passes_only(experiment: Experiment):
    work = Work(job_of(experiment))
    assert (work.candidates, work.epochs) == (8, [])
    assert work.sweep.amount == 8 * tiny.SPLITS["dev"]
    assert work.sweep.operations < work.features.operations


def test_a_folder_and_a_pattern_name_checkpoints(experiment: Experiment):
    folder = experiment.sweep.checkpoints
    names = [f"{folder}/model-{number}" for number in range(8)]
    assert brought.find(folder) == names
    assert brought.find(f"{folder}/") == names
    assert brought.find(f"{folder}/model-[2-4]") == names[2:5]
    assert brought.find(f"{Path(folder).parent}/*/model-3") == [names[3]]
    for nothing in (f"{folder}/none-*", f"{folder}/logs", f"{folder}/model-1/x"):
        with pytest.raises(ConfigError, match=r"found no folder with a config\.json at"):
            brought.find(nothing)


def test_checkpoints_of_an_object_store_are_found_by_the_same_patterns(s3: Roots):
    root = s3("runs")
    for name in ("ner/best", "ner-1/best", "ner-2/best", "né r/best", "ner-3/last", "other"):
        Folder(root).write_bytes(f"{name}/config.json", b"{}")
    Folder(root).write_bytes("ner-4/best/model.safetensors", b"")
    path, _, options = root.partition("?")

    def found(pattern: str) -> list[str]:
        uris = brought.find(f"{path}{pattern}?{options}")
        assert all(Store(uri).exists("config.json") for uri in uris)
        return [uri.removeprefix(path).removesuffix(f"?{options}") for uri in uris]

    assert found("") == found("/") == ["/other"]
    assert found("/*/best") == ["/ner/best", "/ner-1/best", "/ner-2/best", "/n%C3%A9%20r/best"]
    assert found("/ner-[23]/*") == ["/ner-2/best", "/ner-3/last"]
    assert found("/n%C3%A9%20r") == ["/n%C3%A9%20r/best"]
    for nothing in ("/ner-4/*", "/nowhere"):
        with pytest.raises(ConfigError, match=r"^sweep\.checkpoints: found no folder .* at 's3://bucket/\d+/runs/n"):
            found(nothing)


def test_a_checkpoint_in_an_object_store_is_as_good_as_on_a_disk(
    experiment: Experiment, model: Path, s3: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Only the files that are read are fetched, and nothing is kept of the keys: later stages have them from today's
    configuration."""
    (model / "optimizer.pt").write_bytes(b"x")
    (model / "checkpoint-500").mkdir()
    (model / "checkpoint-500" / "config.json").write_text("{}")
    spoiled.pickled(model)
    root = s3("models")
    Folder(root).upload(model, "model 3")
    there = taking(experiment, root).model_copy(update={"allow_pickled": (Folder(root).where(),)})
    assert job_of(there).task.labels == job_of(experiment).task.labels
    fetched: list[str] = []
    download = Folder.download

    def noted(self: Folder, path: str, names: list[str], folder: Path) -> object:
        fetched.extend(names)
        return download(self, path, names, folder)

    monkeypatch.setattr(Folder, "download", noted)
    wanted = standard(there)
    assert not any(name.endswith((".bin", ".safetensors")) for name in fetched)
    fetched.clear()
    record = brought.examine(wanted.folders[0], wanted, "cpu")
    assert "pytorch_model.bin" in fetched
    assert not any("optimizer" in name or "/" in name for name in fetched)
    on_disk = taking(experiment, model.parent).model_copy(update={"allow_pickled": ("*",)})
    local = brought.examine(str(model), standard(on_disk), "cpu")
    assert (record["dev_score"], record["digest"]) == (local["dev_score"], local["digest"])
    assert record["id"].startswith("model 3-")
    assert record["path"].startswith(f"{Folder(root).where()}/model%203?")
    assert "secret" not in json.dumps(record)
    assert Store(wanted.folders[0]).signature() == record["signature"]
    store = Store(str(tmp_path / "runs"))
    store.commit(pool.unit(record["id"]), record, {})
    with brought.folder_of(record["id"], store, there) as folder:
        assert (folder / "pytorch_model.bin").read_bytes() == (model / "pytorch_model.bin").read_bytes()
    assert not folder.exists()


def test_a_folder_of_another_machine_is_named(experiment: Experiment, model: Path, tmp_path: Path):
    wanted = standard(taking(experiment, model.parent))
    record = brought.examine(str(model), wanted, "cpu")
    store = Store(str(tmp_path / "runs"))
    store.commit(pool.unit(record["id"]), record, {})
    assert brought.missing_here([*wanted.folders, "s3://bucket/elsewhere"]) == []
    shutil.rmtree(model)
    assert brought.missing_here(wanted.folders) == [str(model)]
    message = rf"^{model}: found no such folder on \S+; accepted is one that every node reaches, or one in an object"
    with pytest.raises(AbsentError, match=message):
        brought.examine(str(model), wanted, "cpu")
    with pytest.raises(AbsentError, match=message), brought.folder_of(record["id"], store, experiment):
        pass


def test_its_labels_are_the_tasks(experiment: Experiment):
    fine_tuned = job_of(experiment.model_copy(update={"sweep": Sweep()}))
    assert job_of(experiment).task.labels == fine_tuned.task.labels


def test_a_head_in_another_order_has_the_same_score(experiment: Experiment, model: Path):
    wanted = standard(experiment)
    straight = brought.examine(f"{experiment.sweep.checkpoints}/model-3", wanted, "cpu")
    assert 0 <= straight["dev_score"] <= 1
    names = json.loads((model / "config.json").read_text())["id2label"]
    order = [3, 0, 4, 1, 2]
    spoiled.config(
        id2label={str(new): names[str(old)] for new, old in enumerate(order)},
        label2id={names[str(old)]: new for new, old in enumerate(order)},
    )(model)
    spoiled.weights(
        lambda weights: {name: weights[name][order] if "classifier" in name else weights[name] for name in weights}
    )(model)
    turned = brought.examine(str(model), wanted, "cpu")
    assert turned["dev_score"] == straight["dev_score"]
    assert turned["id"] != straight["id"]
    loaded = wanted.task.load(model, "cpu")
    original = wanted.task.load(Path(straight["path"]), "cpu")
    np.testing.assert_array_equal(loaded.classifier.weight.detach(), original.classifier.weight.detach())


def other_labels(folder: Path) -> None:
    names = ["O", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
    spoiled.config(id2label=dict(enumerate(names)), label2id={name: n for n, name in enumerate(names)})(folder)


def another_word(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["elsewhere"] = len(content["model"]["vocab"])
    path.write_text(json.dumps(content))


without_head = spoiled.weights(lambda weights: {name: weights[name] for name in weights if "classifier" not in name})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_labels, "its labels differ: it lacks B-PER, I-PER, and has besides B-MISC, I-MISC"),
        (without_head, r"it lacks classifier\.bias, classifier\.weight of BertForTokenClassification"),
        (another_word, "its tokenizer differs from the first one's"),
        (spoiled.config(num_hidden_layers=1), "num_hidden_layers 1 instead of 2"),
        *spoiled.FAULTS,
    ],
)
def test_what_does_not_fit_is_refused_with_the_difference(experiment: Experiment, model: Path, spoil, message: str):
    spoil(model)
    with pytest.raises(ValueError, match=f"^{message}|^its .*{message}") as refused:
        brought.examine(str(model), standard(experiment), "cpu")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        *(fault for fault in spoiled.FAULTS if re.match("config|it holds|it has no tok|tokenizer", fault.values[1])),
        (spoiled.config(id2label=None, label2id=None), r"config\.json has id2label None; accepted is the name of each"),
        (
            spoiled.config(id2label={"0": "O", "2": "B-LOC"}),
            r"config\.json has id2label .*accepted is the name of each",
        ),
        (spoiled.config(id2label=["O", "B-LOC"]), r"config\.json has id2label .*accepted is the name of each"),
    ],
)
def test_a_first_one_that_is_broken_is_named(experiment: Experiment, model: Path, spoil, message: str):
    spoil(model)
    with pytest.raises(ConfigError, match=rf"^sweep\.checkpoints: {model}: {message}") as refused:
        standard(taking(experiment, model.parent))
    assert "\n" not in str(refused.value)


def test_a_tokenizer_larger_than_the_embeddings_is_refused(experiment: Experiment, model: Path):
    size = json.loads((model / "config.json").read_text())["vocab_size"]
    name = "bert.embeddings.word_embeddings.weight"
    spoiled.config(vocab_size=size - 1)(model)
    spoiled.weights(lambda weights: weights | {name: weights[name][:-1].clone()})(model)
    with pytest.raises(ValueError, match=rf"numbers {size} sub-words, and its embeddings have {size - 1} rows"):
        brought.examine(str(model), standard(taking(experiment, model.parent)), "cpu")


@pytest.mark.parametrize("pattern", ["{folder}", "{parent}/sp*", "{parent}/", "spoiled", "./sp*", "../{name}", "."])
def test_pickled_weights_are_read_where_they_are_allowed_by_name(
    experiment: Experiment, model: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
):
    safe = brought.examine(str(model), standard(experiment), "cpu")
    spoiled.pickled(model)
    monkeypatch.chdir(model.parent)
    pattern = pattern.format(folder=model, parent=model.parent, name=model.parent.name)
    wanted = standard(experiment.model_copy(update={"allow_pickled": (pattern,)}))
    monkeypatch.chdir("/")  # a worker has a folder of its own
    assert brought.examine(str(model), wanted, "cpu")["dev_score"] == safe["dev_score"]


def test_too_few_are_refused(experiment: Experiment):
    few = taking(experiment, f"{experiment.sweep.checkpoints}/model-[0-4]")
    with pytest.raises(ConfigError, match="holds 5 candidates, which meta_split divides into"):
        job_of(few).check()


def test_one_that_diverged_says_so(experiment: Experiment, model: Path):
    weights = safetensors.torch.load_file(model / "model.safetensors")
    name = next(iter(weights))
    safetensors.torch.save_file(
        weights | {name: weights[name] * math.nan}, model / "model.safetensors", {"format": "pt"}
    )
    assert brought.examine(str(model), standard(experiment), "cpu")["diverged"]
    assert not brought.examine(f"{experiment.sweep.checkpoints}/model-3", standard(experiment), "cpu")["diverged"]


def test_dev_labels_that_no_checkpoint_knows_are_refused(experiment: Experiment, model: Path):
    names = json.loads((model / "config.json").read_text())["id2label"]
    fewer = {number: name for number, name in names.items() if not name.endswith("PER")}
    spoiled.config(
        id2label=dict(enumerate(fewer.values())), label2id={name: n for n, name in enumerate(fewer.values())}
    )(model)
    with pytest.raises(DataError, match="found label 'PER', which the training data does not have"):
        job_of(taking(experiment, model.parent)).check()
