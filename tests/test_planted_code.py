"""Code that was planted in what others wrote never runs: models, data sets, tables, configurations."""

import io
import json
import os
import pickle
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lms_ray.data import DataError
from lms_ray.data.examples import TaggedSentence
from lms_ray.data.readers import Place, find
from lms_ray.models import encoder as encoders
from lms_ray.models import folders
from lms_ray.models.encoder import Encoder
from lms_ray.models.finetune import FineTuner
from lms_ray.settings import languages, plain_yaml
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.data import Data
from lms_ray.settings.errors import BrokenError
from lms_ray.settings.loading import load, to_yaml
from lms_ray.store import identity, pool
from lms_ray.store.files import Store

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


@pytest.mark.parametrize(("plants", "refused"), MODELS.values(), ids=MODELS.keys())
def test_code_in_a_model_s_folder_never_runs(saved_model: Path, task, plants: list[Plant], refused: str | None):
    def load_encoder(*allow_pickled: str) -> object:
        return encoders.load(str(saved_model), allow_pickled=allow_pickled)

    def load_checkpoint() -> object:
        folders.load_config(saved_model)
        folders.load_tokenizer(saved_model)
        return task.load(saved_model, "cpu", folders.uses_safetensors(saved_model, may_be_pickled=False))

    def load_candidate() -> object:
        folders.check_files(saved_model)
        return task.load(saved_model, "cpu", folders.uses_safetensors(saved_model, may_be_pickled=True))

    for plant in plants:
        plant(saved_model)
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
