"""What every task provides to the stages."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.data import DataError
from lms_ray.data.examples import NONE
from lms_ray.tasks.pretrained import from_pretrained, some
from lms_ray.tasks.tally import label_means
from lms_ray.tasks.windows import Batch, Windows
from lms_ray.tasks.words import tokenise_words


class Task(ABC):
    """Tokenising, head and metric of one task: a module of this folder that holds one with a `name`.

    Args:
        labels: the head's outputs, in their order; needed where they depend on the training data, but not for `score`.
    """

    name: ClassVar[str]
    """As in `experiment.task`."""
    example: ClassVar[type]
    """The kind of examples that it takes, of `data.examples`."""
    metric: ClassVar[str]
    """Name of the score, for tables."""
    statistics: ClassVar[tuple[str, ...]]
    """Names of the example statistics; the metric is a ratio of their sums, and so is `accuracy`."""
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

    @property
    def names(self) -> frozenset[str]:
        """Label names that an example may carry."""
        return frozenset(self.labels) - {NONE}

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
    def tally(self, output: Any, batch: Batch, predicted: torch.Tensor, share_B: torch.Tensor) -> torch.Tensor | None:
        """What is seen of a batch without labels: sums over its units, as `tasks.tally` makes them; None without units.

        Args:
            output: the model's.
            batch: that gave it.
            predicted: what `predict` made of it.
            share_B: what each window is of its example: a half where it has two.
        """

    def means(self, sums: np.ndarray) -> dict[str, Any]:
        """What is stored of the sums of all batches, by name."""
        return label_means(sums)

    @abstractmethod
    def labelled_as(self, windows: Windows, predicted_W: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The label that every unit is given, as a number, and its example, both of shape (units,), int32.

        Other candidates give the same units, in the same order. Text that has none gives empty arrays.
        """

    def gold(self, examples: Iterable[Any]) -> Iterator[str]:
        """The right label of every unit; none where labels are places in the text."""
        return iter(())

    @abstractmethod
    def count(self, windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
        """Example statistics from every window's prediction, shape (E, number of statistics), float64.

        Of text without labels all are zero.
        """

    @abstractmethod
    def score(self, sums: np.ndarray) -> np.ndarray:
        """The metric in [0, 1] from summed statistics, shape (..., number of statistics) to (...)."""

    def accuracy(self, sums: np.ndarray) -> np.ndarray:
        """Share of units that are right, shapes as for `score`, which it is unless a task says otherwise."""
        return self.score(sums)

    def baselines(self, training: Iterable[Any], examples: Sequence[Any]) -> dict[str, np.ndarray]:
        """Answers that need no model, for tables to hold the candidates against.

        Args:
            training: what the candidates are fine-tuned on; the source's dev set where they were brought.
            examples: the labelled set that is answered.

        Returns:
            By the name of the answer the sums of its example statistics, shape (number of statistics,).
        """
        return {}

    def gold_share(self, examples: Iterable[Any]) -> np.ndarray:
        """Share of each label among the right ones, shape (K,); empty where labels are places in the text."""
        times = Counter(self.gold(examples))
        if not times:
            return np.empty(0)
        return np.asarray([times[label] for label in self.labels]) / times.total()

    def build(self, encoder: PretrainedConfig) -> PreTrainedModel:
        """An encoder with this task's head, random weights drawn from torch's global generator."""
        config = deepcopy(encoder)
        config.id2label = dict(enumerate(self.labels))
        config.label2id = dict(self.number)
        return self.model_class.from_config(config, dtype=torch.float32)

    def load(self, folder: Path, device: str, safetensors: bool = True) -> PreTrainedModel:
        """A fine-tuned checkpoint in float32, for inference, its outputs in the order of `labels`.

        Raises:
            ValueError: the checkpoint has other labels, or its weights are broken or not of this task's architecture.
        """
        model, absent = from_pretrained(self.model_class, folder, safetensors)
        if absent:
            raise ValueError(f"it lacks {some(absent)} of {type(model).__name__}")
        self._order_head(model)
        return model.to(device).eval()

    def check(self, examples: Iterable[Any]) -> None:
        """Refuse a label that is none of the head's outputs.

        Raises:
            DataError: names the place of the first one.
        """
        for example in examples:
            unknown = [name for name in example.names if name not in self.names]
            if unknown:
                none = f" or to {NONE}" if NONE in self.labels else ""
                raise DataError(
                    f"{example.where}: found label {unknown[0]!r}, which the training data does not have; accepted are "
                    f"{', '.join(sorted(self.names))}, or a mapping to one of them{none} in data.labels"
                )

    def _order_head(self, model: PreTrainedModel) -> None:
        """Put the rows of the head's last layer into the order of `labels`, by their names in the checkpoint."""
        names = cast(dict[int, str], model.config.id2label)
        found = [str(names.get(index)) for index in range(len(names))]
        if tuple(found) == self.labels:
            return
        if sorted(found) != sorted(self.labels):
            lacking, more = set(self.labels) - set(found), set(found) - set(self.labels)
            raise ValueError(
                f"its labels differ: it lacks {', '.join(sorted(lacking)) or 'none'}, "
                f"and has besides {', '.join(sorted(more)) or 'none'}"
            )
        head = _last_layer(model)
        order = torch.tensor([found.index(label) for label in self.labels])
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.copy_(parameter[order])
        model.config.id2label, model.config.label2id = dict(enumerate(self.labels)), dict(self.number)


def _last_layer(model: PreTrainedModel) -> torch.nn.Linear:
    """The layer that gives the outputs: the last linear one outside of the encoder, whatever it is called."""
    inside = set(model.base_model.modules())
    return [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part not in inside][-1]


def micro_f1(sums: np.ndarray) -> np.ndarray:
    """F1 from sums that begin with (tp, predicted, gold), to shape (...); 0 where nothing is right."""
    tp, predicted, gold = np.moveaxis(np.asarray(sums, float)[..., :3], -1, 0)
    return 2 * tp / np.maximum(predicted + gold, 1)
