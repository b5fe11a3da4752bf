"""What was encoded comes back, and only what is new or changed is encoded again."""

import numpy as np
import pytest

from lms_ray import encodings
from lms_ray.encode import Encoded
from lms_ray.errors import MissingError
from lms_ray.store import Store

DIGESTS = {"de-dev": "d1", "nl-dev": "n1"}
H = 4


def shard(examples: int, seed: int) -> Encoded:
    rng = np.random.default_rng(seed)
    total = rng.integers(1, 20, examples)
    return Encoded(rng.normal(size=H), np.stack([rng.integers(0, total + 1), total], axis=1))


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path))


@pytest.fixture
def written(store: Store, task):
    """Write a candidate's corpora: `written("one", {"de-dev": [shard, ...]}, digests)`."""

    def write(candidate: str, fresh: dict[str, list[Encoded]], digests: dict[str, str] = DIGESTS) -> None:
        encodings.write(store, task, candidate, fresh, digests, seconds=2.0)

    return write


def read(store: Store, task, corpus: str) -> tuple[np.ndarray, np.ndarray]:
    """Feature and statistics of candidate one."""
    language, split = corpus.split("-")
    feature_H = encodings.features(store, ["one"], [language], split)[0, 0]
    return feature_H, encodings.statistics(store, task, ["one"], [corpus]).by_corpus[corpus][0]


def test_features_and_statistics_come_back_in_the_wanted_order(store: Store, task, written):
    shards = {name: {"de-dev": [shard(5, seed), shard(3, seed + 1)], "nl-dev": [shard(4, seed + 2)]}
              for seed, name in ((0, "one"), (10, "two"))}  # fmt: skip
    for name, fresh in shards.items():
        written(name, fresh)
    feature_CGH = encodings.features(store, ["two", "one"], ["nl", "de"], "dev")
    assert feature_CGH.shape == (2, 2, H)
    assert feature_CGH.dtype == np.float64
    for row, name in enumerate(("two", "one")):
        first, second = shards[name]["de-dev"]
        np.testing.assert_array_equal(feature_CGH[row, 0], shards[name]["nl-dev"][0].cls_sum_H / 4)
        np.testing.assert_allclose(feature_CGH[row, 1], (first.cls_sum_H + second.cls_sum_H) / 8, rtol=1e-15)
    statistics = encodings.statistics(store, task, ["two", "one"], ["de-dev"])
    assert list(statistics.by_corpus) == ["de-dev"]  # and no others
    wanted_CES = np.stack(
        [np.concatenate([part.statistics_ES for part in shards[name]["de-dev"]]) for name in ("two", "one")]
    )
    assert np.array_equal(statistics.of("de", "dev"), wanted_CES)
    sums = wanted_CES.sum(1)
    assert statistics.scores("de", "dev").tolist() == (sums[:, 0] / sums[:, 1]).tolist()


def test_only_what_is_new_or_changed_is_missing(store: Store, written):
    assert encodings.missing(store, "one", DIGESTS) == ["de-dev", "nl-dev"]
    written("one", {"de-dev": [shard(5, 0)], "nl-dev": [shard(4, 1)]})
    assert encodings.missing(store, "one", DIGESTS) == []
    assert encodings.missing(store, "one", {**DIGESTS, "zh-dev": "z1"}) == ["zh-dev"]
    assert encodings.missing(store, "one", {**DIGESTS, "nl-dev": "n2"}) == ["nl-dev"]
    assert encodings.missing(store, "two", DIGESTS) == ["de-dev", "nl-dev"]


def test_a_corpus_that_is_added_later_keeps_the_earlier_ones(store: Store, task, written):
    written("one", {"de-dev": [shard(5, 0)], "nl-dev": [shard(4, 1)]})
    before = {name: read(store, task, name) for name in DIGESTS}
    digests = {**DIGESTS, "zh-dev": "z1"}
    written("one", {"zh-dev": [shard(6, 2)]}, digests)
    assert encodings.missing(store, "one", digests) == []
    for name, (feature_H, statistics_ES) in before.items():
        feature_now_H, statistics_now_ES = read(store, task, name)
        assert np.array_equal(feature_now_H, feature_H)
        assert np.array_equal(statistics_now_ES, statistics_ES)
    assert np.array_equal(read(store, task, "zh-dev")[1], shard(6, 2).statistics_ES)
    assert store.done("encodings/one")["seconds"] == 4.0


def test_a_corpus_whose_content_changed_is_replaced_and_the_others_stay(store: Store, task, written):
    written("one", {"de-dev": [shard(5, 0)], "nl-dev": [shard(4, 1)]})
    written("one", {"nl-dev": [shard(7, 9)]}, {**DIGESTS, "nl-dev": "n2"})
    assert encodings.missing(store, "one", {**DIGESTS, "nl-dev": "n2"}) == []
    assert np.array_equal(read(store, task, "nl-dev")[1], shard(7, 9).statistics_ES)
    np.testing.assert_allclose(read(store, task, "nl-dev")[0], shard(7, 9).cls_sum_H / 7)
    assert np.array_equal(read(store, task, "de-dev")[1], shard(5, 0).statistics_ES)
    written("one", {"de-dev": [shard(5, 0)]})  # once more, though it was there
    table = store.read_table("encodings/one/features.parquet")
    assert sorted(table["corpus"].to_pylist()) == ["de-dev"]  # one row, and no row of what is no longer wanted


def test_a_candidate_without_a_wanted_corpus_is_refused(store: Store, task, written):
    """Leaving it out would give the next candidate's scores its place."""
    written("one", {"de-dev": [shard(5, 0)], "nl-dev": [shard(4, 1)]})
    written("two", {"de-dev": [shard(5, 2)]}, {"de-dev": "d1"})
    with pytest.raises(MissingError, match="nl"):
        encodings.statistics(store, task, ["two", "one"], ["de-dev", "nl-dev"])
