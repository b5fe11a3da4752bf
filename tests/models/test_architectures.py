"""Every architecture goes through fine-tuning and encoding of every task; nothing is assumed about its tokenizer."""

from pathlib import Path

import numpy as np
import pytest
import torch

from encoders import ARCHITECTURES, make
from lms_ray import tasks
from lms_ray.data.examples import Answer, EntitySentence, Pair, Question, TaggedSentence
from lms_ray.models import encoder as encoders
from lms_ray.models.encode import encode
from lms_ray.models.finetune import FineTuner
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.models import Encode, FineTune
from lms_ray.tasks.base import Task
from lms_ray.tasks.windows import IGNORE

pytestmark = pytest.mark.slow

NAMES = ("Ada", "Grace", "Barbara")
PLACES = ("Paris", "Köln", "Łódź", "東京")


def sentence(number: int) -> list[str]:
    return ["So", NAMES[number % 3], "lives", "in", PLACES[number % 4], ",", "not", "here", "."]


def question(number: int) -> Question:
    context = " ".join(sentence(number)) + " " + " ".join(sentence(number + 1)) * (number % 5)
    place = PLACES[number % 4]
    return Question("Where is that?", context, (Answer(place, context.index(place)),), "en", number // 2)


TAGS = ("ADV", "PROPN", "VERB", "ADP", "PROPN", "PUNCT", "PART", "ADV", "PUNCT")
ENTITIES = ("O", "B-PER", "O", "O", "B-LOC", "O", "O", "O", "O")


def pair(number: int, first: tuple[int, int], labels: tuple[str, ...]) -> Pair:
    return Pair(tuple(sentence(number)), first, (4, 5), labels if number % 3 else (), ("PER", "LOC"), number)


EXAMPLES = {
    "pos": [TaggedSentence(tuple(sentence(number)), TAGS) for number in range(24)],
    "ner": [EntitySentence(tuple(sentence(number)), ENTITIES) for number in range(24)],
    "qa": [question(number) for number in range(24)],
    "re": [pair(number, (1, 2), ("lives-in",)) for number in range(24)],
    "arl": [pair(number, (2, 3), ("place", "goal")) for number in range(24)],
}
LINES = [" ".join(sentence(number)) for number in range(12)] + [EXAMPLES["qa"][0].question] * 4


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def folder(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder of one architecture."""
    return make(request.param, tmp_path_factory.mktemp(request.param), LINES)


def task_for(name: str) -> Task:
    empty = tasks.get(name)
    return tasks.get(name, empty.outputs({label for example in EXAMPLES[name] for label in example.names}))


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_fine_tuning_and_encoding(folder: Path, name: str, tmp_path: Path):
    task = task_for(name)
    encoder = encoders.load(str(folder), task.special_tokens)
    encoders.check_length(40, encoders.longest(encoder.config, encoder.tokenizer))  # as the sweep does before
    windows = task.windows(EXAMPLES[name], encoder.tokenizer, 40)
    settings = FineTune(max_length=40, save_dtype="bfloat16")  # what is rounded on saving is what is rounded in memory
    tuner = FineTuner(task, encoder, Candidate(5e-3, 8, 8, 0), settings, windows, 0, "cpu")
    losses = []
    while not tuner.is_finished:
        losses.append(tuner.train_epoch())
        tuner.load_state(tuner.state())
    assert losses[-1] < losses[0]
    tuner.save_model(tmp_path)
    loaded = task.load(tmp_path, "cpu")
    again = encoders.load_tokenizer(str(tmp_path))
    assert np.array_equal(task.windows(EXAMPLES[name], again, 40).input_ids_T, windows.input_ids_T)
    one, other = (encode(model, task, windows, Encode()) for model in (tuner.model, loaded))
    np.testing.assert_array_equal(one.cls_sum_H, other.cls_sum_H)
    np.testing.assert_array_equal(one.statistics_ES, other.statistics_ES)
    assert one.statistics_ES.shape == (24, len(task.statistics))
    assert 0 <= task.score(one.statistics_ES.sum(0)) <= 1
    text = encode(loaded, task, task.text_windows(LINES, again, 40), Encode())
    assert text.examples == len(LINES)
    assert np.isfinite(text.cls_sum_H).all()
    assert not text.statistics_ES[:, : (1 if name == "qa" else None)].any()


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_a_model_that_diverged_is_encoded_and_answers_something(folder: Path, name: str):
    task = task_for(name)
    encoder = encoders.load(str(folder), task.special_tokens)
    windows = task.windows(EXAMPLES[name], encoder.tokenizer, 40)
    tuner = FineTuner(task, encoder, Candidate(1e38, 1, 8, 0), FineTune(max_length=40), windows, 0, "cpu")
    tuner.train_epoch()
    assert tuner.diverged
    tuner.model.eval()
    encoded = encode(tuner.model, task, windows, Encode())
    assert not np.isfinite(encoded.cls_sum_H).any()
    assert 0 <= task.score(encoded.statistics_ES.sum(0)) <= 1


def test_the_feature_is_the_last_hidden_state_at_cls(folder: Path):
    task = task_for("pos")
    encoder = encoders.load(str(folder))
    windows = task.windows(EXAMPLES["pos"][:1], encoder.tokenizer, 40)
    assert windows.input_ids_T[windows.cls_W[0]] == encoder.tokenizer.cls_token_id
    model = task.build(encoder.config)
    encoders.load_weights(model, encoder)
    model.eval()
    with torch.no_grad():
        hidden = model.base_model(input_ids=torch.from_numpy(windows.input_ids_T[None].astype(np.int64)))[0]
    feature_H = encode(model, task, windows, Encode()).cls_sum_H
    np.testing.assert_allclose(feature_H, hidden[0, windows.cls_W[0]].numpy(), rtol=1e-4, atol=1e-5)


def test_every_word_is_labelled_once_and_entity_markers_stand_where_they_should(folder: Path):
    encoder = encoders.load(str(folder), tasks.get("re").special_tokens)
    tokenizer = encoder.tokenizer
    tagged = task_for("pos").windows(EXAMPLES["pos"], tokenizer, 40)
    assert (tagged.labels_T != IGNORE).sum() == sum(len(example.words) for example in EXAMPLES["pos"])
    pairs = task_for("re").windows(EXAMPLES["re"], tokenizer, 40)
    for window, example in enumerate(EXAMPLES["re"]):
        ids = pairs.input_ids_T[pairs.starts_W[window] : pairs.ends_W[window]].tolist()
        for number, span in enumerate((example.first, example.second)):
            start = pairs.spans_W2[window, number]
            assert ids[start] == tokenizer.vocab[f"[E{number + 1}]"]
            end = ids.index(tokenizer.vocab[f"[/E{number + 1}]"])
            wanted = tokenizer([list(example.words)], is_split_into_words=True)
            of_span = [token for token, word in zip(wanted["input_ids"][0], wanted.word_ids(0), strict=True)
                       if word is not None and span[0] <= word < span[1]]  # fmt: skip
            assert ids[start + 1 : end] == of_span


def test_what_an_encoder_reads_at_most_is_what_it_can(folder: Path):
    encoder = encoders.load(str(folder))
    most = encoders.longest(encoder.config, encoder.tokenizer)
    assert most == 128
    model = task_for("pos").build(encoder.config)
    model(input_ids=torch.full((1, most), encoder.tokenizer.cls_token_id))
