"""Tagging: words are scored by the label of their first sub-word (paper, section 4.1)."""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import torch
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerBase
from transformers.modeling_outputs import TokenClassifierOutput

from lms_ray.data.examples import TaggedSentence
from lms_ray.tasks.base import Task
from lms_ray.tasks.tally import of_labels
from lms_ray.tasks.windows import Batch, Windows, on_device
from lms_ray.tasks.words import tokenise_words


class Tagging(Task):
    """A linear layer over the last hidden states gives each word its tag."""

    model_class = AutoModelForTokenClassification

    def windows(
        self,
        examples: Iterable[TaggedSentence],
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        stride: int | None = None,
    ) -> Windows:
        """Tokenise sentences; the first sub-word of each word carries its tag."""
        sentences = list(examples)
        self.check(sentences)
        return tokenise_words(
            [list(sentence.words) for sentence in sentences],
            [[self.number[tag] for tag in sentence.tags] for sentence in sentences],
            tokenizer,
            max_length,
        )

    def targets(self, batch: Batch) -> dict[str, np.ndarray]:
        """Each sub-word's label."""
        assert batch.labels_BL is not None
        return {"labels": batch.labels_BL}

    def predict(self, output: TokenClassifierOutput, batch: Batch) -> torch.Tensor:
        """Each sub-word's best label, shape (B, L)."""
        assert output.logits is not None
        return output.logits.argmax(-1)

    def tally(
        self, output: TokenClassifierOutput, batch: Batch, predicted: torch.Tensor, share_B: torch.Tensor
    ) -> torch.Tensor:
        """A word is a unit, by its first sub-word."""
        assert output.logits is not None
        assert batch.units_BL is not None
        return of_labels(output.logits, on_device(batch.units_BL, output.logits.device))

    def labelled_as(self, windows: Windows, predicted_W: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The tag of each word."""
        example_T = np.repeat(windows.example_W, windows.lengths_W)
        return flat(windows, predicted_W)[windows.units_T].astype(np.int32), example_T[windows.units_T]

    def gold(self, examples: Iterable[TaggedSentence]) -> Iterator[str]:
        """Every word's tag."""
        return chain.from_iterable(sentence.tags for sentence in examples)


def flat(windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
    """Predictions of all sub-words, padding taken off, shape (T,)."""
    return np.concatenate([row[:length] for row, length in zip(predicted_W, windows.lengths_W, strict=True)])
