"""What every task provides to the stages."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.data import DataError
from lms_ray.tasks.windows import Batch, Windows
from lms_ray.tasks.words import tokenise_words

NONE = "O"  # label of what carries none, in every task


class Task(ABC):
    """Tokenising, head and metric of one task.

    Args:
        labels: the head's outputs, in their order; needed where they depend on the training data, but not for `score`.
    """

    metric: ClassVar[str]
    """Name of the score, for tables."""
    statistics: ClassVar[tuple[str, ...]]
    """Names of the example statistics; the metric is a ratio of their sums."""
    model_class: ClassVar[Any]
    """An Auto class of transformers, or one like it: encoder with this task's head."""
    special_tokens: ClassVar[tuple[str, ...]] = ()
    """Sub-words that the task adds to the tokenizer."""

    def __init__(self, labels: Sequence[str] = ()):
        self.labels = tuple(labels) or self.outputs(())
        self.number = {label: index for index, label in enumerate(self.labels)}

    @classmethod
    @abstractmethod
    def outputs(cls, names: Iterable[str]) -> tuple[str, ...]:
        """The head's outputs, given the label names that the training data holds."""

    @abstractmethod
    def names(self, example: Any) -> Iterable[str]:
        """Label names in an example."""

    @abstractmethod
    def relabelled(self, example: Any, mapping: Mapping[str, str]) -> Any:
        """The example with its label names mapped; `O` stands for none."""

    @abstractmethod
    def windows(
        self, examples: Iterable[Any], tokenizer: PreTrainedTokenizerBase, max_length: int, stride: int | None = None
    ) -> Windows:
        """Tokenise labelled examples.

        Args:
            examples: in their order.
            tokenizer: a fast tokenizer that knows `special_tokens`.
            max_length: sub-words in a window, special tokens included.
            stride: sub-words that neighbouring windows share, for the tasks whose windows overlap.

        Raises:
            DataError: a label that is none of `labels`.
        """

    def text_windows(self, lines: list[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Windows:
        """Tokenise unlabelled text, one example a line, split at white space."""
        return tokenise_words([line.split() for line in lines], None, tokenizer, max_length)

    def inputs(self, batch: Batch) -> dict[str, np.ndarray]:
        """What the model wants beside sub-words, mask and segments."""
        return {}

    @abstractmethod
    def targets(self, batch: Batch) -> dict[str, np.ndarray]:
        """What the model wants for its loss."""

    @abstractmethod
    def predict(self, output: Any, batch: Batch) -> torch.Tensor:
        """What is kept of a batch's outputs for scoring, shape (B, ...), computed on the model's device."""

    @abstractmethod
    def count(self, windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
        """Example statistics from every window's prediction, shape (E, number of statistics), float64.

        Of text without labels all are zero.
        """

    @abstractmethod
    def score(self, sums: np.ndarray) -> np.ndarray:
        """The metric in [0, 1] from summed statistics, shape (..., number of statistics) to (...)."""

    def build(self, encoder: PretrainedConfig) -> PreTrainedModel:
        """An encoder with this task's head, random weights drawn from torch's global generator."""
        config = deepcopy(encoder)
        config.id2label = dict(enumerate(self.labels))
        config.label2id = dict(self.number)
        return self.model_class.from_config(config, dtype=torch.float32)

    def load(self, folder: Path, device: str, safetensors: bool = True) -> PreTrainedModel:
        """A fine-tuned checkpoint in float32, for inference, its outputs in the order of `labels`.

        Raises:
            ValueError: the checkpoint has other labels, or lacks weights of this task's architecture.
        """
        model, report = self.model_class.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=safetensors,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            output_loading_info=True,
        )
        for keys, fault in (("missing_keys", "it lacks"), ("mismatched_keys", "other shapes have")):
            names = sorted(key if isinstance(key, str) else key[0] for key in report[keys])
            if names:
                raise ValueError(f"{fault} {', '.join(names[:4])} of {type(model).__name__}")
        self._order_head(model)
        return model.to(device).eval()

    def check(self, examples: Iterable[Any]) -> None:
        """Refuse a label that is none of the head's outputs.

        Raises:
            DataError: names the place of the first one.
        """
        for example in examples:
            unknown = [name for name in self.names(example) if name not in self.number]
            if unknown:
                raise DataError(
                    f"{example.where}: found label {unknown[0]!r}, which the training data does not have; accepted are "
                    f"{', '.join(self.labels)}, or a mapping to one of them in data.labels"
                )

    def _order_head(self, model: PreTrainedModel) -> None:
        """Put the rows of the head's last layer into the order of `labels`, by their names in the checkpoint."""
        names = cast(dict[int, str], model.config.id2label)
        found = [names[index] for index in range(len(names))]
        if tuple(found) == self.labels:
            return
        if sorted(found) != sorted(self.labels):
            lacking, more = set(self.labels) - set(found), set(found) - set(self.labels)
            raise ValueError(
                f"its labels differ: it lacks {', '.join(sorted(lacking)) or 'none'}, "
                f"and has besides {', '.join(sorted(more)) or 'none'}"
            )
        head = model.get_submodule("classifier")
        order = torch.tensor([found.index(label) for label in self.labels])
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.copy_(parameter[order])
        model.config.id2label, model.config.label2id = dict(enumerate(self.labels)), dict(self.number)


def micro_f1(sums: np.ndarray) -> np.ndarray:
    """F1 from summed (tp, predicted, gold), shape (..., 3) to (...); 0 where nothing is right."""
    tp, predicted, gold = np.moveaxis(np.asarray(sums, float), -1, 0)
    return 2 * tp / np.maximum(predicted + gold, 1)
