"""Part-of-speech examples from CoNLL-U files (Universal Dependencies).

Words are the syntactic words: multi-word tokens (`3-4`) and empty nodes (`5.1`) are skipped.
"""

import logging

from conllu.parser import ParseException, parse_id_value

from lms_ray.data import DataError
from lms_ray.data.examples import TaggedSentence
from lms_ray.data.files import File
from lms_ray.data.readers import Place, Records, hub, reader
from lms_ray.data.text import blocks, sentence_id

log = logging.getLogger(__name__)

UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)
NOT_ANNOTATED = "_"  # the tag of multi-word tokens' ranges and of empty nodes, where a data set lists them as words


@reader("conllu", gives=TaggedSentence)
def _(place: Place) -> Records:
    return Records(read(place.path))


@hub.rows(TaggedSentence, {"words": "tokens", "tags": "upos"})
def _(rows: hub.Rows) -> Records:
    sentences = []
    dropped = empty = 0
    for where, row in rows:
        words, tags = hub.words_and_tags(where, row)
        for word, tag in zip(words, tags, strict=True):
            if tag not in UPOS and tag != NOT_ANNOTATED:
                raise DataError(f"{where}: found tag {tag!r}; accepted are {' '.join(UPOS)}")
            if not word.strip():
                raise DataError(f"{where}: found an empty word")
        kept = [(word, tag) for word, tag in zip(words, tags, strict=True) if tag != NOT_ANNOTATED]
        dropped += len(words) - len(kept)
        if kept:
            sentences.append(TaggedSentence(tuple(w for w, _ in kept), tuple(t for _, t in kept), where, row["id"]))
        else:
            empty += 1
    if dropped or empty:
        log.info("%s: left out %d words tagged _ and %d rows without words", rows.name, dropped, empty)
    return Records(sentences)


def read(path: File) -> list[TaggedSentence]:
    """Sentences of a file in its order.

    Raises:
        DataError: not UTF-8, a line without its ten columns, ids out of order, an unknown tag, an empty file.
    """
    sentences = [_parse(path, block) for block in blocks(path)]
    if not sentences:
        raise DataError(f"{path}: found no sentence")
    return sentences


def _parse(path: File, block: list[tuple[int, str]]) -> TaggedSentence:
    first_line = block[0][0]
    if all(line.startswith("#") for _, line in block):
        raise DataError(f"{path}:{first_line}: found comments without a sentence")
    words: list[str] = []
    tags: list[str] = []
    identifier = ""
    for number, line in block:
        if line.startswith("#"):
            identifier = sentence_id(line) or identifier
            continue
        where = f"{path}:{number}"
        columns = line.split("\t")  # conllu's parse_line would also split at two spaces, which a word may hold
        if len(columns) != 10:
            raise DataError(f"{where}: found {len(columns)} columns; accepted are 10, tab-separated")
        word_id, form, _, tag = columns[:4]
        expected = len(words) + 1
        if word_id != str(expected):  # mostly it is, and parsing takes a third of the time
            try:
                parsed = parse_id_value(word_id)
            except (ParseException, ValueError) as error:  # ValueError: a number of thousands of digits
                raise DataError(f"{where}: {str(error).split(';')[0]}") from None
            if isinstance(parsed, tuple):  # a multi-word token's range or an empty node
                continue
            if parsed != expected:
                raise DataError(f"{where}: found word id {word_id[:20]}; accepted is {expected}, the next one")
        if tag not in UPOS:
            raise DataError(f"{where}: found tag {tag!r}; accepted are {' '.join(UPOS)}")
        if not form.strip():
            raise DataError(f"{where}: found an empty word")
        words.append(form)
        tags.append(tag)
    if not words:
        raise DataError(f"{path}:{first_line}: found a sentence without words")
    return TaggedSentence(tuple(words), tuple(tags), f"{path}:{first_line}", identifier)
