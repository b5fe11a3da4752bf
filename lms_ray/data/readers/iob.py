"""Entity examples from files with a token and its IOB tag on each line, and blank lines between sentences.

Files differ in their columns, which tabs or spaces set apart:

    WikiAnn, MasakhaNER, WikiNEuRal    token, tag                             read(path)
    CoNLL-2002                         token, (part of speech,) tag           read(path)
    CoNLL-2003                         token, part of speech, chunk, tag      read(path, scheme="iob1")
    GermEval 2014, Universal NER       comments; index, token, tag, ...       read(path, token=1, tag=2, comments=True)
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

from lms_ray.data import DataError
from lms_ray.data.examples import EntitySentence
from lms_ray.data.files import File
from lms_ray.data.readers import Place, Records, hub, reader
from lms_ray.data.text import blocks, sentence_id

log = logging.getLogger(__name__)

ENTITY_TAG = re.compile(r"[BI]-\S+")
DOCUMENT_MARK = "-DOCSTART-"
UNKNOWN = "\ufffd"
"""Stands for a token of white space that is repaired: it keeps its tag, and tokenizers take it for an unknown word."""


@reader("iob", gives=EntitySentence)
def _(place: Place) -> Records:
    return Records(read(place.path, **place.data.layout(place.language).model_dump()))


@hub.rows(EntitySentence, {"words": "tokens", "tags": "ner_tags"})
def _(rows: hub.Rows) -> Records:
    layout = rows.place.data.layout(rows.place.language)
    sentences = []
    repaired: Counter[str] = Counter()
    for where, row in rows:
        words, tags = hub.words_and_tags(where, row)
        if words == [DOCUMENT_MARK]:
            repaired["document marks left out"] += 1
        elif not words:
            repaired["rows without words left out"] += 1
        else:
            places = [where] * len(words)
            sentences.append(_sentence(places, words, tags, layout.scheme, layout.illegal, row["id"], repaired))
    _log(rows.name, repaired)
    return Records(sentences)


def read(
    path: File,
    token: int = 0,
    tag: int = -1,
    comments: bool = False,
    scheme: Literal["iob2", "iob1"] = "iob2",
    illegal: Literal["refuse", "repair"] = "refuse",
) -> list[EntitySentence]:
    """Sentences of a file in its order, their tags in legal IOB2.

    Document marks (`-DOCSTART-`) are left out.

    Args:
        path: the file.
        token: column of the token, from 0; a negative one counts from the line's end.
        tag: column of the tag.
        comments: lines that begin with `#` are comments, not tokens; `# sent_id = ...` names the sentence.
        scheme: in IOB1 also `I-TYPE` begins an entity, and becomes `B-TYPE`.
        illegal: what becomes of an `I-TYPE` that continues no entity in IOB2, and of a token of white space: an error,
            or `B-TYPE` and `UNKNOWN`.

    Raises:
        DataError: not UTF-8, lines with different numbers of columns or too few, an empty token, a tag that is none of
            `O`, `B-TYPE` and `I-TYPE`, an illegal tag, no sentence.
    """
    sentences: list[EntitySentence] = []
    repaired: Counter[str] = Counter()
    width = 0
    for block in blocks(path):
        rows = [(number, _columns(line)) for number, line in block if not (comments and line.startswith("#"))]
        if rows and DOCUMENT_MARK in rows[0][1]:  # alone, or right above the words as in the Dutch CoNLL-2002
            repaired["document marks left out"] += 1
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
        places = [f"{path}:{number}" for number, _ in rows]
        words, tags = ([columns[position] for _, columns in rows] for position in (token, tag))
        named = [name for _, line in block if comments and (name := sentence_id(line))]
        sentences.append(_sentence(places, words, tags, scheme, illegal, "".join(named[-1:]), repaired))
    if not sentences:
        raise DataError(f"{path}: found no sentence")
    _log(str(path), repaired)
    return sentences


def _sentence(
    places: list[str], words: list[str], tags: list[str], scheme: str, illegal: str, name: str, repaired: Counter[str]
) -> EntitySentence:
    """A sentence with legal tags and no empty word; what was changed for that is counted."""
    legal = tuple(iob2(zip(places, tags, strict=True), scheme == "iob1" or illegal == "repair"))
    repaired["tags I- became B-"] += sum(tag != new for tag, new in zip(tags, legal, strict=True))
    blank = [where for where, word in zip(places, words, strict=True) if not word.strip()]
    if blank and illegal == "refuse":
        raise DataError(
            f"{blank[0]}: found an empty token; accepted is text (`illegal: repair` reads it as an unknown word)"
        )
    repaired["tokens of white space became unknown words"] += len(blank)
    return EntitySentence(tuple(word if word.strip() else UNKNOWN for word in words), legal, places[0], name)


def _log(name: str, repaired: Counter[str]) -> None:
    if changes := [f"{count} {what}" for what, count in repaired.items() if count]:
        log.info("%s: %s", name, "; ".join(changes))


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
