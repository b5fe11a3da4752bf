"""What was encoded comes back, and only what is new or changed is encoded again."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from lms_ray.settings.errors import MissingError
from lms_ray.store import encodings
from lms_ray.store.attempts import Machine, Use
from lms_ray.store.encodings import Beginning, CorpusRow, Encoding
from lms_ray.store.files import Store

DIGESTS = {"de-dev": "d1", "nl-dev": "n1"}
STATISTICS = ("correct", "total")
USE = Use(machine=Machine(host="node", market=None, accelerator=None, cpus=1, gpus=0), seconds=2.0, work=5)
H = 4

Write = Callable[..., None]


def encoded(examples: int, seed: int) -> Encoding:
    rng = np.random.default_rng(seed)
    total = rng.integers(1, 20, examples)
    return Encoding(rng.normal(size=H), np.stack([rng.integers(0, total + 1), total], axis=1).astype(np.float64))


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path))


@pytest.fixture
def written(store: Store) -> Write:
    """Write a candidate's corpora: `written("one", {"de-dev": encoded(5, seed=0)}, digests)`."""

    def write(candidate: str, fresh: Mapping[str, Encoding], digests: Mapping[str, str] = DIGESTS) -> None:
        encodings.write(store, candidate, fresh, STATISTICS, digests, uses=[USE])

    return write


def read(store: Store, corpus: str) -> tuple[np.ndarray, np.ndarray]:
    """Feature and statistics of candidate one."""
    feature_H = encodings.features(store, ["one"], [corpus])[0, 0]
    return feature_H, encodings.statistics(store, ["one"], [corpus], STATISTICS)[corpus][0]


def test_signals_and_predictions_come_back_and_text_without_units_has_none(store: Store, written: Write):
    signals = {"units": 3.0, "confidence": 0.8, "entropy": 0.5}
    lists = {"confidences": [0.25, 0.75], "label_share": [0.5, 0.3, 0.2]}
    of = encoded(5, seed=0)
    seen = Encoding(of.feature_H, of.statistics_ES, {**signals, **lists}, np.asarray([2, 0, 1], np.int32))
    written("one", {"nl-dev": encoded(5, seed=1), "de-dev": seen})
    written("two", {"nl-dev": encoded(5, seed=2), "de-dev": seen})
    found = encodings.signals(store, ["one", "two"], ["de-dev", "nl-dev"])
    assert found["confidence"].shape == (2, 2)
    assert found["confidence"][:, 0].tolist() == [signals["confidence"]] * 2
    assert found["label_share"][1, 0].tolist() == lists["label_share"]
    assert np.isnan(found["entropy"][:, 1]).all()
    assert np.isnan(found["label_share"][:, 1]).all()
    assert encodings.predictions(store, ["one", "two"], ["de-dev"])["de-dev"].tolist() == [[2, 0, 1]] * 2
    assert encodings.predictions(store, ["one", "two"], []) == {}


def test_the_beginning_of_a_corpus_is_read_where_it_has_more_examples(store: Store, written: Write):
    labels = np.asarray([2, 0, 1], np.int32)
    seen = {"confidence": 0.25, "label_share": [1.0, 0.0], "units": 9.0}
    begun = Beginning(2, np.arange(H, dtype=float), seen, labels=1)
    for name in ("one", "two"):
        whole = encoded(5, seed=0)
        signals = {"confidence": 0.5, "label_share": [0.5, 0.5]}
        short = Encoding(np.ones(H), np.ones((2, 2)), {"confidence": 0.75, "label_share": [0.0, 1.0]}, labels[:2])
        long = Encoding(whole.feature_H, whole.statistics_ES, signals, labels, [begun])
        written(name, {"nl-dev": short, "de-dev": long})
    names, corpora = ["two", "one"], ["nl-dev", "de-dev"]
    for first, feature_H, confidence, count in ((2, begun.feature_H, 0.25, 1), (None, whole.feature_H, 0.5, 3)):
        assert np.array_equal(encodings.features(store, names, corpora, first)[0], [np.ones(H), feature_H])
        assert encodings.signals(store, names, corpora, first)["confidence"].tolist() == [[0.75, confidence]] * 2
        found = encodings.predictions(store, names, corpora, first)
        assert found["de-dev"].tolist() == [labels[:count].tolist()] * 2
        assert found["nl-dev"].tolist() == [labels[:2].tolist()] * 2


def test_features_sums_and_statistics_come_back_in_the_wanted_order(store: Store, written: Write):
    of = {
        name: {"de-dev": encoded(5, seed), "nl-dev": encoded(4, seed + 1)} for seed, name in ((0, "one"), (10, "two"))
    }
    for name, fresh in of.items():
        written(name, fresh)
    names = ["two", "one"]
    feature_CGH = encodings.features(store, names, ["nl-dev", "de-dev"])
    sum_CGS = encodings.sums(store, names, ["nl-dev", "de-dev"], STATISTICS)
    total_first = encodings.sums(store, names, ["de-dev"], STATISTICS[::-1])
    assert feature_CGH.dtype == sum_CGS.dtype == np.float64
    for row, name in enumerate(names):
        for column, corpus in enumerate(("nl-dev", "de-dev")):
            assert np.array_equal(feature_CGH[row, column], of[name][corpus].feature_H)
            assert np.array_equal(sum_CGS[row, column], of[name][corpus].statistics_ES.sum(0))
        assert np.array_equal(total_first[row, 0], of[name]["de-dev"].statistics_ES.sum(0)[::-1])
    statistics_CES = encodings.statistics(store, names, ["nl-dev", "de-dev"], STATISTICS)
    for corpus, found_CES in statistics_CES.items():
        assert np.array_equal(found_CES, np.stack([of[name][corpus].statistics_ES for name in names]))


def test_only_what_is_new_or_changed_is_missing(store: Store, written: Write):
    assert encodings.missing(store, "one", DIGESTS) == ["de-dev", "nl-dev"]
    written("one", {"de-dev": encoded(5, 0), "nl-dev": encoded(4, 1)})
    assert encodings.missing(store, "one", DIGESTS) == []
    assert encodings.missing(store, "one", {**DIGESTS, "zh-dev": "z1"}) == ["zh-dev"]
    assert encodings.missing(store, "one", {**DIGESTS, "nl-dev": "n2"}) == ["nl-dev"]
    assert encodings.missing(store, "two", DIGESTS) == ["de-dev", "nl-dev"]


def test_a_corpus_that_is_added_later_keeps_the_earlier_ones(store: Store, written: Write):
    written("one", {"de-dev": encoded(5, 0), "nl-dev": encoded(4, 1)})
    before = {name: read(store, name) for name in DIGESTS}
    digests = {**DIGESTS, "zh-dev": "z1"}
    written("one", {"zh-dev": encoded(6, 2)}, digests)
    assert encodings.missing(store, "one", digests) == []
    for name, arrays in before.items():
        for now, then in zip(read(store, name), arrays, strict=True):
            assert np.array_equal(now, then)
    assert np.array_equal(read(store, "zh-dev")[1], encoded(6, 2).statistics_ES)
    assert store.done("encodings/one")["uses"] == [USE.model_dump()] * 2


def test_a_corpus_whose_content_changed_is_replaced_and_the_others_stay(store: Store, written: Write):
    written("one", {"de-dev": encoded(5, 0), "nl-dev": encoded(4, 1)})
    written("one", {"nl-dev": encoded(7, 9)}, {**DIGESTS, "nl-dev": "n2"})
    assert encodings.missing(store, "one", {**DIGESTS, "nl-dev": "n2"}) == []
    assert np.array_equal(read(store, "nl-dev")[1], encoded(7, 9).statistics_ES)
    assert np.array_equal(read(store, "nl-dev")[0], encoded(7, 9).feature_H)
    assert np.array_equal(read(store, "de-dev")[1], encoded(5, 0).statistics_ES)
    written("one", {"de-dev": encoded(5, 0)})  # once more, though it was there
    table = store.read_table("encodings/one/features.parquet")
    assert sorted(table["corpus"].to_pylist()) == ["de-dev"]  # one row, and no row of what is no longer wanted


def test_a_candidate_without_a_wanted_corpus_is_refused(store: Store, written: Write):
    """Leaving it out would give the next candidate's scores its place."""
    written("one", {"de-dev": encoded(5, 0), "nl-dev": encoded(4, 1)})
    written("two", {"de-dev": encoded(5, 2)}, {"de-dev": "d1"})
    for read_corpora in (
        lambda: encodings.features(store, ["one", "two"], ["de-dev", "nl-dev"]),
        lambda: encodings.sums(store, ["one", "two"], ["de-dev", "nl-dev"], STATISTICS),
        lambda: encodings.statistics(store, ["one", "two"], ["nl-dev"], STATISTICS),
    ):
        with pytest.raises(MissingError, match=r"^two was not encoded on nl-dev"):
            read_corpora()


def test_what_is_known_of_the_corpora_comes_back(store: Store):
    always = {"commonest class": [2.0, 3.0]}
    rows = [CorpusRow("de-dev", 3, "d1", ("a", "a", "b"), always), CorpusRow("de-text", 9, "t1", ())]
    encodings.write_corpora(store, rows, {})
    assert encodings.digests(store) == {"de-dev": "d1", "de-text": "t1"}
    assert encodings.corpora(store, ["de-dev", "de-text"]) == {row.name: row for row in rows}
    assert list(encodings.corpora(store, ["de-text"])) == ["de-text"]


def test_encodings_of_other_content_than_today_s_are_refused(store: Store, written: Write):
    written("one", {"de-dev": encoded(5, 0)}, {"de-dev": "d1"})
    encodings.write_corpora(store, [CorpusRow("de-dev", 5, "d1", ()), CorpusRow("nl-dev", 5, "n1", ())], {})
    encodings.require(store, ["one"], ["de-dev"])
    with pytest.raises(MissingError, match=r"^one was not encoded on nl-dev as it is now.*lms_ray\.features"):
        encodings.require(store, ["one"], ["de-dev", "nl-dev"])
    encodings.write_corpora(store, [CorpusRow("de-dev", 5, "d2", ())], {})
    with pytest.raises(MissingError, match=r"^one was not encoded on de-dev as it is now"):
        encodings.require(store, ["one"], ["de-dev"])
    with pytest.raises(MissingError, match=r"^nothing was encoded on zh-dev"):
        encodings.require(store, ["one"], ["zh-dev"])


def test_statistics_are_kept_to_the_last_digit(store: Store, written: Write):
    """An F1 of an answer is no whole number."""
    third_ES = np.array([[1 / 3, 1.0], [2 / 7, 1.0]])
    written("one", {"de-dev": Encoding(np.zeros(H), third_ES)}, {"de-dev": "d1"})
    assert np.array_equal(read(store, "de-dev")[1], third_ES)
