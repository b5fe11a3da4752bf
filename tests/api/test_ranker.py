"""The ranker on a user's own arrays: what it learns, what it refuses, and what it keeps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import lms_ray
import pool96
from lms_ray import BrokenError, ConfigError, MissingError, PairwiseRanker
from lms_ray.settings import languages
from lms_ray.settings.choosing import Ranker
from object_storage import Roots

C, H = 60, 12
CODES = ("de", "es", "zh")
P = len(CODES)
SMALL: dict[str, Any] = {"form": "paper", "hidden": 16, "batch_size": 16, "learning_rate": [1e-2, 1e-3]}
KINDS = {"fast": {}, "paper": SMALL, "seeds": {**SMALL, "seeds": 2}}


def planted(seed: int = 0, candidates: int = C) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features on the pivots and in a further language, and scores on the pivots, of which the traits say most."""
    rng = np.random.default_rng(seed)
    wanted_H = np.random.default_rng(99).normal(size=H)
    trait_CH = rng.normal(size=(candidates, H))
    X = trait_CH[:, None] + 0.3 * rng.normal(size=(candidates, P, H))
    elsewhere = trait_CH + 0.3 * rng.normal(size=(candidates, H))
    return X, elsewhere, np.round((trait_CH @ wanted_H)[:, None] + 0.3 * rng.normal(size=(candidates, P)), 2)


X, X_DANISH, Y = planted()


@pytest.fixture(params=KINDS)
def ranker(request: pytest.FixtureRequest) -> PairwiseRanker:
    return PairwiseRanker(**KINDS[request.param]).fit(X, Y, languages=CODES)


def test_what_makes_a_candidate_good_is_learned_from_the_pivots(ranker: PairwiseRanker):
    fresh, danish, y = planted(seed=1)
    assert ranker.score(fresh, y, CODES) > 0.6
    assert ranker.score(danish, y.mean(1), "da") > 0.6
    assert ranker.predict(danish, "da").dtype == np.float64


def test_attributes_say_what_was_learned(ranker: PairwiseRanker):
    assert ranker.languages_ == CODES and ranker.n_features_in_ == H
    chosen = ranker.validation_[ranker.validation_["chosen"]]
    assert set(ranker.chosen_) == ({"l2"} if ranker.form == "fast" else {"batch_size", "learning_rate"})
    assert len(chosen) == ranker.seeds
    assert (chosen[list(ranker.chosen_)] == pd.Series(ranker.chosen_)).all(axis=None)
    axes = list(ranker.chosen_)
    highest = ranker.validation_.groupby(axes)["kendall_tau"].mean().max()
    assert ranker.kendall_tau_ == pytest.approx(highest)


def test_the_order_has_the_names_of_the_rows_and_the_best_one_first():
    ranker = PairwiseRanker().fit(X, Y, languages=CODES)
    names = [f"run-{number}" for number in range(C)]
    order = ranker.rank(pd.DataFrame(X_DANISH, names), language="da")
    assert order.is_monotonic_decreasing and set(order.index) == set(names)
    assert order.index[0] == names[int(ranker.predict(X_DANISH, "da").argmax())]
    assert ranker.rank(X_DANISH, language="da").index[0] == int(order.index[0].removeprefix("run-"))
    equal = ranker.rank(np.zeros((3, H)), language="da")
    assert list(equal.index) == [0, 1, 2]


def test_a_language_is_a_code_or_a_vector():
    by_code = PairwiseRanker().fit(X, Y, languages=CODES)
    vector_PV = languages.vectors(CODES, "learned")
    by_vector = PairwiseRanker().fit(X, Y, languages=vector_PV)
    danish = languages.vector("da", "learned")
    assert by_vector.languages_ is None
    assert np.array_equal(by_code.predict(X_DANISH, "da"), by_vector.predict(X_DANISH, danish))
    assert np.array_equal(by_code.predict(X_DANISH, danish), by_code.predict(X_DANISH, "da"))
    syntax = PairwiseRanker(language_vector="syntax_knn").fit(X, Y, languages=CODES)
    assert not np.array_equal(syntax.predict(X_DANISH, "da"), by_code.predict(X_DANISH, "da"))


def test_without_vectors_one_ranker_serves_every_language():
    plain = PairwiseRanker().fit(X, Y)
    named = PairwiseRanker(language_vector="none").fit(X, Y, languages=CODES)
    assert np.array_equal(plain.predict(X_DANISH), named.predict(X_DANISH, "da"))
    assert plain.languages_ is None and named.languages_ == CODES


def test_one_pivot_needs_no_axis():
    one = PairwiseRanker().fit(X[:, 0], Y[:, 0], languages="de")
    same = PairwiseRanker().fit(X[:, :1], Y[:, :1], languages=["de"])
    assert np.array_equal(one.predict(X_DANISH, "da"), same.predict(X_DANISH, "da"))


def test_a_data_frame_is_the_array_that_it_holds():
    """Also to the last bit, though pandas keeps columns and not rows together."""
    ranker = PairwiseRanker().fit(X, Y, languages=CODES)
    assert np.array_equal(ranker.predict(pd.DataFrame(X_DANISH), "da"), ranker.predict(X_DANISH, "da"))


def test_held_out_candidates_are_drawn_or_named():
    first, again, other = (PairwiseRanker(random_state=state).fit(X, Y, CODES) for state in (0, 0, 1))
    assert first.validation_.equals(again.validation_) and not first.validation_.equals(other.validation_)
    mask = np.arange(C) % 3 == 0
    named = PairwiseRanker().fit(X, Y, CODES, dev=mask)
    assert named.validation_.equals(PairwiseRanker().fit(X, Y, CODES, dev=np.flatnonzero(mask)).validation_)
    changed = np.where(mask[:, None], -Y, Y)
    assert PairwiseRanker(l2=0.1).fit(X, changed, CODES, mask).kendall_tau_ < 0 < named.kendall_tau_


def test_all_candidates_teach_where_there_is_nothing_to_choose():
    ranker = PairwiseRanker(l2=0.01, dev_share=0).fit(X[:4], Y[:4], CODES)
    assert np.isnan(ranker.kendall_tau_)
    for choice in ({}, {"l2": (1.0, 0.1), "seeds": 9}, {**SMALL, "learning_rate": 1e-2, "checkpoint": "best"}):
        with pytest.raises(ValueError, match=r"X: found 4 candidates, 4 to teach and 0 held out"):
            PairwiseRanker(dev_share=0, **choice).fit(X[:4], Y[:4], CODES)


def test_a_pivot_is_not_ranked_for():
    """Its labels have taught the ranker."""
    ranker = PairwiseRanker(language_vector="none").fit(X, Y, languages=["de", "no", "zh"])
    for language in ("de", ["de"], np.str_("de"), "nb"):
        with pytest.raises(ValueError, match=r"taught this ranker|name one language"):
            ranker.rank(X_DANISH, language=language)
    assert ranker.predict(X_DANISH, "de").shape == (C,)
    with pytest.raises(ValueError, match="language: found none; accepted is a code that is none of de, no, zh"):
        ranker.rank(X_DANISH)
    by_code = PairwiseRanker().fit(X, Y, languages=CODES)
    with pytest.raises(ValueError, match="found es, a pivot whose scores taught this ranker"):
        by_code.rank(X_DANISH, languages.vector("es", "learned"))
    assert len(by_code.rank(X_DANISH, languages.vector("da", "learned"))) == C


NAN = np.where(np.arange(C)[:, None] == 3, np.nan, Y)
REFUSED = {
    "shape of X": (lambda: PairwiseRanker().fit(Y[:, 0], Y), r"X: found shape \(60,\)"),
    "shape of y": (lambda: PairwiseRanker().fit(X, Y[:, :2]), r"y: found shape \(60, 2\); accepted is \(60, 3\)"),
    "ragged": (lambda: PairwiseRanker().fit([[1.0], [1.0, 2.0]], Y), "X: found .* accepted is an array of numbers"),
    "NaN in y": (lambda: PairwiseRanker().fit(X, NAN), r"y: found nan at \[3, 0\], one of 3 such values"),
    "infinity in X": (lambda: PairwiseRanker().fit(X * np.inf, Y), "X: found "),
    "no candidates": (lambda: PairwiseRanker().fit(X[:0], Y[:0]), "X: found shape"),
    "too few": (lambda: PairwiseRanker().fit(X[:3], Y[:3]), "X: found 3 candidates, 2 to teach and 1 held out"),
    "no difference": (lambda: PairwiseRanker().fit(X, np.ones((C, P))), "nothing to learn"),
    "count of languages": (lambda: PairwiseRanker().fit(X, Y, ["de"]), r"languages: found 1 \(de\); accepted are 3"),
    "language": (lambda: PairwiseRanker().fit(X, Y, ["de", "es", "xx"]), "'xx' is not a language"),
    "language twice": (lambda: PairwiseRanker().fit(X, Y, ["de", "es", "de"]), "found de twice"),
    "one language": (lambda: PairwiseRanker().fit(X, Y, ["de", "no", "nb"]), "name one language"),
    "rows of vectors": (lambda: PairwiseRanker().fit(X, Y, np.ones((2, 4))), r"vectors of shape \(2, 4\)"),
    "vector of zeros": (lambda: PairwiseRanker().fit(X, Y, np.zeros((3, 4))), "a vector of zeros"),
    "form": (lambda: PairwiseRanker("net").fit(X, Y), "form: found 'net'; accepted are 'fast' and 'paper'"),
    "penalty": (lambda: PairwiseRanker(l2=-1).fit(X, Y), r"l2\.0: found -1"),
    "kind of vector": (lambda: PairwiseRanker(language_vector="x").fit(X, Y), "language_vector: found 'x'"),
    "state": (lambda: PairwiseRanker(random_state=None).fit(X, Y), "random_state: found None"),
    "share": (lambda: PairwiseRanker(dev_share=1).fit(X, Y), "dev_share: found 1"),
    "dev": (lambda: PairwiseRanker().fit(X, Y, dev=[99]), r"dev: found \[99\]"),
    "parameter": (
        lambda: PairwiseRanker().set_params(alpha=1),
        "Invalid parameter 'alpha' for estimator PairwiseRanker",
    ),
}


@pytest.mark.parametrize(("ask", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_learned_from_is_refused(ask: Any, message: str):
    with pytest.raises(ValueError, match=message):
        ask()


def test_what_does_not_fit_what_was_learned_is_refused():
    ranker = PairwiseRanker().fit(X, Y, languages=CODES)
    for ask, message in (
        (lambda: ranker.predict(X_DANISH), "language: found none"),
        (lambda: ranker.predict(X_DANISH, np.ones(3)), "a vector of width 3; accepted is 512"),
        (lambda: ranker.predict(X_DANISH[:, :4], "da"), r"X: found shape \(60, 4\); accepted is \(candidates, 12\)"),
        (lambda: ranker.predict(X, "da"), r"X: found shape \(60, 3, 12\)"),
        (lambda: ranker.score(X[:1], Y[:1], CODES), "X: found 1 candidates"),
        (lambda: PairwiseRanker().fit(X, Y, np.eye(3)).predict(X_DANISH, "da"), "language: found the code da"),
    ):
        with pytest.raises(ValueError, match=message):
            ask()


def test_nothing_is_said_before_it_has_learned(tmp_path: Path):
    ranker = PairwiseRanker()
    for ask in (
        lambda: ranker.predict(X_DANISH),
        lambda: ranker.rank(X_DANISH),
        lambda: ranker.score(X, Y),
        lambda: ranker.save(str(tmp_path / "x")),
    ):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            ask()
    assert not list(tmp_path.iterdir())


def test_parameters_are_those_of_the_configuration_and_of_scikit_learn():
    ours, theirs = PairwiseRanker().get_params(), Ranker()
    same = set(ours) & set(Ranker.model_fields)
    assert {name: ours[name] for name in same} == {name: getattr(theirs, name) for name in same}
    assert set(Ranker.model_fields) - same == {"fit", "features", "auxiliary", "transfer_from", "resources"}
    given = PairwiseRanker("paper", l2=(1.0,), learning_rate=[1e-3])
    copy = clone(given).set_params(epochs=5)
    assert copy.get_params() == given.get_params() | {"epochs": 5}
    assert repr(copy) == "PairwiseRanker(epochs=5, form='paper', l2=(1.0,), learning_rate=[0.001])"


def test_numbers_of_numpy_are_numbers():
    given = {"l2": np.array([1.0, 0.1]), "epochs": np.int64(2), "random_state": np.int64(3)}
    plain = {"l2": [1.0, 0.1], "epochs": 2, "random_state": 3}
    one, other = (PairwiseRanker(**values).fit(X, Y, CODES) for values in (given, plain))
    assert np.array_equal(one.predict(X_DANISH, "da"), other.predict(X_DANISH, "da"))


def test_a_ranker_that_was_kept_scores_the_same_bit_for_bit(ranker: PairwiseRanker, tmp_path: Path):
    ranker.save(tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["ranker.json", "weights.safetensors"]
    again = lms_ray.load_ranker(str(tmp_path / "kept"))
    assert np.array_equal(again.predict(X_DANISH, "da"), ranker.predict(X_DANISH, "da"))
    assert repr(again).replace("(0.01, 0.001)", "[0.01, 0.001]") == repr(ranker)
    pd.testing.assert_frame_equal(again.validation_, ranker.validation_)
    assert list(again.chosen_.items()) == list(ranker.chosen_.items())
    assert (again.kendall_tau_, again.languages_) == (ranker.kendall_tau_, ranker.languages_)
    again.save(str(tmp_path / "twice"))
    for name in ("ranker.json", "weights.safetensors"):
        assert (tmp_path / "twice" / name).read_bytes() == (tmp_path / "kept" / name).read_bytes()


def test_a_ranker_is_kept_in_a_bucket_and_written_over(s3: Roots):
    folder = s3("rankers")
    for strength in (1.0, 0.001):
        ranker = PairwiseRanker(l2=strength).fit(X, Y)
        ranker.save(folder)
    assert np.array_equal(lms_ray.load_ranker(folder).predict(X_DANISH), ranker.predict(X_DANISH))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    PairwiseRanker().fit(X, Y, languages=CODES).save(str(tmp_path / "kept"))
    return tmp_path / "kept"


def changed(folder: Path, **values: Any) -> None:
    path = folder / "ranker.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def learned(folder: Path, **values: Any) -> dict[str, Any]:
    return json.loads((folder / "ranker.json").read_text())["learned"] | values


UNKNOWN = {
    "version": (lambda folder: changed(folder, version=2), "it is of version 2; accepted is 1"),
    "kind": (lambda folder: changed(folder, kind="sklearn"), "is of no lms_ray.PairwiseRanker"),
    "key": (lambda folder: changed(folder, code="x"), "code: Extra inputs are not permitted"),
    "no mapping": (lambda folder: (folder / "ranker.json").write_text("[]"), "is of no lms_ray.PairwiseRanker"),
    "parameter": (
        lambda folder: changed(folder, parameters={"alpha": 1}),
        "parameters: found alpha; accepted are batch_size",
    ),
    "other width": (lambda folder: changed(folder, learned=learned(folder, width=5)), "where the record says 5"),
    "other form": (lambda folder: changed(folder, learned=learned(folder, form="paper")), "its weights are not those"),
    "more rankers": (lambda folder: changed(folder, rankers=2), "its weights are not those"),
    "nothing chosen": (lambda folder: changed(folder, learned=learned(folder, validation=[])), "no ranker that can be"),
}


@pytest.mark.parametrize(("spoil", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_known_is_refused(kept: Path, spoil: Any, message: str):
    spoil(kept)
    with pytest.raises(ConfigError, match=message):
        lms_ray.load_ranker(str(kept))


def test_a_broken_file_is_named(kept: Path, tmp_path: Path):
    weights = kept / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BrokenError, match=r"weights\.safetensors: broken"):
        lms_ray.load_ranker(str(kept))
    weights.unlink()
    for folder in (kept, tmp_path / "nowhere"):
        with pytest.raises(MissingError, match=r"found no ranker\.json and weights\.safetensors in "):
            lms_ray.load_ranker(str(folder))


@pytest.mark.real
def test_a_real_pool_is_ordered_for_languages_of_which_no_label_was_seen(shared: Path):
    """96 taggers, five pivots: in each of fifteen further languages better than by chance."""
    pool = pool96.read(shared)
    material = pool.known.material
    pivots = [material.languages.index(pivot) for pivot in pool96.PIVOTS]
    ranker = PairwiseRanker().fit(material.feature_CGH[:, pivots], material.pivot_score_CP, languages=pool96.PIVOTS)
    taus = {
        target: ranker.score(material.feature_CGH[:, material.languages.index(target)], judged.test_C, target)
        for target, judged in pool.oracles.items()
    }
    assert min(taus.values()) > 0 and np.mean(list(taus.values())) > 0.15
