"""Targets of which there is only text: what is accepted, and what it decides."""

import pytest

from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load, to_yaml
from lms_ray.store import identity, lineage

BASE = ["name=x", "encoder=e", "data.root=/ud", 'data.files="{lang}-{split}"', "pivots=[de, es]"]


def configured(*overrides: str) -> Experiment:
    return load("paper", [*BASE, "targets=[fr]", *overrides])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["unlabelled_targets=[da]"], "unlabelled_targets: found da, for which data.text names no file"),
        (["unlabelled_targets=[da]", "data.text.sv=/t"], "unlabelled_targets: found da, for which data.text names no"),
        (
            ["unlabelled_targets=[fr]", "data.text=/t/{lang}"],
            "unlabelled_targets: found fr, a target, which has labels",
        ),
        (["unlabelled_targets=[de]", "data.text=/t/{lang}"], "unlabelled_targets: found de, a pivot, which has labels"),
        (["unlabelled_targets=[en]", "data.text=/t/{lang}"], "unlabelled_targets: found en, a source, which has"),
        (["unlabelled_targets=[da, da]", "data.text=/t/{lang}"], "each named once"),
        (["unlabelled_targets=[dansk]", "data.text=/t/{lang}"], "'dansk' is not a language"),
        (["unlabelled_targets=[nds]", "data.text=/t/{lang}"], "ranker.language_vector is learned, but nds"),
        (["targets=[]"], "targets: found none, and no unlabelled_targets; accepted is at least one language"),
        (["data.text.dan=/t"], "data.text.dan: 'dan' is a second code of one language"),
    ],
)
def test_what_cannot_be_is_refused(overrides: list[str], said: str):
    with pytest.raises(ConfigError) as refused:
        configured(*overrides)
    assert said in str(refused.value)


def test_it_is_picked_for_and_has_no_labelled_set():
    experiment = configured("unlabelled_targets=[da]", "data.text.da=/t/danish.txt", 'data.files={"*": a}')
    assert experiment.picked_for == ("fr", "da")
    assert experiment.labelled_languages == ("en", "de", "es", "fr")
    assert experiment.languages == ("en", "de", "es", "fr", "da")
    assert configured("targets=[]", "unlabelled_targets=[da]", "data.text.da=/t").picked_for == ("da",)


def test_files_need_not_name_it():
    files = "data.files={en: a, de: b, es: c, fr: d}"
    assert configured("unlabelled_targets=[da]", "data.text.da=/t", files).picked_for == ("fr", "da")


def test_a_path_of_one_language_leaves_that_of_the_others():
    experiment = configured("data.text=/t/{lang}.txt", "data.text.da=/other/{lang}.txt")
    assert [experiment.data.plain_text(code) for code in ("de", "da")] == ["/t/de.txt", "/other/da.txt"]
    assert configured("data.text.da=/d").data.plain_text("de") is None
    assert not configured("data.text=/t/{lang}.txt", "data.text=null").data.text


def test_it_may_be_added_to_a_folder_and_makes_the_rankings_new_and_nothing_before_them(local):
    before, after = configured(), configured("unlabelled_targets=[da]", "data.text.da=/t")
    local.write_bytes(identity.CONFIGURATION, to_yaml(before).encode())
    identity.require_same(after, local)
    for keys in (lineage.CANDIDATES, lineage.ENCODING):
        assert lineage.settings(before, keys) == lineage.settings(after, keys)
    difference = lineage.differing(*(lineage.settings(one, lineage.RANKING) for one in (before, after)))
    assert difference.startswith("unlabelled_targets is ")
