"""Part-of-speech examples from CoNLL-U files (Universal Dependencies).

Words are the syntactic words: multi-word tokens (`3-4`) and empty nodes (`5.1`) are skipped.
"""

from pathlib import Path

from conllu.parser import ParseException, parse_id_value

from lms_ray.data import DataError
from lms_ray.data.examples import TaggedSentence
from lms_ray.data.text import blocks

UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)


def read(path: Path) -> list[TaggedSentence]:
    """Sentences of a file in its order.

    Raises:
        DataError: not UTF-8, a line without its ten columns, ids out of order, an unknown tag, an empty file.
    """
    sentences = [_parse(path, block) for block in blocks(path)]
    if not sentences:
        raise DataError(f"{path}: found no sentence")
    return sentences


def _parse(path: Path, block: list[tuple[int, str]]) -> TaggedSentence:
    first_line = block[0][0]
    if all(line.startswith("#") for _, line in block):
        raise DataError(f"{path}:{first_line}: found comments without a sentence")
    words: list[str] = []
    tags: list[str] = []
    for number, line in block:
        if line.startswith("#"):
            continue
        where = f"{path}:{number}"
        columns = line.split("\t")  # conllu's parse_line would also split at two spaces, which a word may hold
        if len(columns) != 10:
            raise DataError(f"{where}: found {len(columns)} columns; accepted are 10, tab-separated")
        identifier, form, _, tag = columns[:4]
        try:
            number_in_sentence = parse_id_value(identifier)
        except ParseException as error:
            raise DataError(f"{where}: {error}") from None
        if isinstance(number_in_sentence, tuple):  # a multi-word token's range or an empty node
            continue
        if number_in_sentence != len(words) + 1:
            raise DataError(f"{where}: found word id {identifier}; accepted is {len(words) + 1}, the next one")
        if tag not in UPOS:
            raise DataError(f"{where}: found tag {tag!r}; accepted are {' '.join(UPOS)}")
        if not form.strip():
            raise DataError(f"{where}: found an empty word")
        words.append(form)
        tags.append(tag)
    if not words:
        raise DataError(f"{path}:{first_line}: found a sentence without words")
    return TaggedSentence(tuple(words), tuple(tags), f"{path}:{first_line}")
