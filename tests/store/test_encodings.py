"""What was encoded comes back, and only what is new or changed is encoded again."""

import numpy as np
import pytest

from lms_ray.models.encode import Encoded
from lms_ray.settings.errors import MissingError
from lms_ray.store import encodings
from lms_ray.store.files import Store

DIGESTS = {"de-dev": "d1", "nl-dev": "n1"}
H = 4


def shard(examples: int, seed: int, groups: list[int] | None = None) -> Encoded:
    rng = np.random.default_rng(seed)
    total = rng.integers(1, 20, examples)
    statistics_ES = np.stack([rng.integers(0, total + 1), total], axis=1).astype(np.float64)
    return Encoded(rng.normal(size=H), statistics_ES, None if groups is None else np.array(groups, np.int32))


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
    feature_H = encodings.features(store, ["one"], [corpus])[0, 0]
    return feature_H, encodings.statistics(store, task, ["one"], [corpus]).by_corpus[corpus][0]


def test_features_and_statistics_come_back_in_the_wanted_order(store: Store, task, written):
    shards = {name: {"de-dev": [shard(5, seed), shard(3, seed + 1)], "nl-dev": [shard(4, seed + 2)]}
              for seed, name in ((0, "one"), (10, "two"))}  # fmt: skip
    for name, fresh in shards.items():
        written(name, fresh)
    feature_CGH = encodings.features(store, ["two", "one"], ["nl-dev", "de-dev"])
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


def test_examples_of_a_group_are_summed_over_all_shards(store: Store, task, written):
    shards = {
        name: [shard(4, seed, [7, 3, 3, 9]), shard(3, seed + 1, [9, 7, 12])] for seed, name in ((0, "one"), (5, "two"))
    }
    for name, parts in shards.items():
        written(name, {"de-dev": parts})
    statistics = encodings.statistics(store, task, ["two", "one"], ["de-dev"])
    group_E = np.array([7, 3, 3, 9, 9, 7, 12])
    assert statistics.groups["de-dev"].tolist() == group_E.tolist()
    sums_CGS = statistics.of_groups("de", "dev")
    for row, name in enumerate(("two", "one")):
        all_ES = np.concatenate([part.statistics_ES for part in shards[name]])
        wanted_GS = [all_ES[group_E == group].sum(0) for group in (3, 7, 9, 12)]
        assert sums_CGS[row].tolist() == np.array(wanted_GS).tolist()
    assert np.array_equal(sums_CGS.sum(1), statistics.of("de", "dev").sum(1))


def test_without_groups_every_example_is_resampled_alone(store: Store, task, written):
    written("one", {"de-dev": [shard(5, 0), shard(3, 1)], "nl-dev": [shard(2, 2, [0, 0])]})
    statistics = encodings.statistics(store, task, ["one"], ["de-dev", "nl-dev"])
    assert np.array_equal(statistics.of_groups("de", "dev"), statistics.of("de", "dev"))
    assert statistics.of("de", "dev").shape == (1, 8, 2)
    assert statistics.of_groups("nl", "dev").shape == (1, 1, 2)


def test_statistics_are_kept_to_the_last_digit(store: Store, task, written):
    """An F1 of an answer is no whole number."""
    third_ES = np.array([[1 / 3, 1.0], [2 / 7, 1.0]])
    written("one", {"de-dev": [Encoded(np.zeros(H), third_ES, None)]}, {"de-dev": "d1"})
    assert np.array_equal(read(store, task, "de-dev")[1], third_ES)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_is_refused_with_its_candidate(store: Store, task, written, bad: float):
    written("one", {"de-dev": [shard(5, 0)]}, {"de-dev": "d1"})
    written("diverged", {"de-dev": [Encoded(np.full(H, bad), np.ones((5, 2)), None)]}, {"de-dev": "d1"})
    with pytest.raises(MissingError, match=r"^diverged: its features are not finite: fine-tuning diverged"):
        encodings.features(store, ["one", "diverged"], ["de-dev"])
