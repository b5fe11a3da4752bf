"""Keys that the user gives are kept and shown nowhere, and a cluster is asked for its token."""

import re
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from lms_ray import cli
from lms_ray.cluster import connecting
from lms_ray.models import brought, folders
from lms_ray.models.brought import Standard
from lms_ray.models.candidates import Recipe
from lms_ray.models.encoder import Encoder
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load, to_yaml
from lms_ray.settings.uris import with_credentials_of, without_credentials
from lms_ray.store import identity, lineage, lock, pool, provenance
from lms_ray.store.attempts import Machine
from lms_ray.store.files import Store
from object_storage import Roots

ROOT = Path(__file__).parents[1]
SECRETS = ("AKIAPLANTED", "pl%2Fanted+KEY", "pl/anted+KEY")
GIVEN = f"{SECRETS[0]}:{SECRETS[1]}@"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://key:secret@bucket/runs?region=eu", "s3://bucket/runs?region=eu"),
        ("s3://key:se/c@ret@bucket/runs", "s3://bucket/runs"),
        ("s3:/key:secret@bucket/runs", "s3:/bucket/runs"),
        ("s3://b/x?access_key=A&secret_key=B&region=eu", "s3://b/x?access_key=&secret_key=&region=eu"),
        ("abfs://c@a/x?sas_token=sv=2&sig=abc", "abfs://a/x?sas_token=&sig="),
        (
            "abfss://:pass@account/x?client_id=1&client_secret=secret&b=c",
            "abfss://account/x?client_id=1&client_secret=&b=c",
        ),
        ("s3://bucket/users/me@home?region=eu", "s3://bucket/users/me@home?region=eu"),
        ("s3://key:secret@bucket/me@home", "s3://bucket/me@home"),
        ("s3://key:sec ret@bucket/runs", "s3://bucket/runs"),
        ("s3://key:a/b@c s3://d:e@f", "s3://c s3://f"),
        ("s3://bucket: full; ask me@home", "s3://bucket: full; ask me@home"),
        ("http://127.0.0.1:8265, me@home", "http://127.0.0.1:8265, me@home"),
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
        ["sweep.checkpoints=s3://{}bucket/" + 50 * "very/long/" + "?{options}"],
    ],
)
@pytest.mark.parametrize("verb", ["plan", "config", "report"])
def test_no_message_shows_keys(
    verb: str,
    overrides: list[str],
    s3: Roots,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
    tmp_path: Path,
):
    monkeypatch.chdir(tmp_path)
    words = [text.format(GIVEN, options=s3().partition("?")[2]) for text in overrides]
    monkeypatch.setattr(sys, "argv", ["lms-ray", verb, "quickstart", *words])
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
    s3: Roots, saved_model: Path, task, sentences, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
):
    storage, checkpoints = s3("runs", credentials=GIVEN), s3("models", credentials=GIVEN)
    Store(checkpoints).upload(saved_model, "one")
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
    trial.device, trial.machine = storage, Machine(host="node", market=None, accelerator=None, cpus=1, gpus=0)
    trial.reset_config({"candidate": asdict(Candidate(1e-3, 1, 8, 0))})
    with pytest.raises(RuntimeError, match="device"):
        trial.step()
    found = everything(Store(storage))
    assert "ERROR.txt" in found and "RuntimeError" in found
    assert_no_secret(found)


def test_no_code_turns_tokens_off_or_opens_a_dashboard():
    sources = {path: path.read_text() for path in (ROOT / "lms_ray").rglob("*.py")}
    opened = [path for path, text in sources.items() if re.search("RAY_AUTH_MODE|dashboard_host|0\\.0\\.0\\.0", text)]
    assert not opened
    inits = [text for text in sources.values() if "ray.init(" in text]
    assert len(inits) == 1 and "include_dashboard=False" in inits[0]
    assert not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} & connecting.ENVIRONMENT.keys()
