"""An encoder is what its files hold, and nothing in them is run."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertModel

import spoiled
from encoders import byte_pairs
from lms_ray import tasks
from lms_ray.models import encoder as encoders
from lms_ray.settings.errors import ConfigError
from lms_ray.tasks.pairs import MARKERS


@pytest.fixture
def pickled(encoder_folder: Path, tmp_path: Path) -> Path:
    """The tiny encoder with its weights in `pytorch_model.bin` only."""
    folder = tmp_path / "pickled"
    shutil.copytree(encoder_folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(BertModel.from_pretrained(encoder_folder).state_dict(), folder / "pytorch_model.bin")
    return folder


def test_pickled_weights_are_refused_unless_they_are_allowed(encoder, pickled: Path):
    for allowed in ([], [str(pickled.parent)], ["pickled"]):
        with pytest.raises(ConfigError) as refused:
            encoders.load(str(pickled), allow_pickled=allowed)
        assert str(refused.value).startswith(
            f"encoder: found '{pickled}'; accepted is a Hugging Face model name or folder with safetensors, or one "
            "that allow_pickled names ("
        )
    loaded = encoders.load(str(pickled), allow_pickled=[str(pickled)])
    assert loaded.digest == encoder.digest
    assert loaded.weights.keys() == encoder.weights.keys()
    assert all(np.array_equal(loaded.weights[name], encoder.weights[name]) for name in encoder.weights)


def test_where_both_are_the_safetensors_are_read(encoder, encoder_folder: Path, pickled: Path):
    shutil.copy(encoder_folder / "model.safetensors", pickled)
    (pickled / "pytorch_model.bin").write_bytes(b"no pickle at all")
    assert encoders.load(str(pickled), allow_pickled=[str(pickled)]).digest == encoder.digest


class Payload:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_no_code_in_pickled_weights_is_run(pickled: Path, tmp_path: Path):
    torch.save({"payload": Payload(tmp_path / "it ran")}, pickled / "pytorch_model.bin")
    with pytest.raises(Exception, match=r"(?i)weights.only"):
        encoders.load(str(pickled), allow_pickled=[str(pickled)])
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("pattern", ["{folder}", "{parent}/p*", "pickled", "./p*", "../{name}/pickled"])
def test_a_folder_may_be_allowed_as_it_is_written_or_from_the_root(
    encoder, pickled: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(pickled.parent)
    pattern = pattern.format(folder=pickled, parent=pickled.parent, name=pickled.parent.name)
    for name in ("pickled", "./pickled/", str(pickled)):
        assert encoders.load(name, allow_pickled=[pattern]).digest == encoder.digest


@pytest.fixture
def hub(encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cached snapshot of the hub's model `some/encoder`; the hub itself does not answer."""
    cached = tmp_path / "hub" / "models--some--encoder"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return Path(shutil.copytree(encoder_folder, cached / "snapshots" / ("0" * 40)))


def test_a_model_in_the_hubs_cache_needs_no_hub(encoder, hub: Path):
    assert encoders.load("some/encoder").digest == encoder.digest
    assert encoders.load_config("some/encoder").hidden_size == encoder.config.hidden_size
    spoiled.pickled(hub)
    with pytest.raises(ConfigError, match=r"^encoder: found 'some/encoder'; .*allow_pickled does not name it"):
        encoders.load("some/encoder")
    assert encoders.load("some/encoder", allow_pickled=["some/encoder"]).digest == encoder.digest


def test_a_model_of_the_hub_is_checked_as_a_folder_is(hub: Path):
    spoiled.removed("*token*")(hub)
    with pytest.raises(ConfigError, match=r"^encoder: found 'some/encoder'; .*it has no tokenizer: looked for"):
        encoders.load("some/encoder")
    with pytest.raises(ConfigError, match=r"^encoder: found 'some/other'; accepted is a Hugging Face model name"):
        encoders.load("some/other")


@pytest.mark.parametrize(("spoil", "message"), spoiled.FAULTS)
def test_a_folder_with_a_fault_is_refused_in_one_line(encoder_folder: Path, tmp_path: Path, spoil, message: str):
    folder = shutil.copytree(encoder_folder, tmp_path / "bert")  # from this name transformers guesses the architecture
    spoil(folder)
    with pytest.raises(ConfigError, match=rf"^encoder: found '{folder}'; accepted is .*\({message}") as refused:
        encoders.load(str(folder))
    assert "\n" not in str(refused.value)


def test_a_tokenizer_larger_than_the_embeddings_is_refused(encoder, encoder_folder: Path, tmp_path: Path):
    folder, size = shutil.copytree(encoder_folder, tmp_path / "e"), len(encoder.tokenizer)
    encoder.tokenizer.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["Köln"])
    tokenizer.save_pretrained(folder)
    message = f"its tokenizer numbers {size + 1} sub-words, and its embeddings have {size} rows"
    with pytest.raises(ConfigError, match=message):
        encoders.load(str(folder), MARKERS)


def test_only_a_pooler_may_be_missing(encoder, encoder_folder: Path, tmp_path: Path):
    folder = shutil.copytree(encoder_folder, tmp_path / "e")
    spoiled.weights(lambda weights: {name: weights[name] for name in weights if "pooler" not in name})(folder)
    loaded = encoders.load(str(folder))
    assert loaded.weights.keys() == {name for name in encoder.weights if "pooler" not in name}


@pytest.mark.parametrize("name", ["nowhere/at all", "empty"])
def test_a_folder_without_a_model_is_refused(name: str, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    path = str(tmp_path / name)
    for load in (encoders.load, encoders.load_config, encoders.load_tokenizer):
        with pytest.raises(ConfigError, match=f"^encoder: found '{path}'; accepted is"):
            load(path)


def test_the_subwords_of_a_task_are_added_once_and_the_others_stay(encoder, encoder_folder: Path):
    marked = encoders.load(str(encoder_folder), MARKERS)
    tokenizer, size = marked.tokenizer, len(encoder.tokenizer)
    assert [tokenizer.vocab[name] for name in MARKERS] == list(range(size, size + 4))
    assert tokenizer("the [E1] dog [/E1]")["input_ids"] == [
        *encoder.tokenizer("the")["input_ids"][:-1],
        size,
        *encoder.tokenizer("dog")["input_ids"][1:-1],
        size + 1,
        tokenizer.sep_token_id,
    ]
    assert marked.digest != encoder.digest
    assert encoders.load(str(encoder_folder), MARKERS).digest == marked.digest
    model = tasks.get("re", ["O", "r"]).build(marked.config)
    encoders.load_weights(model, marked)
    rows = model.get_input_embeddings().weight
    assert len(rows) == size + 4
    before = marked.weights["embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(rows[:size].detach().numpy(), before)
    assert len(np.unique(rows[size:].detach().numpy(), axis=0)) == 4


def test_the_new_subwords_are_drawn_from_the_seed(encoder_folder: Path):
    marked = encoders.load(str(encoder_folder), MARKERS)

    def rows(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        model = tasks.get("re", ["O", "r"]).build(marked.config)
        encoders.load_weights(model, marked)
        return model.get_input_embeddings().weight[-4:]

    with torch.random.fork_rng(devices=[]):
        assert torch.equal(rows(1), rows(1))
        assert not torch.equal(rows(1), rows(2))


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("pad_token", "has no padding token"),
        ("cls_token", r"puts no \[CLS\] \(or <s>\) into a text, which is the feature"),
    ],
)
def test_a_tokenizer_that_cannot_do_what_is_needed_is_refused(
    lacking: str, message: str, encoder_folder, tmp_path: Path
):
    shutil.copytree(encoder_folder, tmp_path / "e", ignore=shutil.ignore_patterns("token*", "vocab*", "special*"))
    tokenizer = byte_pairs(["the dog"])
    setattr(tokenizer, lacking, None)
    tokenizer.save_pretrained(tmp_path / "e")
    assert AutoTokenizer.from_pretrained(tmp_path / "e")("the dog")["input_ids"]
    with pytest.raises(ConfigError, match=message):
        encoders.load(str(tmp_path / "e"))


def test_weights_that_the_model_needs_must_be_there(encoder, task):
    weights = {key: array for key, array in encoder.weights.items() if "layer.1.output" not in key}
    broken = encoders.Encoder(encoder.config, weights, encoder.tokenizer, "")
    with pytest.raises(ValueError, match=r"^the encoder has no weights for encoder\.layer\.1\.output.* \(4 in all\)$"):
        encoders.load_weights(task.build(encoder.config), broken)
