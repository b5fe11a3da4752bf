"""Pass text through one checkpoint: feature, example statistics and unlabelled signals, in one forward pass.

Shape suffixes: B windows of a batch, L sub-words, U units (what gets a label), H hidden, E examples, S statistics.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from lms_ray.settings.models import Encode
from lms_ray.tasks.base import Task
from lms_ray.tasks.windows import Batch, Windows, by_length, on_device, pad

BATCH_TOKENS = {"cpu": 1024, "cuda": 32768}
"""Sub-words in one batch where the settings name no number, by the kind of device."""


@dataclass(frozen=True)
class Encoded:
    """What one checkpoint makes of one shard of text."""

    cls_sum_H: np.ndarray
    """Sum over examples of the [CLS] vector (an example's is the mean over its windows), float64."""
    statistics_ES: np.ndarray
    """Example statistics, float64."""
    tally: np.ndarray
    """What is seen without labels, sums as `tasks.tally` makes them; empty for text without units."""
    label_U: np.ndarray
    """The label of each unit of the first examples, int32."""
    units_E: np.ndarray
    """How many units each of them has, int64."""

    @property
    def examples(self) -> int:
        """Number of examples in the sum."""
        return len(self.statistics_ES)


@torch.inference_mode()
def encode(model: PreTrainedModel, task: Task, windows: Windows, settings: Encode) -> Encoded:
    """Features and statistics of a shard of text.

    A GPU is given batch after batch: what they make stays there until the last one is on its way.

    Args:
        model: a candidate, in eval mode.
        task: gives the statistics.
        windows: the tokenised text.
        settings: batch size and arithmetic.
    """
    device = model.device
    share_W = 1.0 / np.bincount(windows.example_W, minlength=windows.examples)[windows.example_W]
    cls_sum_H = torch.zeros(model.config.hidden_size, dtype=torch.float64, device=device)
    pad_id = model.config.pad_token_id or 0
    batches = list(by_length(windows, settings.batch_tokens or BATCH_TOKENS[device.type]))
    predicted, tallied = [], []
    with (
        last_hidden_state(model) as hidden,
        torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"),
    ):
        for chosen_B in batches:
            batch = pad(windows, chosen_B, pad_id)
            output = model(**model_inputs(model, task, batch))
            cls_BH = hidden.pop()[torch.arange(len(chosen_B), device=device), on_device(batch.cls_B, device)].double()
            share_B = on_device(share_W[chosen_B], device)
            cls_sum_H += share_B @ cls_BH
            predicted.append(task.predict(output, batch))
            sums = task.tally(output, batch, predicted[-1], share_B)
            if sums is not None:
                tallied.append(sums)
    predicted_W = by_window(batches, predicted, len(windows))
    label_U, example_U = task.labelled_as(windows, predicted_W)
    kept = min(settings.predictions, windows.examples)
    return Encoded(
        cls_sum_H.cpu().numpy(),
        task.count(windows, predicted_W),
        torch.stack(tallied).sum(0).cpu().numpy() if tallied else np.empty(0),
        label_U[example_U < kept],
        np.bincount(example_U[example_U < kept], minlength=kept),
    )


def by_window(batches: Sequence[np.ndarray], predicted: Sequence[torch.Tensor], windows: int) -> list[np.ndarray]:
    """What a task predicted of each window, in their order, from what it predicted batch by batch."""
    predicted_W: list[np.ndarray] = [np.empty(0)] * windows
    for chosen_B, of_batch in zip(batches, predicted, strict=True):
        for window, of_window in zip(chosen_B, of_batch.cpu().numpy(), strict=True):
            predicted_W[window] = of_window
    return predicted_W


def diverged(model: PreTrainedModel) -> bool:
    """Whether a weight is not finite: such a model predicts nothing, and its features are NaN."""
    return not all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def model_inputs(model: PreTrainedModel, task: Task, batch: Batch) -> dict[str, torch.Tensor]:
    """A batch as the model wants it, on its device."""
    arrays = {"input_ids": batch.input_ids_BL, "attention_mask": batch.attention_mask_BL, **task.inputs(batch)}
    if batch.types_BL is not None and getattr(model.config, "type_vocab_size", 0) > 1:  # XLM-R and others know one
        arrays["token_type_ids"] = batch.types_BL
    return {name: on_device(array, model.device) for name, array in arrays.items()}


@contextmanager
def last_hidden_state(model: PreTrainedModel) -> Iterator[list[torch.Tensor]]:
    """Collects the base model's last hidden state of each forward pass, before any pooler or head."""
    seen: list[torch.Tensor] = []
    handle = model.base_model.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0]))
    try:
        yield seen
    finally:
        handle.remove()
