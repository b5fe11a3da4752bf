"""One folder holds one experiment of one version."""

from pathlib import Path

import pytest

from lms_ray.settings.errors import BrokenError, ConfigError
from lms_ray.settings.loading import load, to_yaml
from lms_ray.store import identity
from lms_ray.store.files import Store
from object_storage import Roots

POS = ["data.root=/data", "data.files=x/{lang}-{split}"]


@pytest.fixture
def store(tmp_path) -> Store:
    """The folder of an experiment that is under way."""
    store = Store(str(tmp_path / "one"))
    store.write_bytes("experiment.yaml", to_yaml(load("paper", POS)).encode())
    store.write_json("provenance.json", {"lms_ray": "0.2.0"})
    return store


@pytest.mark.parametrize(
    "change", ["sweep.seeds=30", "targets=[bg]", "data.root=/moved", "meta_split.draw=1", "ranker.hidden=8"]
)
def test_the_same_experiment_goes_on(store: Store, change: str):
    identity.require_same(load("paper", [*POS, change]), store)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("task=ner", "task is 'pos' there and 'ner' here"),
        ("source=fr", "source is 'en' there and 'fr' here"),
        ("encoder=xlm-roberta-base", "encoder is 'bert-base-multilingual-cased' there and 'xlm-roberta-base' here"),
        ("seed=1", "seed is 0 there and 1 here"),
    ],
)
def test_another_experiment_of_the_same_name_is_refused(store: Store, change: str, difference: str):
    with pytest.raises(ConfigError, match=f"^name: .*one holds another experiment, {difference}; accepted is another"):
        identity.require_same(load("paper", [*POS, change]), store)


def test_a_new_folder_is_anybody_s(tmp_path):
    identity.require_same(load("paper", POS), Store(str(tmp_path / "new")))


def test_a_folder_of_an_older_version_is_refused_in_one_line(store: Store):
    store.write_json("provenance.json", {"lms_ray": "0.1.0"})
    with pytest.raises(ConfigError, match=r"made by lms_ray 0\.1\.0.*accepted is another name than one") as refused:
        identity.require_same(load("paper", POS), store)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"a: [", b"- 1", b"\xff\xfe", b"", b"[" * 10**5, b"a: *b"])
def test_a_broken_configuration_is_named(store: Store, content: bytes):
    store.write_bytes("experiment.yaml", content)
    with pytest.raises(BrokenError, match=r"one/experiment\.yaml: broken"):
        identity.require_same(load("paper", POS), store)


def test_a_provenance_that_names_no_version_is_no_obstacle(store: Store):
    store.write_json("provenance.json", [1])
    identity.require_same(load("paper", POS), store)


def test_an_experiment_that_was_moved_is_where_its_folder_is_and_takes_overrides(store: Store):
    found = identity.in_place(store, ["data.root=/moved", "encode.predictions=5"])
    assert (found.storage, found.data.root, found.encode.predictions) == (str(Path(store.root).parent), "/moved", 5)
    assert found.targets == load("paper", POS).targets
    with pytest.raises(ConfigError, match=r"^encode\.prediction: no such key; did you mean predictions\?"):
        identity.in_place(store, ["encode.prediction=5"])


def test_one_in_an_object_store_keeps_the_options_of_today(s3: Roots):
    store = Store(s3("pos"))
    store.write_bytes("experiment.yaml", to_yaml(load("paper", [*POS, "name=pos"])).encode())
    assert identity.in_place(store).folder == store.root
