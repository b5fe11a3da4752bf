"""Part-of-speech tagging: words are scored, by the label of their first sub-word (paper, section 4.1)."""

import logging
from collections.abc import Iterable
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForTokenClassification,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lms_ray.data import conllu
from lms_ray.tasks.base import Task
from lms_ray.windows import IGNORE, Windows

log = logging.getLogger(__name__)


class PartOfSpeech(Task):
    """Universal part-of-speech tags; the metric is the accuracy over words."""

    metric = "accuracy"
    statistics = ("correct", "total")
    labels = conllu.UPOS

    def read(self, folder: Path, split: str, limit: int | None) -> list[conllu.TaggedSentence]:
        """Sentences of a Universal Dependencies treebank's split."""
        return conllu.read(conllu.find(folder, split), limit)

    def files(self, folder: Path, split: str) -> list[Path]:
        """The split's CoNLL-U file."""
        return [conllu.find(folder, split)]

    def windows(
        self, examples: Iterable[conllu.TaggedSentence], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> Windows:
        """Tokenise sentences; the first sub-word of each word carries its tag."""
        number = {tag: index for index, tag in enumerate(self.labels)}
        sentences = list(examples)
        return tokenise_words(
            [list(sentence.words) for sentence in sentences],
            [[number[tag] for tag in sentence.tags] for sentence in sentences],
            tokenizer,
            max_length,
        )

    def text_windows(self, lines: list[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Windows:
        """Tokenise plain sentences, split at white space, without labels."""
        words = [line.split() for line in lines]
        return tokenise_words(words, [[IGNORE] * len(line) for line in words], tokenizer, max_length)

    def build(self, encoder: PretrainedConfig) -> PreTrainedModel:
        """An encoder with a linear layer over its last hidden states."""
        config = deepcopy(encoder)
        config.id2label = dict(enumerate(self.labels))
        config.label2id = {label: index for index, label in enumerate(self.labels)}
        return AutoModelForTokenClassification.from_config(config, dtype=torch.float32)

    def load(self, folder: Path, device: str) -> PreTrainedModel:
        """A token classifier's checkpoint."""
        model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        return model.to(device).eval()

    def count(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Correctly tagged words, and words."""
        scored_BL = labels != IGNORE
        correct_BL = (logits.argmax(-1) == labels) & scored_BL
        return torch.stack([correct_BL.sum(1), scored_BL.sum(1)], dim=1)

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Accuracy over words."""
        return sums[..., 0] / sums[..., 1]


def tokenise_words(
    words: list[list[str]], labels: list[list[int]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Windows:
    """Sub-words of pre-split sentences; what does not fit a window goes on in the next one, nothing is cut.

    Args:
        words: sentences of words.
        labels: a label for every word; its first sub-word carries it, also where the word crosses a window's end.
        tokenizer: a fast tokenizer.
        max_length: sub-words in a window, special tokens included.
    """
    words = _without_vanishing_words(words, tokenizer)
    tokens = tokenizer(
        words,
        is_split_into_words=True,
        truncation=True,
        max_length=max_length,
        return_overflowing_tokens=True,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    examples = tokens["overflow_to_sample_mapping"]
    flat_labels: list[int] = []
    last = (-1, -1)  # example and word of the last sub-word seen
    for window, example in enumerate(examples):
        for word in tokens.word_ids(window):
            begins = word is not None and (example, word) != last
            flat_labels.append(labels[example][word] if begins else IGNORE)
            last = (example, word) if word is not None else last
    if len(examples) > len(words):
        log.info("%d of %d sentences are longer than %d sub-words and span several windows",
                 len(set(_repeated(examples))), len(words), max_length)  # fmt: skip
    return Windows(
        input_ids_T=np.fromiter((token for ids in tokens["input_ids"] for token in ids), np.int32),
        labels_T=np.asarray(flat_labels, np.int16),
        ends_W=np.cumsum([len(ids) for ids in tokens["input_ids"]], dtype=np.int64),
        example_W=np.asarray(examples, np.int32),
        examples=len(words),
    )


def _without_vanishing_words(words: list[list[str]], tokenizer: PreTrainedTokenizerBase) -> list[list[str]]:
    """Replace words of which the tokenizer leaves nothing (a lone control character): they are scored too."""
    tokens = tokenizer(words, is_split_into_words=True, add_special_tokens=False, verbose=False)
    replaced = 0
    result = []
    for example, sentence in enumerate(words):
        seen = set(tokens.word_ids(example))
        vanished = [word for word in range(len(sentence)) if word not in seen]
        replaced += len(vanished)
        result.append(
            [tokenizer.unk_token if word in vanished else text for word, text in enumerate(sentence)]
            if vanished
            else sentence
        )
    if replaced:
        log.warning("%d words have no sub-word in this tokenizer and are read as %s", replaced, tokenizer.unk_token)
    return result


def _repeated(examples: list[int]) -> list[int]:
    return [example for previous, example in pairwise(examples) if previous == example]
