"""Signals are what their papers define, and see no label that they may not see."""

from dataclasses import replace

import numpy as np
import pytest

from lms_ray.choosing.signals import (
    SIGNALS,
    Observed,
    above_threshold,
    agreement,
    agreement_with_vote,
    corrected_shares,
    distance,
    mano,
)

C, U, K, BINS = 7, 60, 4, 20
LANGUAGES = ("de", "es", "zh", "tr")
PIVOTS = ("de", "es", "zh")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def label_CU(rng) -> np.ndarray:
    """Labels on which some candidates agree more than others, as numbers that may be as large as a text is long."""
    right_U = rng.integers(0, K, U)
    is_right_CU = rng.random((C, U)) < np.linspace(0.3, 0.9, C)[:, None]
    return (1000 * np.where(is_right_CU, right_U, rng.integers(0, K, (C, U)))).astype(np.int32)


def shares(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.dirichlet(np.ones(shape[-1]), shape[:-1])


@pytest.fixture
def observed(rng, label_CU) -> Observed:
    numbers = ("confidence", "entropy", "softmax_norm", "taylor_norm", "spread", "nuclear_norm")
    return Observed(
        languages=LANGUAGES,
        seen={
            **{name: rng.random((C, len(LANGUAGES))) for name in numbers},
            "confidences": shares(rng, C, len(LANGUAGES), BINS),
            "label_share": shares(rng, C, len(LANGUAGES), K),
        },
        label_CU={language: rng.permutation(label_CU, axis=1) for language in LANGUAGES},
        gold_share={pivot: shares(rng, 1, K)[0] for pivot in PIVOTS},
        source_confidences_CN=shares(rng, C, BINS),
        source_right_C=rng.random(C),
    )


def test_agreement_is_with_each_other_candidate(label_CU):
    expected = [np.mean([(label_CU[one] == label_CU[other]).mean() for other in range(C) if other != one])
                for one in range(C)]  # fmt: skip
    np.testing.assert_allclose(agreement(label_CU), expected)


def test_two_candidates_agree_with_each_other_alike(label_CU):
    one, other = agreement(label_CU[:2])
    assert one == other == (label_CU[0] == label_CU[1]).mean()
    assert agreement(label_CU[[3, 3]]).tolist() == [1, 1]
    assert np.isnan(agreement(label_CU[:1])).all()
    assert np.isnan(agreement(label_CU[:, :0])).all()


@pytest.mark.parametrize("weight_C", [np.ones(C), np.r_[1.0, 1, 1, 0, 0, 0, 0], np.arange(C) / C])
def test_a_vote_is_of_the_others_and_a_draw_agrees_with_nobody(label_CU, weight_C):
    expected = np.zeros(C)
    for one in range(C):
        for unit in range(U):
            votes = dict.fromkeys(label_CU[:, unit], 0.0)
            for other in range(C):
                votes[label_CU[other, unit]] += weight_C[other] * (other != one)
            own = votes.pop(label_CU[one, unit])
            expected[one] += own > max(votes.values(), default=0.0)
    np.testing.assert_allclose(agreement_with_vote(label_CU, weight_C), expected / U)
    assert 0 < expected.min() < expected.max() < U


def test_the_threshold_of_atc_gives_the_source_its_own_share_of_right_units(rng):
    source_CN = shares(rng, C, BINS)
    source_CN[:, : BINS // 2] = 0  # as of a task with two labels: no confidence is below a half
    source_CN /= source_CN.sum(1, keepdims=True)
    right_C = np.r_[0, 1, rng.random(C - 2)]
    np.testing.assert_allclose(above_threshold(source_CN, source_CN, right_C), right_C, atol=1e-12)


def test_atc_counts_what_is_surer_than_the_threshold(rng):
    source_CU, text_CU = np.sqrt(rng.random((C, 5000))), rng.random((C, 4000))
    right_C = np.linspace(0.3, 0.95, C)
    threshold_C = [np.quantile(source_U, 1 - right) for source_U, right in zip(source_CU, right_C, strict=True)]
    expected = (text_CU > np.asarray(threshold_C)[:, None]).mean(1)
    source_CN, text_CN = (
        np.stack([np.histogram(confidence_U, 200, (0, 1))[0] / len(confidence_U) for confidence_U in of_all])
        for of_all in (source_CU, text_CU)
    )
    np.testing.assert_allclose(above_threshold(text_CN, source_CN, right_C), expected, atol=2e-3)


def test_mano_normalises_all_candidates_in_one_way():
    softmax_C, taylor_C = np.asarray([0.2, 0.3]), np.asarray([0.4, 0.1])
    np.testing.assert_allclose(mano(softmax_C, taylor_C, np.asarray([2.0, 6.0])), taylor_C**0.25)  # unsure on the whole
    np.testing.assert_allclose(mano(softmax_C, taylor_C, np.asarray([4.0, 9.0])), softmax_C**0.25)


def test_a_distance_is_the_share_of_units_that_would_have_to_change():
    share_CK = np.asarray([[1, 0, 0], [0, 1, 0], [0.5, 0.25, 0.25]])
    assert distance(share_CK, share_CK[0]).tolist() == [0, 1, 0.5]
    assert distance(share_CK[[0]], share_CK[2]) == distance(share_CK[[2]], share_CK[0])


def test_what_the_pool_gives_too_often_everywhere_is_corrected(rng):
    bias_K = rng.uniform(0.5, 2, K)
    gold_GK = (shares(rng, 4, K) + 0.1) / (1 + 0.1 * K)
    predicted_GK = gold_GK * bias_K / (gold_GK * bias_K).sum(1, keepdims=True)
    np.testing.assert_allclose(corrected_shares(predicted_GK[0], predicted_GK[1:], gold_GK[1:]), gold_GK[0])
    np.testing.assert_allclose(corrected_shares(gold_GK[0], gold_GK[1:], gold_GK[1:]), gold_GK[0])


def test_a_label_that_is_never_given_or_never_right_breaks_nothing():
    never_K, some_K = np.asarray([0.0, 0.4, 0.6]), np.asarray([0.2, 0.3, 0.5])
    for predicted_K, gold_K in ((never_K, some_K), (some_K, never_K)):
        corrected_K = corrected_shares(some_K, predicted_K[None], gold_K[None])
        assert np.isfinite(corrected_K).all()
        assert corrected_K.sum() == pytest.approx(1)


def test_signals_of_labels_point_where_their_papers_say(observed):
    z_C = np.arange(C, dtype=float)
    signals = observed.signals("tr", PIVOTS, z_C)
    assert list(signals) == list(SIGNALS[:-3])
    seen = {name: of_all[:, 3] for name, of_all in observed.seen.items()}
    gold_K = np.mean(list(observed.gold_share.values()), axis=0)
    best = {
        "confidence": seen["confidence"].argmax(),
        "entropy": seen["entropy"].argmin(),
        "dispersion": seen["nuclear_norm"].argmax(),
        "shares": np.abs(seen["label_share"] - gold_K).sum(1).argmin(),
        "shared_with_pool": np.abs(seen["label_share"] - seen["label_share"].mean(0)).sum(1).argmin(),
        "agreement": C - 1,  # the label that most others give
    }
    assert {name: signals[name].argmax() for name in best} == best
    voting = agreement_with_vote(observed.label_CU["tr"], (z_C >= C - 3).astype(float))  # a quarter would be too few
    np.testing.assert_array_equal(signals["vote"], voting)


def test_a_pivot_that_plays_the_target_is_judged_without_its_labels(observed):
    others, z_C = ("es", "zh"), np.zeros(C)
    told = replace(observed, gold_share={**observed.gold_share, "de": np.eye(K)[0]})
    one, other = (of.signals("de", others, z_C) for of in (observed, told))
    assert one.keys() == other.keys()
    for name, signal_C in one.items():
        np.testing.assert_array_equal(signal_C, other[name])
    assert not np.array_equal(
        told.signals("es", ("de", "zh"), z_C)["shares"], observed.signals("es", ("de", "zh"), z_C)["shares"]
    )


def test_signals_of_answers_need_no_labels(observed, rng):
    numbers = ("confidence", "entropy", "span_log_probability", "empty", "overlong")
    seen = {**{name: rng.random((C, len(LANGUAGES))) for name in numbers}, "confidences": observed.seen["confidences"]}
    answers = replace(observed, seen=seen, gold_share={pivot: np.empty(0) for pivot in PIVOTS})
    signals = answers.signals("tr", PIVOTS, np.zeros(C))
    assert list(signals) == ["confidence", "entropy", "atc", "agreement", "vote", *SIGNALS[-3:]]
    np.testing.assert_array_equal(signals["answered"], -seen["empty"][:, 3])
    np.testing.assert_array_equal(signals["brief"], -seen["overlong"][:, 3])


def test_text_without_units_gives_no_signals(observed):
    nothing = {name: np.full_like(of_all, np.nan) for name, of_all in observed.seen.items()}
    mute = replace(observed, seen=nothing, label_CU={language: np.empty((C, 0), np.int32) for language in LANGUAGES})
    assert mute.signals("tr", PIVOTS, np.zeros(C)) == {}
    assert observed.signals("fi", PIVOTS, np.zeros(C)) == {}
