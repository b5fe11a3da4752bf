"""Part-of-speech examples from CoNLL-U files (Universal Dependencies).

Words are the syntactic words: multi-word tokens (`3-4`) and empty nodes (`5.1`) are skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from conllu.parser import ParseException, parse_id_value

from lms_ray.data import DataError

UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)


@dataclass(frozen=True)
class TaggedSentence:
    """Words of one sentence, each with its universal part-of-speech tag."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


def find(folder: Path, split: str) -> Path:
    """The one file of a treebank folder that holds a split (`*-ud-dev.conllu`).

    Raises:
        DataError: there is none, or more than one.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: found no such folder; accepted is a Universal Dependencies treebank's folder")
    files = sorted(folder.glob(f"*-ud-{split}.conllu"))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise DataError(f"{folder}: found {found}; accepted is exactly one file *-ud-{split}.conllu")
    return files[0]


def read(path: Path, limit: int | None = None) -> list[TaggedSentence]:
    """Sentences of a file in its order, at most `limit`.

    Raises:
        DataError: not UTF-8, a line without its ten columns, ids out of order, an unknown tag, an empty file.
    """
    sentences = list(islice(_sentences(path), limit))
    if not sentences:
        raise DataError(f"{path}: found no sentence")
    return sentences


def _sentences(path: Path) -> Iterator[TaggedSentence]:
    for first_line, block in _blocks(path):
        if all(line.startswith("#") for line in block):
            raise DataError(f"{path}:{first_line}: found comments without a sentence")
        yield _parse(path, first_line, block)


def _blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Blank-line separated blocks, each with the number of its first line."""
    block: list[str] = []
    first_line = number = 1
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(f"{path}:{number}: not UTF-8: {error.reason} at byte {error.start}") from None
            if line.strip():
                if not block:
                    first_line = number
                block.append(line)
            elif block:
                yield first_line, block
                block = []
    if block:
        yield first_line, block


def _parse(path: Path, first_line: int, block: list[str]) -> TaggedSentence:
    words: list[str] = []
    tags: list[str] = []
    for number, line in enumerate(block, start=first_line):
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
    return TaggedSentence(tuple(words), tuple(tags))
