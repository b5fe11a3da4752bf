"""Rows of a data set become the examples that a file of the same content gives, and a broken data set is refused."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.utils
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from lms_ray.data import DataError
from lms_ray.data.examples import Answer, Argument, EntitySentence, Pair, Question, Relation, TaggedSentence
from lms_ray.data.readers import Place, Records, arguments, find, iob, relations, squad
from lms_ray.settings.data import Data

Rows = list[dict[str, Any]]
Write = Callable[..., Path]

# in the order of the hub, and with one that is no tag
UPOS = [
    *("NOUN", "PUNCT", "ADP", "NUM", "SYM", "SCONJ", "ADJ", "PART", "DET"),
    *("CCONJ", "PROPN", "PRON", "X", "_", "ADV", "INTJ", "VERB", "AUX"),
]
ENTITIES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
STRINGS = List(Value("string"))


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as settings:
        settings.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        settings.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        yield


def save(folder: Path, form: str, rows: Rows, features: Features | None = None, split: str = "train") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if form == "parquet":
        Dataset.from_list(rows, features=features).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    elif form == "json":
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    else:
        DatasetDict({split: Dataset.from_list(rows, features=features)}).save_to_disk(folder)
    return folder


def records(gives: type, path: Path | str, split: str = "train", language: str = "de", **settings: Any) -> Records:
    """What a split of a data set gives; `settings` are those of a data set (`data.hub`), and `iob`."""
    layout = settings.pop("iob", {})
    data = Data(format="hub", hub={"*": {"path": str(path), "splits": {"train": split}, **settings}}, iob={"*": layout})
    return find("hub", gives)(Place(data, language, "train", None))


def read(*arguments: Any, **settings: Any) -> list[Any]:
    return list(records(*arguments, **settings).examples)


FORMS = pytest.mark.parametrize("form", ["parquet", "json"])


def tagged(words: str, tags: str) -> dict[str, Any]:
    return {"tokens": words.split(), "upos": tags.split()}


@FORMS
def test_universal_dependencies_without_the_ranges_of_multi_word_tokens(tmp_path: Path, form: str, caplog):
    names = UPOS.index if form == "parquet" else str
    rows = [
        {"idx": "1", "tokens": ["Im", "In", "dem", "Haus"], "upos": [names(t) for t in ("_", "ADP", "DET", "NOUN")]},
        {"idx": "2", "tokens": ["_", "!"], "upos": [names("SYM"), names("PUNCT")]},  # a word may be an underscore
        {"idx": "3", "tokens": ["Im"], "upos": [names("_")]},
        {"idx": "4", "tokens": ["Ja"], "upos": [names("INTJ")]},
    ]
    features = Features({"idx": Value("string"), "tokens": STRINGS, "upos": List(ClassLabel(names=UPOS))})
    folder = save(tmp_path / "ud", form, rows, features)
    with caplog.at_level(logging.INFO):
        found = read(TaggedSentence, folder)
    assert found == [
        TaggedSentence(("In", "dem", "Haus"), ("ADP", "DET", "NOUN"), id="1"),
        TaggedSentence(("_", "!"), ("SYM", "PUNCT"), id="2"),
        TaggedSentence(("Ja",), ("INTJ",), id="4"),
    ]
    assert [sentence.where for sentence in found] == [f"{folder} train, row {row}" for row in (0, 1, 3)]
    assert "left out 2 words tagged _ and 1 rows without words" in caplog.text


def test_the_present_universal_dependencies_keep_multi_word_tokens_apart(tmp_path: Path):
    folder = tmp_path / "ud"
    row = {
        **{"sent_id": "s1", "text": "Im Haus", "comments": ["newpar"], "tokens": ["In", "dem", "Haus"]},
        **{"upos": ["ADP", "DET", "NOUN"], "head": [3, 3, 0], "empty_nodes": []},
        **{"mwt": [{"id": "1-2", "form": "Im", "feats": None, "misc": None}]},
    }
    for split in ("train", "dev", "test"):
        Dataset.from_list([row]).to_parquet(folder / "parquet" / "de_gsd" / f"{split}.parquet")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: de_gsd\n  data_files:\n"
        + "".join(
            f"  - {{split: {split}, path: parquet/de_gsd/{split}.parquet}}\n" for split in ("train", "dev", "test")
        )
        + "---\n"
    )
    (sentence,) = read(TaggedSentence, folder, "dev", name="de_gsd")
    assert sentence == TaggedSentence(("In", "dem", "Haus"), ("ADP", "DET", "NOUN"), id="s1")
    assert sentence.where == f"{folder} de_gsd dev, row 0"


@FORMS
def test_wikiann(tmp_path: Path, form: str):
    tags: list[Any] = ["B-ORG", "I-ORG", "O", "B-LOC", "B-PER"]
    if form == "parquet":
        tags = [ENTITIES.index(tag) for tag in tags]
    words = ["FC", "Köln", "in", "Bonn", "Ada"]
    row = {"tokens": words, "ner_tags": tags, "langs": ["de"] * 5, "spans": ["ORG: FC Köln", "LOC: Bonn", "PER: Ada"]}
    features = Features(
        {"tokens": STRINGS, "ner_tags": List(ClassLabel(names=ENTITIES)), "langs": STRINGS, "spans": STRINGS}
    )
    folder = save(tmp_path / "wikiann", form, [row], features, "validation")
    expected = EntitySentence(tuple(words), ("B-ORG", "I-ORG", "O", "B-LOC", "B-PER"))
    assert read(EntitySentence, folder, "validation") == [expected]


def test_numbers_in_json_have_the_names_that_the_card_gives_them(tmp_path: Path):
    folder = save(tmp_path / "ner", "json", [{"tokens": ["Ada"], "ner_tags": [1]}])
    names = "".join(f"          '{number}': {name}\n" for number, name in enumerate(ENTITIES))
    (folder / "README.md").write_text(
        "---\ndataset_info:\n  features:\n  - name: tokens\n    list: string\n  - name: ner_tags\n    list:\n"
        f"      class_label:\n        names:\n{names}---\n"
    )
    assert read(EntitySentence, folder) == [EntitySentence(("Ada",), ("B-PER",))]


def test_conll_2003_has_four_kinds_of_columns_and_may_have_document_marks(tmp_path: Path, caplog):
    chunks, names = ["O", "B-NP", "I-NP"], [*ENTITIES, "B-MISC", "I-MISC"]
    features = Features(
        {"id": Value("string"), "tokens": STRINGS}
        | {"chunk_tags": List(ClassLabel(names=chunks)), "ner_tags": List(ClassLabel(names=names))}
    )
    rows = [
        {"id": "0", "tokens": ["-DOCSTART-"], "chunk_tags": [0], "ner_tags": [0]},
        {
            "id": "1",
            "tokens": ["EU", "rejects", "German", "call"],
            "chunk_tags": [1, 0, 1, 2],
            "ner_tags": [3, 0, 7, 0],
        },
        {"id": "2", "tokens": [], "chunk_tags": [], "ner_tags": []},
    ]
    folder = str(save(tmp_path / "conll2003", "parquet", rows, features))
    words = ("EU", "rejects", "German", "call")
    with caplog.at_level(logging.INFO):
        found = read(EntitySentence, folder)
    assert found == [EntitySentence(words, ("B-ORG", "O", "B-MISC", "O"), id="1")]
    assert "1 document marks left out; 1 rows without words left out" in caplog.text
    found = read(EntitySentence, folder, columns={"tags": "chunk_tags"})
    assert found == [EntitySentence(words, ("B-NP", "O", "B-NP", "I-NP"), id="1")]


CONTEXT = f"Ada wrote to Charles. {'a' * 50} b {'a' * 50}"
OTHER = CONTEXT.replace(" b ", " c ")  # contexts that begin and end alike are two all the same


def asked(identifier: Any = "q1", question: str = "Who?", context: str = CONTEXT, **answers: Any) -> dict[str, Any]:
    answers = answers or {"text": ["Ada"], "answer_start": [0]}
    return {"id": identifier, "title": "T", "context": context, "question": question, "answers": answers}


@FORMS
@pytest.mark.parametrize("transposed", [False, True], ids=["lists of texts and starts", "list of answers"])
def test_questions_of_squad(tmp_path: Path, form: str, transposed: bool):
    rows = [
        asked("q1"),
        asked("q2", "Who?", OTHER, text=["Charles", "Ada"], answer_start=[13, 0]),
        asked("q3", "To whom?", text=["Charles"], answer_start=[13]),
    ]
    if transposed:
        for row in rows:
            pairs = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
            row["answers"] = [{"text": text, "answer_start": start} for text, start in pairs]
    folder = save(tmp_path / "squad", form, rows, split="validation")
    found = read(Question, folder, "validation")
    assert found == [
        Question("Who?", CONTEXT, (Answer("Ada", 0),), "de", 0, id="q1"),
        Question("Who?", OTHER, (Answer("Charles", 13), Answer("Ada", 0)), "de", 1, id="q2"),
        Question("To whom?", CONTEXT, (Answer("Charles", 13),), "de", 0, id="q3"),
    ]
    assert found[2].where == f"{folder} validation, row 2"


@pytest.mark.parametrize("name", ["mlqa.de.de", "mlqa.de.en", None])
def test_a_configuration_or_its_folder_alone(tmp_path: Path, name: str | None):
    card = "---\nconfigs:\n"
    for config in ("mlqa.de.de", "mlqa.de.en"):
        save(tmp_path / config, "parquet", [asked(question=config)], split="test")
        card += f"- config_name: {config}\n  data_files:\n  - split: test\n    path: {config}/test-*\n"
    (tmp_path / "README.md").write_text(card + "---\n")
    folder = tmp_path if name else tmp_path / "mlqa.de.de"
    (question,) = read(Question, folder, "test", name=name)
    assert question.question == (name or "mlqa.de.de")


def test_columns_may_be_named_otherwise(tmp_path: Path):
    row = {"qid": 7, "frage": "Wer?", "context": CONTEXT, "answers": {"text": ["Ada"], "answer_start": [0]}}
    folder = save(tmp_path / "data", "json", [row])
    (question,) = read(Question, folder, columns={"id": "qid", "question": "frage"})
    assert question.question == "Wer?"


RELATIONS = [
    {"id": "1", "tokens": ["Bonn", "am", "Rhein"], "entities": [[0, 0, "city"], [2, 2, "river"]], "relations": []},
    {"id": "2", "tokens": ["A", "B"], "entities": [[0, 0, "x"], [1, 1, "y"]], "relations": [[0, 0, 1, 1, "r"]]},
]
MARKED = [
    {"id": "1", "text": "<e1> A </e1> in <e2> B </e2>", "label": "in"},
    {"id": "2", "text": "<e1> A </e1>, <e2> B </e2>", "label": "no_relation"},
]
ARGUMENTS = [
    {"id": "1", "tokens": ["He", "came"], "predicates": [{"trigger": 1, "frame": "come.01", "args": [[0, "ARG1"]]}]},
    {"id": "2", "tokens": ["Yes"], "predicates": []},
    {"id": "3", "tokens": ["a", "b", "c"], "predicates": [{"trigger": 2, "args": [[0, "ARG0"], [1, "ARG1"]]}]},
]


@pytest.mark.parametrize(
    ("kind", "rows", "reader"),
    [
        (Relation, RELATIONS, relations.read),
        (Relation, MARKED, relations.read),
        (Argument, ARGUMENTS, arguments.read),
    ],
    ids=["entities", "marked", "arguments"],
)
def test_pairs_are_those_of_the_json_lines_in_every_form(tmp_path: Path, kind: Any, rows: Rows, reader: Any):
    folder = save(tmp_path / "json", "json", rows)
    expected: Records = reader(folder / "train.jsonl")
    assert len(expected.sentences or ()) == len(rows)
    assert records(kind, folder) == expected
    loaded = datasets.load_dataset(str(folder))
    loaded["train"].to_parquet(tmp_path / "parquet" / "train.parquet")
    loaded.save_to_disk(tmp_path / "saved")
    for form in ("parquet", "saved"):
        assert records(kind, tmp_path / form) == expected


def test_relations_from_csv_and_with_numbered_labels(tmp_path: Path):
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "train.csv").write_text(
        'sentence,label\n<e1> A </e1> in <e2> B </e2>,in\n"<e1> A </e1>, <e2> B </e2>",no_relation\n'
    )
    features = Features({"sentence": Value("string"), "label": ClassLabel(names=["no_relation", "in"])})
    rows = [{"sentence": row["text"], "label": row["label"]} for row in MARKED]
    save(tmp_path / "parquet", "parquet", rows, features)
    for form in ("csv", "parquet"):
        found = read(Relation, tmp_path / form, columns={"text": "sentence"})
        assert [pair.labels for pair in found] == [("in",), ()]


def test_what_is_odd_in_relations_is_counted(tmp_path: Path, caplog):
    row = {"tokens": ["A"], "entities": [[0, 0, "x"]], "relations": [[0, 0, 0, 0, "r"]]}
    read(Relation, save(tmp_path / "data", "json", [row]))
    assert f"{tmp_path / 'data'} train: 1 relations of an entity to itself" in caplog.text


ODD = [
    "a\u2028b",
    "a\u0085b",
    "10 000",
    "ein\u00a0Wort",
    "שלום\u200f",
    "e\u0301te\u0301",
    "é",
    "👩‍👩‍👧",
    "क्षि",
    "null",
    "5",
    "{}",
]


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_words_are_read_as_they_are_written(tmp_path: Path, form: str):
    long = [f"w{number}" for number in range(10_000)]
    rows = [{"tokens": words, "upos": ["X"] * len(words)} for words in (ODD, long)]
    odd, ten_thousand = read(TaggedSentence, save(tmp_path / "data", form, rows))
    assert odd.words == tuple(ODD)
    assert ten_thousand.words == tuple(long)


@pytest.mark.parametrize("change", [lambda c: "\ufeff" + c, lambda c: c.replace("\n", "\r\n"), lambda c: c.strip()])
def test_the_form_of_a_json_file_does_not_matter(tmp_path: Path, change: Callable[[str], str]):
    content = '{"tokens": ["a"], "upos": ["X"]}\n{"tokens": ["b"], "upos": ["X"]}\n'
    (tmp_path / "train.jsonl").write_bytes(change(content).encode())
    found = read(TaggedSentence, tmp_path)
    assert [sentence.words for sentence in found] == [("a",), ("b",)]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Ten sentences of one word, 0 to 9, in train and one in test, as files and as save_to_disk writes them."""
    folder = tmp_path_factory.mktemp("counted")
    splits = {"train": [tagged(str(n), "NUM") for n in range(10)], "test": [tagged("t", "NUM")]}
    for split, rows in splits.items():
        save(folder / "files", "parquet", rows, split=split)
    saved = DatasetDict({split: Dataset.from_list(rows) for split, rows in splits.items()})
    saved["train"] = saved["train"].with_format("numpy", ["upos"])  # is saved too, and must not matter
    saved.save_to_disk(folder / "dict")
    datasets.load_dataset(str(folder / "files"), split="train[:10]").save_to_disk(folder / "one")
    return {form: folder / form for form in ("files", "dict", "one")}


@pytest.mark.parametrize("form", ["files", "dict", "one"])
@pytest.mark.parametrize(("split", "rows"), [("train[2:4]", [2, 3]), ("train[:20%]", [0, 1]), ("train[8:100]", [8, 9])])
def test_rows_of_a_slice_are_named_as_in_the_whole_split(counted: dict[str, Path], form: str, split: str, rows: list):
    """Or two slices that overlap would look like different records."""
    found = read(TaggedSentence, counted[form], split)
    assert [sentence.words[0] for sentence in found] == [str(row) for row in rows]
    assert [sentence.where for sentence in found] == [f"{counted[form]} train, row {row}" for row in rows]


@pytest.mark.parametrize("form", ["files", "dict"])
def test_splits_can_be_added(counted: dict[str, Path], form: str):
    found = read(TaggedSentence, counted[form], "test+train[1:3]")
    assert [sentence.words[0] for sentence in found] == ["t", "1", "2"]
    assert [sentence.where.removeprefix(f"{counted[form]} ") for sentence in found] == [
        "test, row 0", "train, row 1", "train, row 2"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "configured", "ids"),
    [
        ({"id": ["a", "b"]}, {}, ["a", "b"]),
        ({"idx": [7, 8]}, {}, ["7", "8"]),
        ({"sent_id": ["n1", None], "idx": [0, 1]}, {}, ["n1", ""]),
        ({"id": [0.5, 1.5]}, {}, ["", ""]),
        ({"key": ["a", "b"], "id": [1, 2]}, {"id": "key"}, ["a", "b"]),
        ({}, {}, ["", ""]),
    ],
)
def test_a_column_may_name_the_rows(tmp_path: Path, columns: dict[str, list], configured: dict, ids: list[str]):
    """Translations are resampled together where their names agree."""
    rows = [tagged("a", "X") | {key: values[n] for key, values in columns.items()} for n in range(2)]
    folder = save(tmp_path / "data", "parquet", rows)
    assert [sentence.id for sentence in read(TaggedSentence, folder, columns=configured)] == ids


def test_a_single_data_set_without_a_split_is_train(tmp_path: Path):
    Dataset.from_list([tagged("a", "X")]).save_to_disk(tmp_path / "one")
    assert len(read(TaggedSentence, tmp_path / "one")) == 1
    with pytest.raises(DataError, match=r'one test: Unknown split "test".*accepted are train'):
        read(TaggedSentence, tmp_path / "one", "test")


GOOD = tagged("a b", "DET NOUN")
LABELS = Features({"tokens": STRINGS, "ner_tags": List(ClassLabel(names=ENTITIES))})
BROKEN: dict[str, tuple[Any, Rows, str, str]] = {
    "unknown tag": (TaggedSentence, [GOOD, tagged("a b", "DET Noun")], "row 1", "found tag 'Noun'; accepted are ADJ"),
    "a tag too few": (TaggedSentence, [GOOD, tagged("a b", "DET")], "row 1", "2 words and 1 tags"),
    "empty word": (TaggedSentence, [GOOD, {"tokens": ["a", " "], "upos": ["X", "X"]}], "row 1", "an empty word"),
    "null": (TaggedSentence, [GOOD, {"tokens": None, "upos": ["X"]}], "row 1", "found words None"),
    "null word": (
        TaggedSentence,
        [GOOD, {"tokens": ["a", None], "upos": ["X", "X"]}],
        "row 1",
        "found words ['a', None]",
    ),
    "null tag": (
        TaggedSentence,
        [GOOD, {"tokens": ["a", "b"], "upos": ["X", None]}],
        "row 1",
        "found tags ['X', None]",
    ),
    "text for words": (
        TaggedSentence,
        [{"tokens": "a b", "upos": "X X"}],
        "row 0",
        "found words 'a b'; accepted is a list",
    ),
    "numbers": (TaggedSentence, [{"tokens": ["a"], "upos": [3]}], "row 0", "[3] and no label names"),
    "numbers as words": (TaggedSentence, [{"tokens": [1], "upos": ["X"]}], "row 0", "found words [1]"),
    "no IOB": (EntitySentence, [{"tokens": ["a"], "ner_tags": ["PER"]}], "row 0", "found tag 'PER'; accepted are O"),
    "I- first": (
        EntitySentence,
        [{"tokens": ["a"], "ner_tags": ["I-PER"]}],
        "row 0",
        "found tag I-PER where no PER goes on",
    ),
    "I- after O": (
        EntitySentence,
        [{"tokens": ["a", "b"], "ner_tags": ["O", "I-PER"]}],
        "row 0",
        "found tag I-PER where no PER goes on",
    ),
    "I- after another": (
        EntitySentence,
        [{"tokens": ["a", "b"], "ner_tags": ["B-LOC", "I-PER"]}],
        "row 0",
        "found tag I-PER where no PER goes on",
    ),
    "id again": (Question, [asked("q"), asked("r"), asked("q")], "row 2", "found id 'q' of"),
    "null id": (Question, [asked("q"), asked(None)], "row 1", "found no id"),
    "null question": (Question, [asked("q"), asked("r") | {"question": None}], "row 1", "found null as 'question'"),
    "null answers": (Question, [asked("q"), asked("r") | {"answers": None}], "row 1", "found null as 'answers'"),
    "no answer": (Question, [asked("q"), asked("r", text=[], answer_start=[])], "row 1", "no answer"),
    "answers for starts": (Question, [asked(text=["a", "b"], answer_start=[0])], "row 0", "accepted are as many"),
    "wrong start": (Question, [asked(text=["Ada"], answer_start=[1])], "row 0", "which stands at 0"),
    "start as text": (Question, [asked(text=["Ada"], answer_start=["0"])], "row 0", "found a string"),
    "span": (Relation, [RELATIONS[0] | {"entities": [[0, 9, "x"]]}], "row 0", "positions from 0 to 2"),
    "trigger": (Argument, [ARGUMENTS[0] | {"predicates": [{"trigger": 9, "args": []}]}], "row 0", "positions from"),
    "no pair": (Argument, [ARGUMENTS[1]], "", "found no example in 1 rows"),
    "nothing but _": (TaggedSentence, [tagged("a", "_")], "", "found no example in 1 rows"),
    "another column": (
        TaggedSentence,
        [{"tokens": ["a"], "xpos": ["X"]}],
        "",
        "columns tokens, xpos; accepted are tokens, upos",
    ),
    "no layout": (Relation, [{"text": "a"}], "", "tokens, entities, relations or text, label"),
}


@pytest.mark.parametrize(("kind", "rows", "row", "complaint"), BROKEN.values(), ids=BROKEN)
def test_a_broken_row_is_refused_with_its_number(tmp_path: Path, kind: Any, rows: Rows, row: str, complaint: str):
    form = "json" if issubclass(kind, Pair) else "saved"  # only JSON has numbers and text in one list
    folder = save(tmp_path / "data", form, rows)
    with pytest.raises(DataError) as refused:
        read(kind, folder)
    message = str(refused.value)
    assert message.startswith(f"{folder} train{', ' if row else ''}{row}: "), message
    assert complaint in message


@pytest.mark.parametrize("words", [["a", 5], ["a", None], ["2020-01-02"]], ids=["number", "null", "date"])
def test_what_json_is_guessed_to_be_never_becomes_a_word(tmp_path: Path, words: list[Any]):
    folder = save(tmp_path / "data", "json", [{"tokens": words, "upos": ["X"] * len(words)}])
    with pytest.raises(DataError, match=r"row 0: found words .*; accepted is a list of strings"):
        read(TaggedSentence, folder)


def test_a_secret_label_is_refused(tmp_path: Path):
    rows = [{"tokens": ["a"], "ner_tags": [0]}, {"tokens": ["a"], "ner_tags": [-1]}]
    folder = save(tmp_path / "data", "parquet", rows, LABELS)
    with pytest.raises(DataError, match=r"train, row 1: found label -1; accepted are 0 to 6, \['O', 'B-PER'"):
        read(EntitySentence, folder)


LINE = b'{"tokens": ["a"], "upos": ["X"]}\n'
UNREADABLE = {
    "truncated": (LINE + LINE[:20], "jsonl", "in row 1"),
    "Latin-1": (LINE + '{"tokens": ["é"], "upos": ["X"]}\n'.encode("latin-1"), "jsonl", "UTF8"),
    "UTF-16": (LINE.decode().encode("utf-16"), "jsonl", "Invalid value"),
    "half a pair": (LINE + rb'{"tokens": ["\ud83d"], "upos": ["X"]}' + b"\n", "jsonl", "surrogate pair"),
    "no line": (b"", "jsonl", "a file without rows"),
    "blank lines": (b"\n\n", "jsonl", "no data"),
    "no Parquet": (b"PAR1" + LINE, "parquet", "Parquet magic bytes"),
    "script": (b"import datasets", "py", "No (supported) data files"),
}


@pytest.mark.parametrize(("content", "ending", "complaint"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes, ending: str, complaint: str):
    (tmp_path / f"train.{ending}").write_bytes(content)
    with pytest.raises(DataError) as refused:
        read(TaggedSentence, tmp_path)
    assert str(refused.value).startswith(f"{tmp_path} train: ")
    assert complaint in str(refused.value)


def test_an_empty_split_is_refused(tmp_path: Path):
    features = Features({"tokens": STRINGS, "upos": STRINGS})
    Dataset.from_dict({"tokens": [], "upos": []}, features).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r'train: .* "train" corresponds to no data'):
        read(TaggedSentence, tmp_path)


@pytest.mark.parametrize(
    ("form", "name", "split", "columns", "revision", "complaint"),
    [
        (
            "files",
            None,
            "dev",
            {},
            None,
            "dev: Unknown split \"dev\". Should be one of ['train', 'test']; accepted are",
        ),
        ("dict", None, "dev", {}, None, "accepted are train, test, slices of them"),
        ("files", None, "train[[", {}, None, "train[[: Unrecognized"),
        ("files", None, "train[:150%]", {}, None, "Percent"),
        ("files", None, "train[20:]", {}, None, "found no example in 0 rows"),
        ("files", "de", "train", {}, None, "files de train: cannot be read: BuilderConfig 'de' not found. Available: "),
        ("dict", "de", "train", {}, None, "found configuration de; accepted is none"),
        ("files", None, "train", {}, "main", "found revision main; accepted is none"),
        ("files", None, "train", {"word": "tokens"}, None, "found columns for word; accepted are words, tags, id"),
        ("files", None, "train", {"tags": "xpos"}, None, "found columns tokens, upos; accepted are tokens, xpos"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(counted, form, name, split, columns, revision, complaint):
    with pytest.raises(DataError) as refused:
        read(TaggedSentence, counted[form], split, name=name, columns=columns, revision=revision)
    assert complaint in str(refused.value)


def test_a_configuration_must_be_named_where_there_are_several(tmp_path: Path):
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- {config_name: de, data_files: de.jsonl}\n- {config_name: nl, data_files: nl.jsonl}\n---\n"
    )
    for language in ("de", "nl"):
        (tmp_path / f"{language}.jsonl").write_bytes(LINE)
    with pytest.raises(DataError, match=r"Config name is missing.*\['de', 'nl'\]"):
        read(TaggedSentence, tmp_path)


def test_a_hub_that_cannot_be_reached_is_said(tmp_path: Path):
    with pytest.raises(DataError, match=r"^unimelb-nlp/wikiann de test: .* hub cannot be reached .* a local folder"):
        read(EntitySentence, "unimelb-nlp/wikiann", "test", name="de")
    with pytest.raises(DataError, match=r"nowhere train: .*any data file"):
        read(TaggedSentence, tmp_path / "nowhere")
    (tmp_path / "train.jsonl").write_bytes(LINE)
    with pytest.raises(DataError, match="found a file; accepted is the folder"):
        read(TaggedSentence, tmp_path / "train.jsonl")


def test_tags_in_iob1_are_converted_where_it_is_asked_for(tmp_path: Path):
    folder = save(tmp_path / "data", "json", [{"tokens": ["a", "b", "c"], "ner_tags": ["I-PER", "I-PER", "I-LOC"]}])
    (sentence,) = read(EntitySentence, folder, iob={"scheme": "iob1"})
    assert sentence.tags == ("B-PER", "I-PER", "B-LOC")


def test_a_word_of_white_space_is_repaired_where_that_is_asked_for(tmp_path: Path, caplog):
    folder = save(tmp_path / "data", "json", [{"tokens": ["a", "\u00a0"], "ner_tags": ["B-PER", "I-PER"]}])
    with pytest.raises(DataError, match=r"row 0: found an empty token; accepted is text \(`illegal: repair`"):
        read(EntitySentence, folder)
    with caplog.at_level(logging.INFO):
        (sentence,) = read(EntitySentence, folder, iob={"illegal": "repair"})
    assert (sentence.words, sentence.tags) == (("a", "\ufffd"), ("B-PER", "I-PER"))
    assert "1 tokens of white space became unknown words" in caplog.text


def test_a_file_that_is_written_again_is_read_again(tmp_path: Path):
    folder = save(tmp_path / "data", "json", [tagged("a", "X")])
    assert read(TaggedSentence, folder)[0].words == ("a",)
    save(folder, "json", [tagged("b", "X")])
    assert read(TaggedSentence, folder)[0].words == ("b",)


@pytest.mark.parametrize("shown", [True, False])
def test_no_progress_bars_and_they_are_as_before(tmp_path: Path, capfd, shown: bool):
    folder = save(tmp_path / "data", "json", [tagged("a", "X")])
    libraries = (datasets.utils, huggingface_hub.utils)
    for library in libraries:
        library.enable_progress_bars() if shown else library.disable_progress_bars()
    capfd.readouterr()
    read(TaggedSentence, folder)
    assert capfd.readouterr() == ("", "")
    assert [library.are_progress_bars_disabled() for library in libraries] == [not shown] * 2


def test_the_import_is_cheap():
    code = "import sys, lms_ray.data.readers.hub; assert not {'datasets', 'pandas', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.real
@pytest.mark.parametrize(
    ("kind", "file", "reader"),
    [
        (Relation, "re/crossre/crossre-de-dev.jsonl", relations.read),
        (Relation, "re/relx/relx-tr-test.jsonl", relations.read),
        (Argument, "events/up1/up1-zh-dev.jsonl", arguments.read),
    ],
)
def test_real_json_lines_give_the_same_pairs(shared: Path, tmp_path: Path, kind: Any, file: str, reader: Any):
    path = shared / "data" / file
    if not path.is_file():
        pytest.skip(f"no {path}")
    lines = path.read_bytes().splitlines(keepends=True)[:50]
    (tmp_path / "test.jsonl").write_bytes(b"".join(lines))
    assert records(kind, tmp_path, "test") == reader(tmp_path / "test.jsonl")


@pytest.mark.real
def test_real_questions_are_those_of_the_squad_file(shared: Path, tmp_path: Path):
    path = shared / "data" / "qa" / "xquad" / "xquad.ar.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    rows = [
        {"id": entry["id"], "context": paragraph["context"], "question": entry["question"]}
        | {"answers": {key: [answer[key] for answer in entry["answers"]] for key in ("text", "answer_start")}}
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for entry in paragraph["qas"]
    ]
    folder = save(tmp_path / "xquad", "parquet", rows, split="validation")
    assert read(Question, folder, "validation", language="ar") == squad.read(path, "ar")


@pytest.mark.real
def test_real_entities_are_those_of_the_iob_file(shared: Path, tmp_path: Path):
    path = shared / "data" / "ner" / "wikiann" / "de-test.iob2"
    if not path.is_file():
        pytest.skip(f"no {path}")
    sentences = iob.read(path)[:1000]
    rows = [{"tokens": s.words, "ner_tags": [ENTITIES.index(tag) for tag in s.tags]} for s in sentences]
    folder = save(tmp_path / "wikiann", "parquet", rows, LABELS, "test")
    assert read(EntitySentence, folder, "test") == sentences
