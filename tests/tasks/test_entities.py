"""Entities are counted as seqeval counts them, also in tag sequences that a model gets wrong."""

import random

import pytest
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities

from lms_ray.tasks.entities import counts, spans

CASES = [
    ("", set()),
    ("O O O", set()),
    ("B-PER", {(0, 1, "PER")}),
    ("B-PER I-PER O", {(0, 2, "PER")}),
    ("O B-PER I-PER", {(1, 3, "PER")}),
    ("B-PER B-PER", {(0, 1, "PER"), (1, 2, "PER")}),
    ("B-PER I-PER B-PER I-PER", {(0, 2, "PER"), (2, 4, "PER")}),
    ("I-PER I-PER O I-PER", {(0, 2, "PER"), (3, 4, "PER")}),
    ("B-PER I-LOC I-PER", {(0, 1, "PER"), (1, 2, "LOC"), (2, 3, "PER")}),
    ("B-PER O I-PER", {(0, 1, "PER"), (2, 3, "PER")}),
    ("B-creative-work I-creative-work I-creative", {(0, 2, "creative-work"), (2, 3, "creative")}),
]


@pytest.mark.parametrize(("tags", "found"), CASES, ids=[tags or "empty" for tags, _ in CASES])
def test_entities_of_a_sequence(tags: str, found: set[tuple[int, int, str]]):
    assert spans(tags.split()) == spans(tuple(tags.split())) == found


def test_an_entity_is_right_only_with_its_whole_span_and_its_type():
    gold = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-ORG"]
    predicted = ["B-PER", "O", "O", "B-ORG", "O", "I-ORG"]
    assert counts(gold, predicted) == (1, 3, 3)
    assert counts(gold, gold) == (3, 3, 3)
    assert counts(gold, ["O"] * 6) == (0, 0, 3)
    assert counts(["O"] * 6, predicted) == (0, 3, 0)


def sequences(
    rng: random.Random, types: list[str], share_o: float, count: int
) -> tuple[list[list[str]], list[list[str]]]:
    """Gold tags and tags that are partly the same; neither is legal IOB2 in general, some are empty, some all O."""

    def tag() -> str:
        return "O" if rng.random() < share_o else f"{rng.choice('BI')}-{rng.choice(types)}"

    gold = [[tag() for _ in range(rng.choice((0, 1, 2, 5, 12)))] for _ in range(count)]
    predicted = [[same if rng.random() < 0.8 else tag() for same in sentence] for sentence in gold]
    return gold, predicted


@pytest.mark.parametrize("share_o", [0.0, 0.3, 0.8, 0.98, 1.0])
@pytest.mark.parametrize("types", [["PER"], ["PER", "LOC", "ORG", "MISC"], ["LOC", "LOC-x", "L", "loc"]], ids=len)
def test_summed_counts_give_the_micro_f1_of_seqeval(types: list[str], share_o: float):
    rng = random.Random(f"{types} {share_o}")
    right_at_all = 0
    for _ in range(15):
        gold, predicted = sequences(rng, types, share_o, count=40)
        for tags in gold + predicted:
            assert spans(tags) == {(begin, last + 1, kind) for kind, begin, last in get_entities(tags)}
        right, all_predicted, all_gold = (sum(column) for column in zip(*map(counts, gold, predicted), strict=True))
        right_at_all += right
        f1 = 2 * right / (all_predicted + all_gold) if right else 0.0
        assert f1 == pytest.approx(f1_score(gold, predicted, average="micro", zero_division=0), abs=1e-12)
    assert (right_at_all > 0) == (share_o < 1), "nothing but zeros was compared"
