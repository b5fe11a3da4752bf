"""Fine-tune one candidate, an epoch at a time; every epoch's end can be saved and gone on from.

An epoch's randomness (data order, dropout) is drawn from the seed and the epoch's number, so a candidate that was
interrupted and resumed is the one that was not: bit for bit on a CPU, on a GPU up to the order of its atomic sums.
"""

import logging
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors
import safetensors.torch
import torch

from lms_ray.models import encoder as encoders
from lms_ray.models.compact import CompactEmbedding
from lms_ray.models.encode import diverged, model_inputs
from lms_ray.models.encoder import Encoder
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.hashing import seed_for
from lms_ray.settings.models import FineTune
from lms_ray.tasks.base import Task
from lms_ray.tasks.pretrained import some
from lms_ray.tasks.windows import IGNORE, Windows, on_device, pad, shuffled

log = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")
LOOK_EVERY = 50  # steps: a GPU waits each time that a loss is looked at


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
        self.losses: list[float] = []
        """Mean loss of each epoch."""
        torch.manual_seed(seed_for(*((seed,) if settings.shared_head else self.seeds), "head"))
        self._model = cast(Any, task.build(encoder.config))  # the types of PreTrainedModel.to accept no device
        encoders.load_weights(self._model, encoder)
        self._model.to(device)
        self._embedding = CompactEmbedding(self._model, train.input_ids_T, [self.tokenizer.pad_token_id])
        self.optimizer = _optimizer(self._model, candidate.learning_rate, settings)
        self.steps_per_epoch = math.ceil(len(train) / candidate.batch_size)

    @property
    def model(self) -> Any:
        """The model as it is now."""
        self._embedding.expand()
        return self._model

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return len(self.losses)

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done, or a loss was not finite: no further epoch mends it."""
        return self.epoch >= self.candidate.epochs or not all(map(math.isfinite, self.losses))

    @property
    def diverged(self) -> bool:
        """Whether a loss or a weight is not finite."""
        return not all(map(math.isfinite, self.losses)) or diverged(self.model)

    def train_epoch(self) -> float:
        """One pass over the training data; the mean loss of its steps. It ends early where that is not finite.

        A batch that carries no label (the inner windows of one long word) has no loss and no gradient: its step is left
        out, and the learning rate goes on as if it had been made.
        """
        rng = np.random.default_rng(seed_for(*self.seeds, "order", self.epoch))
        torch.manual_seed(seed_for(*self.seeds, "dropout", self.epoch))
        model = self._compact()
        model.train()
        loss_sum = torch.zeros((), device=self.device)
        unlabelled = 0
        for step, chosen_B in enumerate(
            shuffled(self.train, self.candidate.batch_size, rng), self.epoch * self.steps_per_epoch
        ):
            if step % LOOK_EVERY == 0 and not loss_sum.isfinite():
                break
            batch = pad(self.train, chosen_B, self.tokenizer.pad_token_id)
            targets = self.task.targets(batch)
            if all((target == IGNORE).all() for target in targets.values()):
                unlabelled += 1
                continue
            with torch.autocast(self.device, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
                loss = model(**model_inputs(model, self.task, batch), **self._on_device(targets)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.settings.max_grad_norm)
            rate = self.candidate.learning_rate * self._schedule(step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            self.optimizer.zero_grad()
            self._embedding.decay *= 1 - rate * self.settings.weight_decay
            loss_sum += loss.detach()
        if unlabelled:
            log.info("epoch %d: %d of %d batches carry no label, and their steps are left out",
                     self.epoch + 1, unlabelled, self.steps_per_epoch)  # fmt: skip
        self.losses.append(float(loss_sum) / max(1, self.steps_per_epoch - unlabelled))
        return self.losses[-1]

    def state(self) -> bytes:
        """What is trained, Adam's moments and losses after a whole epoch, as safetensors."""
        model = self._compact()
        tensors = {f"weight.{name}": tensor for name, tensor in model.state_dict().items()}
        for name, parameter in model.named_parameters():
            moments = self.optimizer.state[parameter]  # none for a parameter that no loss depends on
            tensors |= {f"{key}.{name}": moments[key] for key in ADAM_STATE if key in moments}
        tensors["losses"] = torch.tensor(self.losses, dtype=torch.float64)
        tensors["decay"] = torch.tensor(self._embedding.decay, dtype=torch.float64)
        return safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()})

    def load_state(self, state: bytes) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: it is broken, or of another model; nothing has been changed then.
        """
        try:
            tensors = safetensors.torch.load(state)
        except safetensors.SafetensorError as error:
            raise ValueError(f"no training state: {error}") from error
        self._require_own(tensors)
        self.losses, self._embedding.decay = tensors["losses"].tolist(), tensors["decay"].item()
        model = self._compact()
        model.load_state_dict({name: tensors[f"weight.{name}"] for name in model.state_dict()})
        for name, parameter in model.named_parameters():
            for key in ADAM_STATE:
                if f"{key}.{name}" in tensors:
                    self.optimizer.state[parameter][key] = tensors[f"{key}.{name}"].to(self.device)

    def _require_own(self, tensors: dict[str, torch.Tensor]) -> None:
        """Refuse a state that lacks something, or has something that this model does not have."""
        model = self._compact()
        needed = {f"weight.{name}": tensor.shape for name, tensor in model.state_dict().items()}
        epochs = tensors["losses"].numel() if "losses" in tensors else 0
        needed |= {"losses": torch.Size([epochs]), "decay": torch.Size([])}
        moments = {
            f"{key}.{name}": torch.Size([]) if key == "step" else parameter.shape
            for name, parameter in model.named_parameters()
            for key in ADAM_STATE
        }
        found = {name: tensor.shape for name, tensor in tensors.items()}
        wrong = (needed.items() - found.items()) | (found.items() - needed.items() - moments.items())
        if wrong:
            names = sorted({name for name, _ in wrong})
            raise ValueError(f"a training state of another model or version, which differs in {some(names)}")

    def save_model(self, folder: Path) -> None:
        """Write a Hugging Face model folder; the weights in memory are rounded as the saved ones are.

        Only they: what is not saved but computed from the configuration (the frequencies of rotary positions) is not
        rounded where the folder is loaded.
        """
        model = self.model
        _cast(model, DTYPES[self.settings.save_dtype])
        model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        _cast(model, torch.float32)
        model.eval()

    def _compact(self) -> Any:
        """The model with what is trained of it."""
        self._embedding.compact()
        return self._model

    def _on_device(self, arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
        return {name: on_device(array, torch.device(self.device)) for name, array in arrays.items()}

    def _schedule(self, step: int) -> float:
        total = self.steps_per_epoch * self.candidate.epochs
        warmup = round(total * self.settings.warmup)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self.settings.schedule == "constant":
            return 1.0
        return (total - step) / max(1, total - warmup)


def _cast(model: torch.nn.Module, dtype: torch.dtype) -> None:
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)


def _optimizer(model: torch.nn.Module, learning_rate: float, settings: FineTune) -> torch.optim.Optimizer:
    """AdamW; biases and layer norms (vectors) are not decayed, as BERT's own fine-tuning does it."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=settings.adam_betas, fused=True)
