"""A text is of the class that all of its windows speak for; every architecture's own head is trained and read again."""

import logging
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from encoders import ARCHITECTURES, make
from lms_ray import tasks
from lms_ray.data import DataError
from lms_ray.data.examples import LabelledText
from lms_ray.models import encoder as encoders
from lms_ray.models.encode import encode, model_inputs
from lms_ray.models.encoder import Encoder
from lms_ray.models.finetune import FineTuner
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.models import Encode, FineTune
from lms_ray.tasks.classification import Classification
from lms_ray.tasks.windows import pad

LABELS = ("home", "sports", "travel")


@pytest.fixture(scope="module")
def task() -> Classification:
    return Classification(LABELS)


@pytest.fixture(scope="module")
def model(task, encoder: Encoder):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = task.build(encoder.config)
        encoders.load_weights(made, encoder)
        torch.nn.init.normal_(made.classifier.weight)
    return made.eval()


@pytest.fixture(scope="module")
def texts(sentences) -> list[LabelledText]:
    """Forty texts of three to 160 words."""
    rng = random.Random(0)
    lengths = [rng.choice((1, 1, 3, 20)) for _ in range(40)]
    found = [" ".join(word for one in sentences(n, seed=at) for word in one.words) for at, n in enumerate(lengths)]
    return [LabelledText(text, None, rng.choice(LABELS), f"x.tsv:{at}") for at, text in enumerate(found)]


@pytest.fixture(scope="module")
def pairs(texts) -> list[LabelledText]:
    return [
        LabelledText(one.text, other.text, one.label, one.where) for one, other in zip(texts, texts[::-1], strict=True)
    ]


def of_window(windows, window: int) -> list[int]:
    return windows.input_ids_T[windows.starts_W[window] : windows.ends_W[window]].tolist()


def logits_of(model, ids: list[int], types: list[int] | None = None) -> torch.Tensor:
    with torch.no_grad():
        return model(
            input_ids=torch.tensor([ids]), token_type_ids=None if types is None else torch.tensor([types])
        ).logits[0]


def test_a_long_text_goes_on_in_further_windows_that_carry_its_label(task, encoder, texts, caplog):
    caplog.set_level(logging.INFO)
    windows = task.windows(texts, encoder.tokenizer, 32)
    whole = encoder.tokenizer([text.text for text in texts], add_special_tokens=False)["input_ids"]
    for number, text in enumerate(texts):
        mine = np.flatnonzero(windows.example_W == number)
        assert [piece for window in mine for piece in of_window(windows, window)[1:-1]] == whole[number]
        assert {task.labels[label] for label in windows.label_W[mine]} == {text.label}
    long = sum(len(ids) > 30 for ids in whole)
    assert f"{long} of 40 texts are longer than 32 sub-words and span several windows" in caplog.text
    assert long < 40 < len(windows)
    assert (windows.cls_W == 0).all()


def test_unlabelled_text_is_read_as_labelled_text_is(task, encoder, model, texts):
    lines = [text.text for text in texts]
    one, other = task.windows(texts, encoder.tokenizer, 32), task.text_windows(lines, encoder.tokenizer, 32)
    np.testing.assert_array_equal(one.input_ids_T, other.input_ids_T)
    encoded = encode(model, task, other, Encode())
    assert not encoded.statistics_ES.any()
    np.testing.assert_array_equal(encoded.cls_sum_H, encode(model, task, one, Encode()).cls_sum_H)


def test_of_a_long_pair_the_longer_text_is_cut_and_that_is_said(task, encoder, pairs, caplog):
    tokenizer = encoder.tokenizer
    windows = task.windows(pairs, tokenizer, 48)
    assert len(windows) == windows.examples == len(pairs)
    long = 0
    for number, pair in enumerate(pairs):
        first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (pair.text, pair.pair))
        ids = of_window(windows, number)
        types = windows.types_T[windows.starts_W[number] : windows.ends_W[number]].tolist()
        cut = ids.index(tokenizer.sep_token_id)
        kept = ids[1:cut], ids[cut + 1 : -1]
        assert types == [0] * (cut + 1) + [1] * (len(kept[1]) + 1)
        assert (kept[0], kept[1]) == (first[: len(kept[0])], second[: len(kept[1])])
        if len(first) + len(second) > 45:
            long += 1
            assert len(ids) == 48
            sizes = [(len(part), len(full)) for part, full in zip(kept, (first, second), strict=True)]
            is_whole = [part == full for part, full in sizes]
            assert sum(is_whole) == 1 or abs(sizes[0][0] - sizes[1][0]) <= 1
            assert not is_whole[0] or sizes[0][0] <= sizes[1][0]
            assert not is_whole[1] or sizes[1][0] <= sizes[0][0]
        else:
            assert kept == (first, second)
    assert f"{long} of 40 pairs are longer than 48 sub-words: the longer text of each is cut" in caplog.text
    assert 0 < long < 40


@pytest.mark.parametrize("kind", ["texts", "pairs"])
def test_statistics_from_a_model_equal_a_brute_force(task, encoder, model, kind: str, request):
    """The class of the highest mean logit over a text's windows, one window at a time."""
    examples = request.getfixturevalue(kind)
    windows = task.windows(examples, encoder.tokenizer, 32)
    encoded = encode(model, task, windows, Encode(batch_tokens=512))
    right = []
    for number, example in enumerate(examples):
        logits = [
            logits_of(
                model,
                of_window(windows, window),
                None if windows.types_T is None
                else windows.types_T[windows.starts_W[window] : windows.ends_W[window]].tolist(),
            )
            for window in np.flatnonzero(windows.example_W == number)
        ]  # fmt: skip
        right.append(task.labels[int(torch.stack(logits).mean(0).argmax())] == example.label)
    assert encoded.statistics_ES.tolist() == [[one, 1] for one in right]
    assert task.score(encoded.statistics_ES.sum(0)) == pytest.approx(np.mean(right))
    assert 0 < sum(right) < len(right)


def test_a_pair_is_read_in_its_order(task, encoder, model):
    there, back = LabelledText("the dog", "a garden", "home"), LabelledText("a garden", "the dog", "home")
    batch = pad(task.windows([there, back], encoder.tokenizer, 32), np.arange(2), 0)
    with torch.no_grad():
        logits = model(**model_inputs(model, task, batch)).logits
    assert not torch.allclose(logits[0], logits[1], atol=1e-3)


def test_the_loss_is_that_of_one_class_of_several(task, encoder, model, texts):
    batch = pad(task.windows(texts, encoder.tokenizer, 32), np.arange(12), 0)
    targets = {name: torch.from_numpy(array) for name, array in task.targets(batch).items()}
    with torch.no_grad():
        output = model(**model_inputs(model, task, batch), **targets)
    torch.testing.assert_close(output.loss, F.cross_entropy(output.logits, targets["labels"]))


def test_a_diverged_candidate_is_never_right(task, encoder, texts):
    model = task.build(encoder.config).eval()
    with torch.no_grad():
        model.classifier.weight.fill_(torch.nan)
    encoded = encode(model, task, task.windows(texts, encoder.tokenizer, 32), Encode())
    assert encoded.statistics_ES.tolist() == [[0, 1]] * len(texts)


def test_one_text_among_pairs_is_refused_with_its_place(task, encoder, texts, pairs):
    with pytest.raises(DataError) as refused:
        task.windows([*pairs[:2], texts[7]], encoder.tokenizer, 32)
    assert str(refused.value) == "x.tsv:7: found one text among pairs; accepted are pairs in all sets, or in none"


def test_labels_are_those_of_training(task, encoder):
    assert Classification.outputs(["b", "O", "a", "b"]) == ("O", "a", "b")
    with pytest.raises(DataError, match=r"^found no label but 'a' in the training data; accepted are two or more$"):
        Classification.outputs(["a", "a"])
    with pytest.raises(DataError) as refused:
        task.windows([LabelledText("the dog", None, "politics", "x.tsv:3")], encoder.tokenizer, 32)
    assert str(refused.value) == (
        "x.tsv:3: found label 'politics', which the training data does not have; accepted are home, sports, travel, or "
        "a mapping to one of them in data.labels"
    )


def test_labels_are_read_as_others_and_o_is_one_of_them():
    text = LabelledText("the dog", None, "politics")
    assert text.relabelled({"politics": "O"}).names == ("O",)
    assert text.relabelled({"sports": "O"}) == text
    assert Classification(("O", "home")).names == {"O", "home"}


def test_the_commonest_class_of_training_is_what_a_candidate_is_held_against(task):
    training = [LabelledText("x", None, label) for label in ("travel", "sports", "home", "sports", "travel")]
    test = [LabelledText("x", None, label) for label in ("sports", "home", "home", "home", "sports")]
    (baseline,) = task.baselines(training, test).items()
    assert (baseline[0], baseline[1].tolist()) == ("commonest class", [2, 5])  # of two that are commonest the first
    assert task.score(baseline[1]) == 0.4


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_every_architecture_is_trained_with_its_own_head(architecture: str, tmp_path: Path):
    places = {"home": "Köln Łódź", "sports": "Ada Grace 東京", "travel": "not here ."}
    singles = [LabelledText(f"So {places[LABELS[n % 3]]} lives" * (1 + n % 4), None, LABELS[n % 3]) for n in range(24)]
    lines = [text.text for text in singles]
    encoder = encoders.load(str(make(architecture, tmp_path / "encoder", lines)))
    task = Classification(LABELS)
    for examples in (singles, [LabelledText(one.text, "So here", one.label) for one in singles]):
        windows = task.windows(examples, encoder.tokenizer, 24)
        assert (windows.input_ids_T[windows.starts_W + windows.cls_W] == encoder.tokenizer.cls_token_id).all()
        tuner = FineTuner(task, encoder, Candidate(5e-3, 24, 8, 0), FineTune(max_length=24), windows, 0, "cpu")
        losses = []
        while not tuner.is_finished:
            losses.append(tuner.train_epoch())
            tuner.load_state(tuner.state())
        assert losses[-1] < losses[0]
        tuner.save_model(tmp_path / "saved")
        one, other = (
            encode(model, task, windows, Encode()) for model in (tuner.model, task.load(tmp_path / "saved", "cpu"))
        )
        np.testing.assert_array_equal(one.cls_sum_H, other.cls_sum_H)
        np.testing.assert_array_equal(one.statistics_ES, other.statistics_ES)
        assert task.score(one.statistics_ES.sum(0)) > 0.5


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_the_feature_is_the_last_hidden_state_at_cls_before_any_pooler(architecture: str, tmp_path: Path):
    lines = ["So Ada lives in Köln , not here ."] * 4
    encoder = encoders.load(str(make(architecture, tmp_path, lines)))
    task = Classification(LABELS)
    model = task.build(encoder.config).eval()
    encoders.load_weights(model, encoder)
    windows = task.windows([LabelledText(lines[0], lines[1], "home")], encoder.tokenizer, 40)
    batch = pad(windows, np.array([0]), encoder.tokenizer.pad_token_id)
    inputs = model_inputs(model, task, batch)
    with torch.no_grad():
        hidden = model.base_model(**inputs)[0]
    np.testing.assert_allclose(
        encode(model, task, windows, Encode()).cls_sum_H, hidden[0, windows.cls_W[0]].numpy(), rtol=1e-4, atol=1e-5
    )


def test_a_pooler_that_the_encoder_lacks_is_drawn_with_the_head(task, encoder_folder: Path, tmp_path: Path):
    """Features do not see it, nor does the encoder's hash; other missing weights are still refused."""
    encoder = encoders.load(str(encoder_folder))
    lacking = encoders.Encoder(
        encoder.config,
        {key: array for key, array in encoder.weights.items() if not key.startswith("pooler.")},
        encoder.tokenizer,
        encoder.digest,
    )
    windows = task.windows([LabelledText("the dog", None, "home")], encoder.tokenizer, 32)
    settings = FineTune(max_length=32)
    drawn, again, other = (
        FineTuner(task, lacking, Candidate(1e-3, 1, 8, seed), settings, windows, 0, "cpu").model.eval()
        for seed in (0, 0, 1)
    )
    weight, same, differing = (model.bert.pooler.dense.weight for model in (drawn, again, other))
    assert torch.equal(weight, same)
    assert not torch.equal(weight, differing)
    one, another = (encode(model, task, windows, Encode()).cls_sum_H for model in (drawn, other))
    np.testing.assert_array_equal(one, another)
    broken = encoders.Encoder(encoder.config, {}, encoder.tokenizer, encoder.digest)
    with pytest.raises(ValueError, match="the encoder has no weights for embeddings"):
        encoders.load_weights(task.build(encoder.config), broken)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_the_order_of_a_brought_heads_outputs_does_not_matter(architecture: str, tmp_path: Path):
    """Whatever the last layer is called, and also where other layers of the head have as many outputs."""
    labels = tuple(f"class{number:02d}" for number in range(16))  # as wide as the hidden states
    task, shuffled = Classification(labels), np.random.default_rng(0).permutation(16)
    theirs = Classification([labels[number] for number in shuffled])
    theirs.build(ARCHITECTURES[architecture][0](50, 0)).save_pretrained(tmp_path)
    brought, loaded = theirs.load(tmp_path, "cpu"), task.load(tmp_path, "cpu")
    inputs = {"input_ids": torch.arange(1, 13)[None], "attention_mask": torch.ones(1, 12, dtype=torch.long)}
    with torch.no_grad():
        torch.testing.assert_close(loaded(**inputs).logits[:, shuffled], brought(**inputs).logits)
    assert [loaded.config.id2label[number] for number in range(16)] == list(labels)


def test_heads_of_another_kind_are_refused(task, encoder, encoder_folder: Path, tmp_path: Path):
    with pytest.raises(ValueError, match=r"^it lacks classifier.bias, classifier.weight of BertForSequenceClass"):
        task.load(encoder_folder, "cpu")
    several = task.build(encoder.config)
    several.config.problem_type = "multi_label_classification"
    several.save_pretrained(tmp_path / "several")
    with pytest.raises(ValueError, match=r"^its head is made for multi_label_classification; accepted is single_label"):
        task.load(tmp_path / "several", "cpu")
    regression = Classification(["LABEL_0"]).build(encoder.config)
    regression.config.problem_type = None
    regression.save_pretrained(tmp_path / "regression")
    with pytest.raises(ValueError, match=r"^its head is made for regression; accepted is single_label_classification$"):
        Classification(["LABEL_0"]).load(tmp_path / "regression", "cpu")


def test_the_registry_knows_it():
    assert "classification" in tasks.names()
    assert tasks.get("classification", LABELS).labels == LABELS
