"""Questions from SQuAD v1.1 JSON: SQuAD, MLQA, XQuAD, TyDiQA-GoldP.

An offset counts Unicode code points. A parsed file has no lines, so a question's place is "path: question <id>".
"""

import logging
import re
from reprlib import repr as short
from typing import Any, TypeVar

from lms_ray.data import DataError, jsonl
from lms_ray.data.examples import Answer, Question
from lms_ray.data.files import File
from lms_ray.data.readers import Place, Records, hub, reader
from lms_ray.data.text import whole

log = logging.getLogger(__name__)

T = TypeVar("T")

_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "a whole number",
    float: "a floating-point number",
    bool: "true or false",
    type(None): "null",
}
_SURROGATE = re.compile("[\ud800-\udfff]")


@reader("squad", gives=Question)
def _(place: Place) -> Records:
    return Records(read(place.path, place.language))


@hub.rows(Question, {"id": "id", "question": "question", "context": "context", "answers": "answers"})
def _(rows: hub.Rows) -> Records:
    questions = []
    paragraphs: dict[Any, int] = {}
    places: dict[str, str] = {}
    for where, row in rows:
        identifier = row["id"]
        if not identifier:
            raise DataError(f"{where}: found no id; accepted is a string or a number")
        if identifier in places:
            raise DataError(f"{where}: found id {identifier!r} of {places[identifier]} again; accepted is a new one")
        places[identifier] = where
        if isinstance(row["answers"], dict):
            row["answers"] = _transposed(row["answers"], where)
        paragraph = paragraphs.setdefault(str(row["context"]), len(paragraphs))
        questions.append(question(row, rows.place.language, paragraph, where))
    return Records(questions)


def read(path: File, language: str) -> list[Question]:
    """Questions of a file in its order; paragraphs are numbered from 0, the same text wherever it stands is one.

    Args:
        path: a SQuAD v1.1 file.
        language: language of the contexts; the questions may be in another one, as in MLQA.

    Raises:
        DataError: not UTF-8 or not JSON, a key that is missing or of a wrong type, an id that occurs twice, a question
            without an answer (SQuAD v2), an answer that does not stand at its offset, no question at all.
    """
    corpus = jsonl.parse(whole(path), path)
    questions: list[Question] = []
    places: dict[str, str] = {}
    numbers: dict[str, int] = {}  # TyDiQA-GoldP lists a paragraph again for each of its questions
    without = 0
    for i, article in enumerate(_get(corpus, "data", list, str(path))):
        for j, paragraph in enumerate(_get(article, "paragraphs", list, f"{path}: data[{i}]")):
            place = f"data[{i}].paragraphs[{j}]"
            context = _text(paragraph, "context", f"{path}: {place}")
            number = numbers.setdefault(context, len(numbers))
            entries = _get(paragraph, "qas", list, f"{path}: {place}")
            for k, entry in enumerate(entries):
                identifier = _text(entry, "id", f"{path}: {place}.qas[{k}]")
                where = f"{path}: question {identifier}"
                if identifier in places:
                    raise DataError(
                        f"{where}: found its id at {places[identifier]} and at {place}.qas[{k}]; accepted is a new id"
                    )
                places[identifier] = f"{place}.qas[{k}]"
                questions.append(question(entry | {"context": context}, language, number, where))
            without += not entries
    if not questions:
        raise DataError(f"{path}: found no question")
    if without:
        log.info("%s: %d of %d paragraphs have no question", path, without, len(numbers))
    return questions


def question(record: dict[str, Any], language: str, paragraph: int, where: str) -> Question:
    """A question from its record `{context, question, answers: [{text, answer_start}]}`; further keys are not read.

    Args:
        record: the question, from JSON or a row of a table.
        language: language of the context.
        paragraph: number of the context in its corpus.
        where: place of the record, for errors and for the example.

    Raises:
        DataError: a key is missing or of a wrong type, a text is empty, there is no answer, or one does not stand at
            its offset.
    """
    context = _text(record, "context", where)
    asked = _text(record, "question", where)
    if record.get("is_impossible") or record.get("answers") == []:
        raise DataError(
            f"{where}: found a question that has no answer, as in SQuAD v2, which is not accepted; "
            "accepted is SQuAD v1.1, where every question has at least one"
        )
    entries = _get(record, "answers", list, where)
    answers = tuple(_answer(entry, context, f"{where}: answers[{n}]") for n, entry in enumerate(entries))
    return Question(asked, context, answers, language, paragraph, where, str(record.get("id", "")))


def _transposed(answers: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """A list of answers from the lists of their texts and offsets, which is how most data sets keep them."""
    texts, starts = answers.get("text"), answers.get("answer_start")
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        raise DataError(f"{where}: found answers {short(answers)}; accepted are as many in text as in answer_start")
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]


def _answer(record: object, context: str, where: str) -> Answer:
    text = _text(record, "text", where)
    start = _get(record, "answer_start", int, where)
    if start < 0:
        raise DataError(f"{where}: found answer_start {short(start)}; accepted is 0 or more")
    if context.startswith(text, start):
        return Answer(text, start)
    elsewhere = [match.start() for match in re.finditer(re.escape(text), context)]
    nearest = min(elsewhere, key=lambda offset: abs(offset - start), default=None)
    raise DataError(
        f"{where}: found {context[start : start + len(text)]!r} at answer_start {short(start)}; accepted is {text!r}, "
        + ("which the context does not hold" if nearest is None else f"which stands at {nearest}")
    )


def _text(record: object, key: str, where: str) -> str:
    text = _get(record, key, str, where)
    if not text.strip():
        raise DataError(f"{where}: found an empty {key}; accepted is text")
    if "\0" in text:
        raise DataError(f"{where}: found NUL at character {text.index(chr(0))} of {key}; accepted is text")
    if half := _SURROGATE.search(text):
        raise DataError(
            f"{where}: found {half[0]!r} at character {half.start()} of {key}, half of a surrogate pair; "
            "accepted is whole characters"
        )
    return text


def _get(record: object, key: str, kind: type[T], where: str) -> T:
    if not isinstance(record, dict):
        raise DataError(f"{where}: found {_name(record)}; accepted is an object with the key {key!r}")
    if key not in record:
        raise DataError(f"{where}: found no key {key!r}; accepted is {_KINDS[kind]} there")
    value = record[key]
    if type(value) is not kind:  # isinstance would take true for a whole number
        raise DataError(f"{where}: found {_name(value)} as {key!r}; accepted is {_KINDS[kind]}")
    return value


def _name(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)
