"""Every command that the pages show is one that its program accepts, and every file that they name is there."""

import re
import shlex
from pathlib import Path

import click
import pytest
from ray.scripts.scripts import cli as ray_cli

from lms_ray import cli
from lms_ray.settings.loading import load

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "jobs" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CLUSTER_FILES = [path for path in sorted((ROOT / "clusters").iterdir()) if path.is_file()]
OURS = re.compile(r"(?:^|-- )(lms-ray|python -m lms_ray\.(\w+)) ")


def commands(page: Path) -> list[str]:
    """The lines of fenced `sh` blocks and of indented blocks, continued lines joined."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.M | re.S)
    text = page.read_text()
    blocks = [body for language, body in fence.findall(text) if language == "sh"]
    blocks += re.findall(r"(?:^ {4}.*\n)+", fence.sub("", text), flags=re.M)
    lines = re.sub(r"\\\n *", "", "\n".join(blocks)).splitlines()
    return [line.strip() for line in lines if line.strip()]


def entrypoint(path: Path) -> str:
    (found,) = re.findall(r"^  entrypoint: >-\n((?:    .*\n)+)", path.read_text(), flags=re.M)
    return " ".join(found.split()).replace("/home/ray/", "")


SHOWN = [(page.relative_to(ROOT), line) for page in PAGES for line in commands(page)]
SHOWN.append((Path("clusters/kuberay-job.yaml"), entrypoint(ROOT / "clusters" / "kuberay-job.yaml")))
OF_OURS = [(page, line) for page, line in SHOWN if OURS.search(line) and "..." not in line and "[" not in line]
OF_RAY = [(page, line) for page, line in SHOWN if line.startswith("ray ")]


def words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


@pytest.mark.parametrize(("page", "line"), OF_OURS, ids=str)
def test_a_command_of_ours_is_accepted(page: Path, line: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    found = OURS.search(line)
    assert found
    stage = found[2]
    arguments = cli._parser(stage).parse_args(words(line[found.end() :]))
    if "config" in arguments:  # others name a folder
        load(arguments.config, arguments.overrides)


@pytest.mark.parametrize(("page", "line"), OF_RAY, ids=str)
def test_a_command_of_ray_is_accepted(page: Path, line: str):
    group: click.Command = ray_cli
    rest = words(re.split(r" [|>] ", line)[0])[1:]
    while isinstance(group, click.Group):
        group = group.commands[rest.pop(0)]
    group.make_context("ray", rest)


def test_the_pages_show_the_whole_way():
    """Otherwise the two tests above would accept pages whose blocks are not found."""
    for name in ("aws", "gcp", "kubernetes"):
        shown = [line for page, line in SHOWN if page == Path(f"docs/{name}.md")]
        for wanted in ("lms-ray plan ", "lms-ray status ", "docker build ", "ray job submit "):
            assert any(line.startswith(wanted) for line in shown), (name, wanted)


@pytest.mark.parametrize("page", [*PAGES, *CLUSTER_FILES], ids=lambda path: path.name)
def test_a_file_that_is_named_is_there(page: Path):
    text = page.read_text()
    links = [target for target in re.findall(r"\]\(([^)#:]+)\)", text) if page.suffix == ".md"]
    assert not [target for target in links if not (page.parent / target).exists()]
    named = re.findall(r"(?<![\w/.-])(?:clusters|jobs|docs|benchmarks)/[\w./-]*\w", text)
    assert not [path for path in named if not (ROOT / path).exists()]
