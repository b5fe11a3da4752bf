"""Pass text through one checkpoint: the mean [CLS] feature and the example statistics, in one forward pass.

Shape suffixes: B windows of a batch, L sub-words, H hidden, E examples, S statistics.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from lms_ray.experiment import Encode
from lms_ray.tasks.base import Task
from lms_ray.windows import Windows, by_length, pad


@dataclass(frozen=True)
class Encoded:
    """What one checkpoint makes of one shard of text."""

    cls_sum_H: np.ndarray
    """Sum over examples of the [CLS] vector (an example's is the mean over its windows), float64."""
    statistics_ES: np.ndarray
    """Example statistics, int64."""

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
    statistics_ES = np.zeros((windows.examples, len(task.statistics)), np.int64)
    pad_id = model.config.pad_token_id or 0
    with last_hidden_state(model) as hidden:
        for chosen_B in by_length(windows, settings.batch_tokens):
            batch = pad(windows, chosen_B, pad_id)
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
                logits = model(
                    input_ids=torch.from_numpy(batch.input_ids_BL).to(device),
                    attention_mask=torch.from_numpy(batch.attention_mask_BL).to(device),
                ).logits
            cls_BH = hidden.pop()[:, 0].double()
            cls_sum_H += torch.from_numpy(share_W[chosen_B]).to(device) @ cls_BH
            counts_BS = task.count(logits, torch.from_numpy(batch.labels_BL).to(device))
            np.add.at(statistics_ES, windows.example_W[chosen_B], counts_BS.cpu().numpy())
    return Encoded(cls_sum_H.cpu().numpy(), statistics_ES)


@contextmanager
def last_hidden_state(model: PreTrainedModel) -> Iterator[list[torch.Tensor]]:
    """Collects the base model's last hidden state of each forward pass, before any pooler or head."""
    seen: list[torch.Tensor] = []
    handle = model.base_model.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0]))
    try:
        yield seen
    finally:
        handle.remove()
