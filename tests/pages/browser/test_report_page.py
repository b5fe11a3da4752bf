"""The report in a real browser: what is seen, what mouse and keyboard do, and that it can be read without a script."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from html_tags import MARKUP, Rows
from lms_ray.pages.tables import NOTHING, NUMBER

pytestmark = pytest.mark.slow

Open = Callable[..., Any]
UNFOLD = "document.querySelectorAll('details').forEach(one => one.open = true)"
EVERY = '[aria-label="Every pick"] table'


def texts(page: Any, table: str, column: int) -> list[str]:
    """A column of a table's first block, as it stands now."""
    return page.evaluate(
        "([table, column]) => [...document.querySelector(table).tBodies[0].rows]"
        ".map(row => row.cells[column].textContent.trim())",
        [table, column],
    )


def lit(page: Any) -> set[str]:
    """The numbers of the candidates that are lit in tables and figures."""
    return set(page.evaluate("[...document.querySelectorAll('.on')].map(mark => mark.dataset.c)"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_semantics_and_contrast_are_right_and_the_page_never_scrolls_sideways(
    opened: Open, small_page: Path, scheme: str, width: int
):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = opened(small_page, width=width, scheme=scheme)
    page.evaluate(UNFOLD)
    page.locator("table.figure path[data-c]").first.click()  # with a candidate followed, and its card
    found = axe.Axe().run(page)
    assert not found.response["violations"], found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) > 600) == (scheme == "light")
    assert page.evaluate("getComputedStyle(document.querySelector('svg text')).fill") == page.evaluate(
        "getComputedStyle(document.body).color"
    ), "what is written in figures has the text's colour"


def test_it_asks_for_nothing_and_nothing_goes_wrong(opened: Open, small_page: Path):
    page = opened(small_page)
    page.evaluate(UNFOLD)
    page.get_by_role("searchbox").first.fill("a")
    page.get_by_role("button", name="Regret").first.click()
    page.locator("[data-c]").first.click()
    page.get_by_role("link", name="Why").click()
    assert page.asked == [small_page.as_uri()]
    assert page.wrong == []
    assert page.evaluate("fetch('https://example.org').then(() => 'went', () => 'was stopped')") == "was stopped"


def test_without_a_script_all_is_there_and_readable(opened: Open, small_page: Path):
    page = opened(small_page, width=360, script=False)
    assert page.locator("button, input, #card").count() == 0, "what only a script can do is not offered"
    rows = Rows(small_page.read_text()).found
    assert len(rows) > 100
    shown = [" ".join(text.split()) for text in page.locator("tr").all_text_contents()]
    assert len(shown) == len(rows)
    row = page.locator(f"{EVERY} tbody tr").first
    assert not row.is_visible()
    page.get_by_text("Every pick: 90 rows").click()  # folded, and the browser itself unfolds
    assert row.is_visible()
    titles = page.locator("table.figure path[data-c] title").all_text_contents()
    assert len(titles) == 8 * 9 and all(re.fullmatch(r"\w+, [\w-]+: \S+, \d+\.\d", title) for title in titles)
    assert page.locator("code.command").first.inner_text().startswith("lms-ray export ")


def test_a_name_that_is_markup_stays_text(opened: Open, hostile_page: Path):
    page = opened(hostile_page)
    page.evaluate(UNFOLD)
    mark = page.locator(f"{EVERY} [data-c]").first
    assert mark.text_content().startswith(MARKUP)
    mark.hover()
    assert page.locator("#card strong").text_content().startswith(MARKUP)
    page.get_by_role("searchbox").last.fill("(?<script")  # and no pattern either
    assert page.wrong == []
    assert page.locator("img").count() == 0 and page.locator("script").count() == 2


# --- Sort and search.


def expected_order(cells: list[str], state: str) -> list[str]:
    """By the first number of each where all have one, else by their letters; what has no value last."""
    is_number = all(cell in NOTHING or NUMBER.fullmatch(cell) for cell in cells)

    def key(cell: str) -> Any:
        if not is_number:
            return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", cell)]
        value = float(re.search(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", cell)[0])  # type: ignore[index]
        return value - 1e-9 if cell.startswith("<") else value

    valued = [cell for cell in cells if cell not in NOTHING]
    ordered = sorted(valued, key=key)
    if state == "descending":  # equals in their first order all the same
        ordered = sorted(valued[::-1], key=key)[::-1]
    return ordered + [cell for cell in cells if cell in NOTHING]


def test_every_column_is_sorted_by_what_it_holds(opened: Open, small_page: Path):
    page = opened(small_page)
    page.evaluate(UNFOLD)
    tables = page.locator("table.data")
    tried = set()
    for place in range(tables.count()):
        page.evaluate("place => document.querySelectorAll('table.data')[place].id = `t${place}`", place)
        heads = page.locator(f"#t{place} thead th")
        for column in range(heads.count()):
            button = heads.nth(column).get_by_role("button")
            before = texts(page, f"#t{place}", column)
            if not button.count() or len(before) < 2 or (column == 1 and place == 0):
                continue
            for state in ("ascending", "descending"):
                button.click()
                assert heads.nth(column).get_attribute("aria-sort") == state
                assert page.locator(f"#t{place} thead th[aria-sort]").count() == 1
                assert texts(page, f"#t{place}", column) == expected_order(before, state), (place, column, state)
            button.click()
            assert heads.nth(column).get_attribute("aria-sort") is None
            assert texts(page, f"#t{place}", column) == before, "and back"
            tried |= {re.sub(r"\d+", "0", cell) for cell in before}
    assert {"-", "<0.0", "0%", "+0.0", "[+0.0, +0.0]", "0 targets"} <= tried, "all kinds of cells were there"


def test_sorting_leaves_means_where_they_are_and_equals_in_their_order(opened: Open, small_page: Path):
    page = opened(small_page)
    page.evaluate(UNFOLD)
    table = page.locator(EVERY)
    order = [row.split("\n")[0] for row in table.locator("tbody").first.locator("th").all_text_contents()]
    table.get_by_role("button", name="Selector").click()
    cells = [row.locator("th, td").all_text_contents() for row in table.locator("tbody").first.locator("tr").all()]
    of_lms = [cell[0] for cell in cells if cell[1] == "LMS"]
    assert of_lms == list(dict.fromkeys(order)), "the targets of one selector are in their first order"
    assert [cell[1] for cell in cells] == sorted(
        (cell[1] for cell in cells), key=lambda name: (name[0] != "1", name.lower())
    )
    assert set(table.locator("tbody").last.locator("th").all_text_contents()) == {"average"}


def test_a_language_is_found_by_its_name_or_code_among_two_hundred(opened: Open, large_page: Path):
    assert large_page.stat().st_size < 6_000_000
    page = opened(large_page)
    assert page.locator("table.answer tbody tr").count() == 200
    answer = page.get_by_role("searchbox", name="Search in What to use")
    rows = page.locator("table.answer tbody tr:visible")
    for words, first in (("turk", "tr Turkish"), ("  FRENCH fr", "fr French"), ("de", "de German")):
        answer.fill(words)
        assert rows.first.locator("th").inner_text().split() == first.split()
        for found in rows.locator("th").all_inner_texts():
            parts = re.split(r"\W+", found.lower())
            assert all(any(part.startswith(word) for part in parts) for word in words.lower().split()), found
    answer.fill("no such language")
    assert rows.count() == 0 and page.get_by_text("0 of 200", exact=True).is_visible()
    answer.press("Escape")
    assert answer.input_value() == "" and rows.count() == 200


def test_the_header_stays_while_a_long_table_scrolls(opened: Open, large_page: Path):
    page = opened(large_page)
    region = page.get_by_role("region", name="What to use")
    region.evaluate("one => one.scrollTop = 4000")
    head, box = (one.bounding_box() for one in (region.locator("thead th").first, region))
    assert region.evaluate("one => one.scrollTop") == 4000
    assert abs(head["y"] - box["y"]) < 2


def test_the_way_from_an_answer_to_its_reason_unfolds_it(opened: Open, large_page: Path):
    page = opened(large_page)
    reason = page.locator("#why-fr")
    assert not reason.is_visible()
    page.get_by_role("link", name="fr", exact=True).click()
    assert reason.is_visible() and "French" in reason.inner_text()


# --- Follow a candidate.


def test_a_candidate_is_lit_in_tables_and_figures_and_said_what_it_is(opened: Open, small_page: Path):
    page = opened(small_page)
    page.evaluate(UNFOLD)
    mark = page.locator(f"{EVERY} [data-c]").nth(3)
    number, name = mark.get_attribute("data-c"), mark.text_content()
    mark.hover()
    assert lit(page) == {number}
    assert page.locator(".on").count() == page.locator(f'[data-c="{number}"]').count()
    assert page.locator("table.figure .on").count() > 0
    assert page.locator("circle.ring").count() == 9, "its dot in the pool of every target"
    row = page.locator(f"{EVERY} tr:has([data-c])").nth(3).locator("th, td").all_inner_texts()
    assert page.locator("#card p").nth(1).inner_text() == f"ar: {row[3].strip('*')}", (
        "and its score in this row's language"
    )
    card = page.locator("#card").inner_text()
    assert card.startswith(name) and re.search(
        r"test \d+\.\d on the mean over the targets, number \d of 8 in the pool", card
    )
    page.mouse.move(2, 2)
    assert lit(page) == set() and not page.locator("#card").is_visible()


def test_a_mark_and_a_dot_of_the_figure_tell_their_score(opened: Open, small_page: Path):
    page = opened(small_page)
    mark = page.locator("table.figure path[data-c]").nth(2)
    title = mark.locator("title").text_content()
    mark.hover()
    score = title.rpartition(", ")[2]
    assert page.locator("#card p").nth(1).inner_text() == f"{title.partition(':')[0]}: {score}"
    strip = page.locator("svg.strip:has(.dots[data-scores])").nth(1)
    dots = strip.locator(".dots")
    x, y = (float(number) for number in re.findall(r"M([\d.]+) ([\d.]+)h0", dots.get_attribute("d"))[5])
    box = strip.bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)
    told = int(dots.get_attribute("data-scores").split()[5]) / 10
    assert page.locator("#card p").nth(1).inner_text() == f"de: {told:.1f}"
    assert page.locator("#card strong").inner_text() == "lr5e-05-ep3-bs32-seed005-00000005"


def test_one_that_was_clicked_stays_until_it_is_let_go(opened: Open, small_page: Path):
    page = opened(small_page)
    one = page.locator("table.figure path[data-c]").first
    number = one.get_attribute("data-c")
    one.click()
    page.mouse.move(2, 2)
    assert lit(page) == {number}
    other = page.locator(f'table.figure path[data-c]:not([data-c="{number}"])').first
    other.hover()
    assert lit(page) == {other.get_attribute("data-c")}
    page.mouse.move(2, 2)
    assert lit(page) == {number}, "back to the one that is followed"
    page.get_by_role("button", name="Stop following").click()
    page.mouse.move(2, 2)
    assert lit(page) == set()


def test_all_of_it_goes_by_keyboard(opened: Open, small_page: Path):
    page = opened(small_page)
    page.evaluate(UNFOLD)
    focus = "document.activeElement"
    page.get_by_role("region", name="Every pick").locator("xpath=preceding-sibling::div").get_by_role(
        "searchbox"
    ).focus()
    page.keyboard.type("dutch")
    table = page.locator(EVERY)
    assert table.locator("tbody tr:visible").count() == 9
    page.keyboard.press("Tab")
    assert page.evaluate(f"{focus}.getAttribute('role')") == "region"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert table.locator("thead th").first.get_attribute("aria-sort") == "ascending"
    assert page.evaluate(f"getComputedStyle({focus}).outlineStyle") != "none", "what has the focus is seen"
    for _ in range(9):
        page.keyboard.press("Tab")
    assert page.evaluate(f"{focus}.textContent") == "Rank"
    page.keyboard.press("Tab")
    assert page.evaluate(f"{focus}.dataset.c") is not None
    assert page.evaluate(f"getComputedStyle({focus}).outlineStyle") != "none"
    first = page.evaluate(f"{focus}.dataset.c")
    assert lit(page) == {first} and page.locator("#card").is_visible()
    page.keyboard.press("ArrowDown")
    second = page.evaluate(f"{focus}.dataset.c")
    assert page.evaluate(f"{focus}.closest('tr').hidden") is False
    assert lit(page) == {second} and second != first
    page.keyboard.press("Enter")
    assert page.evaluate(f"{focus}.getAttribute('aria-pressed')") == "true"
    page.keyboard.press("ArrowUp")
    assert page.evaluate(f"{focus}.dataset.c") == first
    page.evaluate(f"{focus}.blur()")
    assert lit(page) == {second}, "the one that was chosen"
    page.keyboard.press("Escape")
    assert lit(page) == set()


def test_marks_of_picks_are_reached_by_arrows_from_one_stop(opened: Open, large_page: Path):
    page = opened(large_page)
    page.evaluate(UNFOLD)
    figure = page.locator("table.figure")
    assert figure.locator("path[data-c]").count() == 200 * 8
    assert figure.locator("[data-c][tabindex]").count() == 1
    assert page.locator("[data-c][tabindex]").count() <= page.locator("table.data").count()
    figure.locator("[tabindex]").focus()
    label = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(label).startswith("de, En-Dev: ")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(label).startswith("de, Pivot-Dev: ")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(label).startswith("fr, Pivot-Dev: ")
    assert figure.locator("[data-c][tabindex]").count() == 1
    assert page.locator("circle.ring").count() == 200


def test_a_command_is_copied(opened: Open, small_page: Path):
    page = opened(small_page)
    button = page.locator("button.copy").nth(1)
    command = page.locator("code.command").nth(1).inner_text()
    assert button.get_attribute("aria-label") == f"Copy: {command}"
    button.click()
    page.wait_for_function("['Copied', 'Selected'].includes(document.querySelectorAll('button.copy')[1].textContent)")
    if button.inner_text() == "Selected":  # a browser that forbids to write what is copied
        assert page.evaluate("getSelection().toString()") == command
