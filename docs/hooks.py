"""Hooks of mkdocs: the book holds README.md, the pages of docs/, and every file of the repository that they link to.

A link in a page is one that GitHub understands: relative to the page, also out of docs/. Here the linked file joins the
book under its path in the repository, Markdown as a page and others as they are; what lies in docs/ loses that
folder's name. `settings.md` is made of what `lms-ray config` prints.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "jobs/README.md", "benchmarks/README.md")
DOCS = "docs/"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")
"""The path of a relative link."""
HREF = re.compile(r'(?<=href=")(?![a-z]+:|#)([^"#]+)')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside of docs/, and what pages link to."""
    files.append(File.generated(config, "settings.md", content=settings()))
    waiting = [*PAGES, *(f"{DOCS}{file.src_uri}" for file in files if (ROOT / DOCS / file.src_uri).is_file())]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not (ROOT / path).is_file():  # a dead link is mkdocs's to report
            continue
        seen.add(path)
        if not path.startswith(DOCS):
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
        if path.endswith((".md", ".ipynb")):
            waiting += linked(path)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links of the repository into links of the book."""
    here = posixpath.dirname(page.file.src_uri)
    path = page.file.src_uri if (ROOT / page.file.src_uri).is_file() else f"{DOCS}{page.file.src_uri}"

    def of_book(link: re.Match[str]) -> str:
        target = resolved(path, link[1])
        is_there = (ROOT / target).is_file()
        return posixpath.relpath(target.removeprefix(DOCS), here or ".") if is_there else link[1]

    return LINK.sub(of_book, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links of a notebook, which is no Markdown for mkdocs, into links of the book."""
    path = f"{DOCS}{page.file.src_uri}"

    def of_book(link: re.Match[str]) -> str:
        file = files.get_file_from_path(resolved(path, link[1]).removeprefix(DOCS))
        return file.url_relative_to(page.file) if file else link[1]

    return HREF.sub(of_book, html) if path.endswith(".ipynb") else html


def linked(path: str) -> Iterator[str]:
    """Paths in the repository to which a page links."""
    for link in LINK.findall((ROOT / path).read_text(encoding="utf-8")):
        yield resolved(path, link)


def resolved(path: str, link: str) -> str:
    """The path in the repository of a link on a page."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def settings() -> str:
    """A page of every key with its documentation."""
    from lms_ray.settings.documented import documented
    from lms_ray.settings.loading import load

    shown = documented(load("paper", ["data.root=/path/to/ud", "data.files=UD_*/{lang}_*-ud-{split}.conllu"]))
    return (
        "# Every key\n\nWhat `lms-ray config paper data.root=/path/to/ud ...` prints: each key of a configuration with "
        f"its documentation and the paper's value, which is the default.\n\n```yaml\n{shown}```\n"
    )
