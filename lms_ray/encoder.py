"""The multilingual encoder that every candidate starts from: configuration, weights and tokenizer."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lms_ray.config import ConfigError
from lms_ray.experiment import content_hash

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


def load(name: str) -> Encoder:
    """Load an encoder by Hugging Face name or from a folder.

    Raises:
        ConfigError: there is no such model, or it has no fast tokenizer.
    """
    config = load_config(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model, report = AutoModel.from_pretrained(
            name, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise _not_accepted(name, error) from error
    if not tokenizer.is_fast:
        raise ConfigError(f"encoder: {name!r} has no fast tokenizer, which knows which sub-word belongs to which word")
    # What the files lack (a pooler) was drawn at random; no candidate uses it, and the digest must not see it.
    weights = {key: tensor.numpy() for key, tensor in model.state_dict().items() if key not in report["missing_keys"]}
    return Encoder(config, weights, tokenizer, _digest(config, weights, tokenizer))


def load_config(name: str) -> PretrainedConfig:
    """Only an encoder's configuration.

    Raises:
        ConfigError: there is no such model.
    """
    try:
        return AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _not_accepted(name, error) from error


def _not_accepted(name: str, error: Exception) -> ConfigError:
    reason = str(error).strip().splitlines()[0]
    return ConfigError(
        f"encoder: found {name!r}; accepted is a Hugging Face model name or folder with safetensors ({reason})"
    )


def load_weights(model: PreTrainedModel, encoder: Encoder) -> None:
    """Give a model with a task head the encoder's weights; the head keeps its own.

    Raises:
        ValueError: the model needs weights that the encoder does not have.
    """
    weights = {key: torch.from_numpy(array) for key, array in encoder.weights.items()}
    with torch.no_grad():
        absent = model.base_model.load_state_dict(weights, strict=False).missing_keys
    if absent:
        raise ValueError(f"the encoder has no weights for {', '.join(absent[:5])} ({len(absent)} in all)")


def _digest(config: PretrainedConfig, weights: dict[str, np.ndarray], tokenizer: PreTrainedTokenizerBase) -> str:
    digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode())
    # How and by what it was saved does not make it another encoder.
    settings = {key: value for key, value in config.to_dict().items() if key not in ("transformers_version", "dtype")}
    digest.update(content_hash({key: value for key, value in settings.items() if not key.startswith("_")}).encode())
    for key in sorted(weights):
        digest.update(key.encode())
        digest.update(np.ascontiguousarray(weights[key]).data)
    return digest.hexdigest()
