"""Every word of a sentence is scored exactly once, however long the sentence and whatever the tokenizer does to it."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from lms_ray.data import conllu
from lms_ray.data.conllu import UPOS, TaggedSentence
from lms_ray.tasks.tagging import PartOfSpeech
from lms_ray.windows import IGNORE, Windows

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
    assert (plain.labels_T == IGNORE).all()


def test_words_are_counted_right(task):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 9, len(UPOS), generator=generator)
    labels = torch.randint(0, 3, (5, 9), generator=generator)
    labels[torch.rand(5, 9, generator=generator) < 0.4] = IGNORE
    labels[4] = IGNORE
    logits[..., 3:] -= 9
    counts = task.count(logits, labels)
    for window in range(5):
        scored = [position for position in range(9) if labels[window, position] != IGNORE]
        correct = [p for p in scored if int(np.argmax(logits[window, p].numpy())) == int(labels[window, p])]
        assert counts[window].tolist() == [len(correct), len(scored)]
    assert 0 < counts[:, 0].sum() < counts[:, 1].sum()


def test_accuracy_is_over_words_and_not_over_sentences(task):
    assert task.score(np.array([[1, 1], [0, 3]]).sum(0)) == 0.25
    assert task.score(np.array([[[3, 4], [1, 2]], [[0, 5], [5, 5]]])).tolist() == [[0.75, 0.5], [0, 1]]


def test_a_head_has_one_output_for_each_tag(task, encoder):
    model = task.build(encoder.config)
    assert model.config.id2label == dict(enumerate(UPOS))
    assert model.classifier.out_features == 17
    assert getattr(encoder.config, "num_labels", None) != 17  # the shared configuration is left alone


@pytest.mark.real
@pytest.mark.parametrize("language", ["ar", "zh", "fa"])
def test_every_word_of_a_real_treebank_is_scored_once(task: PartOfSpeech, shared: Path, language: str):
    files = sorted((shared / "data" / "ud").rglob(f"{language}_*-ud-dev.conllu"))
    if not files:
        pytest.skip(f"no dev set of {language} in {shared}")
    examples = conllu.read(files[0], limit=300)
    tokenizer = AutoTokenizer.from_pretrained(shared / "encoder")
    check(examples, task.windows(examples, tokenizer, 32), tokenizer, 32)
