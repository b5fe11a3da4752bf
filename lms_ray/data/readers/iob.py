"""Entity examples from files with a token and its IOB tag on each line, and blank lines between sentences.

Files differ in their columns, which tabs or spaces set apart:

    WikiAnn, MasakhaNER, WikiNEuRal    token, tag                             read(path)
    CoNLL-2002                         token, (part of speech,) tag           read(path)
    CoNLL-2003                         token, part of speech, chunk, tag      read(path, scheme="iob1")
    GermEval 2014, Universal NER       comments; index, token, tag, ...       read(path, token=1, tag=2, comments=True)
"""

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from lms_ray.data import DataError
from lms_ray.data.examples import TaggedSentence
from lms_ray.data.text import blocks

log = logging.getLogger(__name__)

ENTITY_TAG = re.compile(r"[BI]-\S+")
DOCUMENT_MARK = "-DOCSTART-"


def read(
    path: Path,
    token: int = 0,
    tag: int = -1,
    comments: bool = False,
    scheme: Literal["iob2", "iob1"] = "iob2",
    illegal: Literal["refuse", "repair"] = "refuse",
) -> list[TaggedSentence]:
    """Sentences of a file in its order, their tags in legal IOB2.

    Document marks (`-DOCSTART-`) are left out.

    Args:
        path: the file.
        token: column of the token, from 0; a negative one counts from the line's end.
        tag: column of the tag.
        comments: lines that begin with `#` are comments, not tokens.
        scheme: in IOB1 also `I-TYPE` begins an entity, and becomes `B-TYPE`.
        illegal: what becomes of an `I-TYPE` that continues no entity in IOB2: an error, or `B-TYPE`.

    Raises:
        DataError: not UTF-8, lines with different numbers of columns or too few, an empty token, a tag that is none of
            `O`, `B-TYPE` and `I-TYPE`, an illegal tag, no sentence.
    """
    sentences: list[TaggedSentence] = []
    width = marks = converted = 0
    convert = converts(scheme, illegal)
    for block in blocks(path):
        rows = [(number, _columns(line)) for number, line in block if not (comments and line.startswith("#"))]
        if rows and DOCUMENT_MARK in rows[0][1]:  # alone, or right above the words as in the Dutch CoNLL-2002
            marks += 1
            rows = rows[1:]
        if not rows:
            continue
        if not width:
            width = len(rows[0][1])
            _check_positions(width, token, tag, f"{path}:{rows[0][0]}")
        for number, columns in rows:
            if len(columns) != width:
                raise DataError(
                    f"{path}:{number}: found {len(columns)} columns; accepted are {width}, as further above"
                )
            if not columns[token].strip():
                raise DataError(f"{path}:{number}: found an empty token")
        words = tuple(columns[token] for _, columns in rows)
        tags = tuple(iob2([(f"{path}:{number}", columns[tag]) for number, columns in rows], convert))
        converted += sum(columns[tag] != new for (_, columns), new in zip(rows, tags, strict=True))
        sentences.append(TaggedSentence(words, tags, f"{path}:{rows[0][0]}"))
    if not sentences:
        raise DataError(f"{path}: found no sentence")
    if marks or converted:
        why = "IOB1" if scheme == "iob1" else "repaired"
        log.info("%s: %d document marks left out, %d tags I- became B- (%s)", path, marks, converted, why)
    return sentences


def converts(scheme: str, illegal: str) -> bool:
    """Whether an `I-` that continues no entity begins one."""
    return scheme == "iob1" or illegal == "repair"


def _columns(line: str) -> list[str]:
    if "\t" in line:
        return line.split("\t")
    return [column for column in line.split(" ") if column]  # str.split() would cut a token at a no-break space


def iob2(tags: Iterable[tuple[str, str]], convert: bool) -> Iterator[str]:
    """Tags of a sentence, each given with its place; an I- that continues no entity becomes B-, or is refused.

    Raises:
        DataError: a tag that is none of `O`, `B-TYPE` and `I-TYPE`, or without `convert` an illegal one.
    """
    before = "O"
    for where, tag in tags:
        if tag != "O" and not ENTITY_TAG.fullmatch(tag):
            raise DataError(f"{where}: found tag {tag!r}; accepted are O, B-TYPE and I-TYPE")
        if tag[0] == "I" and tag[2:] != before[2:]:
            if not convert:
                raise DataError(
                    f"{where}: found tag {tag} where no {tag[2:]} goes on; accepted is B{tag[1:]} first "
                    "(`illegal: repair` puts it there; `scheme: iob1` is for files in which I- begins entities)"
                )
            tag = f"B{tag[1:]}"
        yield tag
        before = tag


def _check_positions(width: int, token: int, tag: int, where: str) -> None:
    needed = max(position + 1 if position >= 0 else -position for position in (token, tag))
    if width < needed or token % width == tag % width:
        raise DataError(
            f"{where}: found {width} column{'s' if width > 1 else ''}; "
            f"accepted is a token in column {token} and its tag in another one, {tag} (from 0, or from -1 at the end)"
        )
