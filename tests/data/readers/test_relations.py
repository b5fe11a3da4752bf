"""Pairs of entities are the annotated ones and all others, and a broken record is refused with its line."""

import json
from collections import Counter
from pathlib import Path

import pytest

from lms_ray.data import DataError
from lms_ray.data.examples import Relation
from lms_ray.data.readers import relations


def read(path: Path) -> list[Relation]:
    return list(relations.read(path).examples)


WORDS = ["Anna", "Lee", "left", "Bonn", "for", "Rome"]
SENTENCE = {
    "id": "a",
    "tokens": WORDS,
    "entities": [[0, 1, "person"], [5, 5, "city"], [3, 3, "city"]],
    "relations": [[0, 1, 5, 5, "physical"], [0, 1, 5, 5, "aim"], [3, 3, 5, 5, "opposite"]],
}
MARKED = {"id": "b", "text": "<e1> Anna Lee </e1> left <e2> Bonn </e2>.", "label": "per:origin(e1,e2)"}


@pytest.fixture
def written(tmp_path: Path):
    def write(*records: object, form: str = "{}\n") -> Path:
        path = tmp_path / "xx-dev.jsonl"
        lines = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
        path.write_bytes("".join(form.replace("{}", line) for line in lines).encode())
        return path

    return write


def test_every_ordered_pair_of_entities_has_the_relations_from_the_first_to_the_second(written):
    path = written(SENTENCE, "", {**SENTENCE, "id": "c", "relations": []})
    found = read(path)
    anna, rome, bonn = (0, 2), (5, 6), (3, 4)
    to_city, from_city, cities = ("person", "city"), ("city", "person"), ("city", "city")
    assert [(pair.first, pair.second, pair.labels, pair.types) for pair in found[:6]] == [
        (anna, rome, ("physical", "aim"), to_city),
        (anna, bonn, (), to_city),
        (rome, anna, (), from_city),
        (rome, bonn, (), cities),
        (bonn, anna, (), from_city),
        (bonn, rome, ("opposite",), cities),
    ]
    assert {pair.words for pair in found} == {tuple(WORDS)}
    assert [pair.labels for pair in found[6:]] == [()] * 6
    assert [(pair.sentence, pair.where) for pair in found] == [(0, f"{path}:1")] * 6 + [(1, f"{path}:3")] * 6


TEXTS = [
    ("<e1> Anna Lee </e1> left <e2> Bonn </e2>.", "Anna|Lee|left|Bonn|.", (0, 2), (3, 4)),
    ("<e2>Bonn</e2> <e1>Anna</e1>", "Bonn|Anna", (1, 2), (0, 1)),
    ("l'<e1>École</e1>s <e2> x </e2>)", "l'|École|s|x|)", (1, 2), (3, 4)),
    ("<e1> The <e2> Bonn </e2> mayor </e1> spoke", "The|Bonn|mayor|spoke", (0, 3), (1, 2)),
    ("<e1><e2> Bonn </e2></e1>", "Bonn", (0, 1), (0, 1)),
    ("<e2> في <e1> القاهرة </e1></e2> e\u0301te\u0301", "في|القاهرة|e\u0301te\u0301", (1, 2), (0, 2)),
    ("<e1>👩‍👩‍👧</e1> a<b </b> <e3> <e2>x\u2028y</e2>", "👩‍👩‍👧|a<b|</b>|<e3>|x|y", (0, 1), (4, 6)),
]


@pytest.mark.parametrize(("text", "words", "first", "second"), TEXTS, ids=[text for text, *_ in TEXTS])
def test_a_marked_pair_is_cut_out_of_its_text(written, text, words, first, second):
    path = written({"id": "1", "text": text, "label": "x"})
    assert read(path) == [Relation(tuple(words.split("|")), first, second, ("x",), None, 0, id="1")]


def test_no_relation_is_no_label(written):
    found = read(written(MARKED, {**MARKED, "id": "c", "label": "no_relation"}))
    assert [(pair.labels, pair.sentence) for pair in found] == [(("per:origin(e1,e2)",), 0), ((), 1)]


@pytest.mark.parametrize(
    ("form", "start"), [("{}\r\n", ""), ("\n \n{}\n", ""), ("{}\n", "\ufeff")], ids=["CRLF", "blank lines", "BOM"]
)
def test_the_form_of_the_file_does_not_matter(written, form: str, start: str):
    expected = read(written(SENTENCE, MARKED))
    path = written(SENTENCE, MARKED, form=form)
    path.write_bytes(start.encode() + path.read_bytes())
    assert len(expected) == 7
    assert read(path) == expected


def test_words_are_read_as_they_are_written(written):
    words = ["New  York", "a\u0085b", "a\u2028b", "e\u0301", "مرحبا", "👩‍👩‍👧", "\u200d", "<e1>"]
    found = read(written({**SENTENCE, "tokens": words}))
    assert {pair.words for pair in found} == {tuple(words)}
    escaped = json.dumps({**SENTENCE, "tokens": words})
    assert "\\u2028" in escaped and read(written(escaped)) == found


def test_a_sentence_of_ten_thousand_words_is_whole(written):
    words = [f"w{number}" for number in range(10_000)]
    entities = {"id": "l", "tokens": words, "entities": [[0, 0, "a"], [9_998, 9_999, "b"]], "relations": []}
    marked = {**MARKED, "text": f"<e2>{' '.join(words)}</e2> <e1> x </e1>"}
    there, back, last = read(written(entities, marked))
    assert there.words == back.words == last.words[:10_000] == tuple(words)
    assert there.second == back.first == (9_998, 10_000)
    assert (last.first, last.second) == ((10_000, 10_001), (0, 10_000))


def test_entities_with_one_span_are_one_entity_and_no_relation_is_lost(written, caplog):
    entities = [[0, 0, "a"], [1, 1, "b"], [0, 0, "c"]]
    relations = [[0, 0, 0, 0, "self"], [0, 0, 1, 1, "x"], [0, 0, 1, 1, "x"]]
    path = written({"id": "1", "tokens": ["v", "w"], "entities": entities, "relations": relations})
    assert [(pair.first[0], pair.second[0], pair.labels, pair.types) for pair in read(path)] == [
        (0, 0, ("self",), ("a", "a")),
        (0, 1, ("x",), ("a", "b")),
        (1, 0, (), ("b", "a")),
    ]
    assert caplog.messages == [
        f"{path}: 1 entities with the span of another one, merged into it; 1 relations of an entity to itself, kept; "
        "1 relations annotated again, taken once"
    ]


def test_the_words_of_every_record_are_kept_also_of_those_without_a_pair(written):
    """Or the sentences of a target's text would depend on its annotation."""
    bare = {"id": "c", "tokens": ["Oh", "no"], "entities": [], "relations": []}
    empty = {**MARKED, "id": "d", "text": "<e1> </e1> left <e2> Bonn </e2>."}
    found = relations.read(written(bare, SENTENCE, empty, MARKED))
    assert found.sentences == [
        ("Oh", "no"), tuple(WORDS), ("left", "Bonn", "."), ("Anna", "Lee", "left", "Bonn", ".")
    ]  # fmt: skip
    assert [(pair.sentence, pair.id) for pair in found.examples] == [(1, "a")] * 6 + [(3, "b")]


@pytest.mark.parametrize("text", ["<e1> </e1> a <e2> b </e2>", "<e1>b</e1> a <e2></e2>"])
def test_a_marked_pair_with_an_empty_span_is_left_out_and_counted(written, caplog, text: str):
    path = written(MARKED, {**MARKED, "id": "c", "text": text}, {**MARKED, "id": "d"})
    assert [pair.sentence for pair in read(path)] == [0, 2]
    assert caplog.messages == [f"{path}: 1 marked pairs with an empty span, left out"]


def test_one_record_from_elsewhere_needs_no_id():
    odd: Counter[str] = Counter()
    row = {"tokens": ["a", "b"], "entities": [[0, 0, "x"], [1, 1, "y"], [1, 1, "z"]], "relations": [], "split": "dev"}
    _, found = relations.pairs(row, 7, "set:7", odd)
    assert [(pair.sentence, pair.where) for pair in found] == [(7, "set:7")] * 2
    assert odd.total() == 1


BROKEN = [
    ('{"id": "1", "tokens": ["a"', "found no JSON"),
    ("[1, 2]", "found [1, 2]; accepted is an object"),
    ("null", "found None; accepted is an object"),
    ('{"id": "1", "x": ' + "[" * 99_999, "nested too deeply"),
    ('{"id": "1", "x": NaN}', "found no JSON: NaN is no number"),
    ('{"id": "1", "x": -Infinity}', "found no JSON: -Infinity is no number"),
    (f'{{"id": "1", "x": {"9" * 5000}}}', "found no JSON: Exceeds the limit"),
    (json.dumps({**SENTENCE, "id": "1"}).replace("[0, 1, ", "[0, 1e999, "), "found words 0 to inf"),
    ({**SENTENCE, "id": "1", "tokens": [*WORDS, "a\0"]}, "found NUL; accepted is text"),
    ('{"text": "a"}', "found no id"),
    ({**SENTENCE, "id": None}, "found id None; accepted is a string"),
    ({**SENTENCE, "id": 3}, "found id 3"),
    (MARKED, "found id 'b' of line 2 again"),
    ({"id": "1"}, "keys id; accepted is an object with tokens, entities, relations or with text, label"),
    ({**SENTENCE, **MARKED, "id": "1"}, "accepted is an object with tokens, entities, relations or"),
    ({"id": "1", "tokens": ["a"], "relations": []}, "found no entities; accepted is an object with tokens"),
    ({"id": "1", "tokens": ["a"]}, "found no entities and no relations"),
    ({"id": "1", "text": "<e1>"}, "found no label"),
    ({**SENTENCE, "tokens": "abc"}, "found tokens 'abc'; accepted is a list"),
    ({**SENTENCE, "tokens": None}, "found tokens None"),
    ({**SENTENCE, "tokens": [*WORDS, 7]}, "accepted are strings, none empty"),
    ({**SENTENCE, "tokens": [*WORDS, ""]}, "accepted are strings, none empty"),
    ({**SENTENCE, "tokens": [*WORDS, "\u00a0"]}, "accepted are strings, none empty"),
    ({**SENTENCE, "tokens": []}, "at least one"),
    ({**SENTENCE, "entities": None}, "found entities None; accepted is a list"),
    ({**SENTENCE, "entities": {"0": "person"}}, "accepted is a list"),
    ({**SENTENCE, "entities": [[0, 0]]}, "found entity [0, 0]; accepted is [first word, last word, type]"),
    ({**SENTENCE, "entities": [[0, 0, None]]}, "found entity [0, 0, None]"),
    ({**SENTENCE, "entities": [[0, 0, ""]]}, "found entity [0, 0, '']"),
    ({**SENTENCE, "entities": ["abc"]}, "found entity 'abc'"),
    ({**SENTENCE, "entities": [[0, 6, "x"]]}, "found words 0 to 6; accepted are positions from 0 to 5, in order"),
    ({**SENTENCE, "entities": [[-1, 0, "x"]]}, "found words -1 to 0"),
    ({**SENTENCE, "entities": [[3, 2, "x"]]}, "found words 3 to 2"),
    ({**SENTENCE, "entities": [["0", 1, "x"]]}, "found words '0' to 1"),
    ({**SENTENCE, "entities": [[0, True, "x"]]}, "found words 0 to True"),
    ({**SENTENCE, "entities": [[False, 1, "x"]]}, "found words False to 1"),
    ({**SENTENCE, "entities": [[0, 1.0, "x"]]}, "found words 0 to 1.0"),
    ({**SENTENCE, "entities": [[0, None, "x"]]}, "found words 0 to None"),
    ({**SENTENCE, "relations": "x"}, "found relations 'x'; accepted is a list"),
    ({**SENTENCE, "relations": [[0, 1, 5, "x"]]}, "found relation [0, 1, 5, 'x']; accepted is [first word"),
    ({**SENTENCE, "relations": [[0, 1, 5, 5, None]]}, "found relation [0, 1, 5, 5, None]"),
    ({**SENTENCE, "relations": [[0, 1, 5, 5, ""]]}, "found relation [0, 1, 5, 5, '']"),
    ({**SENTENCE, "relations": [[0, 1, 5, 9, "x"]]}, "found words 5 to 9"),
    ({**SENTENCE, "relations": [[0, 1, 4, 5, "x"]]}, "but words 4 to 5 are no entity; accepted are entities of the"),
    ({**SENTENCE, "relations": [[0, 0, 5, 5, "x"]]}, "but words 0 to 0 are no entity"),
    ({**SENTENCE, "entities": []}, "no entity; accepted are entities of the record: none"),
    ({**MARKED, "id": "1", "text": None}, "found text None; accepted is a string"),
    ({**MARKED, "id": "1", "label": 4}, "found label 4; accepted is a string"),
    ({**MARKED, "id": "1", "label": ""}, "found label ''"),
    ({**MARKED, "id": "1", "text": "Anna left"}, "found no markers; accepted are <e1> .. </e1> and"),
    ({**MARKED, "id": "1", "text": "<e1> a </e1> <e2> b"}, "found <e1> </e1> <e2>; accepted"),
    ({**MARKED, "id": "1", "text": "<e1>a</e1> <e1>b</e1> <e2>c</e2>"}, "found <e1> </e1> <e1> </e1>"),
    ({**MARKED, "id": "1", "text": "<e1>a</e1> </e2>b<e2>"}, "found <e1> </e1> </e2> <e2>; accepted"),
    ('{"id": "1", "text": "<e1>\\ud83d</e1><e2>a</e2>", "label": "x"}', "half of a surrogate pair"),
]


@pytest.mark.parametrize(("record", "complaint"), BROKEN, ids=[complaint for _, complaint in BROKEN])
def test_a_broken_record_is_refused_with_its_line(written, record: object, complaint: str):
    path = written({**SENTENCE, "id": "first"}, MARKED, "", record)
    with pytest.raises(DataError) as refused:
        read(path)
    message = str(refused.value)
    assert message.startswith(f"{path}:4: "), message
    assert complaint in message
    assert len(message) < len(str(path)) + 250, "a long record would flood the terminal"


@pytest.mark.parametrize(
    "content",
    ["", "\n\n", '{"id": "1", "tokens": ["a"], "entities": [[0, 0, "x"]], "relations": []}'],
    ids=["empty", "blank", "one entity"],
)
def test_a_file_without_a_pair_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "none.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=r"none\.jsonl: found no pair"):
        read(path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps({**MARKED, "text": "<e1>é</e1> <e2>a</e2>"}, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.jsonl:1: not UTF-8"):
        read(path)


@pytest.mark.real
def test_real_sentences_keep_every_entity_and_relation(shared: Path, caplog):
    files = sorted((shared / "data" / "re" / "crossre").glob("*.jsonl"))
    if not files:
        pytest.skip("no files of CrossRE")
    for path in files:
        records = [json.loads(line) for line in path.read_bytes().splitlines()]
        related = {
            (number, (a, b + 1), (c, d + 1), label)
            for number, record in enumerate(records)
            for a, b, c, d, label in record["relations"]
        }
        found = read(path)
        assert {(pair.sentence, pair.first, pair.second, label) for pair in found for label in pair.labels} == related
        entities = [len({(first, last) for first, last, _ in record["entities"]}) for record in records]
        themselves = {(number, first) for number, first, second, _ in related if first == second}
        assert len(found) == sum(count * (count - 1) for count in entities) + len(themselves)
    odd = [message.split(".jsonl: ")[0].split("crossre-")[1] for message in caplog.messages]
    assert odd == ["en-train", "hu-test", "ja-test", "lt-test", "zh-test"]


@pytest.mark.real
@pytest.mark.parametrize("language", ["de", "en", "es", "fr", "tr"])
def test_real_marked_pairs_are_all_read(shared: Path, language: str):
    path = shared / "data" / "re" / "relx" / f"relx-{language}-test.jsonl"
    if not path.exists():
        pytest.skip(f"no file {path.name}")
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    found = read(path)
    assert len(records) == 502 and len(found) == 502 - (language != "es")  # the others have one empty span each
    for pair in found:
        record = records[pair.sentence]
        assert pair.labels == (() if record["label"] == "no_relation" else (record["label"],))
        for (begin, end), mark in ((pair.first, "e1"), (pair.second, "e2")):
            marked = record["text"].split(f"<{mark}>")[1].split(f"</{mark}>")[0]
            assert " ".join(pair.words[begin:end]) == " ".join(marked.split())
        assert "".join(pair.words) == "".join(
            record["text"].replace("<e1>", "").replace("</e1>", "").replace("<e2>", "").replace("</e2>", "").split()
        )
