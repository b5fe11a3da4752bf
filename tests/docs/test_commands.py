"""Every command and every block of the book is run, in the order of its page, or stands in the tables of `reader`."""

import json
import re
from pathlib import Path

import pytest
import yaml

import book
import reader
from book import ROOT, Block, Command
from installing import build
from lms_ray import cli
from lms_ray.data.readers import relations, texts
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from reader import Reader, how

COMMANDS = [command for page in book.PAGES for command in book.commands(page)]
BLOCKS = [block for page in book.PAGES for block in book.blocks(page)]
TO_READ = [page for page in book.PAGES if any(how(command.text) == "here" for command in book.commands(page))]
NODE = {"initialization_commands"}  # keys of a launcher file, which tests/clusters reads whole


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel."""
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def somebody(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Reader:
    """Who reads all pages."""
    return Reader(tmp_path_factory.mktemp("reader"), request)


@pytest.mark.ray
@pytest.mark.parametrize("page", TO_READ)
def test_what_a_page_says_works(page: str, somebody: Reader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(somebody.folder)
    somebody.read(page)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_somebody_runs_it(command: Command):
    if how(command.text) != "elsewhere":
        return
    path, line = next(found for begin, found in reader.ELSEWHERE.items() if command.text.startswith(begin))
    target = book.words(command.text)[1]
    assert re.search(line.format(target=target), (ROOT / path).read_text(), flags=re.M)


def test_a_command_that_nobody_runs_is_found():
    for text in ("terraform apply", "lms_ray sweep", "for x in 1 2; do\n    curl x\ndone"):
        with pytest.raises(KeyError, match="nobody runs"):
            how(text)


def test_no_entry_of_the_tables_is_left_over(tmp_path: Path, request: pytest.FixtureRequest):
    for begin in (*reader.NOT_HERE, *reader.ELSEWHERE):
        assert any(re.search(rf"(^|\$\(|^ +){re.escape(begin)} ", command.text, flags=re.M) for command in COMMANDS), (
            begin
        )
    somebody = Reader(tmp_path, request)
    unused = {stand_in for page in book.PAGES for stand_in in somebody.stand_ins(page)}
    for page in book.PAGES:
        for command in book.commands(page):
            unused -= {stand_in for stand_in in somebody.stand_ins(page) if stand_in in command.joined}
    assert not unused


@pytest.mark.parametrize("page", book.PAGES)
def test_a_block_says_what_it_is_and_no_command_hides(page: str):
    text = (ROOT / page).read_text()
    assert {block.language for block in book.blocks(page)} <= {"sh", "text", "yaml", "python", "json"}
    if page.endswith(".md"):
        assert not re.findall(r"(?:^|\n)\n {4}\S.*", book.FENCE.sub("", text)), "an indented block says nothing"
    others = "".join(block.body for block in book.blocks(page) if block.language in ("text", "json"))
    assert not re.findall(r"^\$? ?(?:lms-ray|python -m|pip|make) .*", others, flags=re.M)


INLINE = [
    (page, code) for page in book.PAGES for code in re.findall(r"`(lms-ray [a-z][^`]*)`", (ROOT / page).read_text())
]


@pytest.mark.parametrize("code", sorted({re.sub(r"\s+", " ", code) for _, code in INLINE}))
def test_a_command_within_a_sentence_has_a_verb_that_there_is(code: str):
    with pytest.raises(SystemExit) as ended:
        cli._parser(None).parse_args([code.split()[1], "--help"])
    assert ended.value.code == 0


def test_extras_that_the_pages_name_are_there():
    named = set(
        re.findall(r"\[(\w+)\]'?`", "".join((ROOT / page).read_text() for page in book.PAGES if "running" in page))
    )
    known = (ROOT / "pyproject.toml").read_text()
    assert {"mlflow", "wandb", "tensorboard"} <= named
    assert not [name for name in named if not re.search(rf"^{name} = \[", known, flags=re.M)]


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


@pytest.mark.parametrize("block", of("yaml"), ids=lambda block: f"{block.page}:{block.line}")
def test_a_configuration_is_accepted(block: Block, tmp_path: Path):
    found = yaml.safe_load(block.body)
    if isinstance(found, list) or set(found) <= NODE:
        return
    if "preset" not in found:  # a part of one
        found = {"preset": "paper", "data": {"root": "/data", "files": "{lang}-{split}"}} | found
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(found))
    assert isinstance(load(str(tmp_path / "job.yaml")), Experiment)


def test_records_of_json_are_read(tmp_path: Path):
    pair, labelled = (json.loads(block.body) for block in of("json"))
    (tmp_path / "pair.jsonl").write_text(json.dumps(pair))
    (tmp_path / "text.jsonl").write_text(json.dumps(labelled))
    assert relations.read(tmp_path / "pair.jsonl").examples[0].words[0] == "Ada"
    assert texts.read_jsonl(tmp_path / "text.jsonl")[0].label == "travel"
