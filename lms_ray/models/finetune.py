"""Fine-tune one candidate, an epoch at a time; every epoch's end can be saved and gone on from.

An epoch's randomness (data order, dropout) is drawn from the seed and the epoch's number, so a candidate that was
interrupted and resumed is the one that was not: bit for bit on a CPU, on a GPU up to the order of its atomic sums.
"""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors.torch
import torch

from lms_ray.models import encoder as encoders
from lms_ray.models.encode import model_inputs
from lms_ray.models.encoder import Encoder
from lms_ray.settings.experiment import Candidate, FineTune, seed_for
from lms_ray.tasks.base import Task
from lms_ray.tasks.windows import Batch, Windows, pad, shuffled

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")


class FineTuner:
    """The training state of one candidate.

    Args:
        task: head and loss.
        encoder: where the weights start.
        candidate: learning rate, epochs, batch size, seed.
        settings: everything that all candidates share.
        train: the tokenised training set.
        seed: the experiment's seed; with the whole setting of the candidate it decides all randomness.
        device: `cpu` or `cuda`.
    """

    def __init__(
        self,
        task: Task,
        encoder: Encoder,
        candidate: Candidate,
        settings: FineTune,
        train: Windows,
        seed: int,
        device: str,
    ):
        self.task, self.candidate, self.settings, self.train = task, candidate, settings, train
        self.device = device
        self.tokenizer = encoder.tokenizer
        self.seeds = (seed, asdict(candidate))
        self.epoch = 0
        torch.manual_seed(seed_for(*self.seeds, "head"))
        self.model = cast(Any, task.build(encoder.config))  # the types of PreTrainedModel.to accept no device
        encoders.load_weights(self.model, encoder)
        self.model.to(device)
        self.optimizer = _optimizer(self.model, candidate.learning_rate, settings)
        self.steps_per_epoch = math.ceil(len(train) / candidate.batch_size)

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.candidate.epochs

    def train_epoch(self) -> float:
        """One pass over the training data; the mean loss of its steps."""
        rng = np.random.default_rng(seed_for(*self.seeds, "order", self.epoch))
        torch.manual_seed(seed_for(*self.seeds, "dropout", self.epoch))
        self.model.train()
        loss_sum = torch.zeros((), device=self.device)
        step = self.epoch * self.steps_per_epoch
        for chosen_B in shuffled(self.train, self.candidate.batch_size, rng):
            batch = pad(self.train, chosen_B, self.tokenizer.pad_token_id)
            with torch.autocast(self.device, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
                loss = self.model(**model_inputs(self.model, self.task, batch), **self._targets(batch)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.max_grad_norm)
            rate = self.candidate.learning_rate * self._schedule(step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            self.optimizer.zero_grad()
            loss_sum += loss.detach()
            step += 1
        self.epoch += 1
        return float(loss_sum) / self.steps_per_epoch

    def state(self) -> bytes:
        """Weights and Adam's moments after a whole epoch, as safetensors."""
        tensors = {f"weight.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            moments = self.optimizer.state[parameter]  # none for a parameter that no loss depends on
            tensors |= {f"{key}.{name}": moments[key] for key in ADAM_STATE if key in moments}
        tensors["epoch"] = torch.tensor(self.epoch)
        return safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()})

    def load_state(self, state: bytes) -> None:
        """Go on from what `state` gave."""
        tensors = safetensors.torch.load(state)
        self.epoch = int(tensors.pop("epoch"))
        weights = {name: tensors[f"weight.{name}"] for name in self.model.state_dict()}
        self.model.load_state_dict(weights)
        for name, parameter in self.model.named_parameters():
            for key in ADAM_STATE:
                if f"{key}.{name}" in tensors:
                    self.optimizer.state[parameter][key] = tensors[f"{key}.{name}"].to(self.device)

    def save_model(self, folder: Path) -> None:
        """Write a Hugging Face model folder; the weights in memory are rounded as the saved ones are."""
        dtype = DTYPES[self.settings.save_dtype]
        self.model.to(dtype)
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.model.to(torch.float32).eval()

    def _targets(self, batch: Batch) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(array).to(self.device) for name, array in self.task.targets(batch).items()}

    def _schedule(self, step: int) -> float:
        total = self.steps_per_epoch * self.candidate.epochs
        warmup = round(total * self.settings.warmup)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self.settings.schedule == "constant":
            return 1.0
        return (total - step) / max(1, total - warmup)


def _optimizer(model: torch.nn.Module, learning_rate: float, settings: FineTune) -> torch.optim.Optimizer:
    """AdamW; biases and layer norms (vectors) are not decayed, as BERT's own fine-tuning does it."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=settings.adam_betas, fused=True)
