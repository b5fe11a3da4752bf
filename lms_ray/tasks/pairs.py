"""Pairs of spans in a sentence: relations (RE) and arguments of events (ARL), by entity markers.

The sentence is given with `[E1] .. [/E1]` and `[E2] .. [/E2]` around the two spans; the last hidden states at `[E1]`
and `[E2]` are concatenated, and a linear layer gives the label (Soares et al. 2019, "entity markers - entity start").
"""

import inspect
import logging
from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from lms_ray.data.examples import Pair
from lms_ray.tasks.base import NONE, Task, micro_f1
from lms_ray.tasks.tally import of_labels
from lms_ray.tasks.windows import Batch, Windows
from lms_ray.tasks.words import cls_positions, without_vanishing_words

log = logging.getLogger(__name__)

MARKERS = ("[E1]", "[/E1]", "[E2]", "[/E2]")


class EntityPairClassifier(PreTrainedModel):
    """Any encoder with a linear layer over the concatenated states of two of its sub-words.

    The encoder has the name that its own architecture gives it (`bert`, `roberta`, ...), so that `AutoModel` finds it
    in a saved folder.
    """

    def __init__(self, config: PretrainedConfig):
        base_class: Any = AutoModel._model_mapping[type(config)]
        for kind in ("_supports_sdpa", "_supports_flash_attn", "_supports_flex_attn", "_supports_attention_backend"):
            setattr(self, kind, getattr(base_class, kind, False))  # attention is the encoder's affair
        super().__init__(config)
        has_pooler = "add_pooling_layer" in inspect.signature(base_class).parameters
        base = base_class(config, add_pooling_layer=False) if has_pooler else base_class(config)
        self.base_model_prefix = base.base_model_prefix
        setattr(self, self.base_model_prefix, base)
        self.classifier = nn.Linear(2 * config.hidden_size, cast(int, config.num_labels))
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        entity_starts: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits of each window's pair; `entity_starts` has shape (B, 2)."""
        hidden_BLH = self.base_model(input_ids=input_ids, attention_mask=attention_mask)[0]
        row_B1 = torch.arange(len(hidden_BLH), device=hidden_BLH.device)[:, None]
        logits = self.classifier(hidden_BLH[row_B1, entity_starts].flatten(1))
        loss = None if labels is None else F.cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    @classmethod
    def from_pretrained(cls, folder: Any, **options: Any) -> Any:  # type: ignore[override]
        """A saved model, as the Auto classes load one."""
        return super().from_pretrained(
            folder, config=AutoConfig.from_pretrained(folder, trust_remote_code=False), **options
        )

    @classmethod
    def from_config(cls, config: PretrainedConfig, dtype: torch.dtype) -> "EntityPairClassifier":
        """A model with random weights, as the Auto classes make one."""
        model: Any = cls(config)  # the types of PreTrainedModel.to accept no dtype
        return model.to(dtype)


class Pairs(Task):
    """The metric is the micro F1 over the labels that are not `O`."""

    metric = "F1"
    statistics = ("tp", "predicted", "gold", "right", "pairs")
    model_class = EntityPairClassifier
    special_tokens = MARKERS

    @classmethod
    def outputs(cls, names: Iterable[str]) -> tuple[str, ...]:
        """No relation, and every relation of the training data."""
        return (NONE, *sorted(set(names) - {NONE}))

    def windows(
        self, examples: Iterable[Pair], tokenizer: PreTrainedTokenizerBase, max_length: int, stride: int | None = None
    ) -> Windows:
        """One window for each pair, with markers; of a sentence that is too long, what stands around the pair."""
        pairs = list(examples)
        self.check(pairs)
        sub_words = _SubWords(tokenizer)
        prefix, suffix = sub_words.around()
        marker = {name: tokenizer.vocab[name] for name in MARKERS}
        budget = max_length - len(prefix) - len(suffix)
        windows, spans, shortened = [], [], 0
        for pair in pairs:
            ids, starts = _marked(pair, *sub_words.of(pair.words), marker)
            if len(ids) > budget:
                ids, starts = _around_markers(ids, starts, budget)
                shortened += 1
            windows.append([*prefix, *ids, *suffix])
            spans.append([len(prefix) + start for start in starts])
        if shortened:
            log.info("%d of %d pairs are in sentences of more than %d sub-words: what is far from them is left out",
                     shortened, len(pairs), max_length)  # fmt: skip
        several = sum(len(pair.labels) > 1 for pair in pairs)
        if several:
            log.info("%d of %d pairs have several labels: the first is trained on, all are scored", several, len(pairs))
        return Windows(
            input_ids_T=np.concatenate([np.asarray(ids, np.int32) for ids in windows]),
            ends_W=np.cumsum([len(ids) for ids in windows], dtype=np.int64),
            example_W=np.arange(len(pairs), dtype=np.int32),
            examples=len(pairs),
            cls_W=cls_positions(windows, tokenizer),
            spans_W2=np.asarray(spans, np.int32),
            label_W=np.asarray([self.number[pair.labels[0] if pair.labels else NONE] for pair in pairs], np.int32),
            gold_E=tuple(frozenset(self.number[label] for label in pair.labels) for pair in pairs),
        )

    def inputs(self, batch: Batch) -> dict[str, np.ndarray]:
        """Where the two spans begin; text without spans is read at [CLS]."""
        starts = np.stack([batch.cls_B, batch.cls_B], axis=1) if batch.spans_B2 is None else batch.spans_B2
        return {"entity_starts": starts}

    def targets(self, batch: Batch) -> dict[str, np.ndarray]:
        """Each pair's label."""
        assert batch.label_B is not None
        return {"labels": batch.label_B}

    def predict(self, output: Any, batch: Batch) -> torch.Tensor:
        """The best label of each pair, shape (B, 1)."""
        return output.logits.argmax(-1, keepdim=True)

    def tally(self, output: Any, batch: Batch, predicted: torch.Tensor, share_B: torch.Tensor) -> torch.Tensor | None:
        """A pair is a unit; plain text has none."""
        return None if batch.spans_B2 is None else of_labels(output.logits[:, None], share_B[:, None])

    def labelled_as(self, windows: Windows, predicted_W: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The label of each pair."""
        if windows.spans_W2 is None:
            return np.empty(0, np.int32), np.empty(0, np.int32)
        return np.concatenate(predicted_W).astype(np.int32), windows.example_W

    def gold(self, examples: Iterable[Pair]) -> Iterator[str]:
        """Every pair's label, of several the first."""
        return (pair.labels[0] if pair.labels else NONE for pair in examples)

    def count(self, windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
        """Whether a pair's label is right, whether it has been given one, how many it has; whether all is right, and 1.

        Of a pair without a label it is right to give none.
        """
        counts = np.zeros((windows.examples, 5))
        none = self.number[NONE]
        for example, gold in enumerate(windows.gold_E):
            label = int(predicted_W[example][0])
            is_right = label in gold if gold else label == none
            counts[example] = label in gold, label != none, len(gold), is_right, 1
        return counts

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Micro F1 over relations."""
        return micro_f1(sums)

    def accuracy(self, sums: np.ndarray) -> np.ndarray:
        """Share of pairs whose label is right, or that have none and are given none."""
        return sums[..., 3] / sums[..., 4]


class _SubWords:
    """Sub-words of sentences without markers; the pairs of one sentence mostly have the same words."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self.tokenizer = tokenizer
        self.last: tuple[tuple[str, ...], tuple[list[int], list[int]]] | None = None

    def of(self, words: tuple[str, ...]) -> tuple[list[int], list[int]]:
        """Sub-word ids, and the number of each word's first sub-word, with the number of all at the end."""
        if self.last is None or self.last[0] != words:
            (kept,) = without_vanishing_words([list(words)], self.tokenizer)
            tokens = self.tokenizer(kept, is_split_into_words=True, add_special_tokens=False, verbose=False)
            begins = np.searchsorted(np.asarray(tokens.word_ids()), np.arange(len(words) + 1))
            self.last = words, (tokens["input_ids"], begins.tolist())
        return self.last[1]

    def around(self) -> tuple[list[int], list[int]]:
        """Special tokens before and after a text."""
        inner = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        whole = self.tokenizer("a")["input_ids"]
        at = next(at for at in range(len(whole)) if whole[at : at + len(inner)] == inner)
        return whole[:at], whole[at + len(inner) :]


def _marked(pair: Pair, ids: list[int], begins: list[int], marker: dict[str, int]) -> tuple[list[int], list[int]]:
    """Sub-words with the markers among them, and the positions of `[E1]` and `[E2]`.

    Of markers at one place, those that close come first, and the wider of two nested spans is outside.
    """
    inserted = []
    for number, span in ((1, pair.first), (2, pair.second)):
        first, last = begins[span[0]], begins[span[1]]
        inserted.append((first, 1, -last, number, f"[E{number}]"))
        inserted.append((last, 0, -first, -number, f"[/E{number}]"))
    marked: list[int] = []
    starts = {}
    done = 0
    for at, _, _, _, name in sorted(inserted):
        marked += ids[done:at]
        done = at
        starts[name] = len(marked)
        marked.append(marker[name])
    return marked + ids[done:], [starts["[E1]"], starts["[E2]"]]


def _around_markers(ids: list[int], starts: list[int], budget: int) -> tuple[list[int], list[int]]:
    """As many sub-words as the budget allows around the two markers; where they are too far apart, after each."""
    near, far = min(starts), max(starts)
    half = budget // 2
    if far - near <= half:
        begin = max(0, min(near - (budget - (far - near)) // 2, len(ids) - budget))
        return ids[begin : begin + budget], [start - begin for start in starts]
    rest = min(far, len(ids) - half)
    kept = [*range(near, near + budget - half), *range(max(rest, near + budget - half), len(ids))][:budget]
    kept = [*range(near - (budget - len(kept)), near), *kept]  # the sentence ends soon after the second: room before
    place = {position: index for index, position in enumerate(kept)}
    return [ids[position] for position in kept], [place[start] for start in starts]
