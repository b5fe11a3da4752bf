"""Use an exported model: one call that gives what answers, whatever the task.

Where `transformers` has a pipeline for the task, it is that one. Of pairs of spans it knows nothing, and since its
version 5 nothing of questions either: for these two the pipelines are here, which read text as it was read when the
model was scored.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from lms_ray.data.examples import Answer, Pair, Question
from lms_ray.models import folders
from lms_ray.models.encode import BATCH_TOKENS, model_inputs
from lms_ray.settings.errors import AbsentError
from lms_ray.store.folder import Folder
from lms_ray.tasks.base import Task
from lms_ray.tasks.pairs import Pairs
from lms_ray.tasks.qa import QuestionAnswering, best_windows
from lms_ray.tasks.windows import Batch, Windows, by_length, on_device, pad

ABOUT = "lms_ray.json"
"""What an export says of its model: `task`, and the sub-words of a window, `max_length` and `stride`."""
HUB_TASKS = {
    "pos": "token-classification",
    "ner": "token-classification",
    "qa": "question-answering",
    "classification": "text-classification",
}
"""What the hub calls a task; pairs of spans have no name there."""


def pipeline(folder: str | Path, device: str = "cpu") -> Any:
    """What answers by an exported model.

    Args:
        folder: that `lms-ray export` has written, on this machine.
        device: of torch, such as `cuda`.

    Returns:
        `transformers`' pipeline for tags (pos, ner) and classes of texts; `QuestionPipeline` for questions,
        `PairPipeline` for relations and argument roles.

    Raises:
        ValueError: the folder is no export, or its model is broken.
    """
    try:
        about = Folder(str(folder), "folder").read_json(ABOUT)
    except AbsentError:
        raise ValueError(f"{folder}: found no {ABOUT}; accepted is what `lms-ray export` has written") from None
    task = about["task"]
    if task == "qa":
        return QuestionPipeline(Path(folder), device, about["max_length"], about["stride"])
    if task not in HUB_TASKS:
        return PairPipeline(Path(folder), device, about["max_length"], about["stride"])
    options = {"aggregation_strategy": "first"} if task == "ner" else {}
    of_transformers: Any = transformers.pipeline  # its types know its own names of tasks only
    return of_transformers(HUB_TASKS[task], model=str(folder), device=device, **options)


class _Pipeline(ABC):
    """Windows through a model, in batches of like length.

    Args:
        folder: of the model.
        device: of torch.
        max_length: sub-words in a window.
        stride: sub-words that neighbouring windows share.
    """

    task_class: type[Task]

    def __init__(self, folder: Path, device: str, max_length: int, stride: int | None):
        self.max_length, self.stride = max_length, stride
        self.tokenizer = folders.load_tokenizer(folder)
        self.task = self.task_class(self._labels(folder))
        self.model = self.task.load(folder, device, folders.uses_safetensors(folder, may_be_pickled=True))

    def __call__(self, asked: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
        """An answer to each of what is asked, in their order; to one, that alone.

        Raises:
            ValueError: something is missing or wrong in what is asked.
        """
        if isinstance(asked, Mapping):
            return self([asked])[0]
        examples = [self._example(number, one) for number, one in enumerate(asked)]
        if not examples:
            return []
        windows = self.task.windows(examples, self.tokenizer, self.max_length, self.stride)
        predicted_W: list[np.ndarray] = [np.empty(0)] * len(windows)
        score_W = np.empty(len(windows))
        for chosen_B in by_length(windows, BATCH_TOKENS[self.model.device.type]):
            batch = pad(windows, chosen_B, self.model.config.pad_token_id or 0)
            with torch.inference_mode():
                output = self.model(**model_inputs(self.model, self.task, batch))
                predicted_B = self.task.predict(output, batch)
                score_W[chosen_B] = self._probability(output, batch, predicted_B).cpu().numpy()
            for window, predicted in zip(chosen_B, predicted_B.cpu().numpy(), strict=True):
                predicted_W[window] = predicted
        return list(self._answers(examples, windows, predicted_W, score_W))

    def _labels(self, folder: Path) -> Sequence[str]:
        return ()

    @abstractmethod
    def _example(self, number: int, asked: Mapping[str, Any]) -> Any:
        """What is asked, as the task's example."""

    @abstractmethod
    def _probability(self, output: Any, batch: Batch, predicted: torch.Tensor) -> torch.Tensor:
        """Of each window's prediction, shape (B,)."""

    @abstractmethod
    def _answers(
        self, examples: list[Any], windows: Windows, predicted_W: list[np.ndarray], score_W: np.ndarray
    ) -> Iterator[dict[str, Any]]:
        """What is given back of each example."""


class PairPipeline(_Pipeline):
    """What holds between two spans of a sentence: a relation, or the role of an argument in an event.

    Asked are a sentence's `words`, and of its `first` and `second` span the first word and the word after the last. A
    relation's head, or an event's trigger, is the first. The answer is a `label` (`O` where nothing holds) and its
    `score`, a probability.

    Example:
        >>> classify = pipeline("model-de")  # doctest: +SKIP
        >>> words = "Ada Lovelace lebte in London .".split()
        >>> classify({"words": words, "first": (0, 2), "second": (4, 5)})  # doctest: +SKIP
        {'label': 'PHYS', 'score': 0.97}
    """

    task_class = Pairs

    def _labels(self, folder: Path) -> Sequence[str]:
        return folders.labels((folder / "config.json").read_bytes())

    def _example(self, number: int, asked: Mapping[str, Any]) -> Pair:
        words, first, second = (tuple(part) for part in _named(number, asked, ("words", "first", "second")))
        for name, span in (("first", first), ("second", second)):
            if len(span) != 2 or not 0 <= span[0] < span[1] <= len(words):
                raise ValueError(
                    f"number {number}: found {name} {span}; accepted is the first word and the word after the last, "
                    f"of {len(words)} words"
                )
        return Pair(words, first, second, labels=(), types=None, sentence=number)

    def _probability(self, output: Any, batch: Batch, predicted: torch.Tensor) -> torch.Tensor:
        return output.logits.float().softmax(-1).gather(1, predicted)[:, 0]

    def _answers(
        self, examples: list[Any], windows: Windows, predicted_W: list[np.ndarray], score_W: np.ndarray
    ) -> Iterator[dict[str, Any]]:
        for (label,), score in zip(predicted_W, score_W, strict=True):
            yield {"label": self.task.labels[label], "score": float(score)}


class QuestionPipeline(_Pipeline):
    """The piece of a context that answers a question, the best over its windows, as when the model was scored.

    Asked are a `question` and its `context`. The answer has the same fields as that of the pipeline which transformers
    had before version 5: `answer`, `start`, `end` (characters of the context) and `score`, the product of the
    probabilities of its first and last sub-word.

    Example:
        >>> answer = pipeline("model-de")  # doctest: +SKIP
        >>> answer({"question": "Wo lebte Ada?", "context": "Ada lebte in London."})  # doctest: +SKIP
        {'answer': 'London', 'start': 13, 'end': 19, 'score': 0.81}
    """

    task_class = QuestionAnswering

    def _example(self, number: int, asked: Mapping[str, Any]) -> Question:
        question, context = _named(number, asked, ("question", "context"))
        for name, text in (("question", question), ("context", context)):
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"number {number}: found {name} {text!r}; accepted is a text")
        return Question(question, context, (Answer("", 0),), language="", paragraph=number)

    def _probability(self, output: Any, batch: Batch, predicted: torch.Tensor) -> torch.Tensor:
        score_B2L = torch.stack([output.start_logits, output.end_logits], dim=1).float()
        is_padding_BL = on_device(batch.attention_mask_BL == 0, score_B2L.device)
        mass_B = score_B2L.masked_fill(is_padding_BL[:, None], -torch.inf).logsumexp(-1).sum(-1)
        return (predicted[:, 2] - mass_B).exp()

    def _answers(
        self, examples: list[Any], windows: Windows, predicted_W: list[np.ndarray], score_W: np.ndarray
    ) -> Iterator[dict[str, Any]]:
        place_U, _ = self.task.labelled_as(windows, predicted_W)
        score_E = score_W[best_windows(windows, predicted_W)]
        for question, (start, end), score in zip(examples, place_U.reshape(-1, 2).tolist(), score_E, strict=True):
            if not score:  # no sub-word of the context is left
                start = end = 0
            yield {"answer": question.context[start:end], "start": start, "end": end, "score": float(score)}


def _named(number: int, asked: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    absent = [name for name in names if name not in asked]
    if absent:
        raise ValueError(f"number {number}: found no {', '.join(absent)}; accepted are {', '.join(names)}")
    return [asked[name] for name in names]
