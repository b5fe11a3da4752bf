"""Extractive question answering: the best piece of the context over all of a question's windows."""

import logging
import unicodedata
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import AutoModelForQuestionAnswering, PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.data.examples import Question
from lms_ray.tasks import answers
from lms_ray.tasks.base import Task
from lms_ray.tasks.tally import of_spans, span_means
from lms_ray.tasks.windows import Batch, Windows, on_device
from lms_ray.tasks.words import cls_positions

log = logging.getLogger(__name__)

MAX_ANSWER = 30  # sub-words; BERT's own limit on SQuAD
LONGEST_QUESTION = 64  # sub-words; BERT's own limit on SQuAD


class QuestionAnswering(Task):
    """A linear layer scores each sub-word as an answer's first and last one; the metric is MLQA's F1.

    Windows of a long context overlap by `finetune.stride`; a question's feature is the mean over its windows.
    """

    name = "qa"
    example = Question
    metric = "F1"
    statistics: ClassVar[tuple[str, ...]] = ("f1", "questions")
    model_class = AutoModelForQuestionAnswering

    @classmethod
    def outputs(cls, names: Iterable[str]) -> tuple[str, ...]:
        """Scores of a first and of a last sub-word."""
        return ("start", "end")

    def windows(
        self,
        examples: Iterable[Question],
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        stride: int | None = None,
    ) -> Windows:
        """Question and a piece of its context in each window; the first right answer is what a window is trained on.

        A window that does not hold it whole is trained to point at [CLS].
        """
        questions = list(examples)
        longest_question = min(LONGEST_QUESTION, max_length // 3)
        room = max_length - longest_question - tokenizer.num_special_tokens_to_add(pair=True)  # at least, for context
        tokens = tokenizer(
            _cut(questions, tokenizer, longest_question),
            [question.context for question in questions],
            truncation="only_second",
            max_length=max_length,
            stride=min(max_length // 3 if stride is None else stride, room - 1),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_attention_mask=False,
            return_token_type_ids=True,
        )
        example_W = np.asarray(tokens["overflow_to_sample_mapping"], np.int32)
        cls_W = cls_positions(tokens["input_ids"], tokenizer)
        offsets_WL2 = []
        spans_W2 = np.stack([cls_W, cls_W], axis=1)
        for window, example in enumerate(example_W):
            ends_here = window + 1 == len(example_W) or example_W[window + 1] != example
            begins_here = window == 0 or example_W[window - 1] != example
            is_context_L = np.asarray([part == 1 for part in tokens.sequence_ids(window)])
            offset_L2 = np.where(is_context_L[:, None], np.asarray(tokens["offset_mapping"][window]), -1)
            if not unicodedata.is_normalized("NFC", questions[example].context):
                _take_in_accents(offset_L2, questions[example].context)
            offsets_WL2.append(offset_L2)
            span = _answer(questions[example], offset_L2, begins_here, ends_here)
            if span is not None:
                spans_W2[window] = span
        return Windows(
            input_ids_T=np.concatenate([np.asarray(ids, np.int32) for ids in tokens["input_ids"]]),
            ends_W=np.cumsum([len(ids) for ids in tokens["input_ids"]], dtype=np.int64),
            example_W=example_W,
            examples=len(questions),
            cls_W=cls_W,
            types_T=np.concatenate([np.asarray(types, np.int8) for types in tokens["token_type_ids"]]),
            offsets_T2=np.concatenate(offsets_WL2).astype(np.int32),
            spans_W2=spans_W2,
            gold_E=tuple(questions),
        )

    def targets(self, batch: Batch) -> dict[str, np.ndarray]:
        """First and last sub-word of the answer."""
        assert batch.spans_B2 is not None
        return {"start_positions": batch.spans_B2[:, 0], "end_positions": batch.spans_B2[:, 1]}

    def predict(self, output: Any, batch: Batch) -> torch.Tensor:
        """The best span of each window: first and last sub-word and its score, shape (B, 3).

        It lies in the context, does not end before it begins, and has at most `MAX_ANSWER` sub-words.
        """
        start_BL, end_BL = output.start_logits.float(), output.end_logits.float()
        length = start_BL.shape[1]
        if batch.offsets_BL2 is None:
            return torch.zeros(len(start_BL), 3)
        allowed_BL = _in_context(batch, start_BL.device)
        band_LL = torch.ones(length, length, dtype=torch.bool, device=start_BL.device).triu().tril(MAX_ANSWER - 1)
        allowed_BLL = allowed_BL[:, :, None] & allowed_BL[:, None, :] & band_LL
        score_BLL = (start_BL[:, :, None] + end_BL[:, None, :]).masked_fill(~allowed_BLL, -torch.inf)
        score_B, best_B = score_BLL.flatten(1).max(1)
        return torch.stack([best_B // length, best_B % length, score_B], dim=1)

    def tally(self, output: Any, batch: Batch, predicted: torch.Tensor, share_B: torch.Tensor) -> torch.Tensor | None:
        """An answer's begin is a unit, and its end; plain text has no questions. A question's windows count as one."""
        if batch.offsets_BL2 is None:
            return None
        score_B2L = torch.stack([output.start_logits, output.end_logits], dim=1)
        is_padding_BL = on_device(batch.attention_mask_BL == 0, score_B2L.device)
        score_B2L = score_B2L.masked_fill(is_padding_BL[:, None], -torch.inf)
        return of_spans(score_B2L, _in_context(batch, score_B2L.device), share_B, predicted[:, 2], MAX_ANSWER)

    def means(self, sums: np.ndarray) -> dict[str, Any]:
        """What is stored of the sums of all batches, by name."""
        return span_means(sums)

    def labelled_as(self, windows: Windows, predicted_W: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The characters of the context at which each answer begins and ends: two units to a question."""
        if windows.offsets_T2 is None:
            return np.empty(0, np.int32), np.empty(0, np.int32)
        best_E = best_windows(windows, predicted_W)
        place_E2 = windows.starts_W[best_E, None] + np.stack([predicted_W[window][:2] for window in best_E]).astype(int)
        place_U = windows.offsets_T2[place_E2, [0, 1]].ravel()
        return place_U, np.repeat(np.arange(windows.examples, dtype=np.int32), 2)

    def count(self, windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
        """F1 of each question's best answer over its windows, and 1."""
        counts = np.zeros((windows.examples, 2))
        if windows.offsets_T2 is None:
            return counts
        counts[:, 1] = 1
        for example, window in enumerate(best_windows(windows, predicted_W)):
            first, last, score = predicted_W[window]
            if not np.isfinite(score):  # fine-tuning diverged: nothing is answered
                continue
            question, at = windows.gold_E[example], windows.starts_W[window]
            begin, end = windows.offsets_T2[at + int(first), 0], windows.offsets_T2[at + int(last), 1]
            right = (answer.text for answer in question.answers)
            counts[example, 0] = answers.f1(question.context[begin:end], right, question.language)
        return counts

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Mean F1 over questions."""
        return sums[..., 0] / sums[..., 1]

    def _order_head(self, model: PreTrainedModel) -> None:
        """The two outputs have no names that could differ, only a number."""
        if model.config.num_labels != 2:
            raise ValueError(f"its head has {model.config.num_labels} outputs, a span's has 2")


def _in_context(batch: Batch, device: torch.device) -> torch.Tensor:
    assert batch.offsets_BL2 is not None
    return on_device(batch.offsets_BL2[..., 0] >= 0, device)


def best_windows(windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
    """For each question the window with the best span, shape (E,)."""
    score_W = np.asarray([score for _, _, score in predicted_W])
    order_W = np.lexsort((-score_W, windows.example_W))  # the first window wins a tie
    _, first_of_E = np.unique(windows.example_W[order_W], return_index=True)
    return order_W[first_of_E]


def _take_in_accents(offset_L2: np.ndarray, context: str) -> None:
    """A tokenizer that composes accents gives the letter's place alone: let a sub-word end after its accents."""
    for row, (_, end) in enumerate(offset_L2):
        while 0 < end < len(context) and unicodedata.combining(context[end]):
            end += 1
        offset_L2[row, 1] = end


def _cut(questions: list[Question], tokenizer: PreTrainedTokenizerBase, longest: int) -> list[str]:
    """The questions' text, cut after so many sub-words: some of the context must fit beside them."""
    texts = [question.question for question in questions]
    offsets = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    too_long = [number for number, of_text in enumerate(offsets) if len(of_text) > longest]
    for number in too_long:
        texts[number] = texts[number][: offsets[number][longest - 1][1]]
    if too_long:
        log.warning("%d of %d questions are cut to %d sub-words", len(too_long), len(texts), longest)
    return texts


def _answer(question: Question, offset_L2: np.ndarray, begins_here: bool, ends_here: bool) -> tuple[int, int] | None:
    """First and last sub-word of the first right answer, where a window holds all of it.

    Args:
        question: whose answer.
        offset_L2: characters of the window's sub-words.
        begins_here: the context begins in this window, so nothing before its first sub-word is missing.
        ends_here: the context ends in it.
    """
    answer = question.answers[0]
    begin, end = answer.start, answer.start + len(answer.text)
    inside_L = (offset_L2[:, 0] < end) & (offset_L2[:, 1] > begin)
    positions = np.flatnonzero(inside_L)
    context = np.flatnonzero(offset_L2[:, 0] >= 0)
    if not len(positions) or not len(context):
        return None
    cut_before = not begins_here and positions[0] == context[0] and offset_L2[positions[0], 0] > begin
    cut_after = not ends_here and positions[-1] == context[-1] and offset_L2[positions[-1], 1] < end
    return None if cut_before or cut_after else (int(positions[0]), int(positions[-1]))
