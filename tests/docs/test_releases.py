"""The version is the same wherever it stands, and what a release tells its users is in its form."""

import re
from datetime import date

import yaml

import lms_ray
from book import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")  # of Keep a Changelog 1.1.0


def test_the_citation_is_of_this_version_and_names_the_paper():
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert found["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= found.keys(), "which the format asks for"
    assert found["version"] == lms_ray.__version__
    assert found["license"] == "Apache-2.0"
    assert found["authors"] == [{"name": "lms_ray contributors"}]
    (paper,) = found["references"]
    assert (paper["title"], paper["year"]) == ("Model Selection for Cross-Lingual Transfer", 2021)
    assert [author["family-names"] for author in paper["authors"]] == ["Chen", "Ritter"]
    assert all({"type", "title", "authors"} <= reference.keys() for reference in found["references"])


def test_the_changelog_is_in_its_form():
    headings = re.findall(r"^## (.+)$", CHANGELOG, flags=re.M)
    assert headings[0] == "Unreleased"
    released = [re.fullmatch(r"(\d+)\.(\d+)\.(\d+) - (\d{4}-\d\d-\d\d)", heading) for heading in headings[1:]]
    assert all(released), headings
    versions = [tuple(int(part) for part in found.groups()[:3]) for found in released if found]
    days = [date.fromisoformat(found[4]) for found in released if found]
    assert versions == sorted(versions, reverse=True)
    assert days == sorted(days, reverse=True)
    assert set(re.findall(r"^### (.+)$", CHANGELOG, flags=re.M)) <= set(KINDS)


def test_this_version_has_its_entry():
    entries = {text.split()[0]: text for text in re.split(r"^## ", CHANGELOG, flags=re.M)[1:]}
    assert lms_ray.__version__ in entries
    assert all(re.search(r"^- ", text, flags=re.M) for text in entries.values())


def test_every_line_of_the_changelog_is_under_a_kind_of_change():
    for section in re.split(r"^## ", CHANGELOG, flags=re.M)[1:]:
        assert not re.search(r"^- ", section.partition("\n### ")[0], flags=re.M), section.splitlines()[0]
