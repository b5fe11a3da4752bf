"""A split is the one file that its pattern names, and whatever is there instead is refused in one line."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lms_ray.data import DataError, files
from lms_ray.data.examples import EntitySentence, Question, Relation, TaggedSentence
from lms_ray.data.files import File
from lms_ray.data.readers import Place, find
from lms_ray.settings.data import Data
from lms_ray.store.folder import Folder

FORMATS = [("conllu", TaggedSentence), ("iob", EntitySentence), ("squad", Question), ("jsonl", Relation)]


def path(root: File, files: object, language: str = "de", split: str = "dev") -> File:
    return Place(Data(root=str(root), files=files), language, split, root).path


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(DataError) as refused:
        act()
    return str(refused.value)


@pytest.fixture(params=["local", "s3", "gcs"])
def touched(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., File]:
    """Make empty files in a folder."""
    place = str(tmp_path) if request.param == "local" else request.getfixturevalue(request.param)("data")

    def touch(*names: str) -> File:
        for name in names:
            Folder(place).write_bytes(name, b"")
        return files.folder(place, "data.root")

    return touch


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
def test_a_pattern_finds_the_one_file_of_a_language_and_split(touched, files: object, name: str):
    root = touched(name, "README.md", "de-train.conllu", "UD_Dutch-Alpino/nl_alpino-ud-dev.conllu")
    assert path(root, files) == root / name


def test_no_file_or_several_are_refused_with_what_was_found(touched):
    root = touched("UD_A/de_a-ud-dev.conllu", "UD_B/de_b-ud-dev.conllu", *(f"many/{number}" for number in range(9)))
    files = "UD_*/{lang}_*-ud-{split}.conllu[:9]"
    assert refusal(lambda: path(root, files)) == (
        f"{root}/UD_*/de_*-ud-dev.conllu: found UD_A/de_a-ud-dev.conllu, UD_B/de_b-ud-dev.conllu; "
        "accepted is exactly one for de-dev"
    )
    assert refusal(lambda: path(root, files, "fr", "test")) == (
        f"{root}/UD_*/fr_*-ud-test.conllu: found none; accepted is exactly one for fr-test"
    )
    assert refusal(lambda: path(root / "nowhere", "{lang}")) == (
        f"data.root: found no folder {root}/nowhere; accepted is the one that holds the files"
    )
    assert "found many/0, many/1, many/2, many/3, many/4 and 4 more; " in refusal(lambda: path(root, "many/*"))


@pytest.mark.parametrize(
    "files",
    ["x" * 5000, "a**/b", "[1:2]", "../*/../nothing", "loop/*/x", "loop"],
    ids=["too long", "stars", "only a range", "above", "below a loop", "a loop"],
)
@pytest.mark.parametrize(("format_name", "gives"), [FORMATS[0], ("ace", Relation)], ids=["file", "folder"])
def test_a_pattern_that_no_file_can_have_is_refused(tmp_path: Path, format_name: str, gives: type, files: str):
    (tmp_path / "loop").symlink_to("loop")
    place = Place(Data(format=format_name, root=str(tmp_path), files=files), "de", "dev", tmp_path)
    message = refusal(lambda: find(format_name, gives)(place))
    assert "\n" not in message and len(message) < len(str(tmp_path)) + 500, message


@pytest.mark.parametrize(("format_name", "gives"), FORMATS, ids=[name for name, _ in FORMATS])
@pytest.mark.parametrize(
    ("kind", "complaint"),
    [("folder", "found a folder; accepted is a file"), ("pipe", "found no regular file"), ("loop", "found no")],
)
def test_what_is_no_file_is_refused(tmp_path: Path, format_name: str, gives: type, kind: str, complaint: str):
    path = tmp_path / "de"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":  # opening it would wait for ever
        os.mkfifo(path)
    else:
        path.symlink_to("other")
        (tmp_path / "other").symlink_to("de")
    message = refusal(
        lambda: find(format_name, gives)(
            Place(Data(format=format_name, root=str(tmp_path), files="{lang}"), "de", "dev", tmp_path)
        )
    )
    assert message.startswith(f"{path}: ") and (complaint in message or kind == "loop"), message


@pytest.mark.parametrize(("format_name", "gives"), FORMATS, ids=[name for name, _ in FORMATS])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch, format_name: str, gives: type):
    """Whoever runs the tests may read everything: that the system refuses is played."""
    (tmp_path / "de").write_text("x")

    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    data = Data(format=format_name, root=str(tmp_path), files="{lang}")
    message = refusal(lambda: find(format_name, gives)(Place(data, "de", "dev", tmp_path)))
    assert message == f"{tmp_path}/de: cannot be read: Permission denied"
