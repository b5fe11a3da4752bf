"""The model sees which two spans are meant, in which order, and every relation between them is counted once."""

import logging
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lms_ray.data import DataError
from lms_ray.data.examples import Pair
from lms_ray.models import encoder as encoders
from lms_ray.models.encode import encode, model_inputs
from lms_ray.models.encoder import Encoder
from lms_ray.settings.models import Encode
from lms_ray.tasks.arl import ArgumentRoles
from lms_ray.tasks.pairs import MARKERS, EntityPairClassifier, Pairs
from lms_ray.tasks.re import RelationExtraction
from lms_ray.tasks.windows import Windows, pad

LABELS = ("born-in", "lives-in", "owns")
WORDS = ("the", "dog", "sees", "a", "garden")


@pytest.fixture(scope="module")
def marked(encoder_folder: Path) -> Encoder:
    """The tiny encoder with the markers in its vocabulary."""
    return encoders.load(str(encoder_folder), MARKERS)


@pytest.fixture(scope="module", params=[RelationExtraction, ArgumentRoles])
def pairs_task(request) -> Pairs:
    return request.param(request.param.outputs(LABELS))


@pytest.fixture(scope="module")
def relations() -> RelationExtraction:
    return RelationExtraction(RelationExtraction.outputs(LABELS))


@pytest.fixture(scope="module")
def model(relations, marked) -> EntityPairClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = relations.build(marked.config)
        encoders.load_weights(made, marked)
        torch.nn.init.normal_(made.classifier.weight)
    return made.eval()


@pytest.fixture(scope="module")
def examples(sentences) -> list[Pair]:
    """Pairs of spans anywhere, also overlapping ones, of none, one or two labels; two to a sentence."""
    rng = random.Random(0)
    made = []
    for number, sentence in enumerate(sentences(60, longest=40)):
        size = len(sentence.words)
        for _ in range(2):
            spans = [(first, rng.randint(first + 1, min(size, first + 4))) for first in rng.choices(range(size), k=2)]
            labels = tuple(rng.sample(LABELS, rng.choice((0, 1, 1, 2))))
            made.append(Pair(sentence.words, spans[0], spans[1], labels, None, number))
    return made


def pair(first: tuple[int, int], second: tuple[int, int], labels: tuple[str, ...] = (), words=WORDS) -> Pair:
    return Pair(tuple(words), first, second, labels, None, 0, "re.jsonl:4")


def tokens(windows: Windows, window: int, tokenizer) -> list[str]:
    return tokenizer.convert_ids_to_tokens(
        windows.input_ids_T[windows.starts_W[window] : windows.ends_W[window]].tolist()
    )


PLACES = [
    ("apart", (1, 2), (4, 5), "the [E1] dog [/E1] sees a [E2] garden [/E2]"),
    ("the second comes first", (4, 5), (1, 2), "the [E2] dog [/E2] sees a [E1] garden [/E1]"),
    ("adjacent", (0, 2), (2, 3), "[E1] the dog [/E1] [E2] sees [/E2] a garden"),
    ("adjacent, the second first", (2, 3), (0, 2), "[E2] the dog [/E2] [E1] sees [/E1] a garden"),
    ("the second inside", (0, 3), (1, 2), "[E1] the [E2] dog [/E2] sees [/E1] a garden"),
    ("the first inside", (1, 2), (0, 3), "[E2] the [E1] dog [/E1] sees [/E2] a garden"),
    ("inside, at the begin", (0, 3), (0, 1), "[E1] [E2] the [/E2] dog sees [/E1] a garden"),
    ("the first inside, at the begin", (0, 1), (0, 3), "[E2] [E1] the [/E1] dog sees [/E2] a garden"),
    ("inside, at the end", (0, 3), (2, 3), "[E1] the dog [E2] sees [/E2] [/E1] a garden"),
    ("the first inside, at the end", (2, 3), (0, 3), "[E2] the dog [E1] sees [/E1] [/E2] a garden"),
    ("overlapping", (0, 3), (2, 4), "[E1] the dog [E2] sees [/E1] a [/E2] garden"),
    ("overlapping, the second first", (2, 4), (0, 3), "[E2] the dog [E1] sees [/E2] a [/E1] garden"),
    ("identical", (1, 3), (1, 3), "the [E1] [E2] dog sees [/E2] [/E1] a garden"),
    ("the whole sentence", (0, 5), (0, 5), "[E1] [E2] the dog sees a garden [/E2] [/E1]"),
    ("begin and end", (0, 1), (4, 5), "[E1] the [/E1] dog sees a [E2] garden [/E2]"),
]


@pytest.mark.parametrize(
    ("first", "second", "wanted"), [place[1:] for place in PLACES], ids=[place[0] for place in PLACES]
)
def test_markers_stand_around_both_spans(pairs_task, marked, first, second, wanted: str):
    windows = pairs_task.windows([pair(first, second)], marked.tokenizer, 32)
    seen = tokens(windows, 0, marked.tokenizer)
    assert seen == ["[CLS]", *wanted.split(), "[SEP]"]
    assert [seen[start] for start in windows.spans_W2[0]] == ["[E1]", "[E2]"]
    assert windows.cls_W.tolist() == [0]


def test_words_of_several_sub_words_are_marked_as_a_whole(relations, marked, examples):
    tokenizer = marked.tokenizer
    windows = relations.windows(examples, tokenizer, 512)
    for window, example in enumerate(examples):
        seen = tokens(windows, window, tokenizer)
        for number, span in ((1, example.first), (2, example.second)):
            inside = seen[seen.index(f"[E{number}]") + 1 : seen.index(f"[/E{number}]")]
            wanted = [piece for word in example.words[slice(*span)] for piece in tokenizer.tokenize(word)]
            assert [piece for piece in inside if piece not in MARKERS] == wanted
        whole = [piece for word in example.words for piece in tokenizer.tokenize(word)]
        assert [piece for piece in seen[1:-1] if piece not in MARKERS] == whole
        assert len(whole) + 4 == len(seen) - 2


def test_a_marker_that_the_text_itself_has_is_not_taken_for_one(relations, marked):
    odd = pair((2, 3), (4, 5), words=("[E1]", "[E2]", "dog", "[SEP]", "garden"))
    windows = relations.windows([odd], marked.tokenizer, 32)
    seen = tokens(windows, 0, marked.tokenizer)
    assert [seen[start + 1] for start in windows.spans_W2[0]] == ["dog", "garden"]


@pytest.mark.parametrize("word", ["\u200d", "\x07", "☃", "\u200e\u200f"], ids=ascii)
def test_a_span_that_the_tokenizer_hardly_knows_is_marked_too(relations, marked, word: str):
    windows = relations.windows([pair((1, 2), (3, 4), words=("the", word, "dog", word))], marked.tokenizer, 32)
    seen = " ".join(tokens(windows, 0, marked.tokenizer))
    assert seen == "[CLS] the [E1] [UNK] [/E1] dog [E2] [UNK] [/E2] [SEP]"


@pytest.mark.parametrize("max_length", [8, 9, 16, 31, 64])
def test_of_a_long_sentence_both_spans_are_kept(relations, marked, max_length: int):
    """Whatever the length and the positions; what is left keeps its order."""
    rng = random.Random(max_length)
    words = sorted(token for token in marked.tokenizer.vocab if token.isalpha())  # each of one sub-word
    pairs = []
    for _ in range(300):
        size = rng.choice((max_length // 4, max_length, 2 * max_length, 5 * max_length))
        spans = [(first, rng.randint(first + 1, min(size, first + 3))) for first in rng.choices(range(size), k=2)]
        pairs.append(pair(*spans, words=rng.choices(words, k=size)))
    short = relations.windows(pairs, marked.tokenizer, max_length)
    whole = relations.windows(pairs, marked.tokenizer, 10_000)
    assert short.lengths_W.max() == max_length
    shortened = 0
    for window, (kept, full) in enumerate(zip(short.lengths_W, whole.lengths_W, strict=True)):
        seen, all_of_it = (tokens(windows, window, marked.tokenizer) for windows in (short, whole))
        assert [seen[start] for start in short.spans_W2[window]] == ["[E1]", "[E2]"]
        assert [seen[start + 1] for start in short.spans_W2[window]] == [
            all_of_it[start + 1] for start in whole.spans_W2[window]
        ]
        rest = iter(all_of_it)
        assert all(piece in rest for piece in seen)  # in this order
        if full <= max_length:
            assert seen == all_of_it
        else:
            shortened += 1
            assert (seen[0], seen[-1]) == ("[CLS]", "[SEP]")
            assert kept == max_length  # no room is left unused
    assert 0 < shortened < len(pairs)


@pytest.mark.parametrize(("first", "left"), [(2, 0), (50, 42), (94, 82)], ids=["begin", "middle", "end"])
def test_of_a_long_sentence_what_stands_around_the_pair_is_kept(relations, marked, first: int, left: int):
    """One piece of it, as much before the pair as after it where there is as much, and the window is full."""
    words = sorted(token for token in marked.tokenizer.vocab if token.isalpha())
    sentence = random.Random(0).choices(words, k=100)
    windows = relations.windows(
        [pair((first, first + 1), (first + 4, first + 5), words=sentence)], marked.tokenizer, 24
    )
    seen = tokens(windows, 0, marked.tokenizer)
    assert len(seen) == 24
    assert [piece for piece in seen[1:-1] if piece not in MARKERS] == sentence[left : left + 18]


def test_a_long_sentence_fills_its_window(relations, marked):
    sentence = pair((50, 51), (104, 105), words=("dog",) * 106)
    windows = relations.windows([sentence], marked.tokenizer, 100)
    assert windows.lengths_W.tolist() == [100]


def test_shortened_sentences_and_several_labels_are_said(relations, marked, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    short, long = pair((0, 1), (1, 2)), pair((0, 1), (1, 2), words=WORDS * 9)
    relations.windows([short], marked.tokenizer, 32)
    assert not caplog.text
    relations.windows([short, long, pair((0, 1), (1, 2), ("owns", "lives-in"))], marked.tokenizer, 32)
    assert "1 of 3 pairs are in sentences of more than 32 sub-words: what is far from them is left out" in caplog.text
    assert "1 of 3 pairs have several labels: the first is trained on, all are scored" in caplog.text


def test_of_several_labels_the_first_is_trained_on_and_any_is_right(pairs_task, marked):
    two = pair((0, 1), (1, 2), ("owns", "born-in"))
    examples = [two] * 4 + [pair((0, 1), (1, 2))] * 2
    windows = pairs_task.windows(examples, marked.tokenizer, 32)
    labels = [pairs_task.labels[label] for label in windows.label_W]
    assert labels == ["owns"] * 4 + ["O"] * 2
    batch = pad(windows, np.arange(6), 0)
    assert pairs_task.targets(batch)["labels"].tolist() == windows.label_W.tolist()
    predicted = [np.array([pairs_task.number[name]]) for name in ("owns", "born-in", "lives-in", "O", "owns", "O")]
    counts = pairs_task.count(windows, predicted)
    assert counts[:, :3].tolist() == [[1, 1, 2], [1, 1, 2], [0, 1, 2], [0, 0, 2], [0, 1, 0], [0, 0, 0]]
    assert counts[:, 3].tolist() == [1, 1, 0, 0, 0, 1]
    assert pairs_task.accuracy(counts.sum(0)) == 1 / 2


def test_f1_equals_a_brute_force(relations, marked, examples):
    windows = relations.windows(examples, marked.tokenizer, 64)
    rng = np.random.default_rng(0)
    guesses = [rng.choice([*relations.labels, *example.labels]) for example in examples]
    counts = relations.count(windows, [np.array([relations.number[guess]]) for guess in guesses])
    assert counts.dtype == np.float64
    gold = {(number, label) for number, example in enumerate(examples) for label in example.labels}
    predicted = {(number, str(guess)) for number, guess in enumerate(guesses) if guess != "O"}
    precision, recall = (len(gold & predicted) / len(side) for side in (predicted, gold))
    assert relations.score(counts.sum(0)) == pytest.approx(2 * precision * recall / (precision + recall))
    assert relations.score(np.zeros(3)) == 0


def test_the_head_sees_the_states_at_both_markers_and_nothing_else(relations, marked, model, examples):
    windows = relations.windows(examples, marked.tokenizer, 64)
    chosen_B = np.random.default_rng(0).permutation(len(windows))[:16]
    batch = pad(windows, chosen_B, 0)
    inputs = model_inputs(model, relations, batch)
    with torch.no_grad():
        together = model(**inputs)
        for row, window in enumerate(chosen_B):
            ids = torch.from_numpy(windows.input_ids_T[windows.starts_W[window] : windows.ends_W[window]]).long()[None]
            hidden_LH = model.base_model(input_ids=ids)[0][0]
            first, second = windows.spans_W2[window]
            wanted = model.classifier(torch.cat([hidden_LH[first], hidden_LH[second]]))
            torch.testing.assert_close(together.logits[row], wanted, rtol=1e-4, atol=1e-4)
            assert int(relations.predict(together, batch)[row]) == int(wanted.argmax())
        targets = {name: torch.from_numpy(array) for name, array in relations.targets(batch).items()}
        loss = model(**inputs, **targets).loss
    torch.testing.assert_close(loss, F.cross_entropy(together.logits, torch.from_numpy(batch.label_B)))


def test_the_direction_of_a_pair_shows(relations, marked, model):
    there, back = pair((1, 2), (4, 5)), pair((4, 5), (1, 2))
    batch = pad(relations.windows([there, back], marked.tokenizer, 32), np.arange(2), 0)
    with torch.no_grad():
        logits = model(**model_inputs(model, relations, batch)).logits
    assert not torch.allclose(logits[0], logits[1], atol=1e-3)


def test_statistics_from_a_model_equal_a_brute_force(relations, marked, model, examples):
    windows = relations.windows(examples, marked.tokenizer, 48)
    encoded = encode(model, relations, windows, Encode(batch_tokens=512))
    for window, example in enumerate(examples):
        ids = torch.from_numpy(windows.input_ids_T[windows.starts_W[window] : windows.ends_W[window]]).long()[None]
        with torch.no_grad():
            logits = model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                entity_starts=torch.from_numpy(windows.spans_W2[[window]]).long(),
            ).logits
        label = relations.labels[int(logits.argmax())]
        is_right = label in (example.labels or ("O",))
        assert encoded.statistics_ES[window].tolist() == [
            *(label in example.labels, label != "O", len(example.labels)),
            *(is_right, 1),
        ]
    assert 0 < encoded.statistics_ES[:, 0].sum() < encoded.statistics_ES[:, 1].sum()


def test_text_without_pairs_has_features_and_nothing_to_count(relations, marked, model):
    lines = ["the dog runs .", "garden " * 60]
    windows = relations.text_windows(lines, marked.tokenizer, 16)
    encoded = encode(model, relations, windows, Encode())
    assert encoded.statistics_ES.tolist() == [[0] * 5] * 2
    wanted_H = np.zeros(marked.config.hidden_size)
    share_W = 1 / np.bincount(windows.example_W)[windows.example_W]
    for start, end, share in zip(windows.starts_W, windows.ends_W, share_W, strict=True):
        with torch.no_grad():
            hidden = model.base_model(input_ids=torch.from_numpy(windows.input_ids_T[None, start:end]).long())[0]
        wanted_H += share * hidden[0, 0].numpy()
    np.testing.assert_allclose(encoded.cls_sum_H, wanted_H, rtol=1e-4, atol=1e-4)


def test_labels_are_read_as_others_and_each_once(pairs_task):
    mapping = {"born-in": "lives-in", "owns": "O"}
    assert pair((0, 1), (1, 2), ("lives-in", "owns", "born-in")).relabelled(mapping).labels == ("lives-in",)
    assert pair((0, 1), (1, 2), ("owns",)).relabelled(mapping).labels == ()
    assert pair((0, 1), (1, 2)).relabelled(mapping) == pair((0, 1), (1, 2))
    assert pairs_task.outputs(["b", "a", "O", "b"]) == ("O", "a", "b")


def test_a_label_that_training_does_not_have_is_refused_with_its_place(pairs_task, marked):
    unknown = pair((0, 1), (1, 2), ("owns", "part-of"))
    with pytest.raises(DataError) as refused:
        pairs_task.windows([unknown], marked.tokenizer, 32)
    assert str(refused.value) == (
        "re.jsonl:4: found label 'part-of', which the training data does not have; accepted are born-in, lives-in, "
        "owns, or a mapping to one of them or to O in data.labels"
    )
