"""What can be wrong with a model's folder, and what is said of it: of an encoder's, and of a brought checkpoint's."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n"
Spoil = Callable[[Path], object]


def config(**values: object) -> Spoil:
    """Other settings in config.json; None takes one away."""

    def spoil(folder: Path) -> None:
        path = folder / "config.json"
        settings = json.loads(path.read_text()) | values
        path.write_text(json.dumps({key: value for key, value in settings.items() if value is not None}))

    return spoil


def written(name: str, content: bytes) -> Spoil:
    """Another content of a file."""
    return lambda folder: (folder / name).write_bytes(content)


def weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Spoil:
    """Other weights."""

    def spoil(folder: Path) -> None:
        path = folder / "model.safetensors"
        changed = change(safetensors.torch.load_file(path))
        safetensors.torch.save_file(changed, path, metadata={"format": "pt"})

    return spoil


def pickled(folder: Path) -> None:
    """Weights in a pickled file only."""
    torch.save(safetensors.torch.load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def empty_vocabulary(folder: Path) -> None:
    """The tokenizer's file is there, and has nothing in it."""
    removed("*token*")(folder)
    (folder / "vocab.txt").write_bytes(b"")


def removed(*patterns: str) -> Spoil:
    """Files taken away."""
    return lambda folder: [path.unlink() for pattern in patterns for path in folder.glob(pattern)]


def truncated(name: str) -> Spoil:
    """The first half of a file."""
    return lambda folder: (folder / name).write_bytes(
        (folder / name).read_bytes()[: (folder / name).stat().st_size // 2]
    )


def a_folder(name: str) -> Spoil:
    """A folder in place of a file: root may read any file, so that permissions cannot be taken away here."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


FAULTS = [
    pytest.param(spoil, message, id=f"{number}-{message[:24]}")
    for number, (spoil, message) in enumerate(
        [
            (truncated("config.json"), r"config\.json is broken: "),
            (written("config.json", b"\xff\xfe{}"), r"config\.json is broken: "),
            (written("config.json", b"[" * 100_000), r"config\.json is broken: maximum recursion depth"),
            (written("config.json", b"[]"), r"config\.json holds a list; accepted is an object of settings"),
            (written("config.json", POINTER), r"config\.json is a pointer of Git LFS"),
            (a_folder("config.json"), r"config\.json cannot be read: .*directory"),
            (config(model_type=None), r"config\.json has no model_type"),
            (config(model_type="berd"), r"config\.json is not accepted: .*berd"),
            (config(transformers_weights="adapter_model.bin"), r"config\.json has transformers_weights"),
            (
                config(intermediate_size=8),
                r"other shapes have .*layer\.0\.intermediate\.dense\.bias.* and \d more",
            ),
            (
                written("adapter_config.json", b"{}"),
                r"it holds an adapter \(adapter_config\.json\), .*merge_and_unl",
            ),
            (removed("*token*"), r"it has no tokenizer: looked for tokenizer\.json, and for vocab\.txt"),
            (removed("tokenizer.json"), r"it has no tokenizer: looked for tokenizer\.json, and for vocab\.txt"),
            (
                lambda folder: [removed("*token*")(folder), written("vocab.txt", b"")(folder)],
                "its tokenizer knows special tokens only",
            ),
            (truncated("tokenizer.json"), "its tokenizer cannot be read: "),
            (written("tokenizer.json", POINTER), r"tokenizer\.json is a pointer of Git LFS"),
            (truncated("model.safetensors"), "its weights cannot be read: .*incomplete metadata"),
            (written("model.safetensors", POINTER), r"model\.safetensors is a pointer of Git LFS"),
            (removed("model.safetensors"), r"it has no weights: looked for model\.safetensors and pytorch_model\.bin"),
            (pickled, "it has no safetensors, and allow_pickled does not name it"),
            (
                weights(lambda tensors: {f"student.{name}": tensor for name, tensor in tensors.items()}),
                r"it lacks .*embeddings\..* and \d+ more of Bert",
            ),
        ]
    )
]
"""Each with its message, for a folder of a BERT."""
