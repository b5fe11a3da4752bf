"""The multilingual encoder that every candidate starts from: configuration, weights and tokenizer."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import transformers
from huggingface_hub import snapshot_download
from torch import nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.models import folders
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.hashing import content_hash
from lms_ray.tasks.pretrained import first_line, from_pretrained, some

transformers.logging.set_verbosity_error()  # heads and poolers that a checkpoint lacks or has too many are expected
transformers.logging.disable_progress_bar()

SETTINGS = ("*.json", "*.txt", "*.model")
"""Files of a model of the hub without its weights: configuration and tokenizer."""
SAFE_WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors")
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model-*-of-*.bin")


@dataclass(frozen=True)
class Encoder:
    """A pre-trained encoder, ready to be put in the object store once (the arrays are shared, not copied)."""

    config: PretrainedConfig
    weights: dict[str, np.ndarray]
    """float32, by name within the base model."""
    tokenizer: PreTrainedTokenizerBase
    digest: str
    """sha256 over configuration, weights and vocabulary."""


def load(name: str, special_tokens: Sequence[str] = (), allow_pickled: Sequence[str] = ()) -> Encoder:
    """Load an encoder by Hugging Face name or from a folder.

    Args:
        name: of the encoder.
        special_tokens: sub-words that the task adds to its tokenizer.
        allow_pickled: names, folders or patterns of them, whose weights may be read from a pickled file.

    Raises:
        ConfigError: there is no such model, its weights are pickled or incomplete, a file is broken, or its tokenizer
            cannot do what is needed.
    """
    may_be_pickled = folders.is_named(name, allow_pickled)
    with _read(name, weights=True, may_be_pickled=may_be_pickled) as folder:
        config = folders.load_config(folder)
        tokenizer = folders.load_tokenizer(folder)
        model, absent = from_pretrained(AutoModel, folder, folders.uses_safetensors(folder, may_be_pickled))
        lacking = [key for key in absent if "pooler" not in key]
        if lacking:
            raise ValueError(f"it lacks {some(lacking)} of {type(model).__name__}")
        folders.require_embeddings(model, tokenizer)
    tokenizer.add_tokens(list(special_tokens), special_tokens=True)
    # A pooler that the files lack was drawn at random; no candidate uses it, and the digest must not see it.
    weights = {key: tensor.numpy() for key, tensor in model.state_dict().items() if key not in absent}
    return Encoder(config, weights, tokenizer, _digest(config, weights, tokenizer))


def load_config(name: str) -> PretrainedConfig:
    """Only an encoder's configuration.

    Raises:
        ConfigError: there is no such model.
    """
    with _read(name) as folder:
        return folders.load_config(folder)


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Only an encoder's tokenizer.

    Raises:
        ConfigError: there is none, or it cannot do what is needed.
    """
    with _read(name) as folder:
        return folders.load_tokenizer(folder)


@contextmanager
def _read(name: str, weights: bool = False, may_be_pickled: bool = False) -> Iterator[Path]:
    """The folder of an encoder, one of the hub from its cache; what is wrong with it is said of the key `encoder`."""
    try:
        yield Path(name) if Path(name).is_dir() else _from_hub(name, weights, may_be_pickled)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"encoder: found {name!r}; accepted is a Hugging Face model name or folder with safetensors, or one that "
            f"allow_pickled names ({first_line(error)})"
        ) from error


def _from_hub(name: str, weights: bool, may_be_pickled: bool) -> Path:
    """The folder in the hub's cache, downloaded as far as it is needed; the hub need not answer for what is cached."""

    def cached(*patterns: str) -> Path:
        return Path(snapshot_download(name, allow_patterns=[*SETTINGS, *patterns], ignore_patterns=["*/*"]))

    folder = cached(*SAFE_WEIGHTS) if weights else cached()
    if may_be_pickled and weights and not any(folder.glob("*.safetensors")):
        folder = cached(*PICKLED_WEIGHTS)
    return folder


def check_length(max_length: int, most: int) -> None:
    """Refuse windows that are longer than what an encoder reads, see `longest`.

    Raises:
        ConfigError: names the longest.
    """
    if max_length > most:
        raise ConfigError(
            f"finetune.max_length: found {max_length}; accepted is at most {most}, what the encoder reads"
        )


def longest(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Sub-words that an encoder reads at once, special tokens included."""
    positions = getattr(config, "max_position_embeddings", 0)
    if positions < 1:  # relative positions, without a limit
        return tokenizer.model_max_length
    with torch.device("meta"):
        model = AutoModel.from_config(
            deepcopy(config), trust_remote_code=False
        )  # it notes its attention in the configuration
    for name, module in model.named_modules():
        # RoBERTa and its kin number positions from the padding token's number on, which takes some away.
        if isinstance(module, nn.Embedding) and name.endswith("position_embeddings") and module.padding_idx is not None:
            positions -= module.padding_idx + 1
    return min(tokenizer.model_max_length, positions)


def load_weights(model: PreTrainedModel, encoder: Encoder) -> None:
    """Give a model with a task head the encoder's weights, and room for the task's sub-words; the head keeps its own.

    A pooler that the encoder lacks is left as it was drawn, with the head that reads it.

    Raises:
        ValueError: the model needs weights that the encoder does not have.
    """
    weights = {key: torch.from_numpy(array) for key, array in encoder.weights.items()}
    with torch.no_grad():
        absent = model.base_model.load_state_dict(weights, strict=False).missing_keys
    absent = [key for key in absent if not key.startswith("pooler.")]  # part of a head, wherever transformers puts it
    if absent:
        raise ValueError(f"the encoder has no weights for {', '.join(absent[:5])} ({len(absent)} in all)")
    size = folders.vocabulary_size(encoder.tokenizer)
    if size > cast(nn.Embedding, model.get_input_embeddings()).num_embeddings:
        model.resize_token_embeddings(size, mean_resizing=False)


def _digest(config: PretrainedConfig, weights: dict[str, np.ndarray], tokenizer: PreTrainedTokenizerBase) -> str:
    digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode())
    # How and by what it was saved does not make it another encoder.
    settings = {key: value for key, value in config.to_dict().items() if key not in ("transformers_version", "dtype")}
    digest.update(content_hash({key: value for key, value in settings.items() if not key.startswith("_")}).encode())
    for key in sorted(weights):
        digest.update(key.encode())
        digest.update(np.ascontiguousarray(weights[key]).data)
    return digest.hexdigest()
