"""A treebank is read exactly as it is written, and a broken one is refused with file and line."""

import pytest

from lms_ray.data import DataError
from lms_ray.data.examples import TaggedSentence
from lms_ray.data.readers.conllu import read


def row(number: object, form: str, tag: str = "NOUN") -> str:
    return f"{number}\t{form}\t_\t{tag}\t_\t_\t0\troot\t_\t_\n"


ODD = [
    "_",  # an underscore is a word too
    "a",
    "10 000",
    "New  York",
    "ein\u00a0Wort",
    "مرحبا",
    "שלום\u200f",
    "e\u0301te\u0301",
    "\u200d",
    "👩‍👩‍👧",
    "क्षि",
    '"',
    "#",
    "1-2",
    "a\u0085b",
]


@pytest.mark.parametrize("form", ODD, ids=ascii)
def test_a_word_is_read_as_it_is_written(written, form: str):
    assert read(written(row(1, form) + row(2, "x", "X") + "\n")) == [TaggedSentence((form, "x"), ("NOUN", "X"))]


def test_multi_word_tokens_empty_nodes_and_comments_are_no_words(written):
    path = written(
        "# newpar\n# text = del mar\n" + row("0.1", "E", "_") + row("1-2", "del", "_") + row(1, "de", "ADP")
        + row(2, "el", "DET") + row("2.1", "E", "VERB") + row(3, "mar") + "\n"
        + "\n  \n# sent_id = 2\n" + row(1, "sí", "INTJ") + "\n\n"
    )  # fmt: skip
    assert read(path) == [
        TaggedSentence(("de", "el", "mar"), ("ADP", "DET", "NOUN")),
        TaggedSentence(("sí",), ("INTJ",), id="2"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff# c\n" + row(1, "a") + "\n" + row(1, "b") + "\n",
        "\ufeff" + row(1, "a") + "\n" + row(1, "b") + "\n",
        ("# c\n" + row(1, "a") + "\n" + row(1, "b") + "\n").replace("\n", "\r\n"),
        row(1, "a") + "\n" + row(1, "b").rstrip("\n"),
    ],
    ids=["BOM and comment", "BOM", "CRLF", "no last newline"],
)
def test_the_form_of_the_file_does_not_matter(written, content: str):
    assert read(written(content)) == [TaggedSentence(("a",), ("NOUN",)), TaggedSentence(("b",), ("NOUN",))]


def test_a_sentence_of_ten_thousand_words_is_whole(written):
    (sentence,) = read(written("".join(row(number, f"w{number}") for number in range(1, 10_001)) + "\n"))
    assert sentence.words == tuple(f"w{number}" for number in range(1, 10_001))
    assert len(sentence.tags) == 10_000


GOOD = "# fine\n" + row(1, "a") + "\n"  # three lines, so that the fault is on a later one
BROKEN = [
    (GOOD + "1\ta\t_\tNOUN\t_\t_\t0\troot\t_\n", ":4", "9 columns; accepted are 10"),
    (GOOD + row(1, "a").rstrip() + "\t_\n", ":4", "11 columns"),
    (GOOD + row(1, "a").replace("\t", "  "), ":4", "1 columns"),
    (GOOD + row(1, "a") + row(2, "b", "Noun"), ":5", "'Noun'; accepted are ADJ"),
    (GOOD + row(1, "a", "_"), ":4", "tag '_'"),
    (GOOD + "# c\n" + row(1, "a") + row(3, "b"), ":6", "word id 3; accepted is 2"),
    (GOOD + row(2, "a"), ":4", "word id 2; accepted is 1"),
    (GOOD + row(1, "a") + row(1, "b"), ":5", "word id 1; accepted is 2"),
    (GOOD + row("one", "a"), ":4", "one"),
    (GOOD + row(1, "a") + row("_", "b"), ":5", "id"),
    (GOOD + row("3-2", "a"), ":4", "3-2"),
    (GOOD + row(1, ""), ":4", "empty word"),
    (GOOD + row("1-2", "a", "_"), ":4", "without words"),
    (GOOD.encode() + row(1, "é").encode("latin-1"), ":4", "not UTF-8"),
    (GOOD.encode("utf-16"), ":1", "not UTF-8"),
    (GOOD + "# alone\n\n" + GOOD, ":4", "comments without a sentence"),
    (GOOD + row(1, "a") + row(2, "b")[:9], ":5", "columns"),
    (GOOD + row("9" * 5000, "a"), ":4", "Exceeds the limit"),
    (GOOD + row(1, "a\0"), ":4", "found NUL, which no text holds"),
    (GOOD + "# sent_id = 1\n" * 3, ":4", "comments without a sentence"),
    ("", "", "no sentence"),
    ("\n\n", "", "no sentence"),
]


@pytest.mark.parametrize(("content", "place", "complaint"), BROKEN, ids=[complaint for *_, complaint in BROKEN])
def test_a_broken_file_is_refused_with_its_line(written, content: str | bytes, place: str, complaint: str):
    path = written(content)
    with pytest.raises(DataError) as refused:
        read(path)
    message = str(refused.value)
    assert message.startswith(f"{path}{place}: "), message
    assert complaint in message
