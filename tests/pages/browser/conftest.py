"""Reports, opened in Chromium."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from html_tags import MARKUP
from lms_ray import report
from lms_ray.settings import languages
from made_reports import ALL, job_of, picks_of, pool_of


@pytest.fixture
def opened(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a page: `opened(path, width=360, scheme="dark", script=False)`; what it asked for is in `page.asked`."""
    contexts = []

    def go(path: Path, width: int = 1280, scheme: str = "light", script: bool = True) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)
        page = context.new_page()
        page.asked, page.wrong = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("console", lambda message: page.wrong.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: (page.wrong.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri())
        return page

    yield go
    for context in contexts:
        context.close()


def told(number: int) -> Mapping[str, float | None]:
    """Of some targets nothing can be told, of others it is not known how sure a pick is."""
    rng = np.random.default_rng(number)
    if number % 5 == 4:
        return {}
    names = ("better_than_source", "better_than_pivots", "better_than_average")
    chances = dict(zip(names, rng.uniform(0.5, 1, 3), strict=True)) | {"better_than_no_model": None}
    return chances | {"gain": 0.05, "regret": rng.uniform(0, 0.05), "rank": rng.uniform(1, 9)}


def page_of(folder: Path, targets: tuple[str, ...], candidates: int, change: Callable[[str], str] = str) -> Path:
    """A report on so many candidates in the pool, and four times as many in all."""
    pool = pool_of(targets, candidates, apart=0.0005).rename(index=change)
    job = job_of(folder, pool, picks_of(pool, ALL), told=told, ranker={"language_vector": "syntax_knn"})
    report.run(job)
    return Path(job.store.where("report/report.html"))


@pytest.fixture(scope="session")
def small_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine targets."""
    return page_of(tmp_path_factory.mktemp("small"), ("ar", "de", "es", "nl", "sv", "pt", "fa", "tr", "acm"), 8)


@pytest.fixture(scope="session")
def large_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many targets as a large job has, and a pool of 240."""
    codes = sorted(languages._uriel()[0])
    long = [code for code in codes if languages.name(code) != code and _is_accepted(code)]
    return page_of(tmp_path_factory.mktemp("large"), ("de", "fr", "tr", *long[:197]), 240)


def _is_accepted(code: str) -> bool:
    try:
        languages.iso639_3(code)
    except ValueError:
        return False
    return True


@pytest.fixture(scope="session")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints whose names are markup."""
    return page_of(tmp_path_factory.mktemp("hostile"), ("ar", "tr"), 8, lambda name: f"{MARKUP}{name}")
