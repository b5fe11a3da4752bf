"""Pass text through one checkpoint: the mean [CLS] feature and the example statistics, in one forward pass.

Shape suffixes: B windows of a batch, L sub-words, H hidden, E examples, S statistics.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from lms_ray.settings.models import Encode
from lms_ray.tasks.base import Task
from lms_ray.tasks.windows import Batch, Windows, by_length, pad


@dataclass(frozen=True)
class Encoded:
    """What one checkpoint makes of one shard of text."""

    cls_sum_H: np.ndarray
    """Sum over examples of the [CLS] vector (an example's is the mean over its windows), float64."""
    statistics_ES: np.ndarray
    """Example statistics, float64."""

    @property
    def examples(self) -> int:
        """Number of examples in the sum."""
        return len(self.statistics_ES)


@torch.inference_mode()
def encode(model: PreTrainedModel, task: Task, windows: Windows, settings: Encode) -> Encoded:
    """Features and statistics of a shard of text.

    Args:
        model: a candidate, in eval mode.
        task: gives the statistics.
        windows: the tokenised text.
        settings: batch size and arithmetic.
    """
    device = model.device
    share_W = 1.0 / np.bincount(windows.example_W, minlength=windows.examples)[windows.example_W]
    cls_sum_H = torch.zeros(model.config.hidden_size, dtype=torch.float64, device=device)
    predicted_W: list[np.ndarray] = [np.empty(0)] * len(windows)
    pad_id = model.config.pad_token_id or 0
    with last_hidden_state(model) as hidden:
        for chosen_B in by_length(windows, settings.batch_tokens):
            batch = pad(windows, chosen_B, pad_id)
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
                output = model(**model_inputs(model, task, batch))
            cls_BH = hidden.pop()[torch.arange(len(chosen_B)), torch.from_numpy(batch.cls_B)].double()
            cls_sum_H += torch.from_numpy(share_W[chosen_B]).to(device) @ cls_BH
            for window, predicted in zip(chosen_B, task.predict(output, batch).cpu().numpy(), strict=True):
                predicted_W[window] = predicted
    return Encoded(cls_sum_H.cpu().numpy(), task.count(windows, predicted_W))


def diverged(model: PreTrainedModel) -> bool:
    """Whether a weight is not finite: such a model predicts nothing, and its features are NaN."""
    return not all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def model_inputs(model: PreTrainedModel, task: Task, batch: Batch) -> dict[str, torch.Tensor]:
    """A batch as the model wants it, on its device."""
    arrays = {"input_ids": batch.input_ids_BL, "attention_mask": batch.attention_mask_BL, **task.inputs(batch)}
    if batch.types_BL is not None and getattr(model.config, "type_vocab_size", 0) > 1:  # XLM-R and others know one
        arrays["token_type_ids"] = batch.types_BL
    return {name: torch.from_numpy(array).to(model.device) for name, array in arrays.items()}


@contextmanager
def last_hidden_state(model: PreTrainedModel) -> Iterator[list[torch.Tensor]]:
    """Collects the base model's last hidden state of each forward pass, before any pooler or head."""
    seen: list[torch.Tensor] = []
    handle = model.base_model.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0]))
    try:
        yield seen
    finally:
        handle.remove()
