"""Translations are resampled together where ids tell them, whole paragraphs at a time, and others alone."""

import random
from collections import defaultdict

from lms_ray.data import groups
from lms_ray.data.examples import Pair, Question, TaggedSentence


def sentences(*ids: str) -> list[TaggedSentence]:
    return [TaggedSentence(("a",), ("X",), id=identifier) for identifier in ids]


def questions(*paragraphs: str) -> list[Question]:
    """Each word is a paragraph, each of its letters the id of a question about it."""
    return [
        Question("?", "c", (), "xx", number, id=letter)
        for number, letters in enumerate(paragraphs)
        for letter in letters
    ]


def test_sentences_with_the_same_id_are_in_one_group_whatever_their_order():
    found = groups.named({"de-test": sentences("n1", "n2", "n3"), "fr-test": sentences("n3", "n1", "m")})
    assert found == {"de-test": ["n1", "n2", "n3"], "fr-test": ["n3", "n1", "m"]}


def test_sentences_without_an_id_are_alone():
    found = groups.named({"de-test": sentences("", "", "n"), "fr-test": sentences("", "n")})
    assert found == {"de-test": ["de-test:0", "de-test:1", "n"], "fr-test": ["fr-test:0", "n"]}


def test_pairs_of_one_sentence_are_one_group_with_and_without_an_id():
    pairs = [
        Pair(("a",), (0, 1), (0, 1), (), None, sentence, id=name) for sentence, name in ((4, ""), (4, ""), (0, "x"))
    ]
    assert groups.named({"de-dev": pairs}) == {"de-dev": ["de-dev:0", "de-dev:0", "x"]}


def test_a_paragraph_is_one_group_although_each_language_has_other_questions_about_it():
    """As in MLQA: `b` alone would be a group of another name in French."""
    found = groups.named({"de-test": questions("ab", "c"), "fr-test": questions("b", "c"), "es-test": questions("a")})
    assert found == {"de-test": ["a", "a", "c"], "fr-test": ["a", "c"], "es-test": ["a"]}


def test_paragraphs_that_another_language_joins_are_one_group():
    found = groups.named({"de-test": questions("a", "b", "d"), "fr-test": questions("ab", "c")})
    assert found == {"de-test": ["a", "a", "d"], "fr-test": ["a", "a", "c"]}


def test_groups_are_the_connected_parts_and_do_not_depend_on_the_order_of_sets():
    rng = random.Random(0)
    sets = {}
    for name in ("de", "fr", "es"):
        letters = rng.sample("abcdefghijklmnopqrstuvwxyz", 18)
        sets[name] = questions(*("".join(letters[at : at + 2]) for at in range(0, 8, 2)), *letters[8:])
    found = groups.named(sets)
    assert groups.named(dict(reversed(sets.items()))) == found
    neighbours = defaultdict(set)
    for examples in sets.values():
        for one in examples:
            neighbours[one.id] |= {other.id for other in examples if other.paragraph == one.paragraph}
    for name, examples in sets.items():
        for example, group in zip(examples, found[name], strict=True):
            reached, fresh = set(), {example.id}
            while fresh:
                reached |= fresh
                fresh = set().union(*(neighbours[one] for one in fresh)) - reached
            assert group == min(reached)


def test_running_numbers_say_nothing_about_translations():
    """Questions 0, 1, 2, ... of files whose paragraphs hold two, three and five questions would join to one group."""
    sets = {
        f"{size}-test": [Question("?", "c", (), "xx", number // size, id=str(number)) for number in range(60)]
        for size in (2, 3, 5)
    }
    found = groups.named(sets)
    assert [len(set(names)) for names in found.values()] == [30, 20, 12]
    assert len(set().union(*found.values())) == 62, "and none is shared"
