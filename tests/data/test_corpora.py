"""A corpus is the files, the part of them and the reading that the configuration names; its digest knows all three."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from lms_ray import tasks
from lms_ray.data import DataError, corpora
from lms_ray.data.corpora import UNLABELLED, Corpus
from lms_ray.models import encoder as encoders
from lms_ray.models.encoder import Encoder
from lms_ray.settings.data import Data
from lms_ray.settings.experiment import Experiment, FineTune
from lms_ray.settings.loading import load
from lms_ray.tasks.pairs import MARKERS

FORMAT_OF = {"pos": "conllu", "ner": "iob", "qa": "squad", "re": "jsonl", "arl": "jsonl"}

Write = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Write files below a folder: `written({"de/dev.txt": "..."})`."""

    def write(files: Mapping[str, str], root: Path = tmp_path / "data") -> Path:
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return root

    return write


@pytest.fixture(scope="module")
def marked_encoder(encoder_folder: Path) -> Encoder:
    """The tiny encoder with the markers of entities in its vocabulary."""
    return encoders.load(str(encoder_folder), MARKERS)


def conllu(*words: str, tag: str = "NOUN") -> str:
    """A sentence of each word."""
    return "".join(f"1\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\t_\n\n" for word in words)


def iob(*sentences: str) -> str:
    """Sentences such as `Ada/B-PER lives/O`."""
    return "\n".join("".join("\t".join(word.split("/")) + "\n" for word in sentence.split()) for sentence in sentences)


def squad(*contexts: str) -> str:
    """A question about each context, whose answer is the first word."""
    paragraphs = [
        {
            "context": context,
            "qas": [{"id": str(n), "question": "?", "answers": [{"text": context.split()[0], "answer_start": 0}]}],
        }
        for n, context in enumerate(contexts)
    ]
    return json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]})


def relations(*sentences: tuple[str, str, str | None]) -> str:
    """Sentences with an entity of each of two types, and a relation from the first to the second or none."""
    return "".join(
        json.dumps({
            "id": str(number),
            "tokens": ["so", first, "and", second, str(number)],
            "entities": [[1, 1, first], [3, 3, second]],
            "relations": [[1, 1, 3, 3, label]] if label else [],
        }) + "\n"
        for number, (first, second, label) in enumerate(sentences)
    )  # fmt: skip


def predicates(*roles: tuple[str, ...]) -> str:
    """Sentences with a predicate and arguments of these roles."""
    return "".join(
        json.dumps({
            "id": str(number),
            "tokens": ["does", *(f"w{at}" for at in range(len(of_one)))],
            "predicates": [{"trigger": 0, "frame": "f", "args": [[at + 1, role] for at, role in enumerate(of_one)]}],
        }) + "\n"
        for number, of_one in enumerate(roles)
    )  # fmt: skip


def configured(root: Path, *overrides: str, task: str = "pos", files: str | None = "{lang}-{split}") -> Experiment:
    roles = ["name=x", "encoder=e", "pivots=[de, nl]", "targets=[fr, de]", f"task={task}", f"data.root={root}"]
    found = [f"data.files='{files}'"] if files else []
    return load("paper", [*roles, f"data.format={FORMAT_OF[task]}", *found, *overrides])


def words(corpus: Corpus) -> list[str]:
    """First word of every example."""
    return [example.words[0] for example in corpus.examples()]


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(DataError) as refused:
        act()
    return str(refused.value)


# Which file holds what


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ("{lang}/{split}.conllu", "de/dev.conllu"),
        ("{split}-{lang}.conllu", "dev-de.conllu"),
        ("UD_*/{lang}_*-ud-{split}.conllu", "UD_German-GSD/de_gsd-ud-dev.conllu"),
        ({"de": "UD_German-GSD/*-ud-{split}.conllu", "*": "{lang}.x"}, "UD_German-GSD/de_gsd-ud-dev.conllu"),
        ({"de": {"dev": "some/file", "test": "x"}}, "some/file"),
        ({"*": {"dev": "{split}/{lang}"}}, "dev/de"),
        ("**/{lang}-{split}.conllu", "a/b/de-dev.conllu"),
        ("[a-c]?/{lang}.{split}", "b1/de.dev"),
        ("ملف {lang} é.{split}", "ملف de é.dev"),
    ],
)
def test_a_pattern_finds_the_one_file_of_a_language_and_split(written: Write, files, name: str):
    others = ["README.md", "de-train.conllu", "UD_Dutch-Alpino/nl_alpino-ud-dev.conllu"]
    root = written({name: conllu("gut"), **dict.fromkeys(others, conllu("schlecht"))})
    corpus = Corpus("pos", "de", "dev", Data(root=str(root), files=files))
    assert corpus.files() == [root / name]
    assert words(corpus) == ["gut"]
    assert corpus.name == "de-dev"


def test_no_file_or_two_are_refused_with_what_was_found(written: Write):
    root = written({"UD_A/de_a-ud-dev.conllu": "", "UD_B/de_b-ud-dev.conllu": ""})
    data = Data(root=str(root), files="UD_*/{lang}_*-ud-{split}.conllu[:9]")
    assert refusal(Corpus("pos", "de", "dev", data).examples) == (
        f"{root}/UD_*/de_*-ud-dev.conllu: found UD_A/de_a-ud-dev.conllu, UD_B/de_b-ud-dev.conllu; "
        "accepted is exactly one for de-dev"
    )
    assert refusal(Corpus("pos", "fr", "test", data).files) == (
        f"{root}/UD_*/fr_*-ud-test.conllu: found none; accepted is exactly one for fr-test"
    )
    nowhere = Data(root=str(root / "nowhere"), files="{lang}")
    assert "found none; accepted is exactly one for de-dev" in refusal(Corpus("pos", "de", "dev", nowhere).digest)


def test_a_language_without_a_needed_set_is_named(written: Write):
    root = written(
        {f"{name}": conllu("a") for name in ("en-train", "en-dev", "de-dev", "nl-dev", "fr-test", "de-test")}
    )
    files = "data.files={fr: {test: fr-test}, '*': '{lang}-{split}'}"
    experiment = configured(root, files, files=None)
    act = lambda: corpora.check(experiment, corpora.task_of(experiment))  # noqa: E731
    assert refusal(act) == "data.files: names no dev set of fr, which is needed"
    hub = Data(format="hub", hub={"de": {"path": "p", "splits": {"train": "train"}}})
    for language in ("de", "fr"):
        message = f"data.hub: names no dev set of {language}, which is needed"
        assert refusal(Corpus("ner", language, "dev", hub).examples) == message
        assert refusal(Corpus("ner", language, "dev", hub).digest) == message


READERS = {
    "pos": (conllu("a", "b"), lambda example: example.words, [("a",), ("b",)]),
    "ner": (iob("a/O b/B-X", "c/O"), lambda example: example.tags, [("O", "B-X"), ("O",)]),
    "qa": (squad("a b", "c"), lambda example: (example.context, example.language), [("a b", "de"), ("c", "de")]),
    "re": (
        relations(("A", "B", "r")),
        lambda example: (example.types, example.labels),
        [(("A", "B"), ("r",)), (("B", "A"), ())],
    ),
    "arl": (
        predicates(("x", "y")),
        lambda example: (example.second, example.labels),
        [((1, 2), ("x",)), ((2, 3), ("y",))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("task", list(READERS))
def test_every_task_reads_its_own_format(written: Write, task: str):
    content, seen, wanted = READERS[task]
    root = written({"de": content})
    corpus = Corpus(task, "de", "dev", Data(format=FORMAT_OF[task], root=str(root), files="{lang}"))
    examples = corpus.examples()
    assert [seen(example) for example in examples] == wanted
    assert all(example.where.startswith(f"{root}/de:") for example in examples)


def test_entity_files_are_read_in_the_layout_of_their_language(written: Write):
    root = written({"de": "# c\n1\tAda\tI-PER\n", "fr": "Ada\tB-PER\n"})
    layout = {"de": {"token": 1, "tag": 2, "comments": True, "scheme": "iob1"}}
    data = Data(format="iob", root=str(root), files="{lang}", iob=layout)
    assert [Corpus("ner", code, "dev", data).examples()[0].tags for code in ("de", "fr")] == [("B-PER",)] * 2


def test_a_data_set_of_the_hub_is_read_as_its_task_wants_it(
    written: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    datasets = pytest.importorskip("datasets")  # a second, and only here
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    row = {"tokens": ["Ada", "lives"], "entities": ["B-PER", "O"]}
    root = written({f"{code}/validation.jsonl": (json.dumps(row) + "\n") * 3 for code in ("de", "fr")})
    data = {"format": "hub", "hub": {"*": {"path": f"{root}/{{lang}}", "columns": {"tags": "entities"}}}}
    corpus = Corpus("ner", "de", "dev", Data(**data))
    assert [example.tags for example in corpus.examples()] == [("B-PER", "O")] * 3
    assert corpus.files() == []
    data["hub"]["de"] = data["hub"]["*"] | {"splits": {"dev": "validation[:1]"}}
    part = Corpus("ner", "de", "dev", Data(**data))
    assert len(part.examples()) == 1
    assert part.digest() != corpus.digest() == Corpus("ner", "fr", "dev", Data(**data)).digest()


# Which part of it


@pytest.mark.parametrize(
    ("bounds", "limit", "taken"),
    [
        ("", None, "abcdefgh"),
        ("[2:5]", None, "cde"),
        ("[:2]", None, "ab"),
        ("[5:]", None, "fgh"),
        ("[:]", None, "abcdefgh"),
        ("[6:99]", None, "gh"),
        ("", 3, "abc"),
        ("", 99, "abcdefgh"),
        ("[2:5]", 2, "cd"),
        ("[2:5]", 9, "cde"),
        ("[5:]", 2, "fg"),
        ("[:4]", 2, "ab"),
    ],
)
def test_a_range_is_of_the_file_and_a_limit_of_the_range(written: Write, bounds: str, limit: int | None, taken: str):
    root = written({"de": conllu(*"abcdefgh"), "en.json": squad(*"abcdefgh")})
    limits = {"dev": limit, "test": 1}
    data = Data(root=str(root), files="{lang}" + bounds, limit=limits)
    assert words(Corpus("pos", "de", "dev", data)) == list(taken)
    data = Data(format="squad", root=str(root), files="*.json" + bounds, limit=limits)
    assert [question.context for question in Corpus("qa", "en", "dev", data).examples()] == list(taken)


@pytest.mark.parametrize(
    ("bounds", "limit", "sentences"),
    [("", None, [0, 1, 3, 4]), ("[1:4]", None, [1, 3]), ("", 3, [0, 1]), ("[1:]", 3, [1, 3]), ("[2:4]", 9, [3])],
)
def test_pairs_are_taken_by_their_sentences(written: Write, bounds: str, limit: int | None, sentences: list[int]):
    lines = relations(*[("A", "B", "r")] * 5).splitlines()
    lines[2] = json.dumps({"id": "2", "tokens": ["so"], "entities": [], "relations": []})  # a sentence without pairs
    root = written({"de": "\n".join(lines)})
    data = Data(format="jsonl", root=str(root), files="{lang}" + bounds, limit={"dev": limit})
    pairs = Corpus("re", "de", "dev", data).examples()
    assert [pair.sentence for pair in pairs] == [number for number in sentences for _ in range(2)]


@pytest.mark.parametrize(("task", "content"), [("pos", conllu(*"abc")), ("re", relations(*[("A", "B", "r")] * 3))])
def test_a_range_beyond_the_end_is_refused(written: Write, task: str, content: str):
    root = written({"de": content})
    data = Data(format=FORMAT_OF[task], root=str(root), files="{lang}[3:9]")
    assert refusal(Corpus(task, "de", "dev", data).examples) == "de-dev: no example is left of de"


def test_dev_and_test_may_be_parts_of_one_file(written: Write):
    root = written({"de": conllu(*"abcdefgh")})
    data = Data(root=str(root), files={"de": {"dev": "de[:3]", "test": "de[3:]"}}, limit={"test": 2})
    dev, test = (Corpus("pos", "de", split, data) for split in ("dev", "test"))
    assert (words(dev), words(test)) == (list("abc"), list("de"))
    assert dev.digest() != test.digest()


# How it is read


def test_labels_are_read_as_others(written: Write):
    root = written(
        {"de": iob("a/B-MISC b/I-MISC c/B-DATE", "d/B-PER"), "re": relations(("A", "B", "r"), ("A", "B", "s"))}
    )
    data = Data(format="iob", root=str(root), files="{lang}", labels={"MISC": "ORG", "DATE": "O"})
    assert [e.tags for e in Corpus("ner", "de", "dev", data).examples()] == [("B-ORG", "I-ORG", "O"), ("B-PER",)]
    data = Data(format="jsonl", root=str(root), files="re", labels={"r": "O"})
    assert [pair.labels for pair in Corpus("re", "de", "dev", data).examples()] == [(), (), ("s",), ()]


@pytest.mark.parametrize(
    ("task", "train", "odd", "line", "label", "accepted"),
    [
        ("ner", iob("a/B-PER"), iob("a/O", "a/B-PER b/I-PER c/B-LOC"), 3, "B-LOC", "O, B-PER, I-PER"),
        ("re", relations(("A", "B", "r")), relations(("A", "B", "r"), ("A", "B", "s")), 2, "s", "O, r"),
        ("arl", predicates(("x",)), predicates(("x",), ("y",)), 2, "y", "O, x"),
    ],
)
@pytest.mark.parametrize("where", ["de-dev", "fr-test", "en-dev"])
def test_a_label_that_training_does_not_have_is_refused_with_its_line(
    written: Write, task: str, train: str, odd: str, line: int, label: str, accepted: str, where: str
):
    names = ["en-train", "en-dev", "de-dev", "nl-dev", "fr-dev", "fr-test", "de-test"]
    root = written({**dict.fromkeys(names, train), where: odd})
    experiment = configured(root, task=task)
    assert refusal(lambda: corpora.check(experiment, corpora.task_of(experiment))) == (
        f"{root}/{where}:{line}: found label {label!r}, which the training data does not have; "
        f"accepted are {accepted}, or a mapping to one of them in data.labels"
    )
    kind = label.removeprefix("B-")
    mapped = configured(root, f"data.labels={{{kind}: O}}", task=task)
    corpora.check(mapped, corpora.task_of(mapped))


def test_checking_counts_the_examples_of_every_corpus(written: Write):
    names = ["en-train", "en-dev", "de-dev", "nl-dev", "fr-dev", "fr-test", "de-test"]
    root = written({name: conllu(*"abcdefgh"[: number + 1]) for number, name in enumerate(names)})
    texts = written({f"text/{code}.txt": "a b\n" * 9 for code in ("de", "nl", "fr")})
    experiment = configured(root, f"data.text={texts}/text/{{lang}}.txt", "data.limit.test=6")
    assert corpora.check(experiment, corpora.task_of(experiment)) == {
        "en-train": 1, "en-dev": 2, "de-dev": 3, "nl-dev": 4, "fr-dev": 5, "fr-test": 6, "de-test": 6,
        "de-text": 9, "nl-text": 9, "fr-text": 9,
    }  # fmt: skip


# What training says about the task


def test_the_head_has_the_labels_of_the_whole_training_set(written: Write):
    root = written({"en-train": iob("a/O", "a/B-PER", "a/B-LOC b/I-LOC", "a/B-DATE"), "de-dev": iob("a/B-ORG")})
    experiment = configured(root, "data.limit.train=1", "data.labels={DATE: O}", task="ner")
    assert corpora.schema(experiment).names == ("B-LOC", "B-PER", "I-LOC")
    assert corpora.schema(experiment).type_pairs is None
    assert corpora.task_of(experiment).labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert words(corpora.training(experiment)[0]) == ["a"]


@pytest.mark.parametrize(
    ("task", "train", "names"),
    [
        ("re", relations(("A", "B", "z"), ("A", "B", None), ("A", "B", "b-c")), ("b-c", "z")),
        ("arl", predicates(("y", "x"), ("x",)), ("x", "y")),
        ("qa", squad("a"), ()),
    ],
)
def test_names_are_sorted_and_none_is_no_name(written: Write, task: str, train: str, names: tuple[str, ...]):
    experiment = configured(written({"en-train": train}), task=task)
    assert corpora.schema(experiment).names == names
    assert corpora.task_of(experiment).labels == (("start", "end") if task == "qa" else ("O", *names))


def test_a_relation_that_is_named_o_is_none(written: Write, marked_encoder):
    root = written({"de": relations(("A", "B", "O"))})
    pairs = Corpus("re", "de", "dev", Data(format="jsonl", root=str(root), files="de")).examples()
    task = tasks.get("re", ["O", "r"])
    windows = task.windows(pairs, marked_encoder.tokenizer, 32)
    assert task.count(windows, [np.array([0]), np.array([0])]).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_the_schema_is_of_the_files_as_they_are_now(written: Write):
    """A notebook's kernel lives on while its user repairs the data."""
    root = written({"en-train": iob("a/B-PER")})
    assert corpora.schema(configured(root, task="ner")).names == ("B-PER",)
    written({"en-train": iob("a/B-LOC")})
    assert corpora.schema(configured(root, task="ner")).names == ("B-LOC",)


TRAIN = [("A", "B", "r"), ("A", "C", None), ("B", "C", None), ("C", "B", "s"), ("C", "D", "t")]
DEV = [("A", "B", None), ("B", "A", None), ("A", "C", None), ("C", "B", "r"), ("D", "A", "r"), ("C", "D", None)]


@pytest.mark.parametrize("limit", [1, 99])
def test_pairs_of_types_that_never_relate_in_training_are_left_out(
    written: Write, limit: int, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    root = written({"en-train": relations(*TRAIN), "de-dev": relations(*DEV)})
    experiment = configured(root, f"data.limit.train={limit}", "data.labels={t: O}", task="re")
    assert corpora.schema(experiment).type_pairs == {("A", "B"), ("C", "B")}
    (dev,) = (corpus for corpus in corpora.encoded(experiment) if corpus.name == "de-dev")
    kept = [(pair.types, pair.labels) for pair in dev.examples()]
    wanted = [(("A", "B"), ()), (("A", "B"), ()), (("C", "B"), ("r",)), (("D", "A"), ("r",))]
    assert kept == wanted  # what does relate is never left out
    assert "de-dev: 8 of 12 pairs are of types that carry no relation in training, and left out" in caplog.text
    (train,) = corpora.training(experiment)
    assert [(pair.types, pair.labels) for pair in train.examples()] == (
        [(("A", "B"), ("r",))] if limit == 1 else [(("A", "B"), ("r",)), (("C", "B"), ()), (("C", "B"), ("s",))]
    )


def test_only_related_pairs_may_be_wanted(written: Write, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    root = written({"en-train": relations(*TRAIN), "de-dev": relations(*DEV), "nl-dev": relations(("A", "B", None))})
    experiment = configured(root, "data.unrelated=drop", task="re")
    german, dutch = (corpus for corpus in corpora.encoded(experiment) if corpus.name in ("de-dev", "nl-dev"))
    assert [pair.types for pair in german.examples()] == [("C", "B"), ("D", "A")]
    assert "de-dev: 10 of 12 pairs carry no relation, and are left out (data.unrelated: drop)" in caplog.text
    assert refusal(dutch.examples) == "nl-dev: no example is left of nl-dev"


def test_without_types_every_pair_is_kept(written: Write):
    train = predicates(("x", "y"))
    experiment = configured(written({"en-train": train, "de-dev": train}), task="arl")
    assert corpora.schema(experiment).type_pairs is None
    assert len(corpora.encoded(experiment)[1].examples()) == 2


def test_a_language_without_types_keeps_its_pairs(written: Write):
    marked = json.dumps({"id": "1", "text": "<e1> a </e1> b <e2> c </e2>", "label": "no_relation"})
    labelled = json.dumps({"id": "2", "text": "<e1> a </e1> b <e2> c </e2>", "label": "r"})
    root = written({"en-train": relations(*TRAIN), "de-dev": f"{marked}\n{labelled}\n"})
    experiment = configured(root, task="re")
    (dev,) = (corpus for corpus in corpora.encoded(experiment) if corpus.name == "de-dev")
    assert [pair.labels for pair in dev.examples()] == [(), ("r",)]


# Which corpora an experiment has


def names(found: list[Corpus]) -> list[str]:
    return [corpus.name for corpus in found]


DEVS = ["en-dev", "de-dev", "nl-dev", "fr-dev"]


def test_candidates_are_trained_on_the_source_alone(written: Write):
    experiment = configured(written({}))
    assert names(corpora.training(experiment)) == ["en-train"]
    assert corpora.source_dev(experiment).name == "en-dev"
    assert names(corpora.encoded(experiment)) == [*DEVS, "fr-test", "de-test"]
    assert [corpora.feature_split(experiment, code) for code in ("de", "fr")] == ["dev", "dev"]


def test_candidates_may_be_trained_on_the_pivots_too(written: Write):
    experiment = configured(written({}), "train_on=source+pivots", "targets=[fr, sv]")
    assert names(corpora.training(experiment)) == ["en-train", "de-dev", "nl-dev"]
    assert experiment.pivot_split == "test"
    tests = ["de-test", "nl-test", "fr-test", "sv-test"]
    assert names(corpora.encoded(experiment)) == [*DEVS, "sv-dev", *tests]
    splits = [corpora.feature_split(experiment, code) for code in ("de", "nl", "fr", "sv")]
    assert splits == ["test", "test", "dev", "dev"]  # words that no candidate was trained on


def test_the_head_is_made_for_the_labels_of_the_source_alone(written: Write):
    """Also where the pivots' dev sets are trained on: a checkpoint's labels do not depend on the pivots."""
    root = written({"en-train": iob("a/B-PER"), "de-dev": iob("a/B-LOC"), "nl-dev": iob("a/B-PER")})
    experiment = configured(root, "train_on=source+pivots", "targets=[fr]", task="ner")
    assert corpora.schema(experiment).names == ("B-PER",)
    assert "found label 'B-LOC'" in refusal(lambda: corpora.check(experiment, corpora.task_of(experiment)))


def test_unlabelled_text_is_of_every_pivot_and_target_once(written: Write):
    root = written({f"text/{code}.txt": "a" for code in ("de", "nl", "fr")})
    experiment = configured(root, f"data.text={root}/text/{{lang}}.txt")
    assert names(corpora.encoded(experiment))[-3:] == ["de-text", "nl-text", "fr-text"]
    assert [corpora.feature_split(experiment, code) for code in ("de", "fr")] == [UNLABELLED] * 2
    gone = configured(root, f"data.text={root}/txt/{{lang}}.txt")
    assert refusal(corpora.encoded(gone)[-1].files) == (
        f"data.text: found no file {root}/txt/fr.txt; accepted is one for every pivot and target"
    )


PAIRS = [("A", "B", "r"), ("C", "D", None), ("A", "B", None)]


@pytest.mark.parametrize("train_on", ["source", "source+pivots"])
def test_features_of_pairs_are_of_their_sentences_each_once(written: Write, train_on: str, marked_encoder):
    splits = {"en-train": PAIRS, "de-dev": PAIRS[:2], "de-test": PAIRS[1:], "fr-dev": PAIRS}
    root = written({name: relations(*sentences) for name, sentences in splits.items()})
    overrides = ["targets=[fr]", f"train_on={train_on}", "data.limit.dev=2", "data.unrelated=drop"]
    experiment = configured(root, *overrides, task="re")
    texts = {corpus.language: corpus for corpus in corpora.encoded(experiment)[-3:]}
    assert [corpus.name for corpus in texts.values()] == ["de-text", "nl-text", "fr-text"]
    assert corpora.feature_split(experiment, "de") == UNLABELLED
    german = ["so A and B 0", "so C and D 1"] if train_on == "source" else ["so C and D 0", "so A and B 1"]
    assert list(texts["de"].sentences()) == german
    assert list(texts["fr"].sentences()) == ["so A and B 0", "so C and D 1"]
    task = tasks.get("re", ["O", "r"])
    assert texts["fr"].check(task) == 2
    shards = list(texts["fr"].shards(task, marked_encoder.tokenizer, FineTune(max_length=24), 1))
    assert [shard.examples for shard in shards] == [1, 1]
    assert all(shard.gold_E == () for shard in shards)


def test_features_of_pairs_do_not_depend_on_the_labels(written: Write, tmp_path: Path):
    sentences = [("A", "B", "r"), ("C", "D", None), ("A", "D", "s")]
    others = [("A", "B", None), ("C", "D", "r"), ("A", "D", None)]
    found = []
    for name, of_target in (("one", sentences), ("other", others)):
        root = written({"en-train": relations(*sentences), "fr-dev": relations(*of_target)}, tmp_path / name)
        (text,) = (corpus for corpus in corpora.encoded(configured(root, task="re")) if corpus.name == "fr-text")
        found.append((list(text.sentences()), text.digest()))
    assert found[0] == found[1]


def test_brought_checkpoints_need_no_training_set(written: Write):
    names = ["en-dev", "de-dev", "nl-dev", "fr-dev", "fr-test", "de-test"]
    experiment = configured(written(dict.fromkeys(names, iob("a/B-PER"))), "sweep.checkpoints=x", task="ner")
    assert list(corpora.check(experiment, tasks.get("ner", ["O", "B-PER", "I-PER"]))) == names


def test_brought_checkpoints_need_no_training_set_where_unrelated_pairs_are_dropped(written: Write):
    names = ["en-dev", "de-dev", "nl-dev", "fr-dev", "fr-test", "de-test"]
    root = written(dict.fromkeys(names, relations(("A", "B", "r"))))
    experiment = configured(root, "sweep.checkpoints=x", "data.unrelated=drop", task="re")
    assert set(corpora.check(experiment, tasks.get("re", ["O", "r"]))) >= set(names)


# Shards


def test_shards_are_all_examples_in_their_order(written: Write, marked_encoder):
    pairs = relations(*[("the", "dog", "r")] * 5)
    root = written({"de": conllu(*"abcdefg"), "nl": pairs, "fr": squad(*["dog " * 30] * 5)})
    settings = FineTune(max_length=24, stride=3)
    for task_name, language, size in (("pos", "de", 3), ("re", "nl", 3), ("qa", "fr", 2)):
        task = tasks.get(task_name, ["O", "r"] if task_name == "re" else ())
        corpus = Corpus(task_name, language, "dev", Data(format=FORMAT_OF[task_name], root=str(root), files="{lang}"))
        shards = list(corpus.shards(task, marked_encoder.tokenizer, settings, size))
        whole = task.windows(corpus.examples(), marked_encoder.tokenizer, 24, 3)
        assert [shard.examples for shard in shards[:-1]] == [size] * (len(shards) - 1)
        assert sum(shard.examples for shard in shards) == whole.examples
        assert np.array_equal(np.concatenate([shard.input_ids_T for shard in shards]), whole.input_ids_T)
        if whole.group_E is not None:  # a sentence keeps its number from shard to shard
            assert np.concatenate([shard.group_E for shard in shards]).tolist() == whole.group_E.tolist()
    assert whole.group_E.tolist() == [0] * 5  # the same text is one paragraph


def test_text_is_read_line_by_line(written: Write, encoder, task):
    root = written({"de.txt": "\ufeffthe dog\r\n\n  a garden \n\t\nרץ\u2028dog\u0085 ."})
    corpus = Corpus("pos", "de", UNLABELLED, Data(root="/", files="x", text=f"{root}/{{lang}}.txt"))
    assert corpus.check(task) == 3
    shards = list(corpus.shards(task, encoder.tokenizer, FineTune(max_length=24), 2))
    assert [shard.examples for shard in shards] == [2, 1]
    lines = ["the dog", "a garden", "רץ\u2028dog\u0085 ."]
    whole = task.text_windows(lines, encoder.tokenizer, 24)
    assert np.array_equal(np.concatenate([shard.input_ids_T for shard in shards]), whole.input_ids_T)
    assert all(shard.labels_T is None for shard in shards)


@pytest.mark.parametrize("content", ["", "\n \n\t\n"])
def test_text_without_a_sentence_is_refused(written: Write, task, content: str):
    root = written({"de.txt": content})
    corpus = Corpus("pos", "de", UNLABELLED, Data(root="/", files="x", text=f"{root}/{{lang}}.txt"))
    assert refusal(lambda: corpus.check(task)) == f"{root}/de.txt: found no sentence"


# Digests


def digest(root: Path, split: str = "dev", task: str = "ner", language: str = "de", type_pairs=None, **settings) -> str:
    data = Data(**{"format": FORMAT_OF[task], "root": str(root), "files": "{lang}-{split}", **settings})
    return Corpus(task, language, split, data, type_pairs).digest()


NER = {"de-dev": iob("a/B-PER b/O", "c/B-LOC", "d/B-LOC")}


def test_a_digest_does_not_depend_on_where_the_data_is(written: Write, tmp_path: Path):
    here = written(NER)
    there = written({f"deep/{name}.txt": "\ufeff" + content for name, content in NER.items()}, tmp_path / "there")
    longer = written({"de-dev": NER["de-dev"] + "\n" + iob("e/O")}, tmp_path / "longer")
    same = [
        digest(here),
        digest(there, files="deep/{lang}-{split}.*"),
        digest(there, files={"de": {"dev": "**/de-dev.txt"}, "fr": "x"}),
        digest(longer, files="{lang}-{split}[:3]"),
        digest(longer, limit={"dev": 3}),
        digest(here, text="/somewhere/{lang}.txt"),
        digest(here, iob={"fr": {"scheme": "iob1"}}),
        digest(here, limit={"train": 3, "test": 3}),
        digest(here, labels={"ORG": "O"}),
    ]
    assert len(set(same)) == 1


def test_a_digest_knows_content_part_and_reading(written: Write):
    files = {"nl": ["a/B-PER b/O", "c/B-ORG", "d/B-LOC"], "fr": ["a/B-PER b/O", "C/B-LOC", "d/B-LOC"]}
    files["es"] = ["a/B-PER", "b/O c/B-LOC", "d/B-LOC"]  # only the ends of sentences differ
    root = written({**NER, **{f"{language}-dev": iob(*sentences) for language, sentences in files.items()}})
    different = [
        *(digest(root, language=language) for language in ("de", "nl", "fr", "es")),
        digest(root, labels={"LOC": "O"}),
        digest(root, labels={"LOC": "PER"}),
        digest(root, files="{lang}-{split}[:1]"),
        digest(root, files="{lang}-{split}[1:]"),
        digest(root, files="{lang}-{split}[1:2]"),
        digest(root, limit={"dev": 2}),
    ]
    assert len(set(different)) == len(different)


def test_the_digest_of_pairs_knows_which_of_them_are_left(written: Write):
    root = written({"de-dev": relations(*DEV), "nl-dev": relations(*DEV[::-1])})
    possible = frozenset({("A", "B"), ("C", "B")})
    different = [
        digest(root, task="re"),
        digest(root, task="re", language="nl"),
        digest(root, task="re", labels={"r": "O"}),
        digest(root, task="re", unrelated="drop"),
        digest(root, task="re", type_pairs=possible),
        digest(root, task="re", type_pairs=possible | {("B", "A")}),
    ]
    assert len(set(different)) == len(different)
    assert digest(root, task="re", type_pairs=possible | {("X", "Y")}) == digest(root, task="re", type_pairs=possible)


def test_the_digest_of_questions_knows_all_that_is_scored(written: Write):
    root = written({"de-dev": squad("a b", "c d"), "nl-dev": squad("a b", "c d"), "fr-dev": squad("a b", "c e")})
    digests = {language: digest(root, task="qa", language=language) for language in ("de", "nl", "fr")}
    assert len(set(digests.values())) == 3  # an answer is scored by the rules of its language


def test_the_types_of_training_are_in_the_digest_of_every_language(written: Write):
    files = {"en-train": relations(*TRAIN), "de-dev": relations(*DEV), "en-dev": relations(*DEV)}

    def digests(*overrides: str) -> list[str]:
        return [corpus.digest() for corpus in corpora.encoded(configured(written(files), *overrides, task="re"))[:2]]

    before = digests()
    assert digests("data.limit.train=1") == before
    files["en-train"] = relations(*TRAIN, ("B", "A", "r"))
    after = digests("data.limit.train=2")  # another configuration, so that training is read again
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_the_digest_of_text_is_its_content(written: Write, tmp_path: Path):
    def of(text: str, **settings) -> str:
        return Corpus("pos", "de", UNLABELLED, Data(root="/", files="x", text=text, **settings)).digest()

    here, there = written({"de.txt": "a\n\nb c\n"}), written({"t/de": "a\r\nb c"}, tmp_path / "there")
    others = [written({"de.txt": content}, tmp_path / name) for name, content in (("1", "a\nb  c"), ("2", "a b\nc"))]
    same = [of(f"{here}/{{lang}}.txt"), of(f"{there}/t/{{lang}}"), of(f"{here}/{{lang}}.txt", labels={"X": "O"})]
    assert len(set(same)) == 1
    assert len({*same, *(of(f"{other}/{{lang}}.txt") for other in others)}) == 3
