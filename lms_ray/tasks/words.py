"""Sub-words of pre-split sentences, whatever the tokenizer."""

import logging
from itertools import chain, pairwise

import numpy as np
from transformers import BatchEncoding, PreTrainedTokenizerBase

from lms_ray.tasks.windows import IGNORE, Windows

log = logging.getLogger(__name__)


def tokenise_words(
    words: list[list[str]], labels: list[list[int]] | None, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Windows:
    """Sub-words of pre-split sentences; what does not fit a window goes on in the next one, nothing is cut.

    Args:
        words: sentences of words.
        labels: a label for every word; its first sub-word carries it, also where the word crosses a window's end.
            None: there are none.
        tokenizer: a fast tokenizer.
        max_length: sub-words in a window, special tokens included.
    """
    words = without_vanishing_words(words, tokenizer)
    tokens = tokenizer(
        words,
        is_split_into_words=True,
        truncation=True,
        max_length=max_length,
        return_overflowing_tokens=True,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    examples = tokens["overflow_to_sample_mapping"]
    if len(examples) > len(words):
        log.info("%d of %d sentences are longer than %d sub-words and span several windows",
                 len({one for one, other in pairwise(examples) if one == other}), len(words), max_length)  # fmt: skip
    units_T = _first_sub_words(tokens, examples)
    return Windows(
        input_ids_T=np.fromiter(chain.from_iterable(tokens["input_ids"]), np.int32),
        ends_W=np.cumsum([len(ids) for ids in tokens["input_ids"]], dtype=np.int64),
        example_W=np.asarray(examples, np.int32),
        examples=len(words),
        cls_W=cls_positions(tokens["input_ids"], tokenizer),
        labels_T=None if labels is None else _on_units(labels, units_T),
        units_T=units_T,
    )


def cls_positions(input_ids: list[list[int]], tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Where each window has the sub-word that stands for the whole ([CLS], `<s>`), int32."""
    return np.asarray([ids.index(tokenizer.cls_token_id) for ids in input_ids], np.int32)


def without_vanishing_words(words: list[list[str]], tokenizer: PreTrainedTokenizerBase) -> list[list[str]]:
    """Replace words of which the tokenizer leaves nothing (a lone control character): they are scored too."""
    tokens = tokenizer(words, is_split_into_words=True, add_special_tokens=False, verbose=False)
    replaced = 0
    result = []
    for example, sentence in enumerate(words):
        seen = set(tokens.word_ids(example))
        vanished = {word for word in range(len(sentence)) if word not in seen}
        replaced += len(vanished)
        result.append(
            [tokenizer.unk_token if word in vanished else text for word, text in enumerate(sentence)]
            if vanished
            else sentence
        )
    if replaced:
        log.warning("%d words have no sub-word in this tokenizer and are read as %s", replaced, tokenizer.unk_token)
    return result


def _first_sub_words(tokens: BatchEncoding, examples: list[int]) -> np.ndarray:
    """Whether a sub-word is the first of its word, also where the word crosses a window's end; shape (T,), bool."""
    flat: list[bool] = []
    last: tuple[int, int | None] = (-1, -1)  # example and word of the last sub-word seen
    for window, example in enumerate(examples):
        for word in tokens.word_ids(window):
            is_first = word is not None and (example, word) != last
            flat.append(is_first)
            if is_first:
                last = (example, word)
    return np.asarray(flat, bool)


def _on_units(labels: list[list[int]], units_T: np.ndarray) -> np.ndarray:
    labels_T = np.full(len(units_T), IGNORE, np.int16)
    labels_T[units_T] = list(chain.from_iterable(labels))
    return labels_T
