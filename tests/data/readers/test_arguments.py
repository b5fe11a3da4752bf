"""Every predicate meets every argument head of its sentence, and a broken record is refused with its line."""

import json
from pathlib import Path

import pytest

from lms_ray.data import DataError
from lms_ray.data.examples import Argument
from lms_ray.data.readers import arguments


def read(path: Path) -> list[Argument]:
    return list(arguments.read(path).examples)


WORDS = ["He", "came", "to", "eat", "soup"]
SENTENCE = {
    "id": "a",
    "tokens": WORDS,
    "predicates": [
        {"trigger": 3, "frame": "eat.01", "args": [[4, "ARG1"], [0, "ARG0"], [4, "ARG2"], [4, "ARG1"]]},
        {"trigger": 1, "frame": "come.01", "args": [[0, "ARG1"], [3, "ARGM-PRP"]]},
    ],
}


@pytest.fixture
def written(tmp_path: Path):
    def write(*records: object, end: str = "\n") -> Path:
        path = tmp_path / "xx-dev.jsonl"
        lines = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
        path.write_bytes("".join(line + end for line in lines).encode())
        return path

    return write


def test_candidates_are_the_argument_heads_of_all_predicates(written):
    path = written({"id": "0", "tokens": ["Oh"], "predicates": []}, "", SENTENCE)
    found = read(path)
    assert arguments.read(path).sentences == [("Oh",), tuple(WORDS)]  # whether it has a pair or none
    assert [(pair.first, pair.second, pair.labels) for pair in found] == [
        ((3, 4), (0, 1), ("ARG0",)),
        ((3, 4), (4, 5), ("ARG1", "ARG2")),
        ((1, 2), (0, 1), ("ARG1",)),
        ((1, 2), (3, 4), ("ARGM-PRP",)),
        ((1, 2), (4, 5), ()),
    ]
    assert {(pair.words, pair.types, pair.sentence, pair.where, pair.id) for pair in found} == {
        (tuple(WORDS), None, 1, f"{path}:3", "a")
    }


def test_an_argument_that_is_its_own_trigger_is_kept_for_that_predicate_only():
    record = {
        "tokens": ["two", "timing", "you"],
        "predicates": [{"trigger": 1, "args": [[2, "ARG0"], [1, "C-V"]]}, {"trigger": 2, "args": []}],
    }
    _, pairs = arguments.pairs(record, 0, "set:0")
    assert [(pair.first[0], pair.second[0], pair.labels) for pair in pairs] == [
        (1, 1, ("C-V",)),
        (1, 2, ("ARG0",)),
        (2, 1, ()),
    ]


def test_the_form_of_the_file_does_not_matter(written):
    expected = read(written(SENTENCE))
    path = written("", SENTENCE, " ", end="\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(expected) == 5 and read(path) == expected


def test_words_are_read_as_they_are_written(written):
    words = ["10 000", "a\u0085b", "a\u2028b", "e\u0301", "مرحبا👩‍👩‍👧"]
    assert {pair.words for pair in read(written({**SENTENCE, "tokens": words}))} == {tuple(words)}


def test_a_sentence_of_ten_thousand_words_is_whole(written):
    words = [f"w{number}" for number in range(10_000)]
    (pair,) = read(written({"id": "l", "tokens": words, "predicates": [{"trigger": 0, "args": [[9_999, "ARG1"]]}]}))
    assert (pair.words, pair.second) == (tuple(words), (9_999, 10_000))


def predicate(**changes: object) -> dict[str, object]:
    return {**SENTENCE, "id": "1", "predicates": [{**SENTENCE["predicates"][0], **changes}]}


BROKEN = [
    ('{"id": "1", "tokens": ["a"', "found no JSON"),
    ('"a"', "found 'a'; accepted is an object"),
    ({**SENTENCE, "id": None}, "found id None; accepted is a string"),
    (SENTENCE, "found id 'a' of line 1 again"),
    ({"id": "1", "tokens": WORDS}, "found no predicates; accepted is an object with tokens, predicates"),
    ({"id": "1", "predicates": []}, "found no tokens"),
    ({**SENTENCE, "id": "1", "tokens": [*WORDS, " "]}, "accepted are strings, none empty"),
    ({**SENTENCE, "id": "1", "tokens": [*WORDS, None]}, "accepted are strings, none empty"),
    ({**SENTENCE, "id": "1", "predicates": None}, "found predicates None; accepted is a list"),
    ({**SENTENCE, "id": "1", "predicates": [3]}, "found 3; accepted is an object with trigger, args"),
    (
        {**SENTENCE, "id": "1", "predicates": [{"trigger": 3}]},
        "found no args; accepted is an object with trigger, args",
    ),
    ({**SENTENCE, "id": "1", "predicates": SENTENCE["predicates"] * 2}, "found trigger 3 again"),
    (predicate(trigger=5), "found words 5 to 5; accepted are positions from 0 to 4"),
    (predicate(trigger=-1), "found words -1 to -1"),
    (predicate(trigger="3"), "found words '3' to '3'"),
    (predicate(trigger=True), "found words True to True"),
    (predicate(trigger=None), "found words None to None"),
    (predicate(args=None), "found args None; accepted is a list"),
    (predicate(args=[4, "ARG1"]), "found argument 4; accepted is [word, role]"),
    (predicate(args=[[4, None]]), "found argument [4, None]"),
    (predicate(args=[[4, ""]]), "found argument [4, '']"),
    (predicate(args=[["4", "ARG1"]]), "found words '4' to '4'"),
    (predicate(args=[[9, "ARG1"]]), "found words 9 to 9"),
]


@pytest.mark.parametrize(("record", "complaint"), BROKEN, ids=[complaint for _, complaint in BROKEN])
def test_a_broken_record_is_refused_with_its_line(written, record: object, complaint: str):
    path = written(SENTENCE, "", record)
    with pytest.raises(DataError) as refused:
        read(path)
    message = str(refused.value)
    assert message.startswith(f"{path}:3: "), message
    assert complaint in message


@pytest.mark.parametrize("records", [(), ("",), ({"id": "0", "tokens": ["Oh"], "predicates": []},)], ids=len)
def test_a_file_without_a_pair_is_refused(written, records):
    with pytest.raises(DataError, match=r"dev\.jsonl: found no predicate"):
        read(written(*records))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps({**SENTENCE, "tokens": ["é"] * 5}, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.jsonl:1: not UTF-8"):
        read(path)


@pytest.mark.real
def test_real_predicates_keep_every_argument(shared: Path):
    files = sorted((shared / "data" / "events" / "up1").glob("*.jsonl"))
    if not files:
        pytest.skip("no files of the Universal Proposition Banks")
    of_themselves = 0
    for path in files:
        records = [json.loads(line) for line in path.read_bytes().splitlines()]
        annotated = {
            (number, predicate["trigger"], head, role)
            for number, record in enumerate(records)
            for predicate in record["predicates"]
            for head, role in predicate["args"]
        }
        found = read(path)
        assert {
            (pair.sentence, pair.first[0], pair.second[0], role) for pair in found for role in pair.labels
        } == annotated
        assert any(not pair.labels for pair in found)
        assert all(pair.labels for pair in found if pair.first == pair.second)
        of_themselves += sum(pair.first == pair.second for pair in found)
    assert of_themselves == 1  # a `C-V` in the English training file
