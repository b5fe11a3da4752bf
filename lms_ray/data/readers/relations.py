"""Pairs of spans for relation extraction, from JSON lines in one of two layouts.

Sentences with their entities, as in CrossRE (positions of words from 0, the last one included):

    {"id": "1", "tokens": ["Bonn", "am", "Rhein"], "entities": [[0, 0, "city"], [2, 2, "river"]],
     "relations": [[0, 0, 2, 2, "physical"]]}

Sentences with one marked pair, as in RELX and KBP37:

    {"id": "1", "text": "<e1> Bonn </e1> am <e2> Rhein </e2>", "label": "no_relation"}
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable
from reprlib import repr as short
from typing import Any

from lms_ray.data import DataError, jsonl
from lms_ray.data.examples import Relation
from lms_ray.data.files import File
from lms_ray.data.readers import Place, Records, hub, reader

log = logging.getLogger(__name__)

NO_RELATION = "no_relation"
MARKERS = ("<e1>", "</e1>", "<e2>", "</e2>")
Words = tuple[str, ...]

ANY_MARKER = re.compile(f"({'|'.join(MARKERS)})")


@reader("jsonl", gives=Relation)
def _(place: Place) -> Records:
    return read(place.path)


@hub.rows(
    Relation,
    {"tokens": "tokens", "entities": "entities", "relations": "relations"},
    {"text": "text", "label": "label"},
)
def _(rows: hub.Rows) -> Records:
    return _all_pairs(rows, rows.name)


def read(path: File) -> Records:
    """Pairs of a file in its order, and the words of each record.

    Raises:
        DataError: the file is not in either layout, or gives no pair.
    """
    found = _all_pairs(jsonl.records(path), str(path))
    if not found.examples:
        raise DataError(f"{path}: found no pair of entities")
    return found


def _all_pairs(records: Iterable[tuple[str, dict[str, Any]]], name: str) -> Records:
    odd: Counter[str] = Counter()
    found: list[Relation] = []
    sentences: list[Words] = []
    for where, record in records:
        words, of_record = pairs(record, len(sentences), where, odd)
        sentences.append(words)
        found += of_record
    if odd:
        log.warning("%s: %s", name, "; ".join(f"{count} {what}" for what, count in odd.items()))
    return Records(found, sentences)


def pairs(record: dict[str, Any], sentence: int, where: str, odd: Counter[str]) -> tuple[Words, list[Relation]]:
    """Words of one record, and its pairs: every ordered pair of its entities, or the marked one.

    An entity is paired with itself only where the data relates it to itself. Entities with the same span are one
    entity, with the type that comes first. A marked pair with an empty span gives no pair.

    Args:
        record: the record, in either layout.
        sentence: its number in the corpus.
        where: its place, for errors and for the pairs.
        odd: is told what was merged or left out, and how often.

    Raises:
        DataError: the record is in neither layout.
    """
    keys = record.keys()
    if "tokens" in keys and "text" not in keys:
        return _between_entities(record, sentence, where, odd)
    if "text" in keys and "tokens" not in keys:
        return _marked(record, sentence, where, odd)
    raise DataError(
        f"{where}: found keys {', '.join(map(str, keys))}; "
        "accepted is an object with tokens, entities, relations or with text, label"
    )


def _between_entities(
    record: dict[str, Any], sentence: int, where: str, odd: Counter[str]
) -> tuple[Words, list[Relation]]:
    tokens, entities, relations = jsonl.fields(record, ("tokens", "entities", "relations"), where)
    words = jsonl.tokens(tokens, where)
    types: dict[tuple[int, int], str] = {}
    for entity in jsonl.items(entities, "entities", where):
        match entity:
            case [first, last, str(kind)] if kind:
                span = jsonl.span(first, last, len(words), where)
            case _:
                raise DataError(f"{where}: found entity {short(entity)}; accepted is [first word, last word, type]")
        if span in types:
            odd["entities with the span of another one, merged into it"] += 1
        types.setdefault(span, kind)
    labels: dict[tuple[tuple[int, int], tuple[int, int]], tuple[str, ...]] = {}
    for relation in jsonl.items(relations, "relations", where):
        match relation:
            case [head_first, head_last, tail_first, tail_last, str(label)] if label:
                head = jsonl.span(head_first, head_last, len(words), where)
                tail = jsonl.span(tail_first, tail_last, len(words), where)
            case _:
                raise DataError(
                    f"{where}: found relation {short(relation)}; "
                    "accepted is [first word and last word of the head, those of the tail, label]"
                )
        for first, end in (head, tail):
            if (first, end) not in types:
                raise DataError(
                    f"{where}: found relation {short(relation)}, but words {first} to {end - 1} are no entity; "
                    f"accepted are entities of the record: {', '.join(f'{a}-{b - 1}' for a, b in types) or 'none'}"
                )
        known = labels.get((head, tail), ())
        if label in known:
            odd["relations annotated again, taken once"] += 1
        else:
            labels[head, tail] = (*known, label)
        if head == tail:
            odd["relations of an entity to itself, kept"] += 1
    name = record.get("id", "")
    return words, [
        Relation(
            words, first, second, labels.get((first, second), ()), (first_type, second_type), sentence, where, name
        )
        for first, first_type in types.items()
        for second, second_type in types.items()
        if first != second or (first, second) in labels
    ]


def _marked(record: dict[str, Any], sentence: int, where: str, odd: Counter[str]) -> tuple[Words, list[Relation]]:
    text, label = jsonl.fields(record, ("text", "label"), where)
    if not isinstance(text, str):
        raise DataError(f"{where}: found text {short(text)}; accepted is a string")
    if not isinstance(label, str) or not label:
        raise DataError(f"{where}: found label {short(label)}; accepted is a string, {NO_RELATION} where there is none")
    words: list[str] = []
    marks: list[tuple[str, int]] = []
    for piece in ANY_MARKER.split(text):
        if piece in MARKERS:
            marks.append((piece, len(words)))
        else:
            words += piece.split()
    order = [marker for marker, _ in marks]
    if sorted(order) != sorted(MARKERS) or any(order.index(f"<{e}>") > order.index(f"</{e}>") for e in ("e1", "e2")):
        raise DataError(
            f"{where}: found {' '.join(order) or 'no markers'}; "
            "accepted are <e1> .. </e1> and <e2> .. </e2>, each exactly once"
        )
    at = dict(marks)
    first, second = (at["<e1>"], at["</e1>"]), (at["<e2>"], at["</e2>"])
    if first[0] == first[1] or second[0] == second[1]:
        odd["marked pairs with an empty span, left out"] += 1
        return tuple(words), []
    labels = () if label == NO_RELATION else (label,)
    name = record.get("id", "")
    return tuple(words), [Relation(tuple(words), first, second, labels, None, sentence, where, name)]
