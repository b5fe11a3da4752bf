"""ACE 2005: every mention is found where the annotators marked it, and whatever does not fit is refused or counted.

The documents are invented, see `ace_documents`.
"""
# ruff: noqa: RUF001 - the full-width and Arabic punctuation is meant

import logging
import re
from collections import Counter
from pathlib import Path

import pytest

from ace_documents import article, unmarked, write
from lms_ray.data import DataError, sentences
from lms_ray.data.examples import Pair, Relation
from lms_ray.data.readers import ace


def squeezed(text: str) -> str:
    return "".join(text.replace("&amp;", "&").replace("&lt;", "<").split())


def spelled(pair: Pair) -> tuple[str, str]:
    """Both spans, words set apart by a space."""
    return " ".join(pair.words[slice(*pair.first)]), " ".join(pair.words[slice(*pair.second)])


def labelled(pairs: list[Pair]) -> dict[tuple[str, str], tuple[str, ...]]:
    return {spelled(pair): pair.labels for pair in pairs if pair.labels}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A language's folder with room for adjudicated documents; one document alone is in `train`."""
    (tmp_path / "English" / "nw" / "adj").mkdir(parents=True)
    return tmp_path / "English"


def adj(folder: Path) -> Path:
    return folder / "nw" / "adj"


ENGLISH = (
    article(
        "{m1|[Ada Park], {m2|the\n[mayor] of {m3|[Oak\nHill]}},} met {m4|{m5|[Lin]}'s [mother]} at {m6|AT&amp;T "
        "[Labs &amp;\nCo.]}\nin {m7|[Rome]}. {m8|She} likes 5 &lt; 6, {m9|[e\u0301te\u0301]} 👩‍👩‍👧 {m10|[👋 Hi]}.\n\n"
        '<QUOTE\nPREVIOUS="a\nb"/>{m11|[They]} left.',
        headline="{m0|[Oak Hill]} waits & waits",
    ),
    {
        "GPE e1": "m0 m3 m7",
        "PER e2": "m1 m2 m8",
        "PER e3": "m4",
        "PER e4": "m5",
        "ORG e5": "m6",
        "PER e6": "m9 m10 m11",
    },
    {"m11"},
)
ARABIC = (
    article(
        "قال {m1|[رئيس\nالوزراء]} في {m2|[بغداد]}\u200f؟ وصل {m3|{m4|[ليلى]} و[أحمد]}، إلى {m5|بلد[هم]}۔ "
        "غادر {m6|[مُحَمَّد]} مع {m7|[هم]}. {m8|هو} هنا"
    ),
    {"PER e1": "m1", "GPE e2": "m2 m5", "PER e3": "m3", "PER e4": "m4", "PER e6": "m6 m7 m8"},
    {"m8"},
)
CHINESE = (
    article(
        "\u3000\u3000{m1|{m2|[东]山市}的[市长{m3|李[小\n明]}]}今天在{m4|[北京]}说：“{m5|[我们]}\n去{m6|[AT&amp;T 公司]}"
        "吗？”{m7|[他]}笑了。{m8|[她]}与{m9|[𠮷田]}在{m10|[这\n里]}！"
    ),
    {"PER e1": "m1 m3 m7", "GPE e2": "m2 m4", "PER e4": "m5", "ORG e5": "m6", "PER e6": "m8 m9", "LOC e7": "m10"},
    {"m7"},
)
FORMS = {"as it is": lambda raw: raw, "BOM": lambda raw: b"\xef\xbb\xbf" + raw}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("kind", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(
    ("marked", "entities", "alone"), [ENGLISH, ARABIC, CHINESE], ids=["English", "Arabic", "Chinese"]
)
def test_every_mention_is_where_it_was_marked(folder: Path, marked: str, entities, alone: set[str], kind: str, form):
    text, spans = write(adj(folder), marked.replace("\n", kind), entities)
    for file in adj(folder).iterdir():
        file.write_bytes(form(file.read_bytes()))
    first = marked.partition("<TEXT>")[0]
    body = len(unmarked(first.replace("\n", kind))[1])  # where <TEXT> begins
    letters = squeezed(text[body:])
    seen = set()
    for pair in ace.read_relations(folder, "train", seed=0).examples:
        assert all(word and word == "".join(word.split()) for word in pair.words)
        sentence = "".join(pair.words)
        assert letters.count(sentence) == 1
        mention = pair.where.rpartition(":")[2]
        start, last = spans[mention]
        before = letters.index(sentence) + len("".join(pair.words[: pair.first[0]]))
        assert before == len(squeezed(text[body:start])), mention
        assert "".join(pair.words[slice(*pair.first)]) == squeezed(text[start : last + 1]), mention
        seen.add(mention)
    in_text = {mention for mention, (start, _) in spans.items() if start >= body}
    assert in_text - seen == alone  # in their sentences: no pair


def test_pairs_are_all_ordered_pairs_of_a_sentence_with_their_relations_and_types(folder: Path):
    write(
        adj(folder),
        article("{m1|{m2|[Bo]}'s [mother]} saw {m3|[her {m4|[city]}]}."),
        {"PER e1": "m1", "PER e2": "m2", "GPE e3": "m3 m4"},
        relations=(
            ("PER-SOC.Family", "m1", "m2"),
            ("PHYS.Located", "m1", "m3"),
            ("METONYMY", "m1", "m3"),
            ("PHYS.Located", "m1", "m3"),
            ("PHYS.Near", "m3", "m1"),
        ),
    )
    pairs = ace.read_relations(folder, "train", seed=0).examples
    assert len(pairs) == 4 * 3
    assert labelled(pairs) == {
        ("mother", "Bo"): ("PER-SOC.Family",),
        ("mother", "her city"): ("PHYS.Located", "METONYMY"),
        ("her city", "mother"): ("PHYS.Near",),
    }
    related = next(pair for pair in pairs if pair.labels)
    assert related == Relation(
        ("Bo", "'s", "mother", "saw", "her", "city."), (2, 3), (0, 1), ("PER-SOC.Family",), ("PER", "PER"), 0
    )
    assert related.where == f"{adj(folder) / 'doc.apf.xml'}:m1"
    (nested,) = [pair for pair in pairs if spelled(pair) == ("her city", "city")]
    assert (nested.words[-3:], nested.first, nested.second) == (("her", "city", "."), (3, 5), (4, 5))
    assert nested.types == ("GPE", "GPE")


def test_mentions_with_the_same_span_are_both_kept(folder: Path):
    entities = {"PER e1": "m1", "ORG e2": "m2", "GPE e3": "m3"}
    write(adj(folder), article("{m1|{m2|[[Congress]]}} in {m3|Rome}."), entities, (("ART.User", "m2", "m3"),))
    pairs = ace.read_relations(folder, "train", seed=0).examples
    assert [(*spelled(pair), pair.types, pair.labels) for pair in pairs if pair.labels] == [
        ("Congress", "Rome", ("ORG", "GPE"), ("ART.User",))
    ]
    assert sum(spelled(pair) == ("Congress", "Congress") for pair in pairs) == 2


def test_overlapping_spans_are_cut_at_all_four_ends(folder: Path):
    write(adj(folder), article("{m1|uvwxyz}"), {"PER e1": "m1"})
    file = adj(folder) / "doc.apf.xml"
    extent = re.search(r'START="(\d+)"', file.read_text())
    assert extent
    start = int(extent[1])
    other = (
        f'<entity ID="e2" TYPE="ORG"><entity_mention ID="m2"><extent><charseq START="{start + 1}" END="{start + 3}">vwx'
        f'</charseq></extent></entity_mention><entity_mention ID="m3"><extent><charseq START="{start + 2}" '
        f'END="{start + 4}">wxy</charseq></extent></entity_mention></entity></document>'
    )
    file.write_text(file.read_text().replace("</document>", other))
    (pair,) = [
        pair for pair in ace.read_relations(folder, "train", seed=0).examples if spelled(pair) == ("v wx", "wx y")
    ]
    assert pair.words == ("u", "v", "wx", "y", "z")


@pytest.mark.parametrize("kind", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_chinese_words_are_the_pieces_around_the_mentions(folder: Path, kind: str):
    entities = {"PER e1": "m1", "GPE e2": "m2"}
    write(
        adj(folder),
        article("今天\n{m1|[总\n统]}抵\n达{m2|[北京]}。\n明天回 来。").replace("\n", kind),
        entities,
        (("PHYS.Located", "m1", "m2"),),
    )
    there, back = ace.read_relations(folder, "train", seed=0).examples
    assert there.words == back.words == ("今天", "总统", "抵达", "北京", "。")
    assert (there.first, there.second, there.labels) == ((1, 2), (3, 4), ("PHYS.Located",))
    assert (back.first, back.second, back.labels) == ((3, 4), (1, 2), ())


def test_arguments_are_every_trigger_with_every_mention_of_its_sentence(folder: Path):
    write(
        adj(folder),
        article(
            "{m1|[Bo]} {t1|shot} {m2|{m3|[Al]}'s [son]} {time1|today} for {v1|$5}.\n{m4|[He]} {t2|{m5|fled}} {v2|x}."
        ),
        {"PER e1": "m1 m4", "PER e2": "m2", "PER e3": "m3", "PER e4": "m5"},
        events=(
            ("Movement.Transport", "t2", "Artifact:m4 Time-Within:time1 Agent:m1"),
            ("Conflict.Attack", "t1", "Attacker:m1 Target:m2 Time-Within:time1 Place:v1"),
            ("Life.Die", "t1", "Victim:m2 Agent:m1 Agent:m1 Person:m2"),
        ),
        others="time1 v1 v2",
    )
    pairs = ace.read_arguments(folder, "train", seed=0).examples
    assert [(pair.types, *spelled(pair), pair.labels, pair.sentence) for pair in pairs] == [
        (("Conflict.Attack", "PER"), "shot", "Bo", ("Attacker",), 0),
        (("Conflict.Attack", "PER"), "shot", "son", ("Target",), 0),
        (("Conflict.Attack", "PER"), "shot", "Al", (), 0),
        (("Life.Die", "PER"), "shot", "Bo", ("Agent",), 0),
        (("Life.Die", "PER"), "shot", "son", ("Victim", "Person"), 0),
        (("Life.Die", "PER"), "shot", "Al", (), 0),
        (("Movement.Transport", "PER"), "fled", "He", ("Artifact",), 1),
        (("Movement.Transport", "PER"), "fled", "fled", (), 1),
    ]
    file = adj(folder) / "doc.apf.xml"
    assert [pair.where for pair in pairs] == [f"{file}:v1-1"] * 3 + [f"{file}:v2-1"] * 3 + [f"{file}:v0-1"] * 2


def test_what_is_left_out_is_counted(folder: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "lms_ray")
    write(
        adj(folder),
        article(
            "{m1|Bo} {t1|left} {m2|Rome} {time1|today}.\n\n{m3|He} is in {m4|Oslo}.",
            headline="{m5|Al} {t2|left} {m6|Rome}",
            footer="{m7|Rome}",
        ),
        {"PER e1": "m1 m3", "GPE e2": "m2 m6 m7", "GPE e3": "m4", "PER e4": "m5"},
        relations=(
            ("PHYS.Located", "m1", "m2", "time1"),
            ("PHYS.Located", "m1", "m4"),
            ("PHYS.Located", "m3", "m2"),
            ("PHYS.Located", "m5", "m6"),
            ("PHYS.Near", "m2", "m2"),
            ("PHYS.Near", "m2", "time1"),
        ),
        events=(
            ("Movement.Transport", "t1", "Artifact:m1 Time-Within:time1 Origin:m4 Origin:m6"),
            ("Life.Die", "t2", "Victim:m5"),
        ),
        others="time1",
    )
    write(folder / "nw" / "fp1", article("{m1|Bo} in {m2|Rome}"), {"PER e1": "m1 m2"}, name="doc")
    assert labelled(ace.read_relations(folder, "train", seed=0).examples) == {("Bo", "Rome"): ("PHYS.Located",)}
    left_out, counts = (record.getMessage() for record in caplog.records)
    assert left_out == f"{folder}: left out 1 .apf.xml outside of folders named adj"
    assert counts.startswith(f"{folder}: 4 pairs in 1 documents of train; left out: ")
    assert set(counts.partition("left out: ")[2].split("; ")) == {
        "3 entity mentions outside of <TEXT>",
        "2 relation mentions across sentences",
        "1 relation mentions outside of <TEXT>",
        "1 relation mentions from a mention to itself",
        "1 relation mentions with a value or a time as an argument",
    }
    caplog.clear()
    assert labelled(ace.read_arguments(folder, "train", seed=0).examples) == {("left", "Bo"): ("Artifact",)}
    assert set(caplog.records[-1].getMessage().partition("left out: ")[2].split("; ")) == {
        "3 entity mentions outside of <TEXT>",
        "1 event mentions outside of <TEXT>",
        "1 arguments that are values or times",
        "2 arguments outside of their trigger's sentence",
    }


def test_tags_end_sentences_and_speakers_can_be_mentions(folder: Path):
    body = "<TURN><SPEAKER>{m1|[Bo]}</SPEAKER>{m2|I} saw {m3|Al}</TURN><TURN>{m4|me\n</TURN>\n<TURN>\ntoo} and {m5|Di}"
    write(adj(folder), article(body), {"PER e1": "m1 m2 m4", "PER e2": "m3", "PER e3": "m5"})
    pairs = ace.read_relations(folder, "train", seed=0).examples
    assert [(pair.words, pair.sentence) for pair in pairs[::2]] == [
        (("I", "saw", "Al"), 1),
        (("me", "too", "and", "Di"), 2),  # a tag inside of a mention is no end
    ]


def test_sentences_are_numbered_through_the_split(folder: Path):
    for number in range(6):
        body = f"{{m1|Al}} {{t1|met}} {{m2|Bo}}. None here. {{m3|C}} {{t2|met}} {{m4|D{number}}}."
        met = (("Contact.Meet", "t1", "Entity:m1"), ("Contact.Meet", "t2", "Entity:m4"))
        write(adj(folder), article(body), {"PER e1": "m4 m3 m2 m1"}, events=met, name=f"doc{number}")
    related, arguments = (
        ace.read_relations(folder, "train", seed=5).examples,
        ace.read_arguments(folder, "train", seed=5).examples,
    )
    assert [pair.sentence for pair in related[::2]] == [0, 2, 3, 5, 6, 8, 9, 11]  # two pairs of each sentence
    assert [pair.sentence for pair in related] == [pair.sentence for pair in arguments]
    order = [file.name.removesuffix(".apf.xml") for file in ace.files(folder, "train", seed=5)[1::2]]
    assert [Path(pair.where.rpartition(":")[0]).name[:4] for pair in related[::4]] == order


def test_sentences_are_the_same_with_and_without_annotation(folder: Path):
    """Or the text of a target that is not annotated would be another: mentions cut words and join sentences."""
    body = (
        "{m1|{m2|[Bo]}s [mother]} saw {m3|Yahoo! Japan. Really} and left. "
        "Nobody\n came.\n\n{m4|She} told {m5|AT&amp;T}."
    )
    entities = {"PER e1": "m1 m4", "PER e2": "m2", "ORG e3": "m3 m5"}
    write(adj(folder), article(body), entities, (("PHYS.Located", "m4", "m5"),), name="a")
    annotated = ace.read_relations(folder, "train", seed=0)
    assert annotated.sentences == [
        tuple(sentence.split())
        for sentence in ("Bos mother saw Yahoo!", "Japan.", "Really and left.", "Nobody came.", "She told AT&T.")
    ]
    # by the first of the sentences that "Yahoo! Japan. Really" joins
    assert Counter(pair.sentence for pair in annotated.examples) == {0: 6, 4: 2}
    write(adj(folder), article(body), {"PER e1": "m1 m4", "ORG e3": "m5"}, name="a")
    assert ace.read_relations(folder, "train", seed=0).sentences == annotated.sentences


def test_a_sentence_of_ten_thousand_words_is_whole(folder: Path):
    words = " ".join(f"w{number}" for number in range(9_997))
    write(
        adj(folder),
        article(f"{{m1|[Bo]}} {words} {{t1|met}} {{m2|[Al]}}x"),
        {"PER e1": "m1 m2"},
        (("PER-SOC", "m1", "m2"),),
    )
    there, back = ace.read_relations(folder, "train", seed=0).examples
    assert len(there.words) == 10_001
    assert (there.first, there.second, there.labels) == ((0, 1), (9_999, 10_000), ("PER-SOC",))
    assert there.words is back.words  # held once


def test_a_trigger_is_not_cut_and_white_space_around_a_mention_does_not_matter(folder: Path):
    died = (("Life.Die", "t1", "Victim:m1"),)
    write(adj(folder), article("Oh.{m1| Bo\n} is {t1|no. More}.{m2|\n He }left."), {"PER e1": "m1 m2"}, events=died)
    (pair,) = ace.read_arguments(folder, "train", seed=0).examples
    assert (pair.words, *spelled(pair)) == (("Bo", "is", "no.", "More", "."), "no. More", "Bo")
    assert (pair.labels, pair.sentence) == (("Victim",), 1)


SENTENCES = [
    ("He left. She stayed.", "He left.|She stayed."),
    ("He left.\nShe\nstayed", "He left.|She\nstayed"),
    ("One\n\ntwo\n \t\nthree\r\n\r\nfour", "One|two|three|four"),
    ('"Go!" he said. (Why?) No.', '"Go!" he said.|(Why?)|No.'),
    ('He said "go." Then he went.', 'He said "go."|Then he went.'),
    ("Mr. Bo met Sen. Al on Jan. 3. Good.", "Mr. Bo met Sen. Al on Jan. 3.|Good."),
    ("The U.S. Army and J. Bo of the U.N. left. OK.", "The U.S. Army and J. Bo of the U.N. left.|OK."),
    ("Bo Inc. said so at 5 p.m. and paid $3.50. Ok", "Bo Inc. said so at 5 p.m. and paid $3.50.|Ok"),
    ("Écol. Bo", "Écol.|Bo"),
    ("all is lower case here. so is this? yes.", "all is lower case here.|so is this?|yes."),
    ("Wait... what? Yes?! No", "Wait... what?|Yes?!|No"),
    ("www.example.com is 3.5 km", "www.example.com is 3.5 km"),
    ("كيف الحال؟ جيد۔ نعم. لا!", "كيف الحال؟|جيد۔|نعم.|لا!"),
    ("他来了。她走了！真的？“对。”好；再见", "他来了。|她走了！|真的？|“对。”|好；|再见"),
    ("他来\n了。\n她走", "他来\n了。|她走"),
    ("a\u2028b\u0085cc.\u00a0D", "a\u2028b\u0085cc.|D"),
    ("", ""),
    (" \n\n ", ""),
]


@pytest.mark.parametrize(("text", "expected"), SENTENCES, ids=[ascii(text)[:30] for text, _ in SENTENCES])
def test_sentences(text: str, expected: str):
    found = sentences.split(text, (0, len(text)), breaks=(), keep=())
    assert "|".join(text[start:end] for start, end in found) == expected


def test_nothing_ends_a_sentence_inside_of_a_span_that_is_kept():
    text = "A 2. C\n\nd。4. F"
    assert sentences.split(text, (0, len(text)), breaks=[9], keep=[(2, 11)]) == [(0, 12), (13, 14)]
    assert sentences.split(text, (0, len(text)), breaks=[1], keep=[(1, 4), (5, 6)])[:3] == [(0, 1), (2, 4), (5, 6)]
    assert sentences.split(text, (5, 9), breaks=[0, 12], keep=()) == [(5, 6), (8, 9)]


def names(folder: Path, split: str, seed: int) -> list[str]:
    files = ace.files(folder, split, seed)
    assert [file.suffix for file in files] == [".sgm", ".xml"] * (len(files) // 2)
    stems = [file.name.removesuffix(".sgm").removesuffix(".apf.xml") for file in files]
    assert stems[::2] == stems[1::2]
    return stems[::2]


@pytest.mark.parametrize(("count", "sizes"), [(10, [8, 1, 1]), (24, [20, 2, 2]), (26, [20, 3, 3]), (100, [80, 10, 10])])
def test_a_split_is_disjoint_complete_and_of_its_size(folder: Path, count: int, sizes: list[int]):
    for number in range(count):
        for suffix in ("sgm", "apf.xml"):
            (adj(folder) / f"doc{number}.{suffix}").touch()
    parts = [names(folder, split, seed=3) for split in ("train", "dev", "test")]
    assert [len(part) for part in parts] == sizes
    assert sorted(name for part in parts for name in part) == sorted(f"doc{number}" for number in range(count))


DEV_OF_SEED_0 = ["doc9", "doc6"]  # the lowest SHA-256 of "0 doc9" and so on
TEST_OF_SEED_0 = ["doc11", "doc8"]


def test_a_split_depends_on_seed_and_names_only(folder: Path):
    for number in range(20):
        for suffix in ("sgm", "apf.xml"):
            (adj(folder) / f"doc{number}.{suffix}").touch()
    assert names(folder, "dev", seed=0) == DEV_OF_SEED_0
    assert names(folder, "test", seed=0) == TEST_OF_SEED_0
    assert names(folder, "train", seed=0) != names(folder, "train", seed=1)
    assert len({frozenset(names(folder, "test", seed)) for seed in range(5)}) > 1
    folder.rename(folder.with_name("Elsewhere"))
    assert names(folder.with_name("Elsewhere"), "dev", seed=0) == DEV_OF_SEED_0


def test_adjudicated_documents_only_where_there_are_any(folder: Path):
    for place in ("nw/adj", "nw/fp1", "nw/fp2", "nw/timex2norm", "bn/fp1"):
        write(folder / place, article("{m1|A} {m2|B}"), {"PER e1": "m1 m2"}, name="one")
    write(folder / "bn" / "adj", article("{m1|A} {m2|B}"), {"PER e1": "m1 m2"}, name="two")
    write(folder / "bn" / "fp1", article("{m1|A} {m2|B}"), {"PER e1": "m1 m2"}, name="three")
    assert {file.parent for file in ace.files(folder, "train", seed=0)} == {
        folder / "nw" / "adj",
        folder / "bn" / "adj",
    }
    assert names(folder / "nw" / "fp1", "train", seed=0) == ["one"]
    assert sorted(names(folder / "bn", "train", seed=0)) == ["two"]
    with pytest.raises(DataError) as refused:
        ace.files(folder / "nw" / "adj" / "..", "dev", seed=0)
    assert "found 1 documents, none of them for dev" in str(refused.value)


@pytest.mark.parametrize("places", [("nw/fp1", "nw/fp2"), ("nw/adj", "bn/adj")])
def test_a_document_that_is_there_twice_is_refused_with_both_places(folder: Path, places: tuple[str, str]):
    for place in places:
        write(folder / place, article("{m1|A} {m2|B}"), {"PER e1": "m1 m2"})
    with pytest.raises(DataError) as refused:
        ace.read_relations(folder, "train", seed=0)
    for place in places:
        assert str(folder / place / "doc.") in str(refused.value)


@pytest.mark.parametrize("missing", ["doc.sgm", "doc.apf.xml"])
def test_half_a_document_is_refused(folder: Path, missing: str):
    write(adj(folder), article("{m1|A} {m2|B}"), {"PER e1": "m1 m2"})
    (adj(folder) / missing).unlink()
    with pytest.raises(DataError, match=f"found no {re.escape(missing)} beside it"):
        ace.files(folder, "train", seed=0)


def test_a_folder_without_documents_and_an_unknown_split_are_refused(folder: Path):
    with pytest.raises(DataError, match=r"English: found no document; accepted are \.sgm and \.apf\.xml"):
        ace.files(folder, "train", seed=0)
    with pytest.raises(DataError, match="found no such folder"):
        ace.files(folder / "none", "train", seed=0)
    write(adj(folder), article("{m1|A} {m2|B}"), {"PER e1": "m1 m2"})
    with pytest.raises(DataError, match="found 1 documents, none of them for test; accepted are 10 or more"):
        ace.read_arguments(folder, "test", seed=0)
    with pytest.raises(DataError, match="found the split 'valid'; accepted are train, dev, test"):
        ace.files(folder, "valid", seed=0)
    with pytest.raises(DataError, match="found no pair in the 1 documents of train"):
        ace.read_arguments(folder, "train", seed=0)


BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE source_file [
 <!ENTITY a "ha">%s
]><source_file><document>&z9;</document></source_file>""" % b"".join(
    b'<!ENTITY z%d "%s">' % (number, b"&z%d;" % (number - 1) * 99 if number else b"&a;") for number in range(10)
)
EXTERNAL = b'<!DOCTYPE a [<!ENTITY secret SYSTEM "file:///etc/passwd">]><a>&secret;</a>'
BROKEN = [
    (".apf.xml", "</entity>", "", ".apf.xml:31: ", "not XML: mismatched tag"),
    (".apf.xml", ">Rome<", ">Roma<", ":m2: ", "found 'Roma' in a <extent>, but doc.sgm has 'Rome' at"),
    (".apf.xml", ">AT&amp;T<", ">AT T<", ":m3: ", "has 'AT&amp;T' at"),
    (".apf.xml", ">left<", ">Left<", ":v0-1: ", "found 'Left' in a <anchor>"),
    (".apf.xml", ">Bo\nPark<", ">BoPark<", ":m1: ", "found 'BoPark'"),
    (".apf.xml", 'START="', 'START="1', ":m1: ", "in order"),
    (".apf.xml", 'START="', 'START="-', ":m1: ", "found START and END ('-"),
    (".apf.xml", 'END="', 'END="1', ":m1: ", "characters; accepted is the same text"),
    (".apf.xml", 'END="', 'END="x', ":m1: ", "characters' numbers"),
    (".apf.xml", "START=", "FROM=", ":m1: ", "found <charseq> without START"),
    (".apf.xml", "extent>", "stretch>", ":m1: ", "found no <charseq> in a <extent>"),
    (".apf.xml", "anchor>", "hook>", ":v0-1: ", "found no <charseq> in a <anchor>"),
    (".apf.xml", ' TYPE="PER"', "", ":m1: ", "found <entity> without TYPE"),
    (".apf.xml", ' TYPE="PHYS"', "", ":r0-1: ", "found <relation> without TYPE"),
    (".apf.xml", ' TYPE="Movement"', "", ":v0-1: ", "found <event> without TYPE"),
    (".apf.xml", ' ID="m1"', "", ".apf.xml: ", "found <entity_mention> without ID"),
    (".apf.xml", ' ID="m2"', ' ID="m1"', ":m1: ", "found this ID twice"),
    (".apf.xml", ' REFID="m2"', ' REFID="m77"', ":r0-1: ", "found REFID 'm77'"),
    (".apf.xml", ' REFID="m1" ROLE="Artifact"', ' REFID="" ROLE="Artifact"', ":v0-1: ", "without REFID"),
    (".apf.xml", ' REFID="m1" ROLE="Artifact"', ' REFID="e1" ROLE="Artifact"', ":v0-1: ", "found REFID 'e1'"),
    (".apf.xml", ' ROLE="Artifact"', "", ":v0-1: ", "without ROLE"),
    (".apf.xml", "Arg-2", "Arg-1", ":r0-1: ", "accepted are Arg-1 and Arg-2"),
    (".apf.xml", "document", "text", ".apf.xml: ", "found <source_file> without <document>"),
    (".apf.xml", None, b"", ".apf.xml:1: ", "not XML: no element found"),
    (".apf.xml", None, BOMB, ".apf.xml:3: ", "found <!ENTITY; accepted is a file that declares no entities"),
    (".apf.xml", None, EXTERNAL, ".apf.xml:1: ", "found <!ENTITY"),
    (".apf.xml", None, b"<a>" * 99_999, ".apf.xml:1: ", "not XML: no element found"),
    (".apf.xml", None, b"<a>" * 99_999 + b"</a>" * 99_999, ".apf.xml: ", "found <a> without <document>"),
    (".apf.xml", None, b"<a>\0</a>", ".apf.xml:1: ", "found NUL"),
    (".apf.xml", None, b"<a>&#xD800;</a>", ".apf.xml:1: ", "not XML: reference to invalid character"),
    (".apf.xml", 'END="', 'END="' + "1" * 5000, ":m1: ", "characters' numbers"),
    (".apf.xml", None, "<?xml version='1.0'?><a/>".encode("utf-16"), ".apf.xml:1: ", "not UTF-8"),
    (".sgm", None, b"", ".sgm: ", "found 0 <TEXT> and 0 </TEXT>"),
    (".sgm", "</TEXT>", "", ".sgm: ", "found 1 <TEXT> and 0 </TEXT>"),
    (".sgm", "<TEXT>", "<TEXT><TEXT>", ".sgm: ", "found 2 <TEXT>"),
    (".sgm", "Rome", "R\udcfcme", ".sgm:11: ", "not UTF-8"),
    (".sgm", "<BODY>", "<BODY> ", ":m1: ", "accepted is the same text"),
]


@pytest.mark.parametrize(
    ("suffix", "old", "new", "place", "complaint"), BROKEN, ids=[f"{row[1]!r} {row[4]}" for row in BROKEN]
)
def test_a_broken_document_is_refused(folder: Path, suffix: str, old, new, place: str, complaint: str):
    write(
        adj(folder),
        article("{m1|[Bo\nPark]} {t1|left} {m2|Rome} for {m3|AT&amp;T}."),
        {"PER e1": "m1", "GPE e2": "m2", "ORG e3": "m3"},
        relations=(("PHYS.Located", "m1", "m2"),),
        events=(("Movement.Transport", "t1", "Artifact:m1"),),
    )
    assert len(ace.read_relations(folder, "train", seed=0).examples) == 6
    file = adj(folder) / f"doc{suffix}"
    if old is None:
        file.write_bytes(new)
    else:
        assert old in file.read_text()
        every = old in ("extent>", "anchor>", "document")
        file.write_bytes(file.read_text().replace(old, new, -1 if every else 1).encode(errors="surrogateescape"))
    for read in (ace.read_relations, ace.read_arguments):
        with pytest.raises(DataError) as refused:
            read(folder, "train", seed=0)
        message = str(refused.value)
        assert message.startswith(str(adj(folder) / "doc")), message
        assert place in message and complaint in message, message
        assert len(message) < len(str(folder)) + 250, "a long value would flood the terminal"


def test_a_truncated_annotation_is_refused_with_its_line(folder: Path):
    write(adj(folder), article("{m1|A} {m2|B}"), {"PER e1": "m1 m2"})
    file = adj(folder) / "doc.apf.xml"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(DataError, match=rf"doc\.apf\.xml:{file.read_text().count(chr(10)) + 1}: not XML"):
        ace.read_relations(folder, "train", seed=0)
