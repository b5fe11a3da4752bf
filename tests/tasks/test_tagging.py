"""Every word of a sentence is scored exactly once, however long the sentence and whatever the tokenizer does to it."""

import logging
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer
from transformers.modeling_outputs import TokenClassifierOutput

from lms_ray.data import DataError
from lms_ray.data.examples import EntitySentence, TaggedSentence
from lms_ray.data.readers import conllu
from lms_ray.data.readers.conllu import UPOS
from lms_ray.tasks import entities
from lms_ray.tasks.ner import NamedEntities
from lms_ray.tasks.pos import PartOfSpeech
from lms_ray.tasks.tagging import Tagging
from lms_ray.tasks.windows import IGNORE, Windows, pad

CROSSING = TaggedSentence(
    ("the", "dog", "sees", "the", "houseboathouseboat", "dog", "runs"),
    ("DET", "NOUN", "VERB", "DET", "X", "NOUN", "VERB"),
)
ENDLESS = TaggedSentence(("a", "dogcatsgardendogcatsgardendogcats", "."), ("DET", "PROPN", "PUNCT"))
SHORT = TaggedSentence(("dog",), ("NOUN",))


def sub_words(windows: Windows, example: int, tokenizer) -> tuple[list[int], list[int]]:
    """Sub-word ids and labels of an example, its windows joined and their [CLS] and [SEP] taken off."""
    ids, labels = [], []
    for window in np.flatnonzero(windows.example_W == example):
        span = slice(windows.starts_W[window], windows.ends_W[window])
        first, *inner_ids, last = windows.input_ids_T[span].tolist()
        ignored, *inner_labels, ignored_too = windows.labels_T[span].tolist()
        assert (first, last, ignored, ignored_too) == (tokenizer.cls_token_id, tokenizer.sep_token_id, IGNORE, IGNORE)
        ids += inner_ids
        labels += inner_labels
    return ids, labels


def check(examples: list[TaggedSentence], windows: Windows, tokenizer, max_length: int) -> None:
    """Against each word tokenised on its own: all sub-words there, and the tag on the first one of each word."""
    assert windows.examples == len(examples)
    assert windows.lengths_W.max() <= max_length
    assert windows.example_W.tolist() == sorted(windows.example_W)
    for number, example in enumerate(examples):
        wanted_ids, wanted_labels = [], []
        for word, tag in zip(example.words, example.tags, strict=True):
            pieces = tokenizer.encode(word, add_special_tokens=False) or [tokenizer.unk_token_id]
            wanted_ids += pieces
            wanted_labels += [UPOS.index(tag)] + [IGNORE] * (len(pieces) - 1)
        assert sub_words(windows, number, tokenizer) == (wanted_ids, wanted_labels)


@pytest.mark.parametrize("max_length", [3, 8, 9, 10, 11, 128])
def test_long_sentences_go_on_in_the_next_window_and_nothing_is_cut(task, encoder, sentences, max_length: int):
    examples = [CROSSING, SHORT, ENDLESS, *sentences(10, longest=30)]
    windows = task.windows(examples, encoder.tokenizer, max_length)
    check(examples, windows, encoder.tokenizer, max_length)


def test_the_odd_sentences_are_as_odd_as_they_should_be(task, encoder):
    crossing = task.windows([CROSSING], encoder.tokenizer, 8)
    pieces = crossing.input_ids_T[crossing.starts_W[1] + 1 : crossing.ends_W[1]]
    assert encoder.tokenizer.convert_ids_to_tokens([int(pieces[0])])[0].startswith("##")  # a word goes on there
    assert len(task.windows([ENDLESS], encoder.tokenizer, 8)) > 2  # a word longer than a window


@pytest.mark.parametrize(
    "word", ["\u200d", "\x07", "\ufeff", "\u200e\u200f", "[SEP]", "[PAD]", "[UNK]", "☃", "10 000"], ids=ascii
)
def test_a_word_that_the_tokenizer_hardly_knows_is_scored_too(task, encoder, word: str):
    examples = [TaggedSentence((word, "dog", word, word), ("SYM", "NOUN", "X", "PUNCT")), SHORT]
    for max_length in (3, 128):
        windows = task.windows(examples, encoder.tokenizer, max_length)
        for number, example in enumerate(examples):
            _, labels = sub_words(windows, number, encoder.tokenizer)
            assert [UPOS[label] for label in labels if label != IGNORE] == list(example.tags)


def test_words_that_vanish_are_said(task, encoder, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    examples = [TaggedSentence(("dog", "\u200d"), ("NOUN", "X"))]
    check(examples, task.windows(examples, encoder.tokenizer, 128), encoder.tokenizer, 128)
    assert "1 words have no sub-word" in caplog.text


def test_text_without_labels_is_tokenised_as_labelled_text_is(task, encoder, sentences):
    examples = [CROSSING, *sentences(10)]
    labelled = task.windows(examples, encoder.tokenizer, 10)
    plain = task.text_windows([" ".join(example.words) for example in examples], encoder.tokenizer, 10)
    assert np.array_equal(plain.input_ids_T, labelled.input_ids_T)
    assert np.array_equal(plain.example_W, labelled.example_W)
    assert plain.labels_T is None


def predictions(task: Tagging, windows: Windows, batch_size: int = 4) -> list[np.ndarray]:
    """Each window's prediction from logits that are random, half of them right, padded to its batch as in `encode`."""
    generator = torch.Generator().manual_seed(0)
    rows: list[np.ndarray] = []
    for chosen_B in np.array_split(np.arange(len(windows)), -(-len(windows) // batch_size)):
        batch = pad(windows, chosen_B, 0)
        logits = torch.randn(*batch.input_ids_BL.shape, len(task.labels), generator=generator)
        if batch.labels_BL is not None:
            right = torch.rand(batch.input_ids_BL.shape, generator=generator) < 0.5
            window, position = torch.nonzero(right & (torch.tensor(batch.labels_BL) != IGNORE), as_tuple=True)
            logits[window, position, torch.tensor(batch.labels_BL)[window, position]] += 9
        rows += list(task.predict(TokenClassifierOutput(logits=logits), batch).numpy())
        assert rows[-1].tolist() == [int(np.argmax(of_one.numpy())) for of_one in logits[-1]]
    return rows


def predicted_tags(
    task: Tagging, windows: Windows, rows: list[np.ndarray], example: TaggedSentence, number: int, tokenizer
) -> list[str]:
    """The tags of a sentence, word by word, found by tokenising each word on its own."""
    of_windows = np.flatnonzero(windows.example_W == number)
    flat = [int(label) for window in of_windows for label in rows[window][1 : windows.lengths_W[window] - 1]]
    tags, at = [], 0
    for word in example.words:
        tags.append(task.labels[flat[at]])
        at += len(tokenizer.encode(word, add_special_tokens=False)) or 1
    assert at == len(flat)
    return tags


@pytest.mark.parametrize("max_length", [5, 128])
def test_words_are_counted_right(task, encoder, sentences, max_length: int):
    examples = [CROSSING, ENDLESS, *sentences(40, longest=20)]
    windows = task.windows(examples, encoder.tokenizer, max_length)
    rows = predictions(task, windows)
    counts = task.count(windows, rows)
    assert counts.dtype == np.float64
    for number, example in enumerate(examples):
        tags = predicted_tags(task, windows, rows, example, number, encoder.tokenizer)
        right = sum(one == other for one, other in zip(tags, example.tags, strict=True))
        assert counts[number].tolist() == [right, len(example.words)]
    assert 0 < counts[:, 0].sum() < counts[:, 1].sum()


def test_accuracy_is_over_words_and_not_over_sentences(task):
    assert task.score(np.array([[1, 1], [0, 3]]).sum(0)) == 0.25
    assert task.score(np.array([[[3, 4], [1, 2]], [[0, 5], [5, 5]]])).tolist() == [[0.75, 0.5], [0, 1]]


def test_a_head_has_one_output_for_each_tag(task, encoder):
    model = task.build(encoder.config)
    assert model.config.id2label == dict(enumerate(UPOS))
    assert model.classifier.out_features == 17
    assert getattr(encoder.config, "num_labels", None) != 17  # the shared configuration is left alone


TYPES = ("PER", "LOC", "creative-work")


@pytest.fixture(scope="module")
def ner() -> NamedEntities:
    """Entities of three types."""
    return NamedEntities(NamedEntities.outputs(TYPES))


@pytest.fixture(scope="module")
def tagged(sentences) -> list[EntitySentence]:
    """Sentences with entities of up to four words, some of them touching."""
    rng = random.Random(0)
    made = []
    for sentence in sentences(60, longest=30):
        tags: list[str] = []
        while len(tags) < len(sentence.words):
            kind = rng.choice(TYPES)
            entity = [f"B-{kind}"] + [f"I-{kind}"] * rng.randint(0, 3)
            tags += entity if rng.random() < 0.4 else ["O"]
        made.append(EntitySentence(sentence.words, tuple(tags[: len(sentence.words)])))
    return made


def test_every_entity_type_can_begin_and_go_on_whatever_the_training_data_has(ner):
    assert ner.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER", "B-creative-work", "I-creative-work")
    assert NamedEntities.outputs([]) == ("O",)


@pytest.mark.parametrize("max_length", [5, 128])
def test_entities_of_every_sentence_are_counted_as_its_words_have_them(ner, encoder, tagged, max_length: int):
    windows = ner.windows(tagged, encoder.tokenizer, max_length)
    assert (len(windows) > len(tagged)) == (max_length == 5)
    rows = predictions(ner, windows)
    counts = ner.count(windows, rows)
    assert counts.dtype == np.float64
    for number, example in enumerate(tagged):
        tags = predicted_tags(ner, windows, rows, example, number, encoder.tokenizer)
        gold, predicted = entities.spans(example.tags), entities.spans(tags)
        right = sum(tag == given for tag, given in zip(example.tags, tags, strict=True))
        assert counts[number].tolist() == [
            *(len(gold & predicted), len(predicted), len(gold)),
            *(right, len(example.words)),
        ]
    assert 0 < counts[:, 0].sum() < min(counts[:, 1].sum(), counts[:, 2].sum())


def test_an_entity_that_crosses_a_windows_end_is_one(ner, encoder):
    sentence = EntitySentence(("the", "dog", "dog", "dog", "runs"), ("O", "B-PER", "I-PER", "I-PER", "O"))
    other = EntitySentence(("dog",), ("B-PER",))  # begins where the one before ended, and is another one
    ends = EntitySentence(("runs", "dog"), ("O", "B-PER"))
    examples = [sentence, ends, other]
    windows = ner.windows(examples, encoder.tokenizer, 4)
    assert len(windows) > len(examples)
    gold = pad(windows, np.arange(len(windows)), 0).labels_BL
    assert ner.count(windows, list(np.where(gold == IGNORE, 0, gold))).tolist() == [
        [1, 1, 1, *words] for words in ((5, 5), (2, 2), (1, 1))
    ]
    outside = [np.zeros(9, int)] * len(windows)
    assert ner.count(windows, outside).tolist() == [[0, 0, 1, *words] for words in ((2, 5), (1, 2), (0, 1))]
    inside = [np.full(9, ner.number["I-PER"])] * len(windows)  # no model knows where its sentence was cut
    assert ner.count(windows, inside).tolist() == [[0, 1, 1, 2, 5], [0, 1, 1, 0, 2], [1, 1, 1, 0, 1]]


def test_text_without_entities_has_nothing_to_count(ner, encoder):
    windows = ner.text_windows(["the dog runs .", "dog"], encoder.tokenizer, 4)
    assert ner.count(windows, predictions(ner, windows)).tolist() == [[0] * 5] * 2


def test_f1_is_of_all_entities_together_and_never_undefined(ner):
    assert ner.score(np.array([[1, 1, 2], [1, 3, 2]]).sum(0)) == 0.5
    assert ner.score(np.zeros((2, 3))).tolist() == [0, 0]
    assert ner.score(np.array([[0, 5, 0], [0, 0, 5], [3, 3, 3]])).tolist() == [0, 0, 1]


MAPPINGS = [
    ({"MISC": "O"}, "O O B-ORG I-ORG B-DATE"),
    ({"DATE": "O"}, "B-MISC I-MISC B-ORG I-ORG O"),
    ({"MISC": "ORG"}, "B-ORG I-ORG B-ORG I-ORG B-DATE"),
    ({"MISC": "O", "DATE": "O", "ORG": "creative-work"}, "O O B-creative-work I-creative-work O"),
    ({"ORG": "MISC", "MISC": "ORG"}, "B-ORG I-ORG B-MISC I-MISC B-DATE"),  # each is read once
    ({"B-ORG": "O", "O": "MISC"}, "B-MISC I-MISC B-ORG I-ORG B-DATE"),  # types are mapped, not tags
]


@pytest.mark.parametrize(("mapping", "mapped"), MAPPINGS, ids=[str(mapping) for mapping, _ in MAPPINGS])
def test_entity_types_are_read_as_others(mapping: dict[str, str], mapped: str):
    sentence = EntitySentence(tuple("abcde"), ("B-MISC", "I-MISC", "B-ORG", "I-ORG", "B-DATE"), "f:3")
    read = sentence.relabelled(mapping)
    assert (read.words, read.tags, read.where) == (sentence.words, tuple(mapped.split()), "f:3")


def test_a_tag_that_training_does_not_have_is_refused_with_its_place(ner, task, encoder):
    sentence = EntitySentence(("a", "dog"), ("O", "B-ORG"), "de.iob:7")
    message = (
        "de.iob:7: found label 'ORG', which the training data does not have; accepted are LOC, PER, creative-work, "
        "or a mapping to one of them or to O in data.labels"
    )
    for refuse in (lambda: ner.check([sentence]), lambda: ner.windows([sentence], encoder.tokenizer, 32)):
        with pytest.raises(DataError) as refused:
            refuse()
        assert str(refused.value) == message
    ner.check([EntitySentence(("a", "dog"), ("O", "I-LOC"))])
    with pytest.raises(DataError, match=r"^x:1: found label 'N'"):
        task.check([TaggedSentence(("a",), ("NOUN",)), TaggedSentence(("a",), ("N",), "x:1")])


def test_parts_of_speech_are_read_as_others():
    sentence = TaggedSentence(("a", "dog", "."), ("DET", "NOUN", "PUNCT"))
    assert sentence.relabelled({"PUNCT": "X", "NOUN": "PROPN"}).tags == ("DET", "PROPN", "X")


@pytest.mark.real
@pytest.mark.parametrize("language", ["ar", "zh", "fa"])
def test_every_word_of_a_real_treebank_is_scored_once(task: PartOfSpeech, shared: Path, language: str, tmp_path: Path):
    files = sorted((shared / "data" / "ud").rglob(f"{language}_*-ud-dev.conllu"))
    if not files:
        pytest.skip(f"no dev set of {language} in {shared}")
    (tmp_path / "some.conllu").write_text("\n\n".join(files[0].read_text("utf-8").split("\n\n")[:300]), "utf-8")
    examples = conllu.read(tmp_path / "some.conllu")
    tokenizer = AutoTokenizer.from_pretrained(shared / "encoder")
    check(examples, task.windows(examples, tokenizer, 32), tokenizer, 32)
