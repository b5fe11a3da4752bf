"""What says where the data is and how it is read is checked before any file is opened."""

from pathlib import Path

import pytest

from lms_ray.settings.data import EVERY, Data, Iob, Source, Texts
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load, to_yaml

BASE = ["name=x", "encoder=e", "pivots=[de, nl]", "targets=[fr, sv]", "data.root=/data", "data.files=d/{lang}.{split}"]
HUB = ["data.format=hub", "data.root=null", "data.files={}"]
FORMAT_OF = {"pos": "conllu", "ner": "iob", "qa": "squad", "re": "jsonl", "arl": "jsonl"}


def configured(*overrides: str, task: str = "pos") -> Experiment:
    return load("paper", [*BASE, f"task={task}", f"data.format={FORMAT_OF[task]}", *overrides])


def refusal(*overrides: str, task: str = "pos") -> str:
    with pytest.raises(ConfigError) as refused:
        configured(*overrides, task=task)
    return str(refused.value)


MISTAKES = [
    ("pos", ["data.root=null"], "data: root is not set; accepted is the folder that holds the files "
     "(data.root=/path/to/data)"),
    ("pos", ["data.files={en: a, nl: b, fr: c}"], "data.files names nothing for de, sv"),
    ("pos", ["data.files={}"], "data.files names nothing for en, de, nl, fr, sv"),
    ("ner", HUB, "data.hub names nothing for en, de, nl, fr, sv"),
    ("ner", [*HUB, "data.hub={en: {path: a}, de: {path: a}, nl: {path: b}, sv: {path: c}}"],
     "data.hub names nothing for fr"),
    ("ner", ["data.format=hub", "data.hub={'*': {path: a}}"],
     "data: hub data sets are named by data.hub; root and files must be left out"),
    ("ner", [*HUB, "data.hub={en: {name: a}}"], "data.hub.en.path: not set; it is needed"),
    ("ner", ["data.hub={en: {path: a}}"], "data: hub is for format hub, found iob"),
    ("pos", ["data.iob={en: {token: 1}}"], "data: iob is for format iob and hub, found conllu"),
    ("ner", ["data.iob={en: {scheme: bilou}}"], "data.iob.en.scheme: found 'bilou'; input should be 'iob2' or 'iob1'"),
    ("ner", ["data.iob={en: {illegal: drop}}"],
     "data.iob.en.illegal: found 'drop'; input should be 'refuse' or 'repair'"),
    ("ner", ["data.iob={en: {word: 1}}"], "data.iob.en.word: no such key"),
    ("pos", ["data.texts={en: {columns: {text: 0.5}}}"],
     "data.texts.en.columns.text: found 0.5; input should be a valid integer"),
    ("pos", ["data.texts={en: {columns: {text: true}}}"],
     "data.texts.en.columns.text: found True; input should be a valid integer"),
    ("pos", ["data.texts={en: {columns: {text: -1}}}"],
     "data.texts.en.columns.text: found -1; input should be greater than or equal to 0"),
    ("pos", ["data.texts={en: {columns: {txt: 1}}}"],
     "data.texts.en.columns.txt: found 'txt'; input should be 'text', 'pair', 'label' or 'id'"),
    ("pos", ["data.texts={en: {delimiter: ', '}}"],
     "data.texts.en.delimiter: found ', '; string should have at most 1 character"),
    ("pos", ["data.format=toy"], "data: toy languages are generated; root and files must be left out"),
    ("pos", ["data.format=toy", "data.root=null", "data.files={}"],
     "encoder: toy and data.format: toy go together, each was made for the other"),
    ("pos", ["encoder=toy"], "encoder: toy and data.format: toy go together, each was made for the other"),
    ("pos", ["data.text=/text/de.txt"],
     "data: text has no {lang} in it, found '/text/de.txt'; accepted is a path like text/{lang}.txt"),
    ("pos", ["data.text=s3://k:s@b/de.txt?x={lang}"],
     "data: text has no {lang} in it, found 's3://b/de.txt?x={lang}'; accepted is a path like text/{lang}.txt"),
    ("pos", ["data.limit.train=0"], "data.limit.train: found 0; input should be greater than or equal to 1"),
    ("re", ["data.unrelated=maybe"], "data.unrelated: found 'maybe'; input should be 'keep' or 'drop'"),
    ("re", ["data.split_seed=-1"], "data.split_seed: found -1; input should be greater than or equal to 0"),
    ("ner", ["data.labels={MISC: null}"], "data.labels.MISC: found None; input should be a valid string"),
    ("ner", ["sweep.checkpoints=x", "sweep={search: optuna, candidates: 9}"],
     "sweep: checkpoints are taken in place of fine-tuning; search: optuna has nothing to search"),
    ("qa", ["finetune.stride=65"], "finetune: stride is 65; accepted is at most half of max_length, 64"),
    ("qa", ["finetune={max_length: 33, stride: 17}"],
     "finetune: stride is 17; accepted is at most half of max_length, 16"),
    ("qa", ["finetune.stride=-1"], "finetune.stride: found -1; input should be greater than or equal to 0"),
    ("pos", ["train_on=source+pivots", "targets=[fr, nl, de]"],
     "train_on is source+pivots, and nl is both pivot and target: its dev set would be trained on, and its test labels "
     "would teach the ranker; accepted are targets that are no pivots"),
    ("pos", ["train_on=pivots"], "train_on: found 'pivots'; input should be 'source' or 'source+pivots'"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "overrides", "message"), MISTAKES, ids=[" ".join(mistake[1]) for mistake in MISTAKES])
def test_a_mistake_is_refused(task: str, overrides: list[str], message: str):
    assert refusal(*overrides, task=task) == message


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            "{en: {trian: x}, '*': y}", "data.files.en.trian: found 'trian'; input should be 'train', 'dev' or 'test'"
        ),
        ("{en: 3, '*': y}", "data.files.en: found 3; input should be a valid "),
        ("{en: {train: 3}, '*': y}", "data.files.en.train: found 3; input should be a valid string"),
    ],
)
def test_a_mistake_in_the_files_of_a_language_is_named_by_its_key(files: str, message: str):
    assert refusal(f"data.files={files}").startswith(message)
    assert len(refusal(f"data.files={files}").splitlines()) == 1


@pytest.mark.parametrize(
    "pattern", ["", "/data/{lang}-{split}.conllu", "~/d/{lang}"], ids=["empty", "absolute", "home"]
)
def test_a_pattern_that_cannot_be_looked_for_is_refused(pattern: str):
    assert "data" in refusal(f"data.files='{pattern}'")


@pytest.mark.parametrize(
    "override", ["data.files={'*': a, dan: b}", "data.iob={danish: {tag: 2}}", "data.texts={dan: {}}"]
)
def test_data_for_no_language_is_refused_with_its_key(override: str):
    message = refusal(override, task="ner")
    assert message.startswith(override.partition("=")[0])
    assert "accepted" in message


@pytest.mark.parametrize("job", ["pos-ud", "ner-small", "qa-small"])
def test_a_job_can_be_run_for_fewer_targets(job: str):
    path = str(Path(__file__).parents[2] / "jobs" / f"{job}.yaml")
    assert load(path, ["targets=[zh]", "ranker.language_vector=none", "data.root=/data"]).targets == ("zh",)


def test_one_pattern_is_for_every_language():
    experiment = configured("data.files=x/{lang}-{split}.conllu")
    assert experiment.data.files == {EVERY: "x/{lang}-{split}.conllu"}
    assert experiment.data == configured('data.files={"*": "x/{lang}-{split}.conllu"}').data
    assert Data(root="/data", files="a") == Data(root="/data", files={"*": "a"})


def test_a_language_that_is_named_does_not_take_what_is_for_every_one():
    data = Data(
        root="/", files={"*": "{lang}-{split}", "de": "{split}/{lang}", "nl": {"dev": "n{split}{lang}", "test": "t"}}
    )
    assert data.where("fr", "test") == Source(pattern="fr-test", start=None, stop=None)
    assert data.where("de", "train") == Source(pattern="train/de", start=None, stop=None)
    assert data.where("nl", "dev") == Source(pattern="ndevnl", start=None, stop=None)
    assert data.where("nl", "train") is None
    assert Data(root="/", files={"de": "d"}).where("nl", "dev") is None
    assert data.unnamed(("en", "de")) == []
    assert Data(root="/", files={"de": "d"}).unnamed(("en", "de", "nl")) == ["en", "nl"]


@pytest.mark.parametrize(
    ("pattern", "start", "stop"),
    [("a[1:3]", 1, 3), ("a[:3]", None, 3), ("a[10:]", 10, None), ("a[:]", None, None), ("a", None, None)],
)
def test_a_range_is_read_off_the_end(pattern: str, start: int | None, stop: int | None):
    assert Data(root="/", files=pattern).where("de", "dev") == Source(pattern="a", start=start, stop=stop)


@pytest.mark.parametrize("pattern", ["a[1-3].json", "[ab]c", "a[1:3].json", "a[-2:]", "a[12]"])
def test_other_brackets_are_wildcards(pattern: str):
    assert Data(root="/", files=pattern).where("de", "dev") == Source(pattern=pattern, start=None, stop=None)


def test_data_sets_and_layouts_are_of_their_language_or_of_every_one():
    hub = {"*": {"path": "org/{lang}", "name": "c-{lang}"}, "de": {"path": "other", "revision": "v{lang}"}}
    data = Data(format="hub", hub=hub)
    every, german = data.data_set("fr"), data.data_set("de")
    assert (every.path, every.name, every.revision) == ("org/fr", "c-fr", None)
    assert (german.path, german.name, german.revision) == ("other", None, "v{lang}")
    assert every.splits == {"train": "train", "dev": "validation", "test": "test"}
    assert Data(format="hub", hub={"de": {"path": "p"}}).data_set("fr") is None
    layouts = Data(format="iob", root="/", iob={"*": {"token": 1}, "de": {"comments": True}})
    assert layouts.layout("fr") == Iob(token=1)
    assert layouts.layout("de") == Iob(comments=True)
    assert Data(format="iob", root="/").layout("de") == Iob()
    texts = Data(format="csv", root="/", texts={"*": {"columns": {"text": "review"}}, "de": {"header": False}})
    assert texts.text_layout("fr") == Texts(columns={"text": "review"})
    assert texts.text_layout("de") == Texts(header=False)
    assert Data(format="csv", root="/").text_layout("de") == Texts()


def test_workers_in_other_folders_find_local_data(tmp_path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "sets" / "de").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    data = Data(root="ud", files="x/{lang}", text="text/{lang}.txt").absolute()
    assert (data.root, data.text) == (f"{tmp_path}/ud", {"*": f"{tmp_path}/text/{{lang}}.txt"})
    assert data.files == {"*": "x/{lang}"}
    for root, text in (("/ud", None), ("s3://key:secret@bucket/ud?region=eu", "gs://bucket/{lang}.txt")):
        assert Data(root=root, text=text, files="x").absolute() == Data(root=root, text=text, files="x")
    hub = {
        "*": {"path": "sets/{lang}"},
        "fr": {"path": "sets/de"},
        "nl": {"path": "org/data"},
        "sv": {"path": "org/{lang}"},
    }
    found = Data(format="hub", hub=hub).absolute()
    assert {key: named.path for key, named in found.hub.items()} == {
        "*": f"{tmp_path}/sets/{{lang}}", "fr": f"{tmp_path}/sets/de", "nl": "org/data", "sv": "org/{lang}",
    }  # fmt: skip
    assert found.root is None


def test_workers_in_other_folders_find_a_local_data_set_whatever_its_name(tmp_path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "sets" / "ner[1]-de").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    hub = {"*": {"path": "sets/ner[1]-{lang}"}, "fr": {"path": "org/a**b"}}
    found = Data(format="hub", hub=hub).absolute()
    assert found.hub["*"].path == f"{tmp_path}/sets/ner[1]-{{lang}}"
    assert found.hub["fr"].path == "org/a**b"


@pytest.mark.parametrize(
    ("task", "overrides"),
    [
        (
            "pos",
            ["data.files={en: {train: '[ab]*.conllu[:99]', dev: d}, '*': '*/{lang}-{split}[5:]'}", "data.limit.dev=5"],
        ),
        (
            "ner",
            [
                "targets=[no, fr]",
                "ranker.language_vector=none",
                "data.iob={'*': {scheme: iob1}, no: {tag: 2}}",
                "data.labels={MISC: O}",
            ],
        ),
        (
            "ner",
            [*HUB, "data.hub={'*': {path: 'a/{lang}', splits: {dev: 'train[:9]'}, columns: {tags: t}}}"],
        ),
        (
            "pos",
            ["data.format=tsv", "data.texts={'*': {header: false, delimiter: \"\\t\", columns: {text: 1, id: a}}}"],
        ),
        ("qa", ["finetune={max_length: 384, stride: 128}", "allow_pickled=[e]"]),
        ("re", ["data.unrelated=drop", "data.format=ace", "data.split_seed=3", "train_on=source+pivots"]),
    ],
)
def test_the_written_configuration_reads_back_as_the_same(task: str, overrides: list[str], tmp_path):
    experiment = configured(*overrides, task=task)
    path = tmp_path / "experiment.yaml"
    path.write_text(to_yaml(experiment), encoding="utf-8")
    assert load(str(path)) == experiment


@pytest.mark.parametrize(("train_on", "split"), [("source", "dev"), ("source+pivots", "test")])
def test_the_ranker_learns_from_a_split_that_no_candidate_was_trained_on(train_on: str, split: str):
    assert configured(f"train_on={train_on}").pivot_split == split


def test_the_longest_stride_is_half_a_window():
    assert configured("finetune={max_length: 33, stride: 16}", task="qa").finetune.stride == 16
    assert configured(task="qa").finetune.stride is None
