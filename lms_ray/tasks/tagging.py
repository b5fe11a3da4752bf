"""Tagging: words are scored by the label of their first sub-word (paper, section 4.1)."""

from collections.abc import Iterable

import numpy as np
import torch
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerBase
from transformers.modeling_outputs import TokenClassifierOutput

from lms_ray.data.examples import TaggedSentence
from lms_ray.tasks.base import Task
from lms_ray.tasks.windows import Batch, Windows
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


def flat(windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
    """Predictions of all sub-words, padding taken off, shape (T,)."""
    return np.concatenate([row[:length] for row, length in zip(predicted_W, windows.lengths_W, strict=True)])
