"""The multilingual encoder that every candidate starts from: configuration, weights and tokenizer."""

import hashlib
from collections.abc import Container, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import transformers
from huggingface_hub import list_repo_files
from tokenizers import pre_tokenizers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lms_ray.settings.experiment import content_hash
from lms_ray.settings.loading import ConfigError

transformers.logging.set_verbosity_error()  # heads and poolers that a checkpoint lacks or has too many are expected
transformers.logging.disable_progress_bar()


@dataclass(frozen=True)
class Encoder:
    """A pre-trained encoder, ready to be put in the object store once (the arrays are shared, not copied)."""

    config: PretrainedConfig
    weights: dict[str, np.ndarray]
    """float32, by name within the base model."""
    tokenizer: PreTrainedTokenizerBase
    digest: str
    """sha256 over configuration, weights and vocabulary."""


def load(name: str, special_tokens: Sequence[str] = (), allow_pickled: Container[str] = ()) -> Encoder:
    """Load an encoder by Hugging Face name or from a folder.

    Args:
        name: of the encoder.
        special_tokens: sub-words that the task adds to its tokenizer.
        allow_pickled: names whose weights may be read from a pickled file.

    Raises:
        ConfigError: there is no such model, its weights are pickled, or its tokenizer cannot do what is needed.
    """
    config = load_config(name)
    tokenizer = load_tokenizer(name)
    tokenizer.add_tokens(list(special_tokens), special_tokens=True)
    try:
        model, report = AutoModel.from_pretrained(
            name,
            dtype=torch.float32,
            use_safetensors=uses_safetensors(name, name in allow_pickled),
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        raise _not_accepted(name, error) from error
    # What the files lack (a pooler) was drawn at random; no candidate uses it, and the digest must not see it.
    weights = {key: tensor.numpy() for key, tensor in model.state_dict().items() if key not in report["missing_keys"]}
    return Encoder(config, weights, tokenizer, _digest(config, weights, tokenizer))


def load_config(name: str) -> PretrainedConfig:
    """Only an encoder's configuration.

    Raises:
        ConfigError: there is no such model.
    """
    try:
        return AutoConfig.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _not_accepted(name, error) from error


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Only an encoder's tokenizer.

    Raises:
        ConfigError: there is none, it does not say which sub-word belongs to which word, or it has no [CLS].
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _not_accepted(name, error) from error
    if not tokenizer.is_fast:
        raise ConfigError(f"encoder: {name!r} has no fast tokenizer, which knows which sub-word belongs to which word")
    if tokenizer.cls_token_id is None or tokenizer.cls_token_id not in tokenizer("a")["input_ids"]:
        raise ConfigError(
            f"encoder: the tokenizer of {name!r} puts no [CLS] (or <s>) into a text, which is the feature"
        )
    if tokenizer.pad_token_id is None:
        raise ConfigError(f"encoder: the tokenizer of {name!r} has no padding token")
    _begin_words_with_a_space(tokenizer)
    words, together = ["So", "Ada", "lives"], "So Ada lives"
    if tokenizer(words, is_split_into_words=True)["input_ids"] != tokenizer(together)["input_ids"]:
        raise ConfigError(f"encoder: the tokenizer of {name!r} reads a sentence's words otherwise than the sentence")
    return tokenizer


def _begin_words_with_a_space(tokenizer: PreTrainedTokenizerBase) -> None:
    """Byte-level tokenizers (ModernBERT, RoBERTa) mark a word's beginning by the space before it.

    Given word by word it would be missing, and each word would look like the inside of another one.
    """
    parts: Any = tokenizer.backend_tokenizer.pre_tokenizer
    for part in list(parts) if hasattr(parts, "__getitem__") else [parts]:  # a sequence of several
        if isinstance(part, pre_tokenizers.ByteLevel):
            part.add_prefix_space = True


def uses_safetensors(name: str, may_be_pickled: bool) -> bool:
    """Whether weights are read from safetensors: always, but where they may be pickled and are only so there.

    `transformers` reads pickled files with `weights_only`, which runs no code of theirs.
    """
    if not may_be_pickled:
        return True
    folder = Path(name)
    if folder.is_dir():
        return any(folder.glob("*.safetensors"))
    return any(file.endswith(".safetensors") for file in list_repo_files(name))


def check_length(max_length: int, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse windows that are longer than what an encoder reads.

    Raises:
        ConfigError: names the longest.
    """
    most = longest(config, tokenizer)
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


def _not_accepted(name: str, error: Exception) -> ConfigError:
    reason = str(error).strip().splitlines()[0]
    return ConfigError(
        f"encoder: found {name!r}; accepted is a Hugging Face model name or folder with safetensors, or one that "
        f"allow_pickled names ({reason})"
    )


def load_weights(model: PreTrainedModel, encoder: Encoder) -> None:
    """Give a model with a task head the encoder's weights, and room for the task's sub-words; the head keeps its own.

    Raises:
        ValueError: the model needs weights that the encoder does not have.
    """
    weights = {key: torch.from_numpy(array) for key, array in encoder.weights.items()}
    with torch.no_grad():
        absent = model.base_model.load_state_dict(weights, strict=False).missing_keys
    if absent:
        raise ValueError(f"the encoder has no weights for {', '.join(absent[:5])} ({len(absent)} in all)")
    if len(encoder.tokenizer) > cast(nn.Embedding, model.get_input_embeddings()).num_embeddings:
        model.resize_token_embeddings(len(encoder.tokenizer), mean_resizing=False)


def _digest(config: PretrainedConfig, weights: dict[str, np.ndarray], tokenizer: PreTrainedTokenizerBase) -> str:
    digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode())
    # How and by what it was saved does not make it another encoder.
    settings = {key: value for key, value in config.to_dict().items() if key not in ("transformers_version", "dtype")}
    digest.update(content_hash({key: value for key, value in settings.items() if not key.startswith("_")}).encode())
    for key in sorted(weights):
        digest.update(key.encode())
        digest.update(np.ascontiguousarray(weights[key]).data)
    return digest.hexdigest()
