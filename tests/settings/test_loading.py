"""A configuration means what its author wrote, and a mistake in it is named before any work starts."""

from pathlib import Path

import pytest
import yaml

from lms_ray.settings.candidates import Range
from lms_ray.settings.data import Hub
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.loading import load, to_yaml

JOBS = sorted((Path(__file__).parents[2] / "jobs").glob("*.yaml"))
POS_JOB = str(Path(__file__).parents[2] / "jobs" / "pos-ud.yaml")
NO_PRESET = """
name: mine
encoder: some-model
pivots: [de, nl]
targets: [fr]
data: {root: /ud, files: {en: E, de: D, nl: N, fr: F}}
"""

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)

MISTAKES = [  # overrides; in the message: key, what was found, what is accepted
    (["sweep.seedz=2"], ["sweep.seedz", "no such key", "did you mean seeds?"]),
    (["weather=3"], ["weather", "no such key", "accepted are", "pivots"]),
    (["Sweep=3"], ["Sweep", "no such key"]),
    (["sweep.learning-rate=[1e-3]"], ["sweep.learning-rate", "no such key", "did you mean learning_rate?"]),
    (["sweep.seeds=two"], ["sweep.seeds", "'two'", "valid integer"]),
    (["sweep.seeds=0"], ["sweep.seeds", "found 0", "greater than or equal to 1"]),
    (["sweep.epochs=[3.5]"], ["sweep.epochs", "3.5", "integer"]),
    (["sweep=3"], ["sweep", "found 3"]),
    (["data=null"], ["data", "found None"]),
    (["name=a/b"], ["name", "'a/b'", "pattern"]),
    (["task=3"], ["task", "found 3", "valid string"]),
    (["preset=nothing"], ["preset", "'nothing'", "paper, quickstart"]),
    (["targets=[de, xx]"], ["targets", "'xx'", "ISO 639-1"]),
    (["source=english"], ["source", "'english'", "ISO 639-1"]),
    (["targets=[]"], ["targets: found none", "at least one language"]),
    (["pivots=[de, nl, de]"], ["pivots", "['de', 'nl', 'de']", "each named once"]),
    (["pivots=[de, deu, nl]"], ["pivots", "'deu'", "accepted is 'de'"]),
    (["targets=[ger, nl]"], ["targets", "'ger'", "accepted is 'de'"]),
    (["targets=[nb, no]", "ranker.language_vector=none"], ["'nb' and 'no' name one language"]),
    (["targets=[de, en]"], ["source en", "also a pivot or a target"]),
    (["targets=[de, eng]", "ranker.language_vector=syntax_knn"], ["eng"]),
    (["pivots=[de]"], ["target de", "only pivot"]),
    (["targets=[he, de]"], ["ranker.language_vector", "he (heb)", "no learned vector", "syntax_knn, or none"]),
    (["ranker.language_vector=syntax"], ["ranker.language_vector", "'syntax'", "'syntax_knn'"]),
    (["sweep.learning_rate={low: 1e-5, high: 1e-4}"], ["learning_rate", "range", "search: optuna"]),
    (["sweep.learning_rate=[inf]"], ["sweep.learning_rate", "inf"]),
    (
        ["sweep.search=optuna", "sweep.candidates=9", "sweep.learning_rate={low: 2e-4, high: 1e-4}"],
        ["sweep.learning_rate", "low must be below high", "0.0002", "0.0001"],
    ),
    (["sweep.search=optuna"], ["sweep", "candidates"]),
    (["sweep.candidates=9"], ["sweep", "candidates", "search: optuna"]),
    (["sweep.objective=recommended", "sweep.judged_by=x"], ["sweep", "search: grid", "accepted is search: optuna"]),
    (
        ["sweep={search: optuna, candidates: 9, objective: recommended}"],
        ["sweep", "judged_by", "for objective: recommended"],
    ),
    (["sweep={search: optuna, candidates: 9, judged_by: x}"], ["sweep", "judged_by", "for objective: recommended"]),
    (["sweep.judged_for=[de]"], ["sweep", "judged_for", "judged_by, which is not set"]),
    (["sweep.objective=test"], ["sweep.objective", "'dev' or 'recommended'"]),
    (["sweep.epochs=[3, 3]"], ["sweep.epochs", "[3, 3]", "each named once"]),
    (["sweep.seeds=1"], ["sweep", "6 candidates", "at least 2"]),
    (["sweep.seeds=2", "meta_split={train: 0.5, dev: 0.45, test: 0.05}"], ["12 candidates", "at least 2"]),
    (
        ["sweep={seeds: 15, learning_rate: [1e-3], epochs: [3]}", "meta_split={train: 0.5, dev: 0.45, test: 0.05}"],
        ["15 candidates", "at least 2"],  # 7 + 7 leave 1
    ),
    (["meta_split.train=0.6"], ["meta_split", "1.1", "sum to 1"]),
    (["ranker.features=[english]"], ["ranker.features", "'english'", "'source', 'pivot' or 'target'"]),
    (["ranker.features=[]"], ["ranker.features", "found []", "at least one"]),
    (["ranker.auxiliary=[a, a]"], ["ranker", "auxiliary names a folder twice"]),
    (["ranker.auxiliary=[a]", "ranker.transfer_from=b"], ["ranker", "accepted is one of the two"]),
    (["ranker.learning_rate=[]"], ["ranker.learning_rate", "found []", "at least one"]),
    (["ranker.batch_size=[16, 16]"], ["ranker.batch_size", "[16, 16]", "once"]),
    (["finetune.adam_betas=[2, 5]"], ["finetune.adam_betas", "2"]),
    (["data.root=/ud"], ["data", "root", "must be left out"]),
    (["encoder=some-model"], ["encoder: toy", "data.format: toy"]),
    (["data.text=de.txt"], ["data", "de.txt", "{lang}"]),
    (["sweep.seeds"], ["override", "'sweep.seeds'", "key.sub=value"]),
    (["=5"], ["override", "'=5'", "key.sub=value"]),
    (["sweep.epochs=[3"], ["sweep.epochs", "'[3'", "YAML", "line 1, column 3"]),
    (["sweep=["], ["sweep", "'['", "YAML"]),
    (["sweep={seeds: 3, seeds: 4}"], ["sweep", "'seeds' is given twice"]),
    ([".".join(["a"] * 10_000) + "=1"], ["override", "key.sub=value"]),
    (["sweep.seeds=true"], ["sweep.seeds", "found True", "valid integer"]),
    (["sweep.seeds='3'"], ["sweep.seeds", "found '3'", "valid integer"]),
    (["sweep.seeds=3.0"], ["sweep.seeds", "found 3.0", "valid integer"]),
    (["seed=010"], ["seed", "found '010'", "valid integer"]),
    (["seed=0x1f"], ["seed", "found '0x1f'", "valid integer"]),
    (["seed=0b11"], ["seed", "found '0b11'", "valid integer"]),
    (["seed=1_000"], ["seed", "found '1_000'", "valid integer"]),
    (["seed=1:30"], ["seed", "found '1:30'", "valid integer"]),
    (["finetune.warmup=true"], ["finetune.warmup", "found True", "valid number"]),
    (["finetune.warmup='0.1'"], ["finetune.warmup", "found '0.1'", "valid number"]),
    (["finetune.warmup=0_0.1"], ["finetune.warmup", "found '0_0.1'", "valid number"]),
    (["finetune.weight_decay=1e999"], ["finetune.weight_decay", "found inf", "finite number"]),
    (["sweep.resources.gpus=1e999"], ["sweep.resources.gpus", "found inf", "finite number"]),
    (["sweep.learning_rate={low: 1e-5, high: 1e-4, log: yes}"], ["log", "found 'yes'", "boolean"]),
    (["name=2026"], ["name", "found 2026", "valid string, in quotes"]),
    (
        ["sweep.search=optuna", "sweep.candidates=9", "sweep.epochs={low: 0.4, high: 3}"],
        ["sweep.epochs.low", "0.4", "int"],
    ),
    (
        ["sweep.search=optuna", "sweep.candidates=9", "sweep.batch_size={low: 8, high: 16.5}"],
        ["sweep.batch_size.high", "16.5", "int"],
    ),
    (["sweep.seeds=1000000000"], ["sweep", "6000000000 candidates", "at most 100000"]),
    ([f"name={'x' * 300_000}"], ["name", "xxx...xxx"]),
    ([f"{'x' * 100_000}=1"], ["xxx...", "no such key"]),
    ([f"targets=[{'x' * 100_000}]"], ["targets", "ISO 639-1"]),
    (["storage=''"], ["storage", "found ''", "accepted is a path"]),
    (["storage=s3:/b"], ["storage", "'s3:/b'", "two slashes"]),
    (["storage=s3://"], ["storage", "'s3://'", "two slashes"]),
    (['storage="a\\0b"'], ["storage", "NUL"]),
    ([f"storage={'x' * 256}"], ["storage", "255 bytes"]),
    ([f"storage={'x/' * 2000}"], ["storage", "accepted is a path"]),
    (["sweep.checkpoints=gs:/b"], ["sweep.checkpoints", "'gs:/b'", "two slashes"]),
    (["encoder=s3://b/e"], ["encoder", "'s3://b/e'", "local path"]),
    (["data.root=s3:/b/d"], ["data.root", "'s3:/b/d'", "two slashes"]),
    ([f"name={'x' * 129}"], ["name", "128 characters"]),
    (["targets=de"], ["targets", "found 'de'", "a list, such as"]),
    ([f"k{number}=1" for number in range(1000)], ["k19", "and 980 more"]),
]


@pytest.fixture
def written(tmp_path: Path):
    """Write a configuration and give its path: `written("preset: quickstart")`."""

    def write(text: str | bytes) -> str:
        path = tmp_path / "experiment.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def test_no_configuration_is_the_quickstart():
    experiment = load()
    assert experiment == load("quickstart")
    assert (experiment.encoder, experiment.data.format, experiment.number_of_candidates) == ("toy", "toy", 24)


def test_the_pos_job_wants_only_the_folder_of_the_treebanks():
    with pytest.raises(ConfigError, match=r"^data: root is not set; accepted is .*\(data\.root=/path/to/data\)$"):
        load(POS_JOB)


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_every_job_of_the_repository_loads(path: Path):
    of_the_hub = "format: hub" in path.read_text()
    assert load(str(path), [] if of_the_hub else ["data.root=/data"]).name == path.stem


def test_the_pos_job_describes_the_experiment_of_the_paper():
    experiment = load(POS_JOB, ["data.root=/data/ud"])
    split = experiment.meta_split
    assert experiment.number_of_candidates == 240
    assert [240 * share for share in (split.train, split.dev, split.test)] == [120, 60, 60]
    assert experiment.source == "en"
    assert len(experiment.pivots) == 5
    assert len(experiment.targets) == 15
    assert experiment.sweep.learning_rate == (3e-5, 5e-5, 7e-5)
    assert experiment.sweep.epochs == (3, 4, 5, 6)
    assert (experiment.ranker.hidden, experiment.ranker.epochs) == (1024, 3)
    assert len(experiment.ranker.batch_size) * len(experiment.ranker.learning_rate) == 20
    assert set(experiment.data.files) == set(experiment.languages)


def test_overrides_win_over_the_file_and_the_file_over_the_preset(written):
    path = written("preset: quickstart\nsweep: {seeds: 3, epochs: [2, 7]}")
    assert load("quickstart").sweep.seeds == 4
    assert load(path).sweep.seeds == 3
    experiment = load(path, ["sweep.seeds=5", "sweep.seeds=6", "finetune.warmup=0"])
    assert experiment.sweep.seeds == 6
    assert experiment.sweep.epochs == (2, 7)
    assert experiment.sweep.learning_rate == load("quickstart").sweep.learning_rate
    assert (experiment.finetune.warmup, experiment.finetune.max_length) == (0, 64)


@pytest.mark.parametrize(
    ("written_as", "means"), [("5e-5", 5e-5), ("1E-3", 1e-3), (".5", 0.5), ("2.", 2.0), ("1", 1.0)]
)
def test_a_number_is_a_number_however_it_is_written(written, written_as: str, means: float):
    grid = f"[{written_as}, 0.25]"
    assert load(None, [f"sweep.learning_rate={grid}"]).sweep.learning_rate == (means, 0.25)
    assert load(written(f"preset: quickstart\nsweep: {{learning_rate: {grid}}}")).sweep.learning_rate == (means, 0.25)


def test_norwegian_is_not_false(written):
    path = written("preset: quickstart\nname: no\ntargets: [no, de]\nranker: {language_vector: none}")
    experiment = load(path, ["storage=on"])
    assert (experiment.name, experiment.targets, experiment.storage) == ("no", ("no", "de"), "on")


@pytest.mark.parametrize(
    "text",
    [
        "preset: quickstart",
        "preset: quickstart\nsweep: {search: optuna, candidates: 9, learning_rate: {low: 1e-5, high: 7e-05}}",
        "preset: quickstart\nname: no\nsweep: {learning_rate: [5e-5]}\nfinetune: {weight_decay: 1e-20}",
        NO_PRESET,
    ],
)
def test_the_written_configuration_reads_back_as_the_same(written, text: str):
    experiment = load(written(text))
    assert load(written(to_yaml(experiment))) == experiment


def test_a_search_takes_ranges_and_a_number_of_candidates():
    experiment = load(
        None, ["sweep.search=optuna", "sweep.candidates=12", "sweep.learning_rate={low: 1e-5, high: 1e-3}"]
    )
    assert experiment.number_of_candidates == 12
    assert experiment.sweep.learning_rate == Range(low=1e-5, high=1e-3)


@pytest.mark.parametrize(("overrides", "parts"), MISTAKES, ids=[" ".join(overrides)[:60] for overrides, _ in MISTAKES])
def test_a_mistake_is_named_with_its_key_and_what_is_accepted(overrides: list[str], parts: list[str]):
    with pytest.raises(ConfigError) as refused:
        load(None, overrides)
    assert [part for part in parts if part not in str(refused.value)] == [], str(refused.value)
    assert len(str(refused.value)) < 5000


@pytest.mark.parametrize("name", ["010", "0x1f", "1_000", "2026-11-24", "5e-5x", "1.2.3", "yes"])
def test_a_word_that_looks_like_something_else_is_a_word(written, name: str):
    experiment = load(written(f"preset: quickstart\nname: {name}"), [f"storage={name}", "data.labels={a: 1:30, b: =}"])
    assert (experiment.name, experiment.storage) == (name, name)
    assert experiment.data.labels == {"a": "1:30", "b": "="}
    assert load(written(to_yaml(experiment))) == experiment


@pytest.mark.parametrize("name", ["'5e-5'", "'1e5'", "'7'", "'1.5'", "'null'", "'true'"])
def test_a_quoted_word_stays_one_when_it_is_written(written, name: str):
    experiment = load(None, [f"name={name}"])
    assert experiment.name == name.strip("'")
    assert load(written(to_yaml(experiment))) == experiment


def test_a_value_may_be_named_and_used_again(written):
    path = written("preset: quickstart\nsweep: {epochs: &few [1, 2], batch_size: *few}")
    assert load(path).sweep.batch_size == (1, 2)


@pytest.mark.parametrize("name", ["loop", "folder", "x" * 300, "a\0b", "", "~nobody-of-this-name/x.yaml"])
@pytest.mark.parametrize("key", ["CONFIG", "preset"])
def test_what_cannot_be_opened_is_refused(written, tmp_path: Path, monkeypatch, key: str, name: str):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    path = name if key == "CONFIG" else written(yaml.safe_dump({"preset": name}))
    with pytest.raises(ConfigError, match=rf"^{key}: found .*accepted are ") as refused:
        load(path)
    assert len(str(refused.value)) < 400


def test_a_file_that_may_not_be_read_is_refused(written, monkeypatch: pytest.MonkeyPatch):
    path = written("preset: quickstart")

    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")  # root may read anything, so no file of the test is forbidden

    monkeypatch.setattr(Path, "read_text", forbidden)
    with pytest.raises(ConfigError, match=r"^CONFIG: found .*experiment\.yaml.*Permission denied"):
        load(path)


def test_the_home_directory_is_meant_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "base.yaml").write_text(NO_PRESET)
    (tmp_path / "mine.yaml").write_text("preset: ~/base.yaml")
    paths = ["storage=~/runs", "data.root=~/ud", "data.text=~/t/{lang}", "encoder=~/e", "sweep.checkpoints=~/c/*"]
    found = load("~/mine.yaml", paths)
    home = str(tmp_path)
    assert (found.storage, found.data.root, found.data.text) == (
        f"{home}/runs",
        f"{home}/ud",
        {"*": f"{home}/t/{{lang}}"},
    )
    assert (found.encoder, found.sweep.checkpoints) == (f"{home}/e", f"{home}/c/*")
    assert Hub(path="~/sets/{lang}").path == f"{home}/sets/{{lang}}"


@pytest.mark.parametrize(
    "storage", ["s3://bucket/runs?scheme=http", "file:///tmp/x", "run:1", "a/~b", "~nobody-of-this-name"]
)
def test_any_other_place_is_taken_as_it_is_written(storage: str):
    assert load(None, [f"storage={storage}"]).storage == storage


def test_a_preset_may_be_a_file_with_a_preset_of_its_own(written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "all.yaml").write_text("preset: quickstart\nname: all\nsweep: {seeds: 7, epochs: [2]}")
    (tmp_path / "base" / "half.yaml").write_text("preset: all.yaml\nname: half\nsweep: {seeds: 6}")
    path = written("preset: base/half.yaml\nname: mine\nfinetune: {warmup: 0}")
    monkeypatch.chdir(tmp_path.parent)  # names are looked for beside the file that has them
    experiment = load(path, ["ranker.epochs=9"])
    assert (experiment.name, experiment.sweep.seeds, experiment.sweep.epochs) == ("mine", 6, (2,))
    assert (experiment.finetune.warmup, experiment.finetune.max_length, experiment.ranker.epochs) == (0, 64, 9)
    (tmp_path / "base").rename(tmp_path / "gone")
    assert load(written(to_yaml(experiment))) == experiment  # on its own, wherever the experiment's folder is


@pytest.mark.parametrize(
    ("text", "named"),
    [("preset: none.yaml", "'none.yaml'"), ("preset: 3", "3"), ("preset: experiment.yaml", "'experiment.yaml'")],
    ids=["missing", "no name", "itself"],
)
def test_a_preset_that_cannot_be_read_is_refused(written, text: str, named: str):
    with pytest.raises(ConfigError) as refused:
        load(written(text))
    message = f"preset: found {named}; accepted are paper, quickstart, released-code, or a file beside this one"
    assert str(refused.value) == message


def test_every_mistake_is_named_at_once():
    with pytest.raises(ConfigError) as refused:
        load(None, ["sweep.seeds=0", "name=a/b", "colour=red"])
    assert len(str(refused.value).splitlines()) == 3


def test_settings_know_no_tasks_and_no_formats(written):
    experiment = load(written(NO_PRESET), ["task=of-another-package", "data.format=of-another-package"])
    assert (experiment.task, experiment.data.format) == ("of-another-package", "of-another-package")


def test_a_language_without_files_is_named(written):
    with pytest.raises(ConfigError, match=r"data\.files names nothing for it, sv"):
        load(written(NO_PRESET), ["targets=[it, fr, sv]"])


def test_a_preset_may_stand_on_another():
    """The authors' code is the paper's experiment with another ranker."""
    released, paper = (load(preset, ["data.root=/data", "data.files=x"]) for preset in ("released-code", "paper"))
    changed = {"preset", "name", "ranker"}
    assert released.model_dump(exclude=changed) == paper.model_dump(exclude=changed)
    assert (released.preset, released.ranker.hidden, released.ranker.l2) == ("released-code", 512, paper.ranker.l2)


def test_a_missing_file_is_refused_with_the_presets():
    with pytest.raises(ConfigError, match=r"'nowhere\.yaml'.*paper, quickstart"):
        load("nowhere.yaml")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("pivots: [de", ["not a configuration", "line 1, column 12"]),
        (b"name: caf\xe9", ["not a configuration", "utf-8"]),
        ("- de\n- nl\n", ["found list", "mapping"]),
        ("", ["found NoneType", "mapping"]),
        ("name: a\npivots: [de]\nname: b", ["line 3, column 1", "'name'", "given twice"]),
        ("sweep:\n  seeds: 1\n  seeds: 2", ["line 3, column 3", "'seeds'", "given twice"]),
        ("seed: 123456789012345678901", ["line 1, column 7", "at most 18 digits"]),
        (f"seed: {'9' * 5000}", ["line 1, column 7", "at most 18 digits"]),
        (BOMB, ["line 5", "more than 100000 values"]),
        ("name: &a [*a]", ["line 1, column 11", "'a'", "inside of what it names"]),
        (f"name: {'[' * 10_000}", ["nested more than 50 deep"]),
        (f"name: {'{a: ' * 10_000}", ["nested more than 50 deep"]),
        ("name: !!python/name:os.system", ["tag", "python/name"]),
        ("seed: !!int 0x10", ["tag", "int"]),
        ("name: a\0b", ["not a configuration", "#x0000"]),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_by_name(written, content: str | bytes, parts: list[str]):
    path = written(content)
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert [part for part in [path, *parts] if part not in str(refused.value)] == [], str(refused.value)
