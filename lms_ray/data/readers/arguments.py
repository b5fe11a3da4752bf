"""Pairs of a predicate and a possible argument, from JSON lines such as the Universal Proposition Banks give.

    {"id": "1", "tokens": ["He", "came", "to", "eat", "soup"],
     "predicates": [{"trigger": 1, "frame": "come.01", "args": [[0, "ARG1"], [3, "ARGM-PRP"]]},
                    {"trigger": 3, "frame": "eat.01", "args": [[0, "ARG0"], [4, "ARG1"]]}]}

Positions are single words (of an argument its head), from 0. `frame` is not used. The data names no entities, so the
heads of all arguments of a sentence stand for them: each is a candidate for every predicate.
"""

from collections.abc import Iterable
from reprlib import repr as short
from typing import Any

from lms_ray.data import DataError, jsonl
from lms_ray.data.examples import Argument
from lms_ray.data.files import File
from lms_ray.data.readers import Place, Records, hub, reader


@reader("jsonl", gives=Argument)
def _(place: Place) -> Records:
    return read(place.path)


@hub.rows(Argument, {"tokens": "tokens", "predicates": "predicates"})
def _(rows: hub.Rows) -> Records:
    return _all_pairs(rows)


def read(path: File) -> Records:
    """Pairs of a file in its order, and the words of each record.

    Raises:
        DataError: the file is not in this layout, or gives no pair.
    """
    found = _all_pairs(jsonl.records(path))
    if not found.examples:
        raise DataError(f"{path}: found no predicate with a possible argument")
    return found


def _all_pairs(records: Iterable[tuple[str, dict[str, Any]]]) -> Records:
    found: list[Argument] = []
    sentences: list[tuple[str, ...]] = []
    for where, record in records:
        words, of_record = pairs(record, len(sentences), where)
        sentences.append(words)
        found += of_record
    return Records(found, sentences)


def pairs(record: dict[str, Any], sentence: int, where: str) -> tuple[tuple[str, ...], list[Argument]]:
    """Words of one record, and its pairs: every predicate with every argument head, in the order of the words.

    A trigger is no candidate for its own predicate, unless the data says that it is an argument of itself (`C-V`).

    Args:
        record: the record.
        sentence: its number in the corpus.
        where: its place, for errors and for the pairs.

    Raises:
        DataError: the record is not in this layout, or a word is the trigger of two predicates.
    """
    tokens, predicates = jsonl.fields(record, ("tokens", "predicates"), where)
    words = jsonl.tokens(tokens, where)
    roles: dict[tuple[int, int], dict[tuple[int, int], tuple[str, ...]]] = {}
    for predicate in jsonl.items(predicates, "predicates", where):
        position, arguments = jsonl.fields(predicate, ("trigger", "args"), where)
        trigger = jsonl.span(position, position, len(words), where)
        if trigger in roles:
            raise DataError(f"{where}: found trigger {position} again; accepted is one predicate for a word")
        roles[trigger] = {}
        for argument in jsonl.items(arguments, "args", where):
            match argument:
                case [head, str(role)] if role:
                    span = jsonl.span(head, head, len(words), where)
                case _:
                    raise DataError(f"{where}: found argument {short(argument)}; accepted is [word, role]")
            known = roles[trigger].get(span, ())
            roles[trigger][span] = known if role in known else (*known, role)
    heads = sorted({head for of_trigger in roles.values() for head in of_trigger})
    return words, [
        Argument(words, trigger, head, of_trigger.get(head, ()), None, sentence, where, record.get("id", ""))
        for trigger, of_trigger in roles.items()
        for head in heads
        if head != trigger or head in of_trigger
    ]
