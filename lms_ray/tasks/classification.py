"""Classification of texts, or of pairs of texts (entailment, paraphrase), each into one of several classes.

The head is each architecture's own of `AutoModelForSequenceClassification`, because that is what fine-tuned checkpoints
of this kind are. Some of these heads read a pooler, which transformers puts into the encoder: one that the encoder's
files lack is drawn from the candidate's seed with the rest of the head. Features are taken before it.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from lms_ray.data import DataError
from lms_ray.data.examples import LabelledText
from lms_ray.tasks.base import Task
from lms_ray.tasks.tally import of_labels
from lms_ray.tasks.windows import Batch, Windows
from lms_ray.tasks.words import cls_positions

log = logging.getLogger(__name__)


class Classification(Task):
    """The metric is the accuracy over texts.

    A long text goes on in further windows. Each is trained on with the text's label; the text is of the class with the
    highest mean logit over its windows. Of a pair that is too long the longer text is cut: both must be seen at once.
    """

    name = "classification"
    example = LabelledText
    metric = "accuracy"
    statistics = ("correct", "total")
    model_class = AutoModelForSequenceClassification

    @classmethod
    def outputs(cls, names: Iterable[str]) -> tuple[str, ...]:
        """The labels of the training data.

        Raises:
            DataError: there is one only.
        """
        labels = sorted(set(names))
        if len(labels) == 1:
            raise DataError(f"found no label but {labels[0]!r} in the training data; accepted are two or more")
        return tuple(labels)

    @property
    def names(self) -> frozenset[str]:
        """All labels: `O` would be one as any other."""
        return frozenset(self.labels)

    def check(self, examples: Iterable[LabelledText]) -> None:
        """Refuse a label that is none of the head's outputs, and single texts beside pairs.

        Raises:
            DataError: names the place of the first one.
        """
        texts = list(examples)
        super().check(texts)
        alone = [text for text in texts if text.pair is None]
        if 0 < len(alone) < len(texts):
            raise DataError(f"{alone[0].where}: found one text among pairs; accepted are pairs in all sets, or in none")

    def windows(
        self,
        examples: Iterable[LabelledText],
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        stride: int | None = None,
    ) -> Windows:
        """Tokenise texts, as many windows to each as it needs, or pairs, one window to each."""
        texts = list(examples)
        self.check(texts)
        firsts, seconds = [text.text for text in texts], [text.pair for text in texts if text.pair is not None]
        label_E = np.asarray([self.number[text.label] for text in texts], np.int32)
        if seconds:
            return _pairs(firsts, seconds, label_E, tokenizer, max_length)
        return _texts(firsts, label_E, tokenizer, max_length)

    def text_windows(self, lines: list[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Windows:
        """Tokenise unlabelled text, one example a line, as labelled texts are."""
        return _texts(lines, None, tokenizer, max_length)

    def targets(self, batch: Batch) -> dict[str, np.ndarray]:
        """Each window's label."""
        assert batch.label_B is not None
        return {"labels": batch.label_B}

    def predict(self, output: SequenceClassifierOutput, batch: Batch) -> torch.Tensor:
        """Logits of each window, shape (B, labels)."""
        assert output.logits is not None
        return output.logits.float()

    def tally(
        self, output: SequenceClassifierOutput, batch: Batch, predicted: torch.Tensor, share_B: torch.Tensor
    ) -> torch.Tensor:
        """A text is a unit; its windows count as one together."""
        return of_labels(predicted[:, None], share_B[:, None])

    def labelled_as(self, windows: Windows, predicted_W: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The class of each text."""
        class_E = _of_texts(windows, predicted_W).argmax(1).astype(np.int32)
        return class_E, np.arange(windows.examples, dtype=np.int32)

    def gold(self, examples: Iterable[LabelledText]) -> Iterator[str]:
        """Every text's class."""
        return (text.label for text in examples)

    def count(self, windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
        """Whether a text's class is right, and 1; logits that are not finite are never right."""
        counts = np.zeros((windows.examples, 2))
        if windows.label_W is None:
            return counts
        logit_EC = _of_texts(windows, predicted_W)
        is_right_E = logit_EC.argmax(1) == windows.label_W[_first_windows(windows)]
        counts[:, 0] = is_right_E & np.isfinite(logit_EC).all(1)
        counts[:, 1] = 1
        return counts

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Accuracy over texts."""
        return sums[..., 0] / sums[..., 1]

    def baselines(self, training: Iterable[LabelledText], examples: Sequence[LabelledText]) -> dict[str, np.ndarray]:
        """Always the class that is commonest in training, of equal ones the first by name."""
        times = Counter(text.label for text in training)
        commonest = min(times, key=lambda label: (-times[label], label))
        return {"commonest class": np.array([sum(text.label == commonest for text in examples), len(examples)], float)}

    def build(self, encoder: PretrainedConfig) -> PreTrainedModel:
        """An encoder with its architecture's own head, random weights drawn from torch's global generator."""
        config = deepcopy(encoder)
        config.problem_type = (
            "single_label_classification"  # an encoder that was made from another classifier may say otherwise
        )
        return super().build(config)

    def load(self, folder: Path, device: str, safetensors: bool = True) -> PreTrainedModel:
        """A fine-tuned checkpoint in float32, for inference, its outputs in the order of `labels`.

        Raises:
            ValueError: the checkpoint has other labels, lacks weights of this task's architecture, or its outputs are
                no classes of which one is right.
        """
        model = super().load(folder, device, safetensors)
        kind = model.config.problem_type
        if kind not in (None, "single_label_classification") or len(self.labels) < 2:
            raise ValueError(f"its head is made for {kind or 'regression'}; accepted is single_label_classification")
        return model


def _first_windows(windows: Windows) -> np.ndarray:
    return np.searchsorted(windows.example_W, np.arange(windows.examples))


def _of_texts(windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
    """Logits of each text, shape (E, labels): sums over its windows, which are as good as means."""
    return np.add.reduceat(np.stack(predicted_W).astype(np.float64), _first_windows(windows))


def _texts(
    texts: list[str], label_E: np.ndarray | None, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Windows:
    """Windows of single texts; what does not fit a window goes on in the next one, nothing is cut."""
    tokens = tokenizer(
        texts,
        truncation=True,
        max_length=max_length,
        return_overflowing_tokens=True,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    example_W = np.asarray(tokens["overflow_to_sample_mapping"], np.int32)
    several = int((np.bincount(example_W) > 1).sum())
    if several:
        log.info("%d of %d texts are longer than %d sub-words and span several windows",
                 several, len(texts), max_length)  # fmt: skip
    return _windows(tokens["input_ids"], example_W, label_E, tokenizer)


def _pairs(
    firsts: list[str], seconds: list[str], label_E: np.ndarray, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Windows:
    """One window for each pair; of one that is too long the longer text is cut until both are of one length."""
    wanted: dict[str, Any] = {"return_attention_mask": False, "return_token_type_ids": True, "verbose": False}
    tokens = tokenizer(firsts, seconds, **wanted)
    ids, types = tokens["input_ids"], tokens["token_type_ids"]
    too_long = [number for number, of_pair in enumerate(ids) if len(of_pair) > max_length]
    if too_long:
        log.warning("%d of %d pairs are longer than %d sub-words: the longer text of each is cut",
                    len(too_long), len(ids), max_length)  # fmt: skip
        long = [firsts[number] for number in too_long], [seconds[number] for number in too_long]
        tokens = tokenizer(*long, truncation="longest_first", max_length=max_length, **wanted)
        for number, of_pair, types_of_pair in zip(too_long, tokens["input_ids"], tokens["token_type_ids"], strict=True):
            ids[number], types[number] = of_pair, types_of_pair
    return _windows(ids, np.arange(len(ids), dtype=np.int32), label_E, tokenizer, types)


def _windows(
    ids: list[list[int]],
    example_W: np.ndarray,
    label_E: np.ndarray | None,
    tokenizer: PreTrainedTokenizerBase,
    types: list[list[int]] | None = None,
) -> Windows:
    return Windows(
        input_ids_T=np.fromiter(chain.from_iterable(ids), np.int32),
        ends_W=np.cumsum([len(of_window) for of_window in ids], dtype=np.int64),
        example_W=example_W,
        examples=int(example_W[-1]) + 1,
        cls_W=cls_positions(ids, tokenizer),
        types_T=None if types is None else np.fromiter(chain.from_iterable(types), np.int8),
        label_W=None if label_E is None else label_E[example_W],
    )
