"""An exported model answers as it was scored, and as its card says."""

import json
from pathlib import Path

import numpy as np
import pytest

import encoders as tiny_encoders
from lms_ray import tasks
from lms_ray.data.examples import Answer, Pair, Question
from lms_ray.models import folders
from lms_ray.models.encode import encode
from lms_ray.models.pipelines import ABOUT, pipeline
from lms_ray.pages.card import Exported, Facts, model_card
from lms_ray.settings.loading import load
from lms_ray.settings.models import Encode

LABELS = {
    "pos": (),
    "ner": ("O", "B-LOC", "I-LOC", "B-PER", "I-PER"),
    "qa": (),
    "re": ("O", "AT", "IN"),
    "arl": ("O", "PLACE", "AGENT"),
    "classification": ("art", "sport"),
}
JOBS = {"classification": "topics"}
WORDS = ["Ada", "lives", "in", "London", "and", "works", "in", "Paris", "where", "the", "green", "dog", "runs"]
MAX_LENGTH = 24


def exported(task_name: str, folder: Path) -> tuple[tasks.Task, Path]:
    """A task and the folder of a model of it, with random weights, as an export leaves it."""
    task = tasks.get(task_name, LABELS[task_name])
    model = tiny_encoders.make_model(task, "bert", folder, [" ".join(WORDS)])
    about = {"task": task_name, "max_length": MAX_LENGTH, "stride": 4}
    (model / ABOUT).write_text(json.dumps(about))
    return task, model


@pytest.mark.parametrize("task_name", LABELS)
def test_the_code_of_the_card_runs(task_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _, folder = exported(task_name, tmp_path)
    job = Path(__file__).parents[2] / "jobs" / f"{JOBS.get(task_name, task_name)}-small.yaml"
    experiment = load(str(job), ["data.root=/data", "encoder=/encoder"])
    facts = Facts(experiment.targets[0], "s0", "Recommended", True, True, "Use s0.", 24, {}, [], {}, {})
    card = model_card(experiment, facts, Exported("model", LABELS[task_name], has_onnx=False))
    (code,) = [part.partition("```")[0] for part in card.split("```python\n")[1:]]
    *setting_up, call = code.strip().splitlines()
    monkeypatch.chdir(folder.parent)
    names: dict = {}
    exec("\n".join(setting_up), names)
    answer = eval(call, names)
    known = {"entity", "entity_group", "label", "answer"}
    for one in answer if isinstance(answer, list) else [answer]:
        assert known & one.keys() and 0 <= one["score"] <= 1


@pytest.mark.parametrize("task_name", ["re", "arl"])
def test_pairs_are_classified_as_they_were_scored(task_name: str, tmp_path: Path):
    task, folder = exported(task_name, tmp_path)
    spans = [((0, 1), (3, 4)), ((3, 4), (0, 1)), ((5, 6), (7, 8)), ((0, 4), (2, 3)), ((9, 11), (0, 1))]
    answers = pipeline(folder)([{"words": WORDS, "first": first, "second": second} for first, second in spans])
    assert len({answer["score"] for answer in answers}) == len(spans), "each was read by itself"
    for label in LABELS[task_name]:
        pairs = [
            Pair(tuple(WORDS), *span, labels=() if label == "O" else (label,), types=None, sentence=0) for span in spans
        ]
        is_right_E = right(task, folder, pairs)[:, 3]
        assert [answer["label"] == label for answer in answers] == is_right_E.astype(bool).tolist()


@pytest.mark.parametrize("task_name", ["pos", "ner"])
def test_every_word_is_tagged_as_it_was_scored_also_in_a_second_window(task_name: str, tmp_path: Path):
    task, folder = exported(task_name, tmp_path)
    sentences = [WORDS * 5, WORDS[:3]]
    tags = pipeline(folder)([{"words": words} for words in sentences])
    assert [len(of_one) for of_one in tags] == [65, 3]
    assert len(set(tags[0])) > 1
    gold = [task.example(tuple(words), tuple(of_one)) for words, of_one in zip(sentences, tags, strict=True)]
    assert task.accuracy(right(task, folder, gold).sum(0)) == 1


def test_questions_are_answered_as_they_were_scored(tmp_path: Path):
    task, folder = exported("qa", tmp_path)
    context = " ".join(WORDS * 4)  # several windows
    asked = [{"question": text, "context": context} for text in ("where ?", "who works in Paris ?", "the dog ?")]
    answers = pipeline(folder)(asked)
    for one, answer in zip(asked, answers, strict=True):
        assert context[answer["start"] : answer["end"]] == answer["answer"] != ""
        gold = (Answer(answer["answer"], answer["start"]),)
        question = Question(one["question"], context, gold, language="en", paragraph=0)
        assert right(task, folder, [question])[0, 0] == 1
    assert pipeline(folder)(asked[1]) == answers[1], "alone or with others"


def right(task: tasks.Task, folder: Path, examples: list) -> np.ndarray:
    """Example statistics, as the features stage counts them."""
    windows = task.windows(examples, folders.load_tokenizer(folder), MAX_LENGTH, 4)
    return encode(task.load(folder, "cpu"), task, windows, Encode()).statistics_ES


@pytest.mark.parametrize(
    ("task_name", "asked", "message"),
    [
        ("re", {"words": WORDS, "first": (0, 1)}, "number 0: found no second; accepted are first, second"),
        (
            "re",
            {"words": WORDS, "first": (0, 1), "second": (3, 99)},
            r"number 0: found second \(3, 99\); .* of 13 words",
        ),
        (
            "re",
            {"words": "Ada lives", "first": (0, 1), "second": (1, 2)},
            "found words 'Ada lives'; accepted",
        ),
        ("re", {"words": WORDS, "first": 0, "second": (1, 2)}, "number 0: found first 0; accepted is the first word"),
        ("qa", {"question": " ", "context": "text"}, "number 0: found question ' '; accepted is a text"),
    ],
)
def test_what_cannot_be_asked(task_name: str, asked: dict, message: str, tmp_path: Path):
    _, folder = exported(task_name, tmp_path)
    with pytest.raises(ValueError, match=message):
        pipeline(folder)(asked)


def test_nothing_is_asked(tmp_path: Path):
    assert pipeline(exported("qa", tmp_path)[1])([]) == []


def test_a_folder_that_is_no_export(tmp_path: Path):
    with pytest.raises(ValueError, match=r"found no lms_ray\.json of an export; accepted is what"):
        pipeline(tmp_path)
    (tmp_path / ABOUT).write_text('{"task": "poetry", "max_length": 8, "stride": null}')
    with pytest.raises(ValueError, match="found the task 'poetry'; accepted are arl, classification, ner"):
        pipeline(tmp_path)
