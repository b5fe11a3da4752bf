"""Tagging: words are scored by the label of their first sub-word (paper, section 4.1)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerBase
from transformers.modeling_outputs import TokenClassifierOutput

from lms_ray.data.examples import TaggedSentence
from lms_ray.data.readers import conllu
from lms_ray.tasks import entities
from lms_ray.tasks.base import NONE, Task, micro_f1
from lms_ray.tasks.windows import IGNORE, Batch, Windows
from lms_ray.tasks.words import tokenise_words


class Tagging(Task):
    """A linear layer over the last hidden states gives each word its tag."""

    model_class = AutoModelForTokenClassification

    def names(self, example: TaggedSentence) -> Iterable[str]:
        """The sentence's tags."""
        return example.tags

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


class PartOfSpeech(Tagging):
    """Universal part-of-speech tags; the metric is the accuracy over words."""

    metric = "accuracy"
    statistics = ("correct", "total")

    @classmethod
    def outputs(cls, names: Iterable[str]) -> tuple[str, ...]:
        """The seventeen universal tags, whichever of them the training data has."""
        return conllu.UPOS

    def relabelled(self, example: TaggedSentence, mapping: Mapping[str, str]) -> TaggedSentence:
        """The sentence with its tags mapped."""
        return replace(example, tags=tuple(mapping.get(tag, tag) for tag in example.tags))

    def count(self, windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
        """Correctly tagged words, and words."""
        if windows.labels_T is None:
            return np.zeros((windows.examples, 2))
        scored_T = windows.labels_T != IGNORE
        correct_T = (_flat(windows, predicted_W) == windows.labels_T) & scored_T
        example_T = np.repeat(windows.example_W, windows.lengths_W)
        counts = [np.bincount(example_T, weights=of_T, minlength=windows.examples) for of_T in (correct_T, scored_T)]
        return np.stack(counts, axis=1)

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Accuracy over words."""
        return sums[..., 0] / sums[..., 1]


class NamedEntities(Tagging):
    """Entities as IOB2 tags; the metric is the micro F1 over entities."""

    metric = "F1"
    statistics = ("tp", "predicted", "gold")

    @classmethod
    def outputs(cls, names: Iterable[str]) -> tuple[str, ...]:
        """Begin and inside of every entity type, and outside."""
        types = sorted({tag[2:] for tag in names if tag != NONE})
        return (NONE, *(f"{prefix}-{kind}" for kind in types for prefix in "BI"))

    def relabelled(self, example: TaggedSentence, mapping: Mapping[str, str]) -> TaggedSentence:
        """The sentence with its entity types mapped; an entity whose type becomes `O` is none."""

        def mapped(tag: str) -> str:
            kind = mapping.get(tag[2:], tag[2:])
            return NONE if NONE in (tag, kind) else f"{tag[:2]}{kind}"

        return replace(example, tags=tuple(mapped(tag) for tag in example.tags))

    def count(self, windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
        """Right, predicted and annotated entities of each sentence."""
        counts = np.zeros((windows.examples, 3))
        if windows.labels_T is None:
            return counts
        scored_T = np.flatnonzero(windows.labels_T != IGNORE)
        example_T = np.repeat(windows.example_W, windows.lengths_W)[scored_T]
        tags = np.asarray(self.labels, dtype=object)
        gold, predicted = (tags[of_T[scored_T]] for of_T in (windows.labels_T, _flat(windows, predicted_W)))
        bounds = np.searchsorted(example_T, np.arange(windows.examples + 1))
        for example, (start, end) in enumerate(pairwise(bounds)):
            counts[example] = entities.counts(gold[start:end].tolist(), predicted[start:end].tolist())
        return counts

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Micro F1 over entities."""
        return micro_f1(sums)


def _flat(windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
    """Predictions of all sub-words, padding taken off, shape (T,)."""
    return np.concatenate([row[:length] for row, length in zip(predicted_W, windows.lengths_W, strict=True)])
