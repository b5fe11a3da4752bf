"""What others wrote runs no code and leads nowhere else; keys that the user gives are kept and shown nowhere."""

import io
import json
import os
import pickle
import re
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lms_ray import cli
from lms_ray.data import DataError
from lms_ray.data.examples import TaggedSentence
from lms_ray.data.readers import Place, find
from lms_ray.models import brought, folders
from lms_ray.models import encoder as encoders
from lms_ray.models.brought import Standard
from lms_ray.models.candidates import Recipe
from lms_ray.models.encoder import Encoder
from lms_ray.models.finetune import FineTuner
from lms_ray.pages.figures import pool_figure
from lms_ray.pages.page import to_html, to_markdown
from lms_ray.pages.tables import captions, detail_table, ranker_table, score_table
from lms_ray.settings import languages, plain_yaml
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.data import Data
from lms_ray.settings.errors import BrokenError, ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load, to_yaml
from lms_ray.settings.uris import with_credentials_of, without_credentials
from lms_ray.store import identity, lineage, lock, pool, provenance
from lms_ray.store.attempts import Machine
from lms_ray.store.files import Store
from made_picks import HAND_MADE, experiment
from object_storage import Roots

ROOT = Path(__file__).parents[1]
RAN = "LMS_RAY_TEST_PLANTED_CODE_RAN"
CODE = f"import os; os.environ[{RAN!r}] = 'yes'"


class Planted:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> tuple:
        return exec, (CODE,)


PICKLE = pickle.dumps(Planted())
TAGGED = [f"!!python/object/apply:exec [{CODE!r}]", "!!python/name:os.system", "!!binary YQ==", "!planted x"]
Plant = Callable[[Path], object]


@pytest.fixture(autouse=True)
def nothing_runs() -> Iterator[None]:
    """In none of these tests the planted code has run."""
    yield
    assert os.environ.pop(RAN, None) is None, "planted code has run"


def test_the_planted_code_would_run():
    pickle.loads(PICKLE)
    assert os.environ.pop(RAN) == "yes"


def written(name: str, content: bytes = PICKLE) -> Plant:
    return lambda folder: (folder / name).write_bytes(content)


def saved(*names: str) -> Plant:
    """In the format of torch."""
    return lambda folder: [torch.save(Planted(), folder / name) for name in names]


def removed(name: str) -> Plant:
    return lambda folder: (folder / name).unlink()


def settings(name: str, **values: object) -> Plant:
    return lambda folder: (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | values))


def parts(name: str) -> Plant:
    """An index of weights in parts."""
    index = {"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": name}}
    return written("model.safetensors.index.json", json.dumps(index).encode())


OF_CODE = {"AutoConfig": "planted.Config", "AutoModel": "planted.Model", "AutoTokenizer": ["planted.Slow", None]}
MODELS = {
    "weights beside safetensors": ([saved("pytorch_model.bin")], None),
    "weights only": ([saved("pytorch_model.bin"), removed("model.safetensors")], "allow_pickled does not name it"),
    "pickle named safetensors": ([written("model.safetensors")], "its weights cannot be read"),
    "torch file named safetensors": ([saved("model.safetensors")], "its weights cannot be read"),
    "pickled part": (
        [saved("x.bin"), parts("x.bin"), removed("model.safetensors")],
        r"model\.safetensors\.index\.json names 'x\.bin'; accepted are \.safetensors files beside it",
    ),
    "part elsewhere": ([parts("../x.safetensors"), removed("model.safetensors")], r"names '\.\./x\.safetensors'"),
    "broken index": ([written("model.safetensors.index.json"), removed("model.safetensors")], "index.json is broken"),
    "Trainer's files": ([saved("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth")], None),
    "configuration": ([written("config.json")], r"config\.json is broken"),
    "code of the model": ([settings("config.json", auto_map=OF_CODE), written("planted.py", CODE.encode())], None),
    "code of an unknown model": (
        [settings("config.json", auto_map=OF_CODE, model_type="planted"), written("planted.py", CODE.encode())],
        r"config\.json is not accepted: .*contains custom code",
    ),
    "code of the tokenizer": (
        [settings("tokenizer_config.json", auto_map=OF_CODE), written("planted.py", CODE.encode())],
        None,
    ),
    "code of a repository": (
        [settings("config.json", _attn_implementation="planted/attention")],
        "config.json has _attn_implementation 'planted/attention'; accepted is one that transformers has",
    ),
    "tokenizer": ([written("tokenizer.json")], "its tokenizer cannot be read"),
    "tokenizer's settings": ([written("tokenizer_config.json")], "its tokenizer cannot be read"),
    "special tokens": ([written("special_tokens_map.json")], "its tokenizer cannot be read"),
    "vocabulary": ([written("vocab.txt"), removed("tokenizer.json")], "its tokenizer cannot be read"),
}


@pytest.fixture
def model(encoder: Encoder, task, tmp_path: Path) -> Path:
    """A fine-tuned model."""
    model = task.build(encoder.config)
    encoders.load_weights(model, encoder)
    model.save_pretrained(tmp_path / "model")
    encoder.tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(("plants", "refused"), MODELS.values(), ids=MODELS.keys())
def test_code_in_a_model_s_folder_never_runs(model: Path, task, plants: list[Plant], refused: str | None):
    def load_encoder(*allow_pickled: str) -> object:
        return encoders.load(str(model), allow_pickled=allow_pickled)

    def load_checkpoint() -> object:
        folders.load_config(model)
        folders.load_tokenizer(model)
        return task.load(model, "cpu", folders.uses_safetensors(model, may_be_pickled=False))

    def load_candidate() -> object:
        folders.check_files(model)
        return task.load(model, "cpu", folders.uses_safetensors(model, may_be_pickled=True))

    for plant in plants:
        plant(model)
    for read in (load_encoder, load_checkpoint):
        if refused:
            with pytest.raises(ValueError, match=refused):
                read()
        else:
            read()
    for read in (lambda: load_encoder("*"), load_candidate):  # allowed, pickled weights run no code all the same
        try:
            read()
        except ValueError as error:
            assert "\n" not in str(error)


def pickled_objects() -> pa.Table:
    """A table that Ray would unpickle, where it is at work in the process."""
    from ray.data._internal.object_extensions.arrow import ArrowPythonObjectType

    values = pa.ExtensionArray.from_storage(ArrowPythonObjectType(), pa.array([PICKLE], pa.large_binary()))
    return pa.table({"tokens": values, "tags": [["X", "Y"]]})


@pytest.mark.parametrize("place", ["column", "struct", "list"])
def test_a_table_of_an_experiment_holds_no_objects(tmp_path: Path, place: str):
    values = pickled_objects()["tokens"].combine_chunks()
    if place == "struct":
        values = pa.StructArray.from_arrays([values], ["inner"])
    if place == "list":
        values = pa.ListArray.from_arrays([0, 1], values)
    pq.write_table(pa.table({"id": values}), tmp_path / "candidates.parquet")
    with pytest.raises(BrokenError, match="its column id holds objects of a library, which may run code"):
        Store(str(tmp_path)).read_table("candidates.parquet").to_pandas()


def test_a_table_s_metadata_for_pandas_is_no_code(tmp_path: Path):
    index = {"name": None, "field_name": CODE, "pandas_type": CODE, "numpy_type": "object", "metadata": PICKLE.hex()}
    about = {"index_columns": [CODE], "column_indexes": [index], "columns": [index], "pandas_version": CODE}
    table = pa.table({"id": ["a"]}).replace_schema_metadata({"pandas": json.dumps(about)})
    pq.write_table(table, tmp_path / "candidates.parquet")
    read = Store(str(tmp_path)).read_table("candidates.parquet")
    try:
        assert read.to_pandas()["id"].tolist() == ["a"]
    except (KeyError, TypeError, ValueError) as error:  # it is broken, and nothing else
        assert CODE not in repr(error.__cause__)


@pytest.mark.parametrize("name", ["candidates.parquet", "rankers/DONE.json", "experiment.yaml", "provenance.json"])
def test_a_pickle_in_an_experiment_is_a_broken_file(tmp_path: Path, name: str):
    store = Store(str(tmp_path))
    store.write_bytes("experiment.yaml", to_yaml(load("quickstart")).encode())
    store.write_bytes(name, PICKLE)
    reads = {
        "candidates.parquet": lambda: pool.read(store),
        "rankers/DONE.json": lambda: store.read_json("rankers/DONE.json"),
    }
    with pytest.raises(BrokenError, match=f"{name}: broken"):
        reads.get(name, lambda: identity.require_same(load("quickstart"), store))()
    assert store.done("rankers") is None


def test_a_pickled_training_state_is_refused(task, encoder: Encoder, sentences):
    windows = task.windows(sentences(8), encoder.tokenizer, 32)
    tuner = FineTuner(task, encoder, Candidate(1e-3, 1, 8, 0), load("quickstart").finetune, windows, 0, "cpu")
    buffer = io.BytesIO()
    torch.save(Planted(), buffer)
    for state in (PICKLE, buffer.getvalue()):
        with pytest.raises(ValueError, match="no training state"):
            tuner.load_state(state)


def test_another_pickle_in_place_of_lang2vec_s_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    np.save(tmp_path / "learned.npy", np.array(Planted(), dtype=object), allow_pickle=True)
    monkeypatch.setattr(languages, "data_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"learned\.npy: sha256 is \w+, accepted is c4291e75"):
        languages._learned.__wrapped__()


def tar_file(folder: Path) -> None:
    with tarfile.open(folder / "train.tar", "w") as archive:
        for name in ("a.pyd", "a.pickle", "a.pkl", "a.pth", "a.npy"):
            member = tarfile.TarInfo(name)
            member.size = len(PICKLE)
            archive.addfile(member, io.BytesIO(PICKLE))


def saved_to_disk(folder: Path) -> None:
    import datasets

    datasets.Dataset.from_dict({"tokens": [["a", "b"]], "tags": [["X", "Y"]]}).save_to_disk(str(folder))
    (file,) = folder.glob("*.arrow")
    with pa.OSFile(str(file), "wb") as stream, pa.ipc.new_stream(stream, pickled_objects().schema) as writer:
        writer.write_table(pickled_objects())


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(lambda folder: pq.write_table(pickled_objects(), folder / "train.parquet"), id="parquet"),
        pytest.param(saved_to_disk, id="save_to_disk"),
        pytest.param(written("train.pkl"), id="pickle"),
        pytest.param(written("train.npy"), id="numpy"),
        pytest.param(tar_file, id="webdataset"),
        pytest.param(written("data.py", CODE.encode()), id="script"),
        pytest.param(
            written("README.md", b"---\nconfigs: !!python/object/apply:exec ['" + CODE.encode() + b"']\n---\n")
        ),
    ],
)
def test_code_in_a_data_set_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Plant):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    plant(folder)
    place = Place(Data(format="hub", hub={"*": {"path": str(folder)}}), "en", "train", root=None)
    with pytest.raises(DataError, match="data train: cannot be read: "):
        find("hub", TaggedSentence)(place)


@pytest.mark.parametrize("value", TAGGED)
def test_yaml_makes_no_objects(tmp_path: Path, value: str):
    (tmp_path / "job.yaml").write_text(f"name: {value}\n")
    for read in (
        lambda: plain_yaml.load(value),
        lambda: load(str(tmp_path / "job.yaml")),
        lambda: load("quickstart", [f"name={value}"]),
    ):
        with pytest.raises(ValueError, match="found the tag"):
            read()


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "/x", "a\0", "a\n", "", "~"])
def test_an_experiment_s_name_is_the_name_of_a_folder(name: str):
    with pytest.raises(ConfigError, match=r"^name: found "):
        load("quickstart", [f"name={json.dumps(name)}"])


@pytest.mark.parametrize("key", ["targets", "pivots", "source"])
@pytest.mark.parametrize("code", ["../../x", "/x", "{lang}", "de/../nl"])
def test_a_language_is_one_that_is_known(key: str, code: str):
    value = json.dumps(code if key == "source" else [code])
    with pytest.raises(ConfigError, match=rf"{key}: found .*is not a language"):
        load("quickstart", [f"{key}={value}"])


@pytest.mark.parametrize("name", ["../../x", "a/../../x", "/etc/x"])
def test_a_name_in_a_file_does_not_lead_out_of_the_experiment(tmp_path: Path, name: str):
    store, outside = Store(str(tmp_path / "runs" / "one")), tmp_path / "x"
    outside.mkdir()
    (outside / "DONE.json").write_text("{}")
    pool.write(store, [{"id": f"../{name}"}], {})
    (candidate,) = pool.candidates(store)
    for use in (
        lambda: store.commit(f"encodings/{candidate}", {}, {}),
        lambda: store.read_bytes(name),
        lambda: store.write_bytes(name, b""),
        lambda: store.delete(name),
        lambda: store.download("", [name], tmp_path / "copy"),
    ):
        with pytest.raises(BrokenError, match="leads out of its folder"):
            use()
    assert store.done(pool.unit(candidate)) is None
    store.commit("candidates/c", {}, {})
    record = {"files": {name: {"size": 2, "sha256": "0" * 64}}}
    store.write_json("candidates/c/DONE.json", record)
    with pytest.raises(BrokenError, match="no file instead of 2 bytes"), store.as_local("candidates/c"):
        pass
    assert (outside / "DONE.json").read_text() == "{}"


def test_an_object_s_name_does_not_lead_out_of_the_copy(s3: Roots, tmp_path: Path):
    store = Store(s3("runs"))
    store.file_system[0].create_dir(store.file_system[1])
    with store.file_system[0].open_output_stream(f"{store.file_system[1]}/c/../../x") as stream:
        stream.write(b"planted")
    for name in store.sizes("", recursive=True):
        with pytest.raises(BrokenError, match="leads out of its folder"):
            store.download("", [name], tmp_path / "copy")
    assert not list(tmp_path.rglob("x"))


MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&<!--"


class Tags(HTMLParser):
    """The tags of a page, and the names of their attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"{tag} {name}" for name, _ in attrs)}


def test_no_name_is_markup_in_the_report():
    settings = {"encoder": MARKUP.replace("/", ""), "sweep": {"checkpoints": MARKUP}}
    trusted, planted = (
        report_of(experiment(("sv", "hu"), **values), change)
        for values, change in (
            ({"sweep": {"checkpoints": "runs"}}, str),
            (settings, lambda name: MARKUP if name in ("c", "100-Target", "de", "sv") else name),
        )
    )
    assert Tags(planted[0]).found == Tags(trusted[0]).found
    assert not re.search(r"(?<!\\)<(script|img|!--)", planted[1]), "GitHub shows it as text"


def report_of(shown: Experiment, change: Callable[[str], str]) -> tuple[str, str]:
    """HTML and Markdown of picks, with other names in them."""
    picks = [
        type(pick)(**{**vars(pick), "candidate": pick.candidate and change("c"), "pivot": pick.pivot and change("de")})
        for pick in HAND_MADE
    ]
    pool_scores = pd.DataFrame({change("sv"): [0.5, 0.9], change("hu"): [0.5, 0.9]}, index=[change("c"), "d"])
    renamed = [type(pick)(**{**vars(pick), "target": change(pick.target)}) for pick in picks]
    caption = [*captions(picks, shown, 8, 0, pool=2), change("c")]
    baseline = {change(target): 0.1 for target in ("sv", "hu")}
    scores, details = score_table(renamed, {change("c"): baseline}), detail_table(renamed)
    validation = pd.DataFrame(
        [{"pivots": "de,zh", "batch_size": 16, "learning_rate": 1e-4, "kendall_tau": 0.1, "seed": 0, "chosen": True}]
    )
    figure = pool_figure(pool_scores, renamed, change("c"))
    page = to_html(
        shown, caption, scores, details, ranker_table(validation, shown), figure, {"train": 4, "dev": 2, "test": 2}, 1
    )
    return page, to_markdown(shown, caption, scores, details)


SECRETS = ("AKIAPLANTED", "pl%2Fanted+KEY", "pl/anted+KEY")
GIVEN = f"{SECRETS[0]}:{SECRETS[1]}@"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://key:secret@bucket/runs?region=eu", "s3://bucket/runs?region=eu"),
        ("s3://key:se/c@ret@bucket/runs", "s3://bucket/runs"),
        ("s3:/key:secret@bucket/runs", "s3:/bucket/runs"),
        (
            "abfss://:pass@account/x?client_id=1&client_secret=secret&b=c",
            "abfss://account/x?client_id=1&client_secret=&b=c",
        ),
        ("s3://bucket/users/me@home?region=eu", "s3://bucket/users/me@home?region=eu"),
        ("s3://key:secret@bucket/me@home", "s3://bucket/me@home"),
        ("hdfs://host:9000/me@home", "hdfs://host:9000/me@home"),
        ("gs://anonymous@bucket/runs", "gs://anonymous@bucket/runs"),
        ("'s3://a:b@c', 's3://d:e@f'", "'s3://c', 's3://f'"),
        ("runs/me@home", "runs/me@home"),
    ],
)
def test_a_uri_is_shown_without_its_keys(uri: str, shown: str):
    assert without_credentials(uri) == shown
    assert without_credentials(shown) == shown


@pytest.mark.parametrize(
    ("kept", "given", "used"),
    [
        ("s3://bucket/a/b?region=eu", "s3://key:new@bucket/a/*?region=eu", "s3://key:new@bucket/a/b?region=eu"),
        ("s3://bucket/a/b?region=eu", "s3://bucket/a/*?region=us", "s3://bucket/a/b?region=us"),
        ("/models/b", "s3://key:new@bucket/a/*", "/models/b"),
    ],
)
def test_what_is_kept_is_read_with_the_keys_of_today(kept: str, given: str, used: str):
    assert with_credentials_of(kept, given) == used


def assert_no_secret(text: str | bytes) -> None:
    for secret in SECRETS:
        assert secret not in (text if isinstance(text, str) else text.decode("latin-1"))


def test_a_configuration_is_shown_and_compared_without_keys(tmp_path: Path):
    def configured(keys: str) -> Experiment:
        return load(
            "paper",
            [
                *("data.root=/data", "data.files=x/{lang}-{split}", f"storage=s3://{keys}bucket/runs"),
                *(f"sweep.checkpoints=s3://{keys}bucket/ner/*", f"allow_pickled=[s3://{keys}bucket/ner/*]"),
            ],
        )

    given, other = configured(GIVEN), configured("")
    for text in (to_yaml(given), repr(given), str(given), str(lineage.settings(given, lineage.SELECTION))):
        assert_no_secret(text)
    assert lineage.settings(given, lineage.SELECTION) == lineage.settings(other, lineage.SELECTION)
    (tmp_path / "again.yaml").write_text(to_yaml(given))
    assert load(str(tmp_path / "again.yaml")) == other
    for one in (given, other):
        assert folders.is_named(f"s3://{GIVEN}bucket/ner/one", one.allow_pickled)


@pytest.mark.parametrize(
    "overrides",
    [
        ["storage=s3:/{}bucket/runs"],
        ["storage=s3://{}bucket/runs?no_such_option=1"],
        ["storage=s3://AKIAPLANTED:pl/anted+KEY@bucket/runs"],
        ["storage=[s3://{}bucket]"],
        ["encoder=s3://{}bucket/bert", "encodr=s3://{}bucket"],
        ["data.root=s3://{}bucket/data"],
        ["sweep.checkpoints=s3://{}bucket/" + 50 * "very/long/"],
    ],
)
@pytest.mark.parametrize("verb", ["plan", "config", "report"])
def test_no_message_shows_keys(
    verb: str, overrides: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lms-ray", verb, "quickstart", *(text.format(GIVEN) for text in overrides)])
    with suppress(SystemExit):
        cli.main()
    printed = capfd.readouterr()
    assert printed.out + printed.err
    assert_no_secret(printed.out + printed.err)


def everything(store: Store) -> str:
    """All that is in a folder, tables as text and with what is said of them."""
    texts = []
    for name in store.sizes("", recursive=True):
        texts.append(name)
        if name.endswith(".parquet"):
            table = store.read_table(name)
            texts += [str(table.to_pylist()), str(table.schema.metadata)]
        else:
            texts.append(store.read_bytes(name).decode("latin-1"))
    return "\n".join(texts)


def test_a_job_keeps_and_prints_no_keys(
    s3: Roots, model: Path, task, sentences, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    storage, checkpoints = s3("runs", credentials=GIVEN), s3("models", credentials=GIVEN)
    Store(checkpoints).upload(model, "one")
    data = ["data.root=/data", "data.files=x/{lang}-{split}"]
    settings = ["paper", "name=one", *data, f"sweep.checkpoints={checkpoints}"]

    def run(verb: str, storage: str) -> str:
        monkeypatch.setattr(sys, "argv", ["lms-ray", verb, *settings, f"storage={storage}"])
        with pytest.raises(SystemExit):
            cli.main()
        printed = capfd.readouterr()
        assert_no_secret(printed.out + printed.err)
        return printed.out + printed.err

    printed = run("selection", storage)
    assert printed.count("a URI names keys") == 1
    rotated = run("selection", storage.replace(GIVEN, "other:key@"))
    assert "not there yet; run `python -m lms_ray.sweep` first" in rotated, "it is the same experiment"

    experiment = load(settings[0], [*settings[1:], f"storage={storage}"])
    store = Store(experiment.folder)
    with lock.hold(store):
        assert_no_secret(everything(store))
    pool.write(store, [], {"settings": lineage.settings(experiment, lineage.CANDIDATES)})
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS[1])
    store.write_json(identity.PROVENANCE, provenance.collect({"CPU": 2.0}))

    (folder,) = brought.find(checkpoints)
    with Store(folder).as_local("") as local:
        config, tokenizer = folders.load_config(local), folders.load_tokenizer(local)
    standard = Standard(
        experiment, task, (folder,), config, tokenizer.backend_tokenizer.to_str(),
        task.windows(sentences(8), tokenizer, 32), (), "",
    )  # fmt: skip
    record = brought.examine(folder, standard, "cpu")
    store.commit(pool.unit(record["id"]), record, {})
    with brought.folder_of(record["id"], store, experiment) as local:
        assert (local / "model.safetensors").is_file(), "read with the keys that are given"
    assert {"experiment.yaml", "provenance.json", f"candidates/{record['id']}/DONE.json"} <= set(store.sizes("", True))
    assert_no_secret(everything(store))


def test_the_reason_of_a_failure_shows_no_keys(s3: Roots, task, encoder: Encoder, sentences):
    from lms_ray.sweep import Trial

    storage, windows = s3("runs", credentials=GIVEN), task.windows(sentences(4), encoder.tokenizer, 32)
    trial = Trial.__new__(Trial)  # in no actor
    trial.recipe = Recipe(load("quickstart"), Store(storage), "hash", encoder, task, windows, windows, dev_digest="dev")
    trial.candidate, trial.device = Candidate(1e-3, 1, 8, 0), storage
    trial.machine = Machine(host="node", market=None, accelerator=None, cpus=1, gpus=0)
    with pytest.raises(RuntimeError, match="device"):
        trial.step()
    found = everything(Store(storage))
    assert "ERROR.txt" in found and "RuntimeError" in found
    assert_no_secret(found)
