"""Groups of examples that are resampled together: parts of one unit, and translations of each other.

Test sets of several languages often hold the same sentences, or questions about the same paragraphs. An average over
them varies more than one over independent sets, and its interval must know it. Translations are told by their ids.

Questions are grouped by paragraph, and a paragraph may hold some of its questions in one language and others in the
next: groups that share an id are one group, over all sets. Where that joins most paragraphs of one set, its ids are
numbers that begin anew in every file and say nothing about translations: such a set keeps its own groups.
"""

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

log = logging.getLogger(__name__)


def named(sets: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
    """For each example of each set the name of its group: the smallest id in it, as text.

    An example without an id has one that is found in no other set.

    Args:
        sets: examples by the name of their set.
    """
    above: dict[Hashable, Hashable] = {}

    def top(node: Hashable) -> Hashable:
        passed = []
        while node in above:
            passed.append(node)
            node = above[node]
        above.update(dict.fromkeys(passed, node))
        return node

    units = {
        name: [
            (name, number) if example.unit is None else (name, "unit", example.unit)
            for number, example in enumerate(examples)
        ]
        for name, examples in sets.items()
    }
    for name, examples in sets.items():
        for number, (unit, example) in enumerate(zip(units[name], examples, strict=True)):
            joined, identity = top(unit), top(example.id or f"{name}:{number}")
            if not isinstance(joined, str):  # a unit that is met for the first time: its id stands above it
                above[joined] = identity
            elif joined != identity:
                above[max(joined, str(identity))] = min(joined, str(identity))
    groups = {name: [str(top(unit)) for unit in of_set] for name, of_set in units.items()}
    for name, of_set in units.items():
        if 2 * len(set(groups[name])) < len(set(of_set)):
            log.info("%s: its ids are those of other sets, but not of translations; it is resampled alone", name)
            groups[name] = [":".join(map(str, unit)) for unit in of_set]
    return groups
