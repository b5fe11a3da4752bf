"""The pages of the book, as a reader sees them: their blocks, and the commands of those of `sh`."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[1]
PAGES = (
    *("README.md", "CONTRIBUTING.md", "jobs/README.md"),
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").iterdir() if path.suffix in (".md", ".ipynb")),
)
"""Paths in the repository of all pages that show commands. The notes of `benchmarks/` say what was run then."""
FENCED = r"^```(?P<language>\w*)\n(?P<body>.*?)^```$"
INDENTED = r"(?:\A|(?<=\n\n))(?P<indented>(?:^ {4}[^\n]*(?:\n|\Z))+)"
FENCE = re.compile(FENCED, flags=re.M | re.S)
ANY_BLOCK = re.compile(f"{FENCED}|{INDENTED}", flags=re.M | re.S)
HERE_DOCUMENT = re.compile(r"<<'?(\w+)'?$", flags=re.M)


@dataclass(frozen=True)
class Block:
    """What stands between two fences, or is indented, or a cell of a notebook."""

    page: str
    line: int
    """Of the page, where the body begins; of a notebook the number of the cell."""
    language: str
    body: str


@dataclass(frozen=True)
class Command:
    """One command of a shell: with its continued lines, its here-documents, its loop."""

    page: str
    line: int
    text: str

    @property
    def joined(self) -> str:
        """The text with continued lines as one."""
        return re.sub(r"\\\n *", "", self.text)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text.splitlines()[0]}"


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """The blocks of a page, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return tuple(_of_notebook(page, text) if page.endswith(".ipynb") else _of_markdown(page, text, 1))


def commands(page: str) -> list[Command]:
    """The commands of a page, in their order."""
    return [command for block in blocks(page) if block.language == "sh" for command in commands_of(block)]


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a block of `sh`."""
    text, begin = "", block.line
    for number, line in enumerate(block.body.splitlines(), block.line):
        begin = begin if text else number
        text += f"{line}\n"
        if not _is_open(text):
            if _bare(text):
                yield Command(block.page, begin, text.strip())
            text = ""
    assert not text, f"{block.page}:{begin}: a command that does not end"


def words(command: str) -> list[str]:
    """What a shell would hand to the program: quotes and comments are gone, lines joined."""
    return shlex.split(command.replace("\\\n", ""), comments=True)


def _of_markdown(page: str, text: str, first: int) -> Iterator[Block]:
    for found in ANY_BLOCK.finditer(text):
        indented = found["indented"]
        line = first + text.count("\n", 0, found.start("body" if indented is None else "indented"))
        if indented is None:
            yield Block(page, line, found["language"], found["body"])
        else:  # which says nothing of its language, and is taken for commands
            yield Block(page, line, "sh", dedent(indented).rstrip("\n") + "\n")


def _of_notebook(page: str, text: str) -> Iterator[Block]:
    for number, cell in enumerate(json.loads(text)["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield from _of_markdown(page, source, number)
        else:
            lines = source.splitlines(keepends=True)
            yield Block(page, number, "sh", "".join(line[1:] for line in lines if line.startswith("!")))


def _bare(text: str) -> list[str]:
    """The words of a command without its here-documents."""
    return words(HERE_DOCUMENT.sub("", text.split("\n", 1)[0])) if "<<" in text.split("\n", 1)[0] else words(text)


def _is_open(text: str) -> bool:
    """Whether a shell would wait for more lines."""
    if text.startswith("for "):
        return not text.endswith("\ndone\n")
    if ends := HERE_DOCUMENT.findall(text):
        return not text.endswith(f"\n{ends[-1]}\n")
    if text.endswith("\\\n"):
        return True
    try:
        words(text)
    except ValueError:  # a quote that is not closed
        return True
    return False
