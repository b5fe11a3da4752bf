"""What every task provides to the stages."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.windows import Windows


class Task(ABC):
    """Reading, tokenising, head and metric of one task. Stateless."""

    metric: ClassVar[str]
    """Name of the score, for tables."""
    statistics: ClassVar[tuple[str, ...]]
    """Names of the example statistics; the metric is a ratio of their sums."""

    @abstractmethod
    def read(self, folder: Path, split: str, limit: int | None) -> list[Any]:
        """Labelled examples of a split, in file order."""

    @abstractmethod
    def files(self, folder: Path, split: str) -> list[Path]:
        """The files that `read` reads."""

    @abstractmethod
    def windows(self, examples: Iterable[Any], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Windows:
        """Tokenise labelled examples."""

    @abstractmethod
    def text_windows(self, lines: list[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Windows:
        """Tokenise unlabelled text, one example a line."""

    @abstractmethod
    def build(self, encoder: PretrainedConfig) -> PreTrainedModel:
        """An encoder with this task's head, random weights drawn from torch's global generator."""

    @abstractmethod
    def load(self, folder: Path, device: str) -> PreTrainedModel:
        """A fine-tuned checkpoint of this task in float32, for inference."""

    @abstractmethod
    def count(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Statistics of each window of a batch, shape (B, number of statistics), int64."""

    @abstractmethod
    def score(self, sums: np.ndarray) -> np.ndarray:
        """The metric in [0, 1] from summed statistics, shape (..., number of statistics) to (...)."""
