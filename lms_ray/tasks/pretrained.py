"""Read a model's weights from a folder, and refuse those that do not fit or cannot be read."""

from pathlib import Path
from typing import Any

import torch


def from_pretrained(model_class: Any, folder: Path, safetensors: bool) -> tuple[Any, list[str]]:
    """A model in float32.

    Args:
        model_class: an Auto class of transformers, or one like it.
        folder: of the model.
        safetensors: read these, not a pickled file.

    Returns:
        The model, and the names of the weights that the folder lacks, sorted; they are random.

    Raises:
        ValueError: the weights cannot be read, or have other shapes than the configuration says.
    """
    try:
        model, report = model_class.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=safetensors,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            output_loading_info=True,
        )
    except Exception as error:  # of whatever kind the parser of a broken file has
        raise ValueError(f"its weights cannot be read: {first_line(error)}") from error
    mismatched = sorted(name for name, *_ in report["mismatched_keys"])
    if mismatched:
        raise ValueError(f"other shapes have {some(mismatched)} of {type(model).__name__}")
    return model, sorted(report["missing_keys"])


def some(names: list[str]) -> str:
    """The first names of a list, and how many there are where these are more."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
