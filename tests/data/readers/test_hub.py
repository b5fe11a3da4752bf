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
from lms_ray.data.examples import Answer, Pair, Question, TaggedSentence
from lms_ray.data.readers import arguments, hub, iob, relations, squad

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
        read = hub.read("tags", str(folder), None, "train", {}, "de")
    assert read == [
        TaggedSentence(("In", "dem", "Haus"), ("ADP", "DET", "NOUN")),
        TaggedSentence(("_", "!"), ("SYM", "PUNCT")),
        TaggedSentence(("Ja",), ("INTJ",)),
    ]
    assert [sentence.where for sentence in read] == [f"{folder} train, row {row}" for row in (0, 1, 3)]
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
    (sentence,) = hub.read("tags", str(folder), "de_gsd", "dev", {}, "de")
    assert sentence == TaggedSentence(("In", "dem", "Haus"), ("ADP", "DET", "NOUN"))
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
    expected = TaggedSentence(tuple(words), ("B-ORG", "I-ORG", "O", "B-LOC", "B-PER"))
    assert hub.read("entities", str(folder), None, "validation", {}, "de") == [expected]


def test_numbers_in_json_have_the_names_that_the_card_gives_them(tmp_path: Path):
    folder = save(tmp_path / "ner", "json", [{"tokens": ["Ada"], "ner_tags": [1]}])
    names = "".join(f"          '{number}': {name}\n" for number, name in enumerate(ENTITIES))
    (folder / "README.md").write_text(
        "---\ndataset_info:\n  features:\n  - name: tokens\n    list: string\n  - name: ner_tags\n    list:\n"
        f"      class_label:\n        names:\n{names}---\n"
    )
    assert hub.read("entities", str(folder), None, "train", {}, "de") == [TaggedSentence(("Ada",), ("B-PER",))]


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
        read = hub.read("entities", folder, None, "train", {}, "en")
    assert read == [TaggedSentence(words, ("B-ORG", "O", "B-MISC", "O"))]
    assert "left out 1 document marks and 1 rows without words" in caplog.text
    read = hub.read("entities", folder, None, "train", {"tags": "chunk_tags"}, "en")
    assert read == [TaggedSentence(words, ("B-NP", "O", "B-NP", "I-NP"))]


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
    read = hub.read("questions", str(folder), None, "validation", {}, "de")
    assert read == [
        Question("Who?", CONTEXT, (Answer("Ada", 0),), "de", 0),
        Question("Who?", OTHER, (Answer("Charles", 13), Answer("Ada", 0)), "de", 1),
        Question("To whom?", CONTEXT, (Answer("Charles", 13),), "de", 0),
    ]
    assert read[2].where == f"{folder} validation, row 2"


@pytest.mark.parametrize("name", ["mlqa.de.de", "mlqa.de.en", None])
def test_a_configuration_or_its_folder_alone(tmp_path: Path, name: str | None):
    card = "---\nconfigs:\n"
    for config in ("mlqa.de.de", "mlqa.de.en"):
        save(tmp_path / config, "parquet", [asked(question=config)], split="test")
        card += f"- config_name: {config}\n  data_files:\n  - split: test\n    path: {config}/test-*\n"
    (tmp_path / "README.md").write_text(card + "---\n")
    folder = tmp_path if name else tmp_path / "mlqa.de.de"
    (question,) = hub.read("questions", str(folder), name, "test", {}, "de")
    assert question.question == (name or "mlqa.de.de")


def test_columns_may_be_named_otherwise(tmp_path: Path):
    row = {"qid": 7, "frage": "Wer?", "context": CONTEXT, "answers": {"text": ["Ada"], "answer_start": [0]}}
    folder = save(tmp_path / "data", "json", [row])
    (question,) = hub.read("questions", str(folder), None, "train", {"id": "qid", "question": "frage"}, "de")
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
        ("relations", RELATIONS, relations.read),
        ("relations", MARKED, relations.read),
        ("arguments", ARGUMENTS, arguments.read),
    ],
    ids=["entities", "marked", "arguments"],
)
def test_pairs_are_those_of_the_json_lines_in_every_form(tmp_path: Path, kind: Any, rows: Rows, reader: Any):
    folder = save(tmp_path / "json", "json", rows)
    expected: list[Pair] = reader(folder / "train.jsonl")
    assert hub.read(kind, str(folder), None, "train", {}, "en") == expected
    loaded = datasets.load_dataset(str(folder))
    loaded["train"].to_parquet(tmp_path / "parquet" / "train.parquet")
    loaded.save_to_disk(tmp_path / "saved")
    for form in ("parquet", "saved"):
        assert hub.read(kind, str(tmp_path / form), None, "train", {}, "en") == expected


def test_relations_from_csv_and_with_numbered_labels(tmp_path: Path):
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "train.csv").write_text(
        'sentence,label\n<e1> A </e1> in <e2> B </e2>,in\n"<e1> A </e1>, <e2> B </e2>",no_relation\n'
    )
    features = Features({"sentence": Value("string"), "label": ClassLabel(names=["no_relation", "in"])})
    rows = [{"sentence": row["text"], "label": row["label"]} for row in MARKED]
    save(tmp_path / "parquet", "parquet", rows, features)
    for form in ("csv", "parquet"):
        read = hub.read("relations", str(tmp_path / form), None, "train", {"text": "sentence"}, "en")
        assert [pair.labels for pair in read] == [("in",), ()]


def test_what_is_odd_in_relations_is_counted(tmp_path: Path, caplog):
    row = {"tokens": ["A"], "entities": [[0, 0, "x"]], "relations": [[0, 0, 0, 0, "r"]]}
    hub.read("relations", str(save(tmp_path / "data", "json", [row])), None, "train", {}, "en")
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
    odd, ten_thousand = hub.read("tags", str(save(tmp_path / "data", form, rows)), None, "train", {}, "de")
    assert odd.words == tuple(ODD)
    assert ten_thousand.words == tuple(long)


@pytest.mark.parametrize("change", [lambda c: "\ufeff" + c, lambda c: c.replace("\n", "\r\n"), lambda c: c.strip()])
def test_the_form_of_a_json_file_does_not_matter(tmp_path: Path, change: Callable[[str], str]):
    content = '{"tokens": ["a"], "upos": ["X"]}\n{"tokens": ["b"], "upos": ["X"]}\n'
    (tmp_path / "train.jsonl").write_bytes(change(content).encode())
    read = hub.read("tags", str(tmp_path), None, "train", {}, "de")
    assert [sentence.words for sentence in read] == [("a",), ("b",)]


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
@pytest.mark.parametrize(
    ("split", "words"),
    [("train[2:4]", "23"), ("train[:20%]", "01"), ("train[8:100]", "89")],
)
def test_a_slice_of_a_split_numbers_its_own_rows(counted: dict[str, Path], form: str, split: str, words: str):
    read = hub.read("tags", str(counted[form]), None, split, {}, "de")
    assert "".join(sentence.words[0] for sentence in read) == words
    assert [sentence.where for sentence in read] == [f"{counted[form]} {split}, row {n}" for n in range(len(words))]


@pytest.mark.parametrize("form", ["files", "dict"])
def test_splits_can_be_added(counted: dict[str, Path], form: str):
    read = hub.read("tags", str(counted[form]), None, "test+train[:2]", {}, "de")
    assert [sentence.words[0] for sentence in read] == ["t", "0", "1"]


def test_a_single_data_set_without_a_split_is_train(tmp_path: Path):
    Dataset.from_list([tagged("a", "X")]).save_to_disk(tmp_path / "one")
    assert len(hub.read("tags", str(tmp_path / "one"), None, "train", {}, "de")) == 1
    with pytest.raises(DataError, match=r'one test: Unknown split "test".*accepted are train'):
        hub.read("tags", str(tmp_path / "one"), None, "test", {}, "de")


GOOD = tagged("a b", "DET NOUN")
LABELS = Features({"tokens": STRINGS, "ner_tags": List(ClassLabel(names=ENTITIES))})
BROKEN: dict[str, tuple[Any, Rows, str, str]] = {
    "unknown tag": ("tags", [GOOD, tagged("a b", "DET Noun")], "row 1", "found tag 'Noun'; accepted are ADJ"),
    "a tag too few": ("tags", [GOOD, tagged("a b", "DET")], "row 1", "2 words and 1 tags"),
    "empty word": ("tags", [GOOD, {"tokens": ["a", " "], "upos": ["X", "X"]}], "row 1", "an empty word"),
    "null": ("tags", [GOOD, {"tokens": None, "upos": ["X"]}], "row 1", "found words None"),
    "null word": ("tags", [GOOD, {"tokens": ["a", None], "upos": ["X", "X"]}], "row 1", "found words ['a', None]"),
    "null tag": ("tags", [GOOD, {"tokens": ["a", "b"], "upos": ["X", None]}], "row 1", "found tags ['X', None]"),
    "text for words": ("tags", [{"tokens": "a b", "upos": "X X"}], "row 0", "found words 'a b'; accepted is a list"),
    "numbers": ("tags", [{"tokens": ["a"], "upos": [3]}], "row 0", "[3] and no label names"),
    "numbers as words": ("tags", [{"tokens": [1], "upos": ["X"]}], "row 0", "found words [1]"),
    "no IOB": ("entities", [{"tokens": ["a"], "ner_tags": ["PER"]}], "row 0", "found tag 'PER'; accepted are O"),
    "I- first": (
        "entities",
        [{"tokens": ["a"], "ner_tags": ["I-PER"]}],
        "row 0",
        "found tag I-PER where no PER goes on",
    ),
    "I- after O": (
        "entities",
        [{"tokens": ["a", "b"], "ner_tags": ["O", "I-PER"]}],
        "row 0",
        "found tag I-PER where no PER goes on",
    ),
    "I- after another": (
        "entities",
        [{"tokens": ["a", "b"], "ner_tags": ["B-LOC", "I-PER"]}],
        "row 0",
        "found tag I-PER where no PER goes on",
    ),
    "id again": ("questions", [asked("q"), asked("r"), asked("q")], "row 2", "found id 'q' of"),
    "null id": ("questions", [asked("q"), asked(None)], "row 1", "found id None"),
    "null question": ("questions", [asked("q"), asked("r") | {"question": None}], "row 1", "found null as 'question'"),
    "null answers": ("questions", [asked("q"), asked("r") | {"answers": None}], "row 1", "found null as 'answers'"),
    "no answer": ("questions", [asked("q"), asked("r", text=[], answer_start=[])], "row 1", "no answer"),
    "answers for starts": ("questions", [asked(text=["a", "b"], answer_start=[0])], "row 0", "accepted are as many"),
    "wrong start": ("questions", [asked(text=["Ada"], answer_start=[1])], "row 0", "which stands at 0"),
    "start as text": ("questions", [asked(text=["Ada"], answer_start=["0"])], "row 0", "found a string"),
    "span": ("relations", [RELATIONS[0] | {"entities": [[0, 9, "x"]]}], "row 0", "positions from 0 to 2"),
    "trigger": ("arguments", [ARGUMENTS[0] | {"predicates": [{"trigger": 9, "args": []}]}], "row 0", "positions from"),
    "no pair": ("arguments", [ARGUMENTS[1]], "", "found no example in 1 rows"),
    "nothing but _": ("tags", [tagged("a", "_")], "", "found no example in 1 rows"),
    "another column": (
        "tags",
        [{"tokens": ["a"], "xpos": ["X"]}],
        "",
        "columns tokens, xpos; accepted are tokens, upos",
    ),
    "no layout": ("relations", [{"text": "a"}], "", "tokens, entities, relations or text, label"),
}


@pytest.mark.parametrize(("kind", "rows", "row", "complaint"), BROKEN.values(), ids=BROKEN)
def test_a_broken_row_is_refused_with_its_number(tmp_path: Path, kind: Any, rows: Rows, row: str, complaint: str):
    form = "json" if kind in ("relations", "arguments") else "saved"  # only JSON has numbers and text in one list
    folder = save(tmp_path / "data", form, rows)
    with pytest.raises(DataError) as refused:
        hub.read(kind, str(folder), None, "train", {}, "de")
    message = str(refused.value)
    assert message.startswith(f"{folder} train{', ' if row else ''}{row}: "), message
    assert complaint in message


@pytest.mark.parametrize("words", [["a", 5], ["a", None], ["2020-01-02"]], ids=["number", "null", "date"])
def test_what_json_is_guessed_to_be_never_becomes_a_word(tmp_path: Path, words: list[Any]):
    folder = save(tmp_path / "data", "json", [{"tokens": words, "upos": ["X"] * len(words)}])
    with pytest.raises(DataError, match=r"row 0: found words .*; accepted is a list of strings"):
        hub.read("tags", str(folder), None, "train", {}, "de")


def test_a_secret_label_is_refused(tmp_path: Path):
    rows = [{"tokens": ["a"], "ner_tags": [0]}, {"tokens": ["a"], "ner_tags": [-1]}]
    folder = save(tmp_path / "data", "parquet", rows, LABELS)
    with pytest.raises(DataError, match=r"train, row 1: found label -1; accepted are 0 to 6, \['O', 'B-PER'"):
        hub.read("entities", str(folder), None, "train", {}, "de")


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
        hub.read("tags", str(tmp_path), None, "train", {}, "de")
    assert str(refused.value).startswith(f"{tmp_path} train: ")
    assert complaint in str(refused.value)


def test_an_empty_split_is_refused(tmp_path: Path):
    features = Features({"tokens": STRINGS, "upos": STRINGS})
    Dataset.from_dict({"tokens": [], "upos": []}, features).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r'train: .* "train" corresponds to no data'):
        hub.read("tags", str(tmp_path), None, "train", {}, "de")


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
        ("files", None, "train", {"word": "tokens"}, None, "found columns for word; accepted are words, tags"),
        ("files", None, "train", {"tags": "xpos"}, None, "found columns tokens, upos; accepted are tokens, xpos"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(counted, form, name, split, columns, revision, complaint):
    with pytest.raises(DataError) as refused:
        hub.read("tags", str(counted[form]), name, split, columns, "de", revision)
    assert complaint in str(refused.value)


def test_a_configuration_must_be_named_where_there_are_several(tmp_path: Path):
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- {config_name: de, data_files: de.jsonl}\n- {config_name: nl, data_files: nl.jsonl}\n---\n"
    )
    for language in ("de", "nl"):
        (tmp_path / f"{language}.jsonl").write_bytes(LINE)
    with pytest.raises(DataError, match=r"Config name is missing.*\['de', 'nl'\]"):
        hub.read("tags", str(tmp_path), None, "train", {}, "de")


def test_a_hub_that_cannot_be_reached_is_said(tmp_path: Path):
    with pytest.raises(DataError, match=r"^unimelb-nlp/wikiann de test: .* hub cannot be reached .* a local folder"):
        hub.read("entities", "unimelb-nlp/wikiann", "de", "test", {}, "de")
    with pytest.raises(DataError, match=r"nowhere train: .*any data file"):
        hub.read("tags", str(tmp_path / "nowhere"), None, "train", {}, "de")
    (tmp_path / "train.jsonl").write_bytes(LINE)
    with pytest.raises(DataError, match="found a file; accepted is the folder"):
        hub.read("tags", str(tmp_path / "train.jsonl"), None, "train", {}, "de")


def test_tags_in_iob1_are_converted_where_it_is_asked_for(tmp_path: Path):
    folder = save(tmp_path / "data", "json", [{"tokens": ["a", "b", "c"], "ner_tags": ["I-PER", "I-PER", "I-LOC"]}])
    (sentence,) = hub.read("entities", str(folder), None, "train", {}, "de", convert=True)
    assert sentence.tags == ("B-PER", "I-PER", "B-LOC")


def test_a_file_that_is_written_again_is_read_again(tmp_path: Path):
    folder = save(tmp_path / "data", "json", [tagged("a", "X")])
    assert hub.read("tags", str(folder), None, "train", {}, "de")[0].words == ("a",)
    save(folder, "json", [tagged("b", "X")])
    assert hub.read("tags", str(folder), None, "train", {}, "de")[0].words == ("b",)


@pytest.mark.parametrize("shown", [True, False])
def test_no_progress_bars_and_they_are_as_before(tmp_path: Path, capfd, shown: bool):
    folder = save(tmp_path / "data", "json", [tagged("a", "X")])
    libraries = (datasets.utils, huggingface_hub.utils)
    for library in libraries:
        library.enable_progress_bars() if shown else library.disable_progress_bars()
    capfd.readouterr()
    hub.read("tags", str(folder), None, "train", {}, "de")
    assert capfd.readouterr() == ("", "")
    assert [library.are_progress_bars_disabled() for library in libraries] == [not shown] * 2


def test_the_import_is_cheap():
    code = "import sys, lms_ray.data.readers.hub; assert not {'datasets', 'pandas', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.real
@pytest.mark.parametrize(
    ("kind", "file", "reader"),
    [
        ("relations", "re/crossre/crossre-de-dev.jsonl", relations.read),
        ("relations", "re/relx/relx-tr-test.jsonl", relations.read),
        ("arguments", "events/up1/up1-zh-dev.jsonl", arguments.read),
    ],
)
def test_real_json_lines_give_the_same_pairs(shared: Path, tmp_path: Path, kind: Any, file: str, reader: Any):
    path = shared / "data" / file
    if not path.is_file():
        pytest.skip(f"no {path}")
    lines = path.read_bytes().splitlines(keepends=True)[:50]
    (tmp_path / "test.jsonl").write_bytes(b"".join(lines))
    assert hub.read(kind, str(tmp_path), None, "test", {}, "de") == reader(tmp_path / "test.jsonl")


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
    assert hub.read("questions", str(folder), None, "validation", {}, "ar") == squad.read(path, "ar")


@pytest.mark.real
def test_real_entities_are_those_of_the_iob_file(shared: Path, tmp_path: Path):
    path = shared / "data" / "ner" / "wikiann" / "de-test.iob2"
    if not path.is_file():
        pytest.skip(f"no {path}")
    sentences = iob.read(path)[:1000]
    rows = [{"tokens": s.words, "ner_tags": [ENTITIES.index(tag) for tag in s.tags]} for s in sentences]
    folder = save(tmp_path / "wikiann", "parquet", rows, LABELS, "test")
    assert hub.read("entities", str(folder), None, "test", {}, "de") == sentences
