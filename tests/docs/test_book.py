"""The book is built without a warning, can be read without a network, and its pages read well on GitHub too."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

import book
from book import ROOT
from lms_ray.settings.experiment import Experiment

LINK = re.compile(r"\]\((?![a-z]+:)([^)\s]+)\)")
LOADED = {
    "link": "href",
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
}
"""What a browser fetches by itself, and where a tag says it."""
MARKDOWN = [page for page in book.PAGES if page.endswith(".md")] + ["CHANGELOG.md", "benchmarks/README.md"]


class Fetched(HTMLParser):
    """What a page of the site has a browser fetch."""

    def __init__(self, page: Path):
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") in ("canonical", "next", "prev"):  # say where, and fetch nothing
            return
        if tag in LOADED and (address := given.get(LOADED[tag])):
            self.found.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built book. A warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_page_is_there(site: Path):
    for page in [*book.PAGES, "benchmarks/2026-11-27-2cpu-amd-epyc-selection.md", "CHANGELOG.md"]:
        name = re.sub(r"README\.md$", "index.html", page.removeprefix("docs/"))
        assert (site / re.sub(r"\.(md|ipynb)$", ".html", name)).is_file(), page
    assert not list(site.glob("*.py"))


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site: Path):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    fetched = {address for page in pages for address in Fetched(page).found}
    assert any(address.endswith(".css") for address in fetched) and any(address.endswith(".js") for address in fetched)
    assert not [address for address in fetched if urlsplit(address).scheme or address.startswith("//")]
    imported = [
        found
        for sheet in site.rglob("*.css")
        for found in re.findall(r"@import[^;]+|url\(\"?https?:[^)]+", sheet.read_text())
    ]
    assert not imported


@pytest.mark.slow
def test_a_browser_finds_a_word_and_asks_nobody_else(site: Path, chromium: Any):
    with serving(site) as root, chromium.new_context() as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{root}/index.html")
        page.locator(".md-search__input").wait_for(state="attached")
        page.keyboard.press("/")
        page.keyboard.type("soups")
        page.locator(".md-search-result__item").first.wait_for(timeout=20_000)
        for name in ("python.html", "science.html", "settings.html"):
            page.goto(f"{root}/{name}", wait_until="networkidle")
    assert len(asked) > 10
    assert not [address for address in asked if not address.startswith(("data:", "blob:", root))]


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A web server of a folder, for as long as the block lasts."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
def test_every_link_within_the_site_leads_somewhere(site: Path):
    """Also those to files that are no pages, which mkdocs does not look at."""
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        for address in re.findall(r'<a [^>]*href="([^"#?]+)', page.read_text(encoding="utf-8")):
            if not urlsplit(address).scheme:
                assert (page.parent / address).exists(), f"{page.relative_to(site)}: {address}"


@pytest.mark.slow
def test_every_key_is_on_its_page_and_the_science_has_its_docstrings(site: Path):
    settings = (site / "settings.html").read_text()
    for name in Experiment.model_fields:
        assert re.search(rf'class="nt">{name}<', settings), name
    assert "which of two candidates is better in a language" in (site / "science.html").read_text()


@pytest.mark.parametrize("page", MARKDOWN)
def test_a_link_leads_to_a_file_and_to_a_heading(page: str):
    """As GitHub sees it: relative to the page, and to the slug of a heading."""
    for link in LINK.findall((ROOT / page).read_text()):
        path, _, heading = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.is_file(), f"{link}: a folder or nothing, which the book cannot show"
        if heading:
            slugs = [slug(title) for title in re.findall(r"^#+ (.+)$", target.read_text(), flags=re.M)]
            assert heading in slugs, f"{link}: {slugs}"


def slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_every_chapter_is_in_the_contents():
    contents = re.findall(r"([\w/-]+\.(?:md|ipynb))$", (ROOT / "mkdocs.yml").read_text(), flags=re.M)
    pages = [page.removeprefix("docs/") for page in book.PAGES]
    assert sorted(contents) == sorted([*pages, "CHANGELOG.md", "benchmarks/README.md", "settings.md"])


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_every_verb_and_every_table_has_its_line():
    from lms_ray import cli

    verbs = cli._parser(None)._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    shown = (ROOT / "docs" / "commands.md").read_text()
    assert not [verb for verb in verbs if f"| `{verb}" not in shown]
    named = {
        name
        for path in (ROOT / "lms_ray" / "store").glob("*.py")
        for name in re.findall(r'"(\w+\.parquet)"', path.read_text())
    }
    folder = (ROOT / "docs" / "experiment-folder.md").read_text()
    assert len(named) > 15
    assert sorted(name for name in named if name not in folder) == sorted(WITHIN)


WITHIN = (
    "beginnings.parquet",
    "learned.parquet",
    "overall.parquet",
    "parts.parquet",
    "recommended.parquet",
    "trust.parquet",
)
"""Tables within a unit whose folder the page names."""


def test_a_notebook_is_kept_without_outputs():
    for page in book.PAGES:
        if page.endswith(".ipynb"):
            cells = yaml.safe_load((ROOT / page).read_text())["cells"]
            assert not any(cell.get("outputs") for cell in cells), page
