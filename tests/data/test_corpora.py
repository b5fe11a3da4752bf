"""An experiment's sets are the files, the part of them and the reading that it names; what cannot be is refused."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lms_ray import tasks
from lms_ray.data import DataError, corpora, roles
from lms_ray.data.corpora import Corpora, Text
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load

FORMAT_OF = {"pos": "conllu", "ner": "iob", "qa": "squad", "re": "jsonl", "arl": "jsonl"}

Write = Callable[..., Path]


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


def conllu(*words: str) -> str:
    """A sentence of each word."""
    return "".join(f"1\t{word}\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n" for word in words)


def iob(*sentences: str) -> str:
    """Sentences such as `Ada/B-PER lives/O`."""
    return "\n".join("".join("\t".join(word.split("/")) + "\n" for word in sentence.split()) for sentence in sentences)


def squad(*contexts: str, name: str = "") -> str:
    """A question about each context, whose answer is the first word."""
    paragraphs = [
        {
            "context": context,
            "qas": [
                {"id": f"{name}{n}", "question": "?", "answers": [{"text": context.split()[0], "answer_start": 0}]}
            ],
        }
        for n, context in enumerate(contexts)
    ]
    return json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]})


def relations(*sentences: tuple[str, str, str | None], word: str = "and") -> str:
    """Sentences with an entity of each of two types, and a relation from the first to the second or none."""
    return "".join(
        json.dumps({
            "id": str(number),
            "tokens": ["so", first, word, second, str(number)],
            "entities": [[1, 1, first], [3, 3, second]],
            "relations": [[1, 1, 3, 3, label]] if label else [],
        }) + "\n"
        for number, (first, second, label) in enumerate(sentences)
    )  # fmt: skip


def predicates(*roles: tuple[str, ...], word: str = "does") -> str:
    """Sentences with a predicate and arguments of these roles."""
    return "".join(
        json.dumps({
            "id": str(number),
            "tokens": [word, *(f"w{at}" for at in range(len(of_one)))],
            "predicates": [{"trigger": 0, "frame": "f", "args": [[at + 1, role] for at, role in enumerate(of_one)]}],
        }) + "\n"
        for number, of_one in enumerate(roles)
    )  # fmt: skip


FILLER: dict[str, Callable[[str], str]] = {
    "pos": lambda name: conllu(f"{name}-a", f"{name}-b"),
    "ner": lambda name: iob(f"{name}/B-PER lives/O"),
    "qa": lambda name: squad(f"{name} lives"),
    "re": lambda name: relations(("A", "B", "r"), word=name),
    "arl": lambda name: predicates(("x",), word=name),
}
"""What a set holds that a test does not care about: no other set holds the same."""
NAMES = [
    "en-train",
    *(f"{language}-{split}" for language in ("en", "de", "nl", "fr", "sv") for split in ("dev", "test")),
]


def configured(root: Path, *overrides: str, task: str = "pos", files: object = "{lang}-{split}") -> Experiment:
    """Source en, pivots de and nl, targets fr and de: reads dev sets of all four, and the test sets of fr and de."""
    given = ["name=x", "encoder=e", "pivots=[de, nl]", "targets=[fr, de]", f"task={task}", f"data.root={root}"]
    return load("paper", [*given, f"data.format={FORMAT_OF[task]}", f"data.files={json.dumps(files)}", *overrides])


@pytest.fixture
def made(written: Write) -> Callable[..., Experiment]:
    """An experiment whose sets have this content: `made({"de-dev": conllu("a")}, "data.limit.dev=1")`."""

    def make(sets: Mapping[str, str], *overrides: str, task: str = "pos", **files: object) -> Experiment:
        root = written({name: FILLER[task](name) for name in NAMES} | dict(sets))
        return configured(root, *overrides, task=task, **files)

    return make


Made = Callable[..., Experiment]


def read(experiment: Experiment) -> Corpora:
    return corpora.read(experiment, tasks.get(experiment.task).example)


def corpus(experiment: Experiment, name: str = "de-dev") -> Any:
    """One set or text of those that an experiment reads."""
    found = read(experiment)
    return next(one for one in (*found.training, *found.encoded) if one.name == name)


def words(experiment: Experiment, name: str = "de-dev") -> list[str]:
    """First word of every example."""
    return [example.words[0] for example in corpus(experiment, name).examples]


def refusal(experiment: Experiment, error: type[Exception] = DataError) -> str:
    with pytest.raises(error) as refused:
        read(experiment)
    return str(refused.value)


# Which sets an experiment has

DEVS = ["en-dev", "de-dev", "nl-dev", "fr-dev"]


def names(found: object) -> list[str]:
    return [one.name for one in found]  # type: ignore[attr-defined]


def test_candidates_are_trained_on_the_source_alone(made: Made):
    found = read(made({}))
    assert names(found.training) == ["en-train"]
    assert found.dev.name == "en-dev"
    assert names(found.encoded) == [*DEVS, "fr-test", "de-test"]
    assert [len(one) for one in found.encoded] == [2] * 6


def test_candidates_may_be_trained_on_the_pivots_too(made: Made):
    experiment = made({}, "train_on=source+pivots", "targets=[fr, sv]")
    found = read(experiment)
    assert names(found.training) == ["en-train", "de-dev", "nl-dev"]
    assert names(found.encoded) == [*DEVS, "sv-dev", "de-test", "nl-test", "fr-test", "sv-test"]
    described = roles.describing(experiment, tasks.get("pos").example)
    assert described == {"de": "de-test", "nl": "nl-test", "fr": "fr-dev", "sv": "sv-dev"}  # words not trained on


@pytest.mark.parametrize(
    ("task", "overrides", "reads_training"),
    [("ner", [], False), ("re", ["data.unrelated=drop"], False), ("re", [], True)],
)
def test_brought_checkpoints_need_a_training_set_only_to_judge_pairs_by_their_types(
    made: Made, task: str, overrides: list[str], reads_training: bool
):
    experiment = made({}, "sweep.checkpoints=x", *overrides, task=task)
    found = read(experiment)
    assert (found.names, found.training) == ((), ())
    assert names(found.labelled) == [*DEVS, "fr-test", "de-test"]
    (Path(experiment.data.root or "") / "en-train").unlink()
    if reads_training:
        assert "found none; accepted is exactly one for en-train" in refusal(experiment)
    else:
        read(experiment)


def test_a_language_without_a_needed_set_is_named(made: Made):
    files = {"fr": {"test": "fr-test"}, "*": "{lang}-{split}"}
    assert refusal(made({}, files=files)) == "data.files: names no dev set of fr, which is needed"
    hub = ["data.root=null", 'data.hub={"*": {"path": "p", "splits": {"train": "t"}}}', "sweep.checkpoints=x"]
    experiment = made({}, "data.format=hub", *hub, files={})
    assert refusal(experiment) == "data.hub: names no dev set of en, which is needed"


READERS = {
    "pos": (conllu("a", "b"), lambda example: example.words, [("a",), ("b",)]),
    "ner": (iob("a/O b/B-X", "c/O"), lambda example: example.tags, [("O", "B-X"), ("O",)]),
    "qa": (squad("a b", "c"), lambda example: (example.context, example.language), [("a b", "de"), ("c", "de")]),
    "re": (
        relations(("A", "B", "r")),
        lambda example: (example.types, example.labels),
        [(("A", "B"), ("r",))],  # from B to A nothing holds in training
    ),
    "arl": (
        predicates(("x", "y")),
        lambda example: (example.second, example.labels),
        [((1, 2), ("x",)), ((2, 3), ("y",))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("task", list(READERS))
def test_every_task_reads_its_own_format(made: Made, task: str):
    content, seen, wanted = READERS[task]
    experiment = made({"de-dev": content}, task=task)
    examples = corpus(experiment).examples
    assert [seen(example) for example in examples] == wanted
    assert all(example.where.startswith(f"{experiment.data.root}/de-dev:") for example in examples)


def test_entity_files_are_read_in_the_layout_of_their_language(made: Made):
    layout = 'data.iob={"de": {"token": 1, "tag": 2, "comments": true, "scheme": "iob1"}}'
    sets = {"de-dev": "# sent_id = n1\n1\tAda\tI-PER\n", "de-test": "1\tBo\tI-PER\n", "fr-dev": "Eve\tB-PER\n"}
    found = {one.name: one.examples[0] for one in read(made(sets, layout, task="ner")).labelled}
    assert found["de-dev"].tags == found["fr-dev"].tags == ("B-PER",)
    assert found["de-dev"].id == "n1"


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("qa", {"labels": {"A": "B"}}, "data.labels: found labels for task qa, whose examples have none; accepted is"),
        ("ner", {"unrelated": "drop"}, "data.unrelated: found 'drop' for task ner; accepted is keep, as its examples"),
    ],
)
def test_settings_that_do_not_fit_the_kind_of_examples_are_refused(made: Made, task: str, settings: dict, message: str):
    experiment = made({}, task=task)
    experiment = experiment.model_copy(update={"data": experiment.data.model_copy(update=settings)})
    assert message in refusal(experiment, ConfigError)


def test_a_format_that_does_not_hold_the_kind_of_examples_is_refused(made: Made):
    with pytest.raises(ConfigError) as refused:
        corpora.read(made({}), tasks.get("ner").example)
    assert str(refused.value) == (
        "data.format: found 'conllu'; accepted for this task's examples (EntitySentence) are hub, iob"
    )


# Which part of a set


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
def test_a_range_is_of_the_file_and_a_limit_of_the_range(made: Made, bounds: str, limit: int | None, taken: str):
    files = {"de": {"dev": "de-dev" + bounds, "test": "de-test"}, "*": "{lang}-{split}"}
    limits = [f"data.limit.dev={limit}"] if limit else []
    assert words(made({"de-dev": conllu(*"abcdefgh")}, *limits, files=files)) == list(taken)
    experiment = made({"de-dev": squad(*"abcdefgh")}, *limits, task="qa", files=files)
    assert [question.context for question in corpus(experiment).examples] == list(taken)


@pytest.mark.parametrize("split", ["dev", "train"])
@pytest.mark.parametrize(
    ("bounds", "limit", "sentences"),
    [
        ("", None, [0, 1, 2, 3, 4]),
        ("[1:4]", None, [1, 2, 3]),
        ("", 3, [0, 1, 2]),
        ("[1:]", 3, [1, 2, 3]),
        ("[2:4]", 9, [2, 3]),
    ],
)
def test_pairs_are_taken_by_their_sentences(made: Made, split: str, bounds: str, limit: int | None, sentences: list):
    """Sentence 2 has no pair, and counts all the same; its words are part of the text."""
    lines = relations(*[("A", "B", "r")] * 5).splitlines()
    lines[2] = json.dumps({"id": "2", "tokens": ["so"], "entities": [], "relations": []})
    language = "en" if split == "train" else "de"
    files = {language: {"train": "en-train", "dev": f"{language}-dev", "test": f"{language}-test"}}
    files[language][split] += bounds
    limits = [f"data.limit.{split}={limit}"] if limit else []
    experiment = made(
        {f"{language}-{split}": "\n".join(lines)}, *limits, task="re", files={**files, "*": "{lang}-{split}"}
    )
    assert [pair.sentence for pair in corpus(experiment, f"{language}-{split}").examples] == [
        number for number in sentences if number != 2
    ]
    if split == "dev":
        wanted = ["so" if number == 2 else f"so A and B {number}" for number in sentences]
        assert list(corpus(experiment, "de-text").sentences()) == wanted


@pytest.mark.parametrize("task", ["pos", "re"])
def test_a_range_beyond_the_end_is_refused(made: Made, task: str):
    experiment = made({}, task=task, files={"de": {"dev": "de-dev[3:9]"}, "*": "{lang}-{split}"})
    assert refusal(experiment) == "de-dev: no example is left of de-dev"


# How it is read


def test_labels_are_read_as_others(made: Made):
    content = iob("a/B-MISC b/I-MISC c/B-DATE", "d/B-PER")
    experiment = made({"de-dev": content}, "data.labels={MISC: ORG, DATE: O}", task="ner")
    assert [one.tags for one in corpus(experiment).examples] == [("B-ORG", "I-ORG", "O"), ("B-PER",)]
    sets = {"de-dev": relations(("A", "B", "z"), ("A", "B", "s"))}
    assert [pair.labels for pair in corpus(made(sets, "data.labels={z: O}", task="re")).examples] == [(), ("s",)]


def test_a_label_that_is_named_o_is_none(made: Made):
    experiment = made({"de-dev": relations(("A", "B", "O"), ("A", "B", "r"))}, task="re")
    assert [pair.labels for pair in corpus(experiment).examples] == [(), ("r",)]


@pytest.mark.parametrize("brought", [[], ["sweep.checkpoints=x"]], ids=["trained", "brought"])
def test_a_mapping_that_changes_nothing_is_said(made: Made, caplog, brought: list[str]):
    """Most often a misspelled label, which is then counted as one that the model cannot know."""
    sets = {"de-dev": iob("a/B-MISC", "b/B-LOC")}
    experiment = made(sets, "data.labels={MISC: O, LOC: MISC, misc: O, GPE: LOC}", *brought, task="ner")
    read(experiment)
    assert caplog.messages == ["data.labels: no example carries misc, GPE; these mappings change nothing"]


@pytest.mark.parametrize(
    ("task", "content"),
    [("ner", iob("a/O", "b/O")), ("re", relations(("A", "B", None))), ("arl", predicates(("O",)))],
)
def test_a_set_without_any_label_is_refused(made: Made, task: str, content: str):
    experiment = made({"fr-test": content}, task=task)
    assert refusal(experiment) == (
        f"fr-test: found no label in {content.count('O') if task == 'ner' else 1} examples, the first at "
        f"{experiment.data.root}/fr-test:1; accepted is a set in which some carry one"
    )


# What training says about the task


def test_the_head_has_the_labels_of_the_whole_training_set(made: Made):
    train = iob("a/B-PER", "a/O", "a/B-LOC b/I-LOC", "a/B-DATE")
    experiment = made({"en-train": train}, "data.limit.train=1", "data.labels={DATE: O}", task="ner")
    found = read(experiment)
    assert found.names == ("LOC", "PER")
    assert [len(one) for one in found.training] == [1]


def test_the_head_is_made_for_the_labels_of_the_source_alone(made: Made):
    """Also where the pivots' dev sets are trained on: a checkpoint's labels do not depend on the pivots."""
    experiment = made({"de-dev": iob("a/B-LOC")}, "train_on=source+pivots", "targets=[fr]", task="ner")
    assert read(experiment).names == ("PER",)


@pytest.mark.parametrize(
    ("task", "train", "names"),
    [
        ("re", relations(("A", "B", "z"), ("A", "B", None), ("A", "B", "b-c")), ("b-c", "z")),
        ("arl", predicates(("y", "x"), ("x",)), ("x", "y")),
        ("qa", squad("a"), ()),
    ],
)
def test_names_are_sorted_and_none_is_no_name(made: Made, task: str, train: str, names: tuple[str, ...]):
    assert read(made({"en-train": train}, task=task)).names == names


TRAIN = [("A", "B", "r"), ("A", "C", None), ("B", "C", None), ("C", "B", "s"), ("C", "D", "t")]
DEV = [("A", "B", None), ("B", "A", None), ("A", "C", None), ("C", "B", "r"), ("D", "A", "r"), ("C", "D", None)]


@pytest.mark.parametrize("limit", [1, 99])
def test_pairs_of_types_that_never_relate_in_training_are_left_out(
    made: Made, limit: int, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    sets = {"en-train": relations(*TRAIN), "de-dev": relations(*DEV)}
    experiment = made(sets, f"data.limit.train={limit}", "data.labels={t: O}", task="re")
    kept = [(pair.types, pair.labels) for pair in corpus(experiment).examples]
    wanted = [(("A", "B"), ()), (("A", "B"), ()), (("C", "B"), ("r",)), (("D", "A"), ("r",))]
    assert kept == wanted  # what does relate is never left out
    assert "de-dev: 8 of 12 pairs are of types that carry no relation in training, and left out" in caplog.text
    train = [(pair.types, pair.labels) for pair in corpus(experiment, "en-train").examples]
    first, *others = [(("A", "B"), ("r",)), (("C", "B"), ()), (("C", "B"), ("s",))]
    assert train == ([first] if limit == 1 else [first, *others])


def test_only_related_pairs_may_be_wanted(made: Made, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    sets = {"en-train": relations(*TRAIN), "de-dev": relations(*DEV)}
    german = corpus(made(sets, "data.unrelated=drop", task="re"))
    assert [pair.types for pair in german.examples] == [("C", "B"), ("D", "A")]
    assert "de-dev: 10 of 12 pairs carry no relation, and are left out (data.unrelated: drop)" in caplog.text
    sets["nl-dev"] = relations(("A", "B", None))
    refused = refusal(made(sets, "data.unrelated=drop", task="re"))
    assert refused == "nl-dev: no example is left of 2 that were read"


def test_without_types_every_pair_is_kept(made: Made):
    sets = {"en-train": predicates(("x", "y")), "de-dev": predicates(("x", "y"), word="tut")}
    assert len(corpus(made(sets, task="arl"))) == 2
    marked = [
        json.dumps({"id": label, "text": "<e1> a </e1> b <e2> c </e2>", "label": label})
        for label in ("no_relation", "r")
    ]
    experiment = made({"en-train": relations(*TRAIN), "de-dev": "\n".join(marked)}, task="re")
    assert [pair.labels for pair in corpus(experiment).examples] == [(), ("r",)]


# Unlabelled text


def test_unlabelled_text_is_of_every_pivot_and_target_once(made: Made, written: Write):
    root = written({f"text/{code}.txt": f"a\n{code}" for code in ("de", "nl", "fr")})
    experiment = made({}, f"data.text={root}/text/{{lang}}.txt")
    found = read(experiment)
    assert names(found.encoded)[-3:] == ["de-text", "nl-text", "fr-text"]
    assert [len(text) for text in found.texts] == [2, 2, 2]
    (root / "text" / "fr.txt").unlink()
    assert refusal(experiment) == (
        f"data.text: found no file {root}/text/fr.txt; accepted is one for every pivot and target"
    )


def test_a_target_of_which_there_is_only_text_wants_no_labelled_set(made: Made, written: Write):
    root = written({"danish.txt": "a\nb"})
    experiment = made({}, "unlabelled_targets=[da]", f"data.text.da={root}/danish.txt")
    alone = made({})
    found = read(experiment)
    assert names(found.labelled) == names(read(alone).labelled)
    assert [(text.name, list(text.sentences())) for text in found.texts] == [("da-text", ["a", "b"])]
    example = tasks.get("pos").example
    described = roles.describing(experiment, example)
    assert described == roles.describing(alone, example) | {"da": "da-text"}
    assert described["fr"] == "fr-dev", "the text of one language makes no other one's"
    assert roles.signalling(experiment, example) == described
    (root / "danish.txt").unlink()
    assert refusal(experiment).startswith(f"data.text: found no file {root}/danish.txt; ")


@pytest.mark.parametrize("task", ["qa", "re", "arl"])
def test_text_holds_no_questions_and_no_pairs_and_gives_features_only(made: Made, written: Write, task: str):
    root = written({"danish.txt": "a\nb"})
    experiment = made({}, "unlabelled_targets=[da]", f"data.text.da={root}/danish.txt", task=task)
    example = tasks.get(task).example
    assert {text.language for text in read(experiment).texts} == ({"da"} if task == "qa" else {"de", "nl", "fr", "da"})
    assert roles.describing(experiment, example)["da"] == "da-text"
    assert roles.signalling(experiment, example) == {"de": "de-dev", "nl": "nl-dev", "fr": "fr-dev"}


def test_labels_that_come_later_are_read_as_a_test_set_is(made: Made, written: Write):
    root = written({"later.conllu": conllu("a", "b"), "broken.conllu": conllu("a") + "1\tb\n", "[1:2]": conllu("c")})
    experiment = made({}, "data.limit.test=1", "data.labels={NOUN: VERB}")
    example = tasks.get("pos").example
    found = corpora.of_file(experiment, example, "da", f"{root}/later.conllu")
    assert [(one.words, one.tags) for one in found.examples] == [(("a",), ("VERB",)), (("b",), ("VERB",))]
    assert len(set(found.groups)) == 2
    longer = written({"longer.conllu": conllu("a", "b", "c")}) / "longer.conllu"
    assert corpora.of_file(experiment, example, "da", str(longer)).digest != found.digest
    assert len(corpora.of_file(experiment, example, "da", f"{root}/[1:2]").examples) == 1, "a name is no pattern"
    for name, said in (
        ("none.conllu", f"--labels: found no file {root}/none.conllu; accepted is one in the format conllu"),
        ("broken.conllu", f"{root}/broken.conllu:3: "),
    ):
        with pytest.raises(DataError) as refused:
            corpora.of_file(experiment, example, "da", f"{root}/{name}")
        assert str(refused.value).startswith(said)


def test_later_pairs_are_those_of_types_that_carry_a_relation_in_training(made: Made, written: Write):
    train = relations(("A", "B", "r"), ("C", "D", None), word="en-train")
    root = written({"later.jsonl": relations(("A", "B", "r"), ("C", "D", "r"), ("A", "D", None), ("A", "B", None))})
    experiment = made({"en-train": train}, task="re")
    found = corpora.of_file(experiment, tasks.get("re").example, "da", f"{root}/later.jsonl")
    own = corpus(made({"en-train": train, "fr-test": (root / "later.jsonl").read_text()}, task="re"), "fr-test")
    assert [pair.types for pair in found.examples] == [pair.types for pair in own.examples]
    assert len(found.examples) < 8


def test_text_is_read_line_by_line(written: Write):
    root = written({"de.txt": "\ufeffthe dog\r\n\n  a garden \n\t\nרץ\u2028dog\u0085 ."})
    text = Text("de", root / "de.txt")
    assert list(text.sentences()) == ["the dog", "a garden", "רץ\u2028dog\u0085 ."]
    assert len(text) == 3


@pytest.mark.parametrize("content", ["", "\n \n\t\n"])
def test_text_without_a_sentence_is_refused(made: Made, written: Write, content: str):
    root = written({f"text/{code}.txt": content if code == "fr" else code for code in ("de", "nl", "fr")})
    assert refusal(made({}, f"data.text={root}/text/{{lang}}.txt")) == f"{root}/text/fr.txt: found no sentence"


def test_text_of_two_languages_that_is_the_same_is_refused(made: Made, written: Write):
    root = written({f"text/{code}.txt": "a\n\nb" if code == "de" else "a\nb\n" for code in ("de", "nl", "fr")})
    assert refusal(made({}, f"data.text={root}/text/{{lang}}.txt")) == (
        "nl-text and de-text hold the same text; accepted is each language's own"
    )


@pytest.mark.parametrize("train_on", ["source", "source+pivots"])
def test_features_of_pairs_are_of_their_sentences_each_once(made: Made, train_on: str):
    pairs = [("A", "B", "r"), ("C", "D", None), ("A", "B", None)]
    sets = {"en-train": pairs, "de-dev": pairs[:2], "de-test": pairs[::-1], "fr-dev": pairs}
    content = {name: relations(*sentences, word=name) for name, sentences in sets.items()}
    experiment = made(
        content, "targets=[fr]", f"train_on={train_on}", "data.limit.dev=2", "data.unrelated=drop", task="re"
    )
    texts = {text.language: list(text.sentences()) for text in read(experiment).texts}
    assert list(texts) == ["de", "nl", "fr"]
    assert roles.described_by(experiment, tasks.get("re").example, "de") == "de-text"
    assert texts["de"] == (
        ["so A de-dev B 0", "so C de-dev D 1"]
        if train_on == "source"
        else ["so A de-test B 0", "so C de-test D 1", "so A de-test B 2"]  # on dev they were trained
    )
    assert texts["fr"] == ["so A fr-dev B 0", "so C fr-dev D 1"]


@pytest.mark.parametrize("task", ["re", "arl"])
@pytest.mark.parametrize("overrides", [[], ["data.limit.dev=3"], ["data.unrelated=drop"]], ids=str)
def test_features_of_pairs_do_not_depend_on_any_annotation(made: Made, task: str, overrides: list[str]):
    """Not on the labels, and not on the entities: a target that is not annotated has the same text."""
    content = {
        "re": relations(*[("A", "B", "r"), ("C", "D", None), ("A", "D", "s")] * 2),
        "arl": predicates(*[("x", "y"), ("x",), ("y", "y")] * 2),
    }[task]
    records = [json.loads(line) for line in content.splitlines()]
    bare = [
        record | {key: [] for key in ("entities", "relations", "predicates") if key in record} for record in records
    ]
    texts = []
    for of_target in (records, [records[0], *bare[1:]]):  # one stays: a set without any is refused
        experiment = made({"fr-dev": "\n".join(map(json.dumps, of_target))}, *overrides, task=task)
        texts.append(corpus(experiment, "fr-text"))
    annotated, alone = texts
    assert list(annotated.sentences()) == list(alone.sentences())
    assert (len(annotated), annotated.digest) == (len(alone), alone.digest)
    assert len(annotated) == (3 if "data.limit.dev=3" in overrides else 6)


# Sets that hold the same records


@pytest.mark.parametrize(
    ("files", "first", "second"),
    [
        ("{lang}-dev", "en-dev", "en-train"),
        ("en-{split}", "de-dev", "en-dev"),
        ({"de": {"dev": "de-dev[:3]", "test": "de-dev[2:]"}, "*": "{lang}-{split}"}, "de-test", "de-dev"),
    ],
    ids=["no split", "no language", "overlapping ranges"],
)
@pytest.mark.parametrize("task", ["pos", "qa", "re"])
def test_sets_that_share_records_are_refused(made: Made, task: str, files: object, first: str, second: str):
    content = {
        "pos": conllu(*"abcdefg"),
        "qa": squad(*"abcdefg"),
        "re": relations(*[("A", "B", "r")] * 7, word="de-dev"),
    }[task]
    message = refusal(made({"de-dev": content}, task=task, files=files))
    assert message.startswith(f"{first} and {second} both hold "), message
    assert message.endswith("(do their ranges overlap, or is {lang} or {split} missing?)")


def test_parts_of_one_file_are_accepted_where_they_do_not_overlap(made: Made):
    files = {"de": {"dev": "de-dev[:3]", "test": "de-dev[3:]"}, "*": "{lang}-{split}"}
    experiment = made({"de-dev": conllu(*"abcdefgh")}, "data.limit.test=2", files=files)
    assert (words(experiment), words(experiment, "de-test")) == (list("abc"), list("de"))


@pytest.mark.parametrize("limits", [[], ["data.limit.dev=3"], ["data.limit.test=2"]], ids=str)
@pytest.mark.parametrize(("original", "copy"), [("de-dev", "de-test"), ("nl-dev", "fr-test"), ("en-train", "en-dev")])
@pytest.mark.parametrize("task", ["pos", "qa"])
def test_a_copied_file_is_refused(made: Made, task: str, original: str, copy: str, limits: list[str]):
    """Also where another limit takes another part of it, or its ids and its language are others."""
    content = {
        original: conllu(*"abcde") if task == "pos" else squad(*"abcde", name="q"),
        copy: conllu(*"abcde").replace("1\t", "# sent_id = x\n1\t", 1) if task == "pos" else squad(*"abcde"),
    }
    message = refusal(made(content, *limits, task=task))
    assert "hold the same examples, though in different places; accepted are different ones" in message
    assert {original, copy} == set(message.split(" hold ")[0].split(" and "))


def test_equal_sentences_in_one_set_or_in_two_are_accepted(made: Made):
    experiment = made({"de-dev": conllu(*"abab"), "de-test": conllu(*"cab"), "en-train": conllu(*"axbab")})
    assert words(experiment) == list("abab")


@pytest.mark.parametrize(
    ("dev", "test", "shared"),
    [
        ("train[:5]", "train[4:]", "row 4"),
        ("train[2:]", "test+train[:3]", "row 2"),
        ("train", "train[:2]", "row 0"),
        ("train[:5]", "train[5:]", None),
    ],
)
def test_slices_of_a_data_set_that_overlap_are_refused(
    written: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dev: str, test: str, shared: str | None
):
    datasets = pytest.importorskip("datasets")  # a second, and only here
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = {
        f"{code}/{split}.jsonl": "".join(
            json.dumps({"tokens": [f"{code}-{split}-{number}"], "ner_tags": ["B-PER"]}) + "\n" for number in range(8)
        )
        for code in ("en", "de", "nl", "fr")
        for split in ("train", "validation", "test")
    }
    path = f"{written(rows)}/{{lang}}"
    hub = {"*": {"path": path}, "de": {"path": path, "splits": {"dev": dev, "test": test}}}
    roles = ["name=x", "encoder=e", "pivots=[de, nl]", "targets=[fr, de]", "task=ner", "data.format=hub"]
    experiment = load("paper", [*roles, f"data.hub={json.dumps(hub)}"])
    if shared is None:
        assert len(corpus(experiment)) == 5
    else:
        message = refusal(experiment)
        assert f"both hold {tmp_path}/data/de train, {shared}; accepted are sets without common records" in message


def test_translations_are_in_groups_of_the_same_name(made: Made):
    """An average over languages is resampled jointly where they agree, see `groups`."""
    german = relations(*[("A", "B", "r")] * 3, word="und")
    found = {one.name: one.groups for one in read(made({"de-dev": german}, task="re")).labelled}
    assert (found["de-dev"], found["fr-dev"]) == (["0", "1", "2"], ["0"])
    found = {one.name: one.groups for one in read(made({})).labelled}
    assert (found["de-dev"], found["fr-dev"]) == (["de-dev:0", "de-dev:1"], ["fr-dev:0", "fr-dev:1"])


def test_running_numbers_of_another_split_join_no_groups(made: Made):
    """Chained through paragraphs of other splits, all questions would be one group, and nothing significant."""
    sets = {"fr-dev": squad("eins zwei", "eins zwei"), "fr-test": squad("drei vier", "sechs acht")}
    found = {one.name: one.groups for one in read(made(sets, task="qa")).labelled}
    assert (found["fr-dev"], found["fr-test"]) == (["0", "0"], ["0", "1"])


# Digests


def digest(made: Made, content: str | None, *overrides: str, name: str = "de-dev", task: str = "ner", **files) -> str:
    return corpus(made({name: content} if content else {}, *overrides, task=task, **files), name).digest


NER = ["a/B-PER b/O", "c/B-LOC", "d/B-LOC"]


def test_a_digest_does_not_depend_on_where_the_data_is(made: Made, written: Write, tmp_path: Path):
    written({"deep/x.txt": "\ufeff" + iob(*NER)})
    parts = {"dev": "de-dev[:3]", "test": "de-test"}
    same = [
        digest(made, iob(*NER)),
        digest(made, "\n\n" + iob(*NER).replace("\n", "\r\n")),
        digest(made, None, files={"de": {"dev": "deep/x.*", "test": "de-test"}, "*": "{lang}-{split}"}),
        digest(made, iob(*NER, "e/O"), files={"de": parts, "*": "{lang}-{split}"}),
        digest(made, iob(*NER, "e/O"), "data.limit.dev=3"),
        digest(made, iob(*NER), "data.limit.train=3", "data.limit.test=3"),
        digest(made, iob(*NER), "data.labels={ORG: O}"),
        digest(made, iob(*NER), name="fr-dev"),
    ]
    assert len(set(same)) == 1


def test_a_digest_is_the_same_in_every_process(made: Made):
    """Encodings are kept under it: it may not change from run to run, nor unnoticed from version to version."""
    assert digest(made, iob(*NER)).startswith("1b610133531d")


def test_a_digest_knows_content_part_and_reading(made: Made):
    others = [
        ["a/B-PER b/O", "c/B-ORG", "d/B-LOC"],
        ["a/B-PER b/O", "C/B-LOC", "d/B-LOC"],
        ["a/B-PER", "b/O c/B-LOC", "d/B-LOC"],  # only the ends of sentences differ
    ]
    different = [
        *(digest(made, iob(*sentences)) for sentences in (NER, *others)),
        digest(made, iob(*NER), "data.labels={LOC: O}"),
        digest(made, iob(*NER), "data.labels={LOC: PER}"),
        digest(made, iob(*NER), "data.limit.dev=2"),
        digest(made, "# sent_id = 1\n" + iob(*NER), 'data.iob={"de": {"comments": true}}'),
    ]
    assert len(set(different)) == len(different)


def test_the_digest_of_pairs_knows_which_of_them_are_left(made: Made):
    def of(train: list, *overrides: str) -> str:
        experiment = made({"en-train": relations(*train), "de-dev": relations(*DEV)}, *overrides, task="re")
        return corpus(experiment).digest

    different = [
        of(TRAIN),
        of([*TRAIN, ("B", "A", "r")]),
        of(TRAIN, "data.labels={t: O}"),
        of(TRAIN, "data.labels={r: s}"),
        of(TRAIN, "data.unrelated=drop"),
    ]
    assert len(set(different)) == len(different)
    assert of([*TRAIN, ("X", "Y", "r")]) == of(TRAIN, "data.limit.train=1") == different[0]


def test_the_digest_of_questions_knows_their_language(made: Made):
    """An answer is scored by the rules of its language."""
    assert digest(made, squad("a b"), task="qa") != digest(made, squad("a b"), task="qa", name="fr-dev")


def test_the_digest_of_text_is_its_content(written: Write, tmp_path: Path):
    contents = ["a\n\nb c\n", "a\r\nb c", "a\nb  c", "a b\nc"]
    texts = [Text("de", written({f"{n}.txt": content}) / f"{n}.txt") for n, content in enumerate(contents)]
    digests = [text.digest for text in (*texts, Text("fr", ("a", "b c")))]
    assert digests[0] == digests[1] == digests[4]
    assert len(set(digests)) == 3
