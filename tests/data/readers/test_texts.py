"""Labelled texts are read as the file has them, whatever its columns are called, or it is refused with its line."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from lms_ray.data import DataError
from lms_ray.data.examples import LabelledText
from lms_ray.data.readers import Place, find
from lms_ray.data.readers.texts import read_csv, read_jsonl, read_tsv
from lms_ray.settings.data import Data, Texts

Write = Callable[[str | bytes], Path]


def tsv(*rows: tuple[str, ...]) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=ascii)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=ascii)
def test_a_file_of_sib_200(written: Write, ending: str, mark: str):
    rows = tsv(("index_id", "category", "text"), ("431", "geography", 'A "sea", he said.'), ("3", "sports", ' 5" b '))
    path = written(mark + rows.replace("\n", ending))
    assert read_tsv(path) == [
        LabelledText('A "sea", he said.', None, "geography", id="431"),
        LabelledText(' 5" b ', None, "sports", id="3"),
    ]
    assert [text.where for text in read_tsv(path)] == [f"{path}:2", f"{path}:3"]


LAYOUTS = [
    ("SIB-200", ("index_id", "category", "text"), {"index_id": "7", "category": "a", "text": "b"}, (None, "7")),
    ("PAWS-X", ("id", "sentence1", "sentence2", "label"),
     {"id": "7", "sentence1": "b", "sentence2": "c", "label": "a"}, ("c", "7")),
    ("XNLI", ("premise", "hypothesis", "label"), {"premise": "b", "hypothesis": "c", "label": "a"}, ("c", "")),
    ("MASSIVE", ("id", "locale", "scenario", "intent", "utt", "annot_utt"),
     {"id": "7", "locale": "de", "scenario": "x", "intent": "a", "utt": "b", "annot_utt": "[b]"}, (None, "7")),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "record", "wanted"), [one[1:] for one in LAYOUTS], ids=[one[0] for one in LAYOUTS])
def test_usual_columns_are_found_in_every_format(written: Write, columns, record: dict[str, str], wanted):
    pair, identifier = wanted
    text = [LabelledText("b", pair, "a", id=identifier)]
    row = tuple(record[name] for name in columns)
    assert read_tsv(written(tsv(columns, row))) == text
    assert read_csv(written(tsv(columns, row).replace("\t", ","))) == text
    assert read_jsonl(written(json.dumps(record) + "\n\n")) == text


NAMED = [
    (Texts(columns={"text": "sentence2", "label": "gold"}), ("c", None, "d")),  # who names `text` also names `pair`
    (Texts(columns={"text": "sentence2", "pair": "sentence1", "label": "gold"}), ("c", "b", "d")),
    (Texts(columns={"label": "gold"}), ("b", "c", "d")),
    (Texts(columns={"text": 1, "label": 3}), ("b", None, "d")),
    (Texts(columns={"label": 4}), ("b", "c", "e")),
]


@pytest.mark.parametrize(("layout", "wanted"), NAMED)
def test_columns_can_be_named_or_numbered(written: Write, layout: Texts, wanted):
    path = written(tsv(("n", "sentence1", "sentence2", "gold", "gold label"), ("a", "b", "c", "d", "e")))
    (text,) = read_tsv(path, layout)
    assert (text.text, text.pair, text.label, text.id) == (*wanted, "")


def test_a_file_without_a_header_and_with_another_delimiter(written: Write):
    layout = Texts(columns={"text": 1, "label": 0}, header=False, delimiter=";")
    wanted = [LabelledText("a", None, "x"), LabelledText("b", None, "y")]
    assert read_tsv(written("x;a\ny;b\n"), layout) == read_csv(written('"x";a\ny;"b"\n'), layout) == wanted


def test_quotes_of_csv(written: Write, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    path = written('text,label\n"a, ""b""\r\nand c",x\n\n"d",y\n')
    texts = read_csv(path)
    assert [(text.text, text.label, text.where) for text in texts] == [
        ('a, "b"\nand c', "x", f"{path}:2"),
        ("d", "y", f"{path}:5"),
    ]
    assert "1 rows hold line breaks in quotes" in caplog.text


HEADER = ("id", "text", "label")
BROKEN = [
    ("", "", "found no text"),
    (tsv(HEADER), "", "found no text"),
    (tsv(HEADER, ("1", "a")), ":2", "found 2 columns; accepted are 3, as in the first line"),
    (tsv(HEADER, ("1", "a", "x", "")), ":2", "found 4 columns; accepted are 3, as in the first line"),
    (tsv(HEADER, ("1", " ", "x")), ":2", "found text ' '; accepted is a string that is not empty"),
    (tsv(HEADER, ("1", "a", "x"), ("2", "a", "")), ":3", "found label ''; accepted is a string that is not empty"),
    (tsv(HEADER, ("1", "a", "x"), ("1", "b", "x")), ":3", "found id '1' of {path}:2 again; accepted is a new id"),
    (tsv(HEADER, ("1", "a\0", "x")), ":2", "found NUL, which no text holds"),
    (tsv(HEADER, ("1", "é", "x")).encode("latin-1"), ":2", "not UTF-8: "),
    (tsv(("id", "words", "label"), ("1", "a", "x")), ":1",
     "found only the columns 'id, words, label'; accepted for text is one of text, sentence, utt, premise, sentence1, "
     "or another that `columns` names"),
    (tsv(("text", "sentence", "label"), ("1", "a", "x")), ":1",
     "found text and sentence for text, of the columns 'text, sentence, label'"),
    (tsv(("text", "text", "label"), ("1", "a", "x")), ":1", "found text and text for text, of the columns"),
    (tsv(("text", "label", "intent"), ("1", "a", "x")), ":1", "found label and intent for label, of the columns"),
    (tsv(("premise", "label"), ("1", "a")), ":1",
     "found no column 'hypothesis' for pair; accepted is a name that stands once among 'premise, label'"),
    (tsv(("431", "geography", "Turkey is far.")), ":1", "found only the columns '431, geography, Turkey is far.'"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "line", "message"), BROKEN)
def test_what_is_broken_is_refused_with_its_line(written: Write, content: str | bytes, line: str, message: str):
    path = written(content)
    with pytest.raises(DataError) as refused:
        read_tsv(path)
    assert str(refused.value).startswith(f"{path}{line}: {message.replace('{path}', str(path))}")


CSV = [
    ('text,label\na,x\n"b,x\nc,x\n', ":3", "not CSV: unexpected end of data"),
    ('text,label\n"a"b,x\n', ":2", "not CSV: ',' expected after '\"'"),
    ('text,label\n"a,\nb",x,y\n', ":2", "found 3 columns; accepted are 2"),
]


@pytest.mark.parametrize(("content", "line", "message"), CSV)
def test_a_stray_quote_is_refused_where_its_row_begins(written: Write, content: str, line: str, message: str):
    path = written(content)
    with pytest.raises(DataError) as refused:
        read_csv(path)
    assert str(refused.value).startswith(f"{path}{line}: {message}")


OBJECTS = [
    ({"text": "a"}, {}, "found only the columns 'text'; accepted for label is one of"),
    ({"text": 1, "label": "x"}, {}, "found text 1; accepted is a string that is not empty"),
    ({"text": "a", "label": 0}, {}, "found label 0, a number without a name; accepted is a name (a string)"),
    ({"text": "a", "label": None}, {}, "found label None; accepted is a string that is not empty"),
    ({"text": "a", "label": "x", "id": True}, {}, "found id True; accepted is a string or a whole number"),
    ([1], {}, "found [1]; accepted is an object"),
    ({"text": "\ud800", "label": "x"}, {}, "found half of a surrogate pair; accepted is whole characters"),
    ({"text": "a", "label": "x"}, {"text": "body"}, "found no column 'body' for text; accepted is a name"),
    ({"text": "a", "label": "x"}, {"text": 2}, "found no column 2 for text; accepted is a number from 0 to 1"),
    ({"text": "a", "label": "x"}, {"label": "text"}, "found text for label and text; accepted is a column of each"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "columns", "message"), OBJECTS)
def test_an_object_that_is_no_labelled_text_is_refused(written: Write, record, columns, message: str):
    path = written(json.dumps(record))
    with pytest.raises(DataError) as refused:
        read_jsonl(path, Texts(columns=columns))
    assert str(refused.value).startswith(f"{path}:1: {message}")


def test_every_object_has_the_keys_of_the_first(written: Write):
    path = written('{"text": "a", "label": "x", "more": 1}\n{"utt": "b", "label": "x"}\n')
    with pytest.raises(DataError, match=r":2: found no text; accepted is an object with text, label$"):
        read_jsonl(path)


@pytest.mark.parametrize("delimiter", ['"', "\n"])
def test_a_delimiter_that_means_something_else_is_refused(written: Write, delimiter: str):
    with pytest.raises(DataError, match=r"in data\.texts; accepted is any other character$"):
        read_csv(written("text,label\na,x\n"), Texts(delimiter=delimiter))


def test_each_language_has_its_layout(tmp_path: Path):
    """As a configuration names them, through the registry."""
    (tmp_path / "de.tsv").write_text("a\tx\n")
    (tmp_path / "en.tsv").write_text("text\tlabel\na\tx\n")
    layouts = {"de": {"columns": {"text": 0, "label": 1}, "header": False}}
    data = Data(format="tsv", root=str(tmp_path), files="{lang}.tsv", texts=layouts)
    found = [find("tsv", LabelledText)(Place(data, language, "dev", tmp_path)).examples for language in ("de", "en")]
    assert found == [[LabelledText("a", None, "x")]] * 2


def data_set(folder: Path, columns: dict[str, list], labels: list[str] | None, **named: str) -> Data:
    """A data set of the hub's layout in a folder, its labels numbers; `labels` names them."""
    table = datasets.Dataset.from_dict(columns)
    (column,) = columns.keys() & {"label", "intent", "category", "gold"}
    if labels:
        table = table.cast_column(column, datasets.ClassLabel(names=labels))
    table.to_parquet(folder / "validation.parquet")
    return Data(format="hub", hub={"*": {"path": str(folder), "columns": named}})


HUB = {
    "SIB-200": ({"index_id": [5, 6], "category": ["x", "y"], "text": ["a", "b"]}, None, {}),
    "PAWS-X": ({"id": [5, 6], "sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": [0, 1]}, ["x", "y"], {}),
    "XNLI": ({"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": [0, 1]}, ["x", "y"], {}),
    "MASSIVE": ({"id": ["5", "6"], "utt": ["a", "b"], "intent": [0, 1]}, ["x", "y"], {}),
    "renamed": ({"body": ["a", "b"], "gold": ["x", "y"]}, None, {"text": "body", "label": "gold"}),
    "one of a pair": (
        {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": [0, 1]}, ["x", "y"], {"text": "sentence1"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(HUB))
def test_data_sets_of_the_hub(tmp_path: Path, name: str):
    columns, labels, named = HUB[name]
    place = Place(data_set(tmp_path, columns, labels, **named), "de", "dev", None)
    pairs = ["c", "d"] if name in ("PAWS-X", "XNLI") else [None, None]
    ids = ["5", "6"] if columns.keys() & {"id", "index_id"} else ["", ""]
    assert find("hub", LabelledText)(place).examples == [
        LabelledText("a", pairs[0], "x", id=ids[0]),
        LabelledText("b", pairs[1], "y", id=ids[1]),
    ]


def test_numbers_that_nobody_named_are_no_labels(tmp_path: Path):
    place = Place(data_set(tmp_path, {"text": ["a", "b"], "label": [0, 1]}, None), "de", "dev", None)
    with pytest.raises(DataError, match=r"validation, row 0: found label 0, a number without a name; accepted is a na"):
        find("hub", LabelledText)(place)


@pytest.mark.real
def test_sib_200_is_read_whole(shared: Path):
    folder = shared / "data" / "topics" / "sib200"
    files = sorted(folder.glob("*.tsv"))
    sizes = {"train": 701, "dev": 99, "test": 204}
    for path in files:
        assert len(read_tsv(path)) == sizes[path.stem.rpartition("-")[2]]
    assert len(files) == 395
    english, german = (read_tsv(folder / f"{language}-test.tsv") for language in ("en", "de"))
    labels = {text.id: text.label for text in english}
    assert {text.id: text.label for text in german} == labels  # the same sentences
