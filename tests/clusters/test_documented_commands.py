"""What a cluster runs is accepted by its program, and every file that the pages name is there.

All other commands of the pages are run: `tests/docs`.
"""

import re
from pathlib import Path

import click
import pytest
from ray.scripts.scripts import cli as ray_cli

import book
from book import ROOT
from lms_ray import cli
from lms_ray.settings.loading import load

CLUSTER_FILES = [path for path in sorted((ROOT / "clusters").iterdir()) if path.is_file()]
OURS = re.compile(r"(?:^|-- )(lms-ray|python -m lms_ray\.(\w+)) ")


def entrypoint(path: Path) -> str:
    (found,) = re.findall(r"^  entrypoint: >-\n((?:    .*\n)+)", path.read_text(), flags=re.M)
    return " ".join(found.split()).replace("/home/ray/", "")


SHOWN = [(page, command.joined) for page in book.PAGES for command in book.commands(page)]
SHOWN.append(("clusters/kuberay-job.yaml", entrypoint(ROOT / "clusters" / "kuberay-job.yaml")))
OF_OURS = [(page, text) for page, text in SHOWN if OURS.search(text) and (page.startswith("clusters") or "-- " in text)]
OF_RAY = [(page, text) for page, text in SHOWN if text.startswith("ray ")]


@pytest.mark.parametrize(("page", "line"), OF_OURS, ids=str)
def test_a_command_that_a_cluster_runs_is_accepted(page: str, line: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    found = OURS.search(line)
    assert found
    stage = found[2]
    arguments = cli._parser(stage).parse_args(book.words(line[found.end() :]))
    load(arguments.config, arguments.overrides)


@pytest.mark.parametrize(("page", "line"), OF_RAY, ids=str)
def test_a_command_of_ray_is_accepted(page: str, line: str):
    group: click.Command = ray_cli
    rest = book.words(re.split(r" [|>] ", line)[0])[1:]
    while isinstance(group, click.Group):
        group = group.commands[rest.pop(0)]
    group.make_context("ray", rest)


def test_the_pages_show_the_whole_way():
    """Otherwise the two tests above would accept pages whose blocks are not found."""
    assert len(OF_OURS) >= 5 and len(OF_RAY) >= 10
    for name in ("aws", "gcp", "kubernetes"):
        shown = [line for page, line in SHOWN if page == f"docs/{name}.md"]
        for wanted in ("lms-ray plan ", "lms-ray status ", "docker build ", "ray job submit "):
            assert any(line.startswith(wanted) for line in shown), (name, wanted)


@pytest.mark.parametrize("path", [*(ROOT / page for page in book.PAGES), *CLUSTER_FILES], ids=lambda path: path.name)
def test_a_file_that_is_named_is_there(path: Path):
    named = re.findall(r"(?<![\w/.-])(?:clusters|jobs|docs|benchmarks)/[\w./-]*\w", path.read_text())
    assert not [name for name in named if not (ROOT / name).exists()]
