"""Who reads the book and does what it says, in one folder: what a page makes, those that build on it find.

What is a path, a bucket or a language of the reader is replaced by what stands for it here (`Reader.stand_ins`); what
takes hours is made small there.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import book
import commands
import tiny
from book import ROOT, Command
from installing import environment
from lms_ray.data import toy
from lms_ray.settings.loading import load
from lms_ray.store.folder import Folder

NOT_HERE = {
    **dict.fromkeys(("aws", "gcloud", "kubectl", "helm"), "wants an account of a cloud"),
    "docker": "wants a daemon and a registry; tests/clusters holds the image to what it copies",
    "ray": "wants a cluster; tests/clusters has Ray's own parser accept it",
    "pip install -r clusters/launchers.txt": "wants the network; tests/clusters holds the pins",
    "sed -i.bak": "writes the reader's names into tracked files",
    "git tag": "makes a release",
    **dict.fromkeys(("source", "export"), "sets the reader's shell"),
}
"""Commands that cannot be run here, by how they begin, and why."""
ELSEWHERE = {
    "make": ("Makefile", r"^{target}:"),
    "python -m build": ("tests/installing.py", r'"-m", "build"'),
    "lms-ray sweep jobs/ner-wikiann.yaml": ("tests/test_unlabelled.py", r'"sweep", job, storage, "unlabelled_targets'),
}
"""Commands that another file runs, by how they begin, with a line of that file. (`make` is what CI runs.)"""
SHELL = ("cat", "echo", "mkdir", "printf", "tr")
OURS = re.compile(r"(?:lms-ray |python -m lms_ray\.)(?P<verb>\w+)")
ON_RAY = ("sweep", "features", "soups")

AFTER = {"README.md": "docs/start.md", "docs/python.ipynb": "docs/start.md", "docs/checkpoints.md": "docs/data.md"}
"""Pages that go on where another one ends."""
SMALL = "'sweep.learning_rate=[1e-3, 3e-3]' 'sweep.epochs=[1]' meta_split.draws=4 selection.bootstrap=100"
GPUS = "sweep.resources.gpus=1 encode.resources.gpus=1 ranker.resources.gpus=1"


def how(command: str) -> str:
    """Who runs a command: it is run `here`, `elsewhere`, or `not here`.

    Raises:
        KeyError: nobody; it must be named in one of the tables above.
    """
    if command.startswith("for "):  # what the loop does first
        return how(command.splitlines()[1].strip())
    text = re.sub(r"^\w+=\$\(", "", command)  # name=$(aws ...)
    for table, answer in ((NOT_HERE, "not here"), (ELSEWHERE, "elsewhere")):
        if any(text.startswith(f"{program} ") for program in table):
            return answer
    if OURS.match(text) or text.startswith("pip install ") or text.split()[0] in SHELL:
        return "here"
    raise KeyError(f"nobody runs {command!r}")


class Reader:
    """Reads pages, each once."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest):
        """Begin.

        Args:
            folder: an empty one, to work in.
            request: where the tests' fixtures come from, each when it is first needed.
        """
        self.folder, self._request = folder, request
        self._read: set[str] = set()
        self._done: set[str] = set()
        self._installed: Path | None = None
        (folder / "jobs").symlink_to(ROOT / "jobs")

    def read(self, page: str) -> None:
        """Do what a page says, after what it builds on."""
        if page in self._read:
            return
        if page in AFTER:
            self.read(AFTER[page])
        self._installed = None
        for block in book.blocks(page):
            if block.language == "python":
                exec(compile(block.body, f"{page}:{block.line}", "exec"), {"__name__": "page"})
            for command in book.commands_of(block) if block.language == "sh" else ():
                if how(command.text) == "here":
                    self._run(command)
        self._read.add(page)

    def _run(self, command: Command) -> None:
        """Run a command, unless it was run before on some page."""
        text = self.replaced(command)
        said = text if "<<" in text else " ".join(book.words(text))
        if said in self._done:
            return
        ours = OURS.match(command.text)
        if command.text.startswith("pip install "):
            wanted = book.words(text)[2]
            self._installed = environment(self.folder / "venv", self._fixture("wheels"), wanted)
        elif not ours:
            self._call(["bash", "-euc", text], command)
        elif self._installed:
            self._call([str(self._installed / "lms-ray"), *book.words(text)[1:]], command)
        elif ours["verb"] in ON_RAY:
            self._call([sys.executable, "-m", "lms_ray", ours["verb"], *_arguments(text)], command)
        else:
            with pytest.MonkeyPatch.context() as patch:
                assert commands.run(patch, ours["verb"], *_arguments(text)) == 0, command
        self._done.add(said)

    def _call(self, words: list[str], command: Command) -> None:
        own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" or not self._installed}
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, env=own, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"

    def replaced(self, command: Command) -> str:
        """The command, with what stands here for what the reader has."""
        text = command.joined
        for shown, stand_in in self.stand_ins(command.page).items():
            if shown in text:
                text = text.replace(shown, stand_in())
        return text

    def stand_ins(self, page: str) -> dict[str, Callable[[], str]]:
        """What is replaced, in this order; a longer text comes before its parts."""
        of_page: dict[str, dict[str, Callable[[], str]]] = {
            "docs/start.md": {"lms-ray sweep": lambda: f"lms-ray sweep {SMALL}"},
            "README.md": {"lms-ray sweep": lambda: f"lms-ray sweep {SMALL}"},
            "docs/python.ipynb": {"lms-ray sweep quickstart": lambda: f"lms-ray sweep {SMALL}"},
            "docs/data.md": {"preset: paper": lambda: f"preset: paper\n{self.small_keys}"},
        }
        return {
            **of_page.get(page, {}),
            f" {GPUS}": lambda: "",
            "jobs/pos-ud.yaml data.root=/path/to/ud-treebanks": self.finished_job,
            "jobs/pos-small.yaml data.root=/path/to/ud encoder=/path/to/a-small-encoder": self.finished_job,
            "data.root=s3://my-bucket/ud-treebanks storage=s3://my-bucket/runs": lambda: self.in_bucket("s3"),
            "data.root=gs://my-bucket/ud-treebanks storage=gs://my-bucket/runs": lambda: self.in_bucket("gcs"),
            "s3://my-bucket/runs/pos-ud": lambda: self.uploaded("s3", self.finished),
            "gs://my-bucket/runs/pos-ud": lambda: self.uploaded("gcs", self.finished),
            "s3://bucket/runs/pos-ud": lambda: self.uploaded("s3", self.finished),
            "s3://bucket/models/one": lambda: self.uploaded("s3", self.candidates[0]),
            "s3://bucket/models/other": lambda: self.uploaded("s3", self.candidates[1]),
            "/models/new-tagger": lambda: str(self.candidates[0]),
            "--target da sv": lambda: "--target nl tr",
            "/data/ud": lambda: str(self.toy_root),
            "runs/pos-ud runs/re-ace": lambda: str(self.finished),
            "runs/pos-ud": lambda: str(self.finished),
            "runs/ner-wikiann --target fo": lambda: f"{self.finished} --target tr",
            "/data/faroese-labelled.iob2": lambda: str(self.toy_root / toy.FILES.format(lang="tr", split="test")),
            "jobs/ner-wikiann.yaml": lambda: f"jobs/ner-wikiann.yaml {self.of_job('ner-wikiann')}",
            "/data/faroese.txt": lambda: str(self.written("faroese.txt", "Her er ein setningur .\n")),
        }

    @cached_property
    def finished(self) -> Path:
        """A copy of the small experiment, in `runs`."""
        return Path(shutil.copytree(self._fixture("finished") / "small", self.folder / "runs" / "small"))

    def finished_job(self) -> str:
        """The job of that experiment, which has nothing left to do."""
        return f"{self._fixture('job')} storage={self.finished.parent}"

    @property
    def toy_root(self) -> Path:
        """The treebanks that it reads."""
        return self._fixture("languages")[0]

    @property
    def candidates(self) -> list[Path]:
        """Folders of its models."""
        return [path.parent for path in sorted((self.finished / "candidates").glob("*/config.json"))]

    @property
    def small_keys(self) -> str:
        """An encoder, and what it wants, as YAML."""
        return f"encoder: {self._fixture('encoder_folder')}\nfinetune: {{max_length: 64, stride: null}}"

    @property
    def small_encoder(self) -> str:
        """The same for a command."""
        return f"encoder={self._fixture('encoder_folder')} 'finetune={{max_length: 64, stride: null}}'"

    def of_job(self, name: str) -> str:
        """A small encoder and tiny data for a job file."""
        job, given = f"jobs/{name}.yaml", shlex.split(self.small_encoder)
        rooted = [] if "format: hub" in (ROOT / job).read_text() else ["data.root=/data"]
        found = tiny.write(load(str(ROOT / job), [*given, *rooted]), self.folder / "data" / name)
        return shlex.join([*given, *(f"{key}={value}" for key, value in found.items())])

    def in_bucket(self, kind: str) -> str:
        """Tiny data for `pos-ud` in a bucket, and an empty folder there for the experiment."""
        self.of_job("pos-ud")
        data, runs = self.uploaded(kind, self.folder / "data" / "pos-ud"), self._fixture(kind)("runs")
        return f"{shlex.join([f'data.root={data}', f'storage={runs}'])} {self.small_encoder}"

    def uploaded(self, kind: str, folder: Path) -> str:
        """The URI of a copy of a folder in an object store, `s3` or `gcs`."""
        uri = self._fixture(kind)(folder.name)
        for path in folder.rglob("*"):
            if path.is_file():
                Folder(uri, "test").write_file(str(path.relative_to(folder)), path)
        return shlex.quote(uri)

    def written(self, name: str, text: str) -> Path:
        """A file of the reader's."""
        (self.folder / name).write_text(text)
        return self.folder / name

    def _fixture(self, name: str) -> Any:
        return self._request.getfixturevalue(name)


def _arguments(text: str) -> list[str]:
    """What follows `lms-ray VERB` or `python -m lms_ray.STAGE`."""
    words = book.words(text)
    return words[2:] if words[0] == "lms-ray" else words[3:]
