"""Questions, paragraphs and answers are read as they are written, and a broken file is refused with its place."""

import copy
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from lms_ray.data import DataError
from lms_ray.data.examples import Answer, Question
from lms_ray.data.readers.squad import question, read

CONTEXT = "Ada wrote to Charles. Ada was first."


def asked(identifier: object, *answers: tuple[str, int], question: str = "Who?") -> dict[str, Any]:
    return {
        "id": identifier,
        "question": question,
        "answers": [{"text": text, "answer_start": start} for text, start in answers],
    }


def corpus(*paragraphs: tuple[str, list[dict[str, Any]]]) -> dict[str, Any]:
    listed = [{"context": context, "qas": entries} for context, entries in paragraphs]
    return {"version": "1.1", "data": [{"title": "T", "paragraphs": listed}]}


GOOD = corpus((CONTEXT, [asked("q1", ("Ada", 0)), asked("q2", ("Charles", 13))]))


@pytest.fixture
def written(tmp_path: Path):
    def write(content: dict[str, Any] | list[Any] | str | bytes) -> Path:
        path = tmp_path / "squad.json"
        if isinstance(content, dict | list):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_questions_come_in_order_with_their_paragraphs(written):
    content = corpus(
        (CONTEXT, [asked("b", ("Ada", 22), ("Ada", 0)), asked("a", ("Ada wrote", 0), question=" Who? ")]),
        ("Alone.", []),
    )
    content["data"].append({"paragraphs": [{"context": "Later.", "qas": [asked("c", ("Later.", 0))]}]})
    path = written(content)
    questions = read(path, "en")
    assert questions == [
        Question("Who?", CONTEXT, (Answer("Ada", 22), Answer("Ada", 0)), "en", 0, id="b"),
        Question(" Who? ", CONTEXT, (Answer("Ada wrote", 0),), "en", 0, id="a"),
        Question("Who?", "Later.", (Answer("Later.", 0),), "en", 2, id="c"),
    ]
    assert [question.where for question in questions] == [f"{path}: question {name}" for name in "bac"]


ODD = [
    "مرحبا",
    "שלום\u200f",
    "e\u0301te\u0301",
    "\u0301",
    "👩‍👩‍👧",
    "क्षि",
    "New  York",
    " padded ",
    "ein\u00a0Wort",
    "a\u2028b\u0085c",
    "a\r\nb\tc",
    '"\\"',
    "𠀀",
]


@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "raw"])
@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_text_is_read_as_it_is_written(written, text: str, escaped: bool):
    before = "👍🏽𠀀é: "  # outside of the BMP: an offset is neither of bytes nor of UTF-16 units
    content = corpus((before + text + "!", [asked(text + "?", (text, len(before)), question=text + "?")]))
    (found,) = read(written(json.dumps(content, ensure_ascii=escaped)), "xx")
    assert found == Question(text + "?", before + text + "!", (Answer(text, len(before)),), "xx", 0, id=text + "?")


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + json.dumps(GOOD),
        json.dumps(GOOD, indent=1).replace("\n", "\r\n") + "\r\n",
        json.dumps(GOOD).replace('"id": ', '"is_impossible": false, "plausible_answers": [], "id": '),
    ],
    ids=["BOM", "CRLF", "keys that are not read"],
)
def test_the_form_of_the_file_does_not_matter(written, content: str):
    assert read(written(content), "en") == [
        Question("Who?", CONTEXT, (Answer("Ada", 0),), "en", 0, id="q1"),
        Question("Who?", CONTEXT, (Answer("Charles", 13),), "en", 0, id="q2"),
    ]


def test_a_context_of_ten_thousand_words_is_whole(written):
    context = " ".join(f"w{number}" for number in range(10_000))
    (found,) = read(written(corpus((context, [asked("q", ("w9999", len(context) - 5), (context, 0))]))), "en")
    assert found.context == context
    assert found.answers == (Answer("w9999", len(context) - 5), Answer(context, 0))


def changed(*keys_and_value: Any) -> dict[str, Any]:
    """GOOD with another value at a path of keys; `...` takes the key out."""
    *keys, last, value = keys_and_value
    content = copy.deepcopy(GOOD)
    place: Any = content
    for key in keys:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return content


PARAGRAPH = ("data", 0, "paragraphs", 0)
QUESTION = (*PARAGRAPH, "qas", 1)
ANSWER = (*QUESTION, "answers", 0)
IN_PARAGRAPH = ": data[0].paragraphs[0]"
IN_QUESTION = ": question q2"
IN_ANSWER = ": question q2: answers[0]"
INDENTED = json.dumps(GOOD, indent=1)
BROKEN = [
    ("", ":1", "found no JSON at column 1: "),
    (INDENTED[: INDENTED.index("Who?") + 4], ":12", "found no JSON at column 20: Unterminated string"),
    (INDENTED.rstrip("}\n "), ":34", "found no JSON"),
    (json.dumps(GOOD)[:40], ":1", "found no JSON"),
    (INDENTED.replace("Charles", "Cha\nrles"), ":8", "found no JSON at column 34: Invalid control character"),
    (INDENTED.replace("Charles", "Chärles").encode("latin-1"), ":8", "not UTF-8"),
    (INDENTED.encode("utf-16"), ":1", "not UTF-8"),
    ([GOOD], "", "found a list; accepted is an object with the key 'data'"),
    ({"version": "1.1"}, "", "found no key 'data'; accepted is a list there"),
    ({"data": GOOD}, "", "found an object as 'data'; accepted is a list"),
    ({"data": []}, "", "found no question"),
    (corpus((CONTEXT, [])), "", "found no question"),
    (changed("data", 0, "T"), ": data[0]", "found a string; accepted is an object with the key 'paragraphs'"),
    (changed("data", 0, "paragraphs", ...), ": data[0]", "found no key 'paragraphs'"),
    (changed(*PARAGRAPH, None), IN_PARAGRAPH, "found null; accepted is an object"),
    (changed(*PARAGRAPH, "qas", ...), IN_PARAGRAPH, "found no key 'qas'"),
    (changed(*PARAGRAPH, "context", ...), IN_PARAGRAPH, "found no key 'context'"),
    (changed(*PARAGRAPH, "context", ["Ada"]), IN_PARAGRAPH, "found a list as 'context'; accepted is a string"),
    (changed(*PARAGRAPH, "context", " \n"), IN_PARAGRAPH, "found an empty context"),
    (changed(*PARAGRAPH, "context", CONTEXT + "\ud800"), IN_PARAGRAPH, r"'\ud800' at character 36 of context"),
    (changed(*QUESTION, []), IN_PARAGRAPH + ".qas[1]", "found a list; accepted is an object with the key 'id'"),
    (changed(*QUESTION, "id", ...), IN_PARAGRAPH + ".qas[1]", "found no key 'id'"),
    (changed(*QUESTION, "id", 2), IN_PARAGRAPH + ".qas[1]", "found a whole number as 'id'; accepted is a string"),
    (changed(*QUESTION, "id", ""), IN_PARAGRAPH + ".qas[1]", "found an empty id"),
    (
        changed(*QUESTION, "id", "q1"),
        ": question q1",
        "found its id at data[0].paragraphs[0].qas[0] and at data[0].paragraphs[0].qas[1]; accepted is a new id",
    ),
    (changed(*QUESTION, "question", ...), IN_QUESTION, "found no key 'question'"),
    (changed(*QUESTION, "question", None), IN_QUESTION, "found null as 'question'; accepted is a string"),
    (changed(*QUESTION, "question", " "), IN_QUESTION, "found an empty question"),
    (changed(*QUESTION, "question", "\udc00?"), IN_QUESTION, "half of a surrogate pair"),
    (changed(*QUESTION, "question", "Wh\0?"), IN_QUESTION, "found NUL at character 2 of question"),
    ("[" * 99_999, ":1", "nested too deeply"),
    ("[]", "", "found a list; accepted is an object with the key 'data'"),
    (json.dumps(changed("version", float("nan"))), ":1", "found no JSON: NaN is no number"),
    (changed(*ANSWER, "answer_start", 10**4000), IN_ANSWER, "at answer_start 1000000"),
    (json.dumps(GOOD).replace(": 13}", f": {'9' * 5000}}}"), ":1", "found no JSON: Exceeds the limit"),
    (json.dumps(GOOD).replace(": 13}", ": 1e999}"), IN_ANSWER, "found a floating-point number as 'answer_start'"),
    (changed(*QUESTION, "answers", ...), IN_QUESTION, "found no key 'answers'"),
    (changed(*QUESTION, "answers", "Charles"), IN_QUESTION, "found a string as 'answers'; accepted is a list"),
    (changed(*QUESTION, "answers", []), IN_QUESTION, "SQuAD v2, which is not accepted; accepted is SQuAD v1.1"),
    (changed(*QUESTION, "is_impossible", True), IN_QUESTION, "SQuAD v2, which is not accepted"),
    (changed(*ANSWER, "Charles"), IN_ANSWER, "found a string; accepted is an object with the key"),
    (changed(*ANSWER, "text", ...), IN_ANSWER, "found no key 'text'"),
    (changed(*ANSWER, "text", ""), IN_ANSWER, "found an empty text"),
    (changed(*ANSWER, "text", 7.5), IN_ANSWER, "found a floating-point number as 'text'"),
    (changed(*ANSWER, "text", "\ud83d"), IN_ANSWER, "half of a surrogate pair"),
    (changed(*ANSWER, "answer_start", ...), IN_ANSWER, "found no key 'answer_start'"),
    (changed(*ANSWER, "answer_start", "13"), IN_ANSWER, "found a string as 'answer_start'; accepted is a whole number"),
    (changed(*ANSWER, "answer_start", None), IN_ANSWER, "found null as 'answer_start'"),
    (changed(*ANSWER, "answer_start", True), IN_ANSWER, "found true or false as 'answer_start'"),
    (changed(*ANSWER, "answer_start", 13.0), IN_ANSWER, "accepted is a whole number"),
    (changed(*ANSWER, "answer_start", 13 - len(CONTEXT)), IN_ANSWER, "found answer_start -23; accepted"),
    (
        changed(*ANSWER, "answer_start", 12),
        IN_ANSWER,
        "found ' Charle' at answer_start 12; accepted is 'Charles', which stands at 13",
    ),
    (
        changed(*ANSWER, {"text": "Ada", "answer_start": 20}),
        IN_ANSWER,
        "found '. A' at answer_start 20; accepted is 'Ada', which stands at 22",
    ),
    (
        changed(*ANSWER, {"text": "Ada", "answer_start": 99}),
        IN_ANSWER,
        "found '' at answer_start 99; accepted is 'Ada', which stands at 22",
    ),
    (
        changed(*ANSWER, "text", "charles"),
        IN_ANSWER,
        "found 'Charles' at answer_start 13; accepted is 'charles', which the context does not hold",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("content", "place", "complaint"), BROKEN, ids=[complaint for *_, complaint in BROKEN])
def test_a_broken_file_is_refused_with_its_place(written, content: Any, place: str, complaint: str):
    path = written(content)
    with pytest.raises(DataError) as refused:
        read(path, "en")
    message = str(refused.value)
    assert message.startswith(f"{path}{place}: "), message
    assert complaint in message
    assert len(message) < len(str(path)) + 250, "a long number would flood the terminal"
    message.encode()  # half a surrogate pair in it would break the log too


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="found no such file"):
        read(tmp_path / "none.json", "en")


def test_paragraphs_without_a_question_are_counted(written, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "lms_ray.data.readers.squad")
    path = written(corpus(("Alone.", []), (CONTEXT, [asked("q", ("Ada", 0))])))
    assert [question.paragraph for question in read(path, "en")] == [1]
    assert caplog.messages == [f"{path}: 1 of 2 paragraphs have no question"]


def test_a_row_of_another_source_is_checked_alike():
    row = asked("q", ("Ada", 22)) | {"context": CONTEXT, "title": "T"}
    assert question(row, "en", 7, "rows: 3") == Question("Who?", CONTEXT, (Answer("Ada", 22),), "en", 7, id="q")
    assert question(row, "en", 7, "rows: 3").where == "rows: 3"
    with pytest.raises(DataError, match=r"^rows: 3: answers\[0\]: found 'Ad' at answer_start 22; accepted is 'Bo', "):
        question(row | {"answers": [{"text": "Bo", "answer_start": 22}]}, "en", 7, "rows: 3")
    with pytest.raises(DataError, match=r"^rows: 3: found an empty context"):
        question(row | {"context": ""}, "en", 7, "rows: 3")


@pytest.mark.real
def test_published_files_are_read_whole(shared: Path):
    files = sorted((shared / "data" / "qa").glob("*/*.json"))
    if not files:
        pytest.skip("no question answering data")
    for path in files:
        questions = read(path, path.name.split(".")[1])
        text = path.read_text(encoding="utf-8")
        assert len(questions) == text.count('"question":'), path
        assert sum(len(question.answers) for question in questions) == text.count('"answer_start":'), path
        if path.parent.name == "xquad":  # the same 1,190 questions about 240 paragraphs in every language
            assert (len(questions), questions[-1].paragraph) == (1190, 239), path
