"""Entities of a tagged sentence, and the counts from which entity-level F1 is made.

Tags are `O`, `B-TYPE` and `I-TYPE`. A model's tags are often no legal IOB2, so they are read as `conlleval` and the
default mode of seqeval do: an `I-TYPE` that continues nothing begins an entity.
"""

from collections.abc import Sequence


def spans(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """Entities of a sentence: first word, the word after the last, type."""
    found: set[tuple[int, int, str]] = set()
    if tags.count("O") == len(tags):  # many sentences, and no Python loop for them
        return found
    begin, kind = 0, ""
    for position, tag in enumerate(tags):
        if tag == "O":
            if kind:
                found.add((begin, position, kind))
                kind = ""
        elif tag[0] == "B" or tag[2:] != kind:
            if kind:
                found.add((begin, position, kind))
            begin, kind = position, tag[2:]
    if kind:
        found.add((begin, len(tags), kind))
    return found


def counts(gold: Sequence[str], predicted: Sequence[str]) -> tuple[int, int, int]:
    """Numbers of entities in a sentence: right in span and type, predicted, gold.

    Summed over sentences they give micro-averaged precision, recall and F1: 2 * right / (predicted + gold).
    """
    gold_spans, predicted_spans = spans(gold), spans(predicted)
    return len(gold_spans & predicted_spans), len(predicted_spans), len(gold_spans)
