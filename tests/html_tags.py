"""What an HTML page is made of: its tags, so that no name in it becomes markup, and the rows of its tables."""

from html.parser import HTMLParser

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
"""A name that would be markup, if a page let it."""


class Tags(HTMLParser):
    """The tags of a page, and the names of their attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"{tag} {name}" for name, _ in attrs)}


class Rows(HTMLParser):
    """The rows of a page's tables, as the texts of their cells."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[list[str]] = []
        self.is_open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.found.append([])
        elif tag in ("td", "th"):
            self.found[-1].append("")
            self.is_open = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.is_open = False
            self.found[-1][-1] = " ".join(self.found[-1][-1].split())

    def handle_data(self, data: str) -> None:
        if self.is_open:
            self.found[-1][-1] += data
