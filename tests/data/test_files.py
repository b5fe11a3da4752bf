"""Data in an object store is read as the same files on a disk are, and named by its URI; each file is fetched once."""

import gc
import json
import logging
import pickle
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import tiny
from lms_ray import tasks
from lms_ray.data import DataError, corpora, files
from lms_ray.data.corpora import Corpora, Corpus
from lms_ray.settings.errors import AbsentError, ConfigError, StorageError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.store.folder import Folder
from object_storage import Roots

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the copies are kept."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is fetched from now on."""
    names: list[str] = []
    download = Folder.download

    def noted(self: Folder, path: str, wanted: list[str], folder: Path) -> object:
        names.extend(self.where(f"{path}/{name}".removeprefix("/")) for name in wanted)
        return download(self, path, wanted, folder)

    monkeypatch.setattr(Folder, "download", noted)
    return names


@pytest.fixture
def stored(s3: Roots) -> Callable[[dict[str, str]], str]:
    """Write files into a folder of an object store."""

    def store(contents: dict[str, str]) -> str:
        uri = s3("data")
        for name, content in contents.items():
            Folder(uri).write_bytes(name, content.encode())
        return uri

    return store


def read(experiment: Experiment) -> Corpora:
    return corpora.read(experiment, tasks.get(experiment.task).example)


def where(uri: str) -> str:
    return Folder(uri).where()


@pytest.mark.slow
@pytest.mark.parametrize("job", ["pos-ud", "ner-small", "qa-small", "re-small", "topics-small", "re-ace"])
def test_every_format_is_read_the_same(job: str, tmp_path: Path, s3: Roots, temporary: Path, fetched: list[str]):
    """Wildcards, ranges of one file, folders of documents: with the digests and groups of the same files on a disk."""
    path = str(JOBS / f"{job}.yaml")
    whole = load(path, ["data.root=x"])
    few = ["ranker.language_vector=none", f"pivots=[{whole.pivots[0]}]", f"targets=[{whole.targets[-1]}]"]
    local = tmp_path / "data"
    tiny.write(load(path, [*few, "data.root=x"]), local)
    for document in local.rglob("doc2?.*"):  # twenty of ACE's are enough, and each is two objects
        document.unlink()
    uri = s3("data")
    Folder(uri).upload(local, "here")
    root = uri.replace("/data?", "/data/here?")
    from_disk, found = (read(load(path, [*few, f"data.root={place}"])) for place in (local, root))
    assert found.names == from_disk.names
    assert [one.digest for one in found.encoded] == [one.digest for one in from_disk.encoded]
    for one, other in zip((*found.training, *found.labelled), (*from_disk.training, *from_disk.labelled), strict=True):
        assert isinstance(one, Corpus)
        assert one.groups == other.groups
        assert [e.where for e in one.examples] == [e.where.replace(str(local), where(root)) for e in other.examples]
    assert len(fetched) == len(set(fetched)) > 1
    gc.collect()
    assert not list(temporary.iterdir())


def test_text_is_read_from_its_copy_which_lives_as_long_as_it(stored, temporary: Path, fetched: list[str]):
    experiment, contents = small(stored)
    found = read(experiment)
    assert {text.language: list(text.sentences()) for text in found.texts} == {"de": ["ein Hund"], "fr": ["un chien"]}
    assert [len(text) for text in found.texts] == [1, 1]
    folder = where(experiment.data.root or "")
    assert sorted(fetched) == sorted(f"{folder}/{name}" for name in {*contents} - {"en-test", "de-test", "nobody.txt"})
    assert str(found.texts[0].source) == f"{folder}/text/de all.txt"
    del found
    gc.collect()
    assert not list(temporary.iterdir())


def small(stored: Callable[[dict[str, str]], str], **overrides: object) -> tuple[Experiment, dict[str, str]]:
    """An experiment whose labelled sets and text are all in an object store, and what is there."""
    names = ["en-train", *(f"{code}-{split}" for code in ("en", "de", "fr") for split in ("dev", "test"))]
    contents = {name: f"1\t{name}\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n" for name in names}
    contents |= {"text/de all.txt": "ein Hund\n", "text/fr all.txt": "un chien\n", "nobody.txt": "x"}
    uri = stored(contents)
    settings = {
        "data": {
            "root": uri,
            "files": "{lang}-{split}",
            "text": uri.replace("/data?", "/data/text/{lang}%20all.txt?"),
            **overrides,
        }
    }
    given = ["name=x", "encoder=e", "pivots=[de]", "targets=[fr]", "ranker.language_vector=none"]
    return load("paper", [*given, *(f"{key}={json.dumps(value)}" for key, value in settings.items())]), contents


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        (
            "/data?",
            "/elsewhere?",
            DataError,
            "data.root: found no folder s3://bucket/{n}/elsewhere; accepted",
        ),
        ("bucket/", "nobucket/", DataError, "data.root: found no folder s3://nobucket/{n}/data; accepted is the one"),
        ("region=", "regoin=", ConfigError, "data.root: found 's3://bucket/{n}/data?regoin=us-east-1"),
        ("key:secret", "key:sec/ret", ConfigError, "data.root: found 's3://bucket/{n}/data?region=us-east-1"),
    ],
)
def test_a_folder_that_is_not_there_is_named_without_its_keys(
    stored, old: str, new: str, error: type[Exception], message: str
):
    uri = stored({"x": ""})
    experiment, _ = small(lambda _: uri.replace(old, new), text=None)
    with pytest.raises(error) as refused:
        read(experiment)
    assert str(refused.value).startswith(message.format(n=where(uri).split("/")[3]))
    assert "sec" not in str(refused.value) and "\n" not in str(refused.value)


def test_a_text_that_is_not_there_is_named(stored):
    experiment, _ = small(stored)
    folder = experiment.data.root or ""
    Folder(folder).delete("text/fr all.txt")
    with pytest.raises(DataError) as refused:
        read(experiment)
    assert str(refused.value) == (
        f"data.text: found no file {where(folder)}/text/fr all.txt; accepted is one for every pivot and target"
    )


def test_a_broken_line_is_named_by_its_uri(stored):
    experiment, _ = small(stored)
    Folder(experiment.data.root or "").write_bytes("de-dev", b"1\ta\n")
    with pytest.raises(DataError, match=rf"^{where(experiment.data.root or '')}/de-dev:1: "):
        read(experiment)


def test_a_store_that_forbids_to_look_is_named_with_the_key(stored):
    class Forbidding(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Forbidding)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    uri = f"s3://key:secret@bucket/data?scheme=http&region=eu&endpoint_override=127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(StorageError, match=r"^data\.root: s3://bucket/data/\S+: .*ACCESS_DENIED") as refused:
            read(small(lambda _: uri, text=None)[0])
    finally:
        server.shutdown()
        server.server_close()
    assert "\n" not in str(refused.value)


def test_what_takes_long_is_said_while_it_lasts(stored, monkeypatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(files, "BETWEEN_NOTES", 0.0)
    experiment, _ = small(stored)
    with caplog.at_level(logging.INFO, "lms_ray"):
        read(experiment)
    place = where(experiment.data.root or "")
    for what, total in ((f"data.root {place}", 5), (f"data.text {place}/text", 2)):
        assert re.search(rf"fetching {what}: 0 MB so far, \d of {total} files whole", caplog.text)


def test_a_full_disk_is_told_from_a_full_store(stored, monkeypatch: pytest.MonkeyPatch, temporary: Path):
    def full(self: Folder, *_: object) -> None:
        raise StorageError(f"{self.where()}: no space left on device") from OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "download", full)
    with pytest.raises(StorageError, match=rf"no space left on device in {temporary}/.*, where its copy is"):
        read(small(stored)[0])


def test_an_object_may_be_named_as_the_folder_of_another(stored):
    root = files.folder(stored({"de": "a", "de/dev": "b"}), "data.root")
    assert [(root / name).open("rb").read() for name in ("de", "de/dev")] == [b"a", b"b"]
    with pytest.raises(AbsentError, match=r"^data\.root: s3://.*/data/fr: no such file"):
        (root / "fr").open("rb")


def test_another_process_reads_the_same_folder(stored):
    sent = pickle.loads(pickle.dumps(files.folder(stored({"de": "a"}), "data.root")))
    assert (sent / "de").open("rb").read() == b"a"
    with pytest.raises(AbsentError, match=r"^data\.root: "):
        (sent / "fr").open("rb")


def test_a_uri_of_a_local_folder_is_that_folder(tmp_path: Path):
    assert files.folder(f"file://{tmp_path}/", "data.root") == tmp_path
    assert files.file(f"file://{tmp_path}/a%20b.txt", "data.text") == tmp_path / "a b.txt"
