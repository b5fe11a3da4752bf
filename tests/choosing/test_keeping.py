"""Whose weights stay follows `sweep.keep_weights`: the pool's are the ones that selection picks from."""

import logging
from types import SimpleNamespace

import pytest

from lms_ray.choosing import keeping
from lms_ray.choosing.split import divide
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.store import pool
from lms_ray.store.files import Store

TUNED = [f"c{number}" for number in range(12)]
DIVERGED = "c5"


@pytest.fixture
def store(tmp_path) -> Store:
    """The folder of twelve candidates, one of which diverged."""
    store = Store(str(tmp_path))
    for name in TUNED:
        unit = pool.unit(name)
        store.commit(unit, {}, {file: store.write_bytes(f"{unit}/{file}", b"") for file in ("c.json", "m.safetensors")})
    pool.write(store, [{"id": name, "diverged": name == DIVERGED} for name in TUNED], {})
    return store


def keeps(store: Store) -> set[str]:
    return {name for name in TUNED if store.exists(f"{pool.unit(name)}/m.safetensors")}


def experiment(keep: str) -> Experiment:
    return load("quickstart", [f"sweep.keep_weights={keep}"])


def test_all_weights_stay_unless_it_is_said(store: Store):
    assert load("paper", ["data.root=/data", "data.files=x/{lang}-{split}"]).sweep.keep_weights == "all"
    keeping.after_features(experiment("all"), store)
    keeping.after_selection(experiment("all"), store, [], [])
    assert keeps(store) == set(TUNED)


def test_the_pool_s_weights_stay(store: Store):
    settings = experiment("pool")
    candidates = pool.candidates(store)
    part_C = divide(len(candidates), settings.meta_split, settings.seed)
    choosable = {name for name, part in zip(candidates, part_C, strict=True) if part == "test"}
    keeping.after_features(settings, store)
    assert keeps(store) == choosable
    assert DIVERGED not in choosable
    keeping.after_selection(settings, store, [], [])
    assert keeps(store) == choosable


def test_the_picks_weights_stay_from_the_pool_and_for_use(store: Store, caplog: pytest.LogCaptureFixture):
    settings = experiment("picks")
    keeping.after_features(settings, store)
    assert keeps(store) == set(TUNED), "of which some is picked for use is not known yet"
    made = [
        SimpleNamespace(selector="LMS", candidate="c1"),
        SimpleNamespace(selector="LMS", candidate=None),  # an average has no candidate
        SimpleNamespace(selector="Entropy", candidate="c2"),
    ]
    with caplog.at_level(logging.WARNING):
        keeping.after_selection(settings, store, made, ["c3"])
    assert (keeps(store), caplog.messages) == ({"c1", "c3"}, [])
    keeping.after_selection(settings, store, made[:1], ["c4"])  # another draw
    assert "1 of the picked candidates have no weights any more, among them c4" in caplog.text


def test_another_draw_of_the_meta_split_deletes_nothing_more(store: Store, caplog: pytest.LogCaptureFixture):
    keep = "pool"
    keeping.after_features(experiment(keep), store)
    kept = keeps(store)
    with caplog.at_level(logging.WARNING):
        keeping.after_features(experiment(keep), store)
        assert (keeps(store), caplog.messages) == (kept, []), "the same again has nothing to say"
        keeping.after_features(load("quickstart", [f"sweep.keep_weights={keep}", "meta_split.draw=1"]), store)
    assert keeps(store) == kept
    assert "no more weights are deleted, as" in caplog.text
