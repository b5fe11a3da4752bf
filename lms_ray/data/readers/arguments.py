"""Pairs of a predicate and a possible argument, from JSON lines such as the Universal Proposition Banks give.

    {"id": "1", "tokens": ["He", "came", "to", "eat", "soup"],
     "predicates": [{"trigger": 1, "frame": "come.01", "args": [[0, "ARG1"], [3, "ARGM-PRP"]]},
                    {"trigger": 3, "frame": "eat.01", "args": [[0, "ARG0"], [4, "ARG1"]]}]}

Positions are single words (of an argument its head), from 0. `frame` is not used. The data names no entities, so the
heads of all arguments of a sentence stand for them: each is a candidate for every predicate.
"""

from pathlib import Path
from reprlib import repr as short

from lms_ray.data import DataError, jsonl
from lms_ray.data.examples import Pair


def read(path: Path) -> list[Pair]:
    """Pairs of a file in its order.

    Raises:
        DataError: the file is not in this layout, or gives no pair.
    """
    found: list[Pair] = []
    for sentence, (where, record) in enumerate(jsonl.records(path)):
        found += pairs(record, sentence, where)
    if not found:
        raise DataError(f"{path}: found no predicate with a possible argument")
    return found


def pairs(record: object, sentence: int, where: str) -> list[Pair]:
    """Pairs of one record: every predicate with every argument head of the sentence, in the order of the words.

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
    return [
        Pair(words, trigger, head, of_trigger.get(head, ()), None, sentence, where)
        for trigger, of_trigger in roles.items()
        for head in heads
        if head != trigger or head in of_trigger
    ]
