"""Use an exported model: one call that gives what answers, whatever the task.

`transformers` has pipelines for tags and classes of texts. Of pairs of spans it knows nothing, and since its version 5
nothing of questions either; and it tags sub-words, of which it leaves out those that do not fit one window. Here text
is read as it was read when the model was scored.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from lms_ray import tasks
from lms_ray.data.examples import Answer, Pair, Question, TaggedSentence
from lms_ray.models import folders
from lms_ray.models.encode import BATCH_TOKENS, by_window, model_inputs
from lms_ray.settings.base import expanded, shown
from lms_ray.settings.errors import AbsentError
from lms_ray.store.folder import Folder
from lms_ray.tasks.base import Task
from lms_ray.tasks.qa import best_windows
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
        `TaggingPipeline` for tags of words (pos, ner), `QuestionPipeline` for questions, `PairPipeline` for relations
        and argument roles; `transformers`' own for classes of texts.

    Raises:
        ValueError: the folder is no export, or its model is broken.

    Example:
        >>> import lms_ray
        >>> lms_ray.open_experiment("runs/quickstart").export("pt", to="model-for-pipeline")
        export    ..., the pick of ... for pt, is in ...model-for-pipeline
        >>> tag = lms_ray.pipeline("model-for-pipeline")
    """
    folder = expanded(str(folder))
    try:
        about = Folder(folder, "folder").read_json(ABOUT)
        task, windows = about["task"], (about["max_length"], about["stride"])
    except (AbsentError, KeyError, TypeError):
        raise ValueError(f"{folder}: found no {ABOUT} of an export; accepted is what `lms-ray export` wrote") from None
    if task not in tasks.names():
        raise ValueError(f"{folder}: found the task {shown(task)}; accepted are {', '.join(tasks.names())}")
    if task == "classification":
        return transformers.pipeline("text-classification", model=folder, device=device)
    kind = {"pos": TaggingPipeline, "ner": TaggingPipeline, "qa": QuestionPipeline}.get(task, PairPipeline)
    labels = () if task == "qa" else folders.labels(Path(folder, "config.json").read_bytes())
    return kind(tasks.get(task, labels), Path(folder), device, *windows)


class _Pipeline(ABC):
    """Windows through a model, in batches of like length.

    Args:
        task: with the model's labels.
        folder: of the model.
        device: of torch.
        max_length: sub-words in a window.
        stride: sub-words that neighbouring windows share.
    """

    def __init__(self, task: Task, folder: Path, device: str, max_length: int, stride: int | None):
        self.task, self.max_length, self.stride = task, max_length, stride
        self.tokenizer = folders.load_tokenizer(folder)
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
        batches = list(by_length(windows, BATCH_TOKENS[self.model.device.type]))
        predicted, score_W = [], np.empty(len(windows))
        for chosen_B in batches:
            batch = pad(windows, chosen_B, self.model.config.pad_token_id or 0)
            with torch.inference_mode():
                output = self.model(**model_inputs(self.model, self.task, batch))
                predicted.append(self.task.predict(output, batch))
                score_W[chosen_B] = self._probability(output, batch, predicted[-1]).cpu().numpy()
        return list(self._answers(examples, windows, by_window(batches, predicted, len(windows)), score_W))

    @abstractmethod
    def _example(self, number: int, asked: Mapping[str, Any]) -> Any:
        """What is asked, as the task's example."""

    @abstractmethod
    def _probability(self, output: Any, batch: Batch, predicted: torch.Tensor) -> torch.Tensor:
        """Of each window's prediction, shape (B,)."""

    @abstractmethod
    def _answers(
        self, examples: list[Any], windows: Windows, predicted_W: list[np.ndarray], score_W: np.ndarray
    ) -> Iterator[Any]:
        """What is given back of each example."""


class TaggingPipeline(_Pipeline):
    """The tag of every word: parts of speech, or IOB2 tags of named entities.

    Asked are the `words` of a sentence, of any length; the answer are as many tags.

    Example:
        >>> tag = pipeline("model-de")  # doctest: +SKIP
        >>> tag({"words": "Ada lebte in London .".split()})  # doctest: +SKIP
        ['B-PER', 'O', 'O', 'B-LOC', 'O']
    """

    def _example(self, number: int, asked: Mapping[str, Any]) -> TaggedSentence:
        words = _words(number, asked)
        known = self.task.labels[0]  # none is known yet, and none is looked at
        return self.task.example(words, (known,) * len(words))

    def _probability(self, output: Any, batch: Batch, predicted: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(predicted))  # of a window's tags together nothing is said

    def _answers(
        self, examples: list[Any], windows: Windows, predicted_W: list[np.ndarray], score_W: np.ndarray
    ) -> Iterator[list[str]]:
        label_U, example_U = self.task.labelled_as(windows, predicted_W)
        for example in range(len(examples)):
            yield [self.task.labels[label] for label in label_U[example_U == example]]


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

    def _example(self, number: int, asked: Mapping[str, Any]) -> Pair:
        first, second = _named(number, asked, ("first", "second"))
        words = _words(number, asked)
        for name, span in (("first", first), ("second", second)):
            if not _is_span(span, len(words)):
                raise ValueError(
                    f"number {number}: found {name} {span}; accepted is the first word and the word after the last, "
                    f"of {len(words)} words"
                )
        return Pair(words, tuple(first), tuple(second), labels=(), types=None, sentence=number)

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


def _words(number: int, asked: Mapping[str, Any]) -> tuple[str, ...]:
    (words,) = _named(number, asked, ("words",))
    is_list = isinstance(words, Sequence) and not isinstance(words, str)
    if not is_list or not words or not all(isinstance(word, str) for word in words):
        raise ValueError(f"number {number}: found words {shown(words)}; accepted is a list of words")
    return tuple(words)


def _is_span(span: Any, words: int) -> bool:
    if not isinstance(span, Sequence) or len(span) != 2 or not all(isinstance(place, int) for place in span):
        return False
    return 0 <= span[0] < span[1] <= words


def _named(number: int, asked: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    absent = [name for name in names if name not in asked]
    if absent:
        raise ValueError(f"number {number}: found no {', '.join(absent)}; accepted are {', '.join(names)}")
    return [asked[name] for name in names]
