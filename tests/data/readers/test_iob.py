"""Entity files of every usual layout give legal IOB2, and a broken file is refused with file and line."""

import logging
from pathlib import Path

import pytest

from lms_ray.data import DataError
from lms_ray.data.examples import EntitySentence
from lms_ray.data.readers.iob import read

EXPECTED = [
    EntitySentence(("Peter", "Blackburn", "sings"), ("B-PER", "I-PER", "O")),
    EntitySentence(("#", "BRUSSELS"), ("O", "B-LOC")),
]
LAYOUTS = {
    "WikiAnn": (
        "Peter\tB-PER\nBlackburn\tI-PER\nsings\tO\n\n#\tO\nBRUSSELS\tB-LOC\n",
        {},
        [1, 5],
    ),
    "CoNLL-2003": (
        "-DOCSTART- -X- -X- O\n\nPeter NNP I-NP I-PER\nBlackburn NNP I-NP I-PER\nsings VBZ I-VP O\n\n"
        "-DOCSTART- -X- O O\n\n# SYM I-NP O\nBRUSSELS NNP I-NP I-LOC\n",
        {"scheme": "iob1"},
        [3, 9],
    ),
    "CoNLL-2002 Dutch, its document marks right above the words": (
        "-DOCSTART- -DOCSTART- O\nPeter N B-PER\nBlackburn N I-PER\nsings V O\n\n# Punc O\nBRUSSELS N B-LOC\n",
        {},
        [2, 6],
    ),
    "CoNLL-2002 Spanish": (
        "Peter B-PER \nBlackburn  I-PER\nsings O\n\n# O\nBRUSSELS B-LOC\n\n",
        {"token": -2},
        [1, 5],
    ),
    "GermEval 2014": (
        "#\thttp://de.wikipedia.org/wiki/Peter\t[2009-10-17]\n1\tPeter\tB-PER\tO\n2\tBlackburn\tI-PER\tB-LOC\n"
        "3\tsings\tO\tO\n\n#\thttp://x\t[2010]\n1\t#\tO\tO\n2\tBRUSSELS\tB-LOC\tO\n",
        {"token": 1, "tag": 2, "comments": True},
        [2, 7],
    ),
    "Universal NER": (
        "# newdoc id = a\n\n# sent_id = a-1\n# text = Peter B-PER\n1\tPeter\tB-PER\t-\tme\n2\tBlackburn\tI-PER\t-\tme\n"
        "3\tsings\tO\t-\t-\n\n# sent_id = a-2\n1\t#\tO\t-\t-\n2\tBRUSSELS\tB-LOC\t-\tme\n",
        {"token": 1, "tag": 2, "comments": True},
        [5, 10],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_usual_layout_is_read(written, layout: str):
    content, options, lines = LAYOUTS[layout]
    path = written(content)
    sentences = read(path, **options)
    assert [(sentence.words, sentence.tags) for sentence in sentences] == [(one.words, one.tags) for one in EXPECTED]
    assert [sentence.id for sentence in sentences] == (["a-1", "a-2"] if layout == "Universal NER" else ["", ""])
    assert [sentence.where for sentence in sentences] == [f"{path}:{line}" for line in lines]


ODD = [
    "10 000",
    "New  York",
    "ein\u00a0Wort",
    "東\u3000京",
    "مرحبا",
    "שלום\u200f",
    "e\u0301te\u0301",
    "\u200d",
    "👩‍👩‍👧",
    '"',
    "#",
    "a\u0085b",
    "a\u2028b",
    " a",
    "B-PER",
    "en:Word",
]


@pytest.mark.parametrize("word", ODD, ids=ascii)
def test_a_word_is_read_as_it_is_written(written, word: str):
    assert read(written(f"{word}\tB-PER\nx\tO\n\n")) == [EntitySentence((word, "x"), ("B-PER", "O"))]


@pytest.mark.parametrize("word", [word for word in ODD if " " not in word], ids=ascii)
def test_only_spaces_and_tabs_set_columns_apart(written, word: str):
    assert read(written(f"{word} NN  B-PER\nx NN O\n\n")) == [EntitySentence((word, "x"), ("B-PER", "O"))]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffa\tB-X\n\nb\tO\n",
        "a\tB-X\r\n\r\nb\tO\r\n",
        "a\tB-X\n\n\n \n\t\nb\tO",
        "\n\na\tB-X\n\nb\tO\n\n\n",
    ],
    ids=["BOM", "CRLF", "blank lines with blanks", "blank lines around"],
)
def test_the_form_of_the_file_does_not_matter(written, content: str):
    assert read(written(content)) == [EntitySentence(("a",), ("B-X",)), EntitySentence(("b",), ("O",))]


def test_a_sentence_of_ten_thousand_words_is_whole(written):
    (sentence,) = read(written("".join(f"w{number}\t{'BI'[number > 0]}-X\n" for number in range(10_000)) + "\n"))
    assert sentence.words == tuple(f"w{number}" for number in range(10_000))
    assert sentence.tags == ("B-X", *["I-X"] * 9_999)


TAGS = [
    ("I-PER I-PER O", "B-PER I-PER O", 1),
    ("O I-PER B-PER I-PER", "O B-PER B-PER I-PER", 1),
    ("B-PER I-LOC I-LOC", "B-PER B-LOC I-LOC", 1),
    ("I-PER I-LOC I-PER", "B-PER B-LOC B-PER", 3),
    ("B-PER O I-PER", "B-PER O B-PER", 1),
    ("B-LOC-x I-LOC", "B-LOC-x B-LOC", 1),
    ("B-PER I-PER B-PER O", "B-PER I-PER B-PER O", 0),
]


@pytest.mark.parametrize("options", [{"scheme": "iob1"}, {"illegal": "repair"}], ids=["IOB1", "repair"])
@pytest.mark.parametrize(("given", "legal", "changes"), TAGS, ids=[given for given, *_ in TAGS])
def test_an_entity_that_begins_with_i_begins_with_b_and_is_counted(written, caplog, given, legal, changes, options):
    caplog.set_level(logging.INFO)
    path = written("".join(f"w\t{tag}\n" for tag in given.split()))
    (sentence,) = read(path, **options)
    assert sentence.tags == tuple(legal.split())
    assert caplog.messages == [f"{path}: {changes} tags I- became B-"] * (changes > 0)


@pytest.mark.parametrize("blank", ["", " ", "\u00a0", "\u3000"], ids=ascii)
def test_a_token_of_white_space_is_refused_or_repaired_as_configured(written, caplog, blank: str):
    """It keeps its tag, so that entities are counted as in the published scores."""
    caplog.set_level(logging.INFO)
    path = written(f"Ada\tB-PER\n{blank}\tI-PER\n\nlives\tO\n")
    with pytest.raises(DataError, match=r":2: found an empty token; accepted is text \(`illegal: repair` reads it as"):
        read(path)
    first, _ = read(path, illegal="repair")
    assert first == EntitySentence(("Ada", "\ufffd"), ("B-PER", "I-PER"))
    assert caplog.messages == [f"{path}: 1 tokens of white space became unknown words"]


def test_the_entity_of_one_sentence_does_not_go_on_in_the_next(written, caplog):
    caplog.set_level(logging.INFO)
    path = written("-DOCSTART- O\n\nw B-PER\n\nw I-PER\n")
    assert [sentence.tags for sentence in read(path, scheme="iob1")] == [("B-PER",), ("B-PER",)]
    assert caplog.messages == [f"{path}: 1 document marks left out; 1 tags I- became B-"]
    with pytest.raises(DataError, match=r":5: found tag I-PER where no PER goes on"):
        read(path)


GOOD = "a\tB-PER\nb\tI-PER\n\n"  # three lines, so that the fault is on a later one
BROKEN = [
    (GOOD + "a\n", {}, ":4", "found 1 columns; accepted are 2"),
    (GOOD + "New York\n", {}, ":4", "found tag 'York'"),
    (GOOD + "a\tb\tO\n", {}, ":4", "found 3 columns; accepted are 2"),
    (GOOD + "a\tO\t\n", {}, ":4", "found 3 columns"),
    ("a\nb\n", {}, ":1", "found 1 column; accepted is a token in column 0 and its tag in another one, -1"),
    (GOOD, {"tag": 2}, ":1", "found 2 columns; accepted is a token in column 0 and its tag in another one, 2"),
    (GOOD, {"tag": -3}, ":1", "found 2 columns"),
    (GOOD, {"token": 1}, ":1", "found 2 columns; accepted is a token in column 1"),
    (GOOD, {"token": -2, "tag": 0}, ":1", "found 2 columns"),
    (GOOD + "\tO\n", {}, ":4", "empty token"),
    (GOOD + "\u3000\tO\n", {}, ":4", "empty token"),
    (GOOD + "a\tI-PER\n", {}, ":4", "found tag I-PER where no PER goes on; accepted is B-PER first"),
    (GOOD + "a\tB-PER\nb\tI-LOC\n", {}, ":5", "found tag I-LOC where no LOC"),
    (GOOD + "a\tO\nb\tI-LOC\n", {}, ":5", "`illegal: repair`"),
    (GOOD + "a\tS-PER\n", {}, ":4", "found tag 'S-PER'; accepted are O, B-TYPE and I-TYPE"),
    (GOOD + "a\tB-PER\nb\tE-PER\n", {"illegal": "repair"}, ":5", "found tag 'E-PER'"),
    (GOOD + "a\tb-per\n", {}, ":4", "found tag 'b-per'"),
    (GOOD + "a\to\n", {}, ":4", "found tag 'o'"),
    (GOOD + "a\t0\n", {}, ":4", "found tag '0'"),
    (GOOD + "a\tB-\n", {}, ":4", "found tag 'B-'"),
    (GOOD + "a\tB\n", {"scheme": "iob1"}, ":4", "found tag 'B'"),
    (GOOD + "a\t\n", {}, ":4", "found tag ''"),
    (GOOD + "a\tO \n", {}, ":4", "found tag 'O '"),
    (GOOD + "# a comment\n", {}, ":4", "found 3 columns"),
    (GOOD.encode() + "é\tO\n".encode("latin-1"), {}, ":4", "not UTF-8"),
    (GOOD.encode("utf-16"), {}, ":1", "not UTF-8"),
    (GOOD + "a\0\tO\n", {}, ":4", "found NUL"),
    ("", {}, "", "no sentence"),
    ("\n \n", {}, "", "no sentence"),
    ("# only\n\n# comments\n", {"comments": True}, "", "no sentence"),
    ("-DOCSTART- -X- O O\n", {}, "", "no sentence"),
]


@pytest.mark.parametrize(
    ("content", "options", "place", "complaint"), BROKEN, ids=[complaint for *_, complaint in BROKEN]
)
def test_a_broken_file_is_refused_with_its_line(written, content: str | bytes, options, place: str, complaint: str):
    path = written(content)
    with pytest.raises(DataError) as refused:
        read(path, **options)
    message = str(refused.value)
    assert message.startswith(f"{path}{place}: "), message
    assert complaint in message


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"nothing\.iob2: found no such file"):
        read(tmp_path / "nothing.iob2")


CORPORA = [
    *("conll2002", "germeval2014", "masakhaner1", "masakhaner2"),
    *("uner", "wikiann", "wikigold", "wikineural"),
]


@pytest.mark.real
@pytest.mark.parametrize("corpus", CORPORA)
def test_real_files_come_back_word_for_word(shared: Path, corpus: str):
    files = sorted((shared / "data" / "ner" / corpus).glob("*.iob2"))
    if not files:
        pytest.skip(f"no files of {corpus}")
    for path in files:
        again = [
            "\n".join(map("\t".join, zip(sentence.words, sentence.tags, strict=True))) + "\n" for sentence in read(path)
        ]
        assert "\n".join(again).rstrip("\n") == path.read_bytes().decode().rstrip("\n"), path
