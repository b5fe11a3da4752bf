"""Signals from unlabelled text are what their papers define, and none looks at a label that it may not see."""

import numpy as np
import pytest

from lms_ray.choosing import signals
from lms_ray.choosing.signals import Observed

C, K, U, N = 6, 4, 50, 200


@pytest.fixture
def label_CU() -> np.ndarray:
    return np.random.default_rng(0).integers(0, K, (C, U), dtype=np.int32)


def histogram(confidence_U: np.ndarray) -> np.ndarray:
    return np.histogram(confidence_U, np.linspace(0, 1, N + 1))[0] / len(confidence_U)


def test_agreement_is_the_mean_share_of_the_others_with_the_same_label(label_CU: np.ndarray):
    expected = [
        np.mean([[label_CU[c, u] == label_CU[other, u] for other in range(C) if other != c] for u in range(U)])
        for c in range(C)
    ]
    np.testing.assert_allclose(signals.agreement(label_CU), expected)


def test_the_vote_is_that_of_the_others(label_CU: np.ndarray):
    weight_C = np.array([1.0, 0, 2, 1, 0, 1.5])
    expected = []
    for c in range(C):
        right = 0
        for u in range(U):
            votes_K = np.zeros(K)
            for other in range(C):
                if other != c:
                    votes_K[label_CU[other, u]] += weight_C[other]
            winners = np.flatnonzero(votes_K == votes_K.max())
            right += winners.tolist() == [label_CU[c, u]]
        expected.append(right / U)
    np.testing.assert_allclose(signals.agreement_with_vote(label_CU, weight_C), expected)


def test_where_confidence_is_right_the_threshold_tells_the_accuracy():
    """ATC on the source itself gives the score on the source; where units are surer, it expects more."""
    rng = np.random.default_rng(0)
    source_CN = np.stack([histogram(rng.beta(a, 2, 4000)) for a in (2, 4, 8)])
    score_C = np.array([0.6, 0.75, 0.9])
    np.testing.assert_allclose(signals.above_threshold(source_CN, source_CN, score_C), score_C, atol=1e-9)
    surer_CN = np.stack([histogram(rng.beta(a, 1, 4000)) for a in (2, 4, 8)])
    assert (signals.above_threshold(surer_CN, source_CN, score_C) > score_C).all()


def test_mano_takes_the_same_normalisation_for_all():
    softmax_C, taylor_C = np.array([0.2, 0.3]), np.array([0.1, 0.05])
    np.testing.assert_allclose(signals.mano(softmax_C, taylor_C, np.array([4.0, 5.0])), taylor_C**0.25)
    np.testing.assert_allclose(signals.mano(softmax_C, taylor_C, np.array([4.0, 9.0])), softmax_C**0.25)


def test_label_shares_are_as_far_apart_as_units_would_have_to_change():
    share_CK = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    assert signals.distance(share_CK, share_CK[0]).tolist() == pytest.approx([0, 0.5, 0.5])


def observed(label_CU: np.ndarray, with_shares: bool = True) -> Observed:
    rng = np.random.default_rng(1)
    names = ("confidence", "entropy", "softmax_norm", "taylor_norm", "spread", "nuclear_norm")
    seen = {name: rng.random((C, 2)) for name in names}
    seen["confidences"] = rng.dirichlet(np.ones(N), (C, 2))
    seen["label_share"] = rng.dirichlet(np.ones(K), (C, 2)) if with_shares else np.empty((C, 2, 0))
    return Observed(
        languages=("sv", "de"),
        seen=seen,
        label_CU={"sv": label_CU, "de": label_CU[:, :0]},
        gold_share={"de": np.array([0.1, 0.2, 0.3, 0.4]), "es": np.array([0.25, 0.25, 0.25, 0.25])},
        source_confidences_CN=rng.dirichlet(np.ones(N), C),
        source_score_C=rng.random(C),
    )


def test_the_signals_of_a_language(label_CU: np.ndarray):
    all_of_them = observed(label_CU)
    pivot_z_C = np.array([0.1, 3, 0.2, 2, 0.3, -1])
    found = all_of_them.signals("sv", ["de", "es"], pivot_z_C)
    assert tuple(found) == signals.SIGNALS
    assert np.array_equal(found["entropy"], -all_of_them.seen["entropy"][:, 0])
    share_CK = all_of_them.seen["label_share"][:, 0]
    np.testing.assert_allclose(found["shares"], -signals.distance(share_CK, np.array([0.175, 0.225, 0.275, 0.325])))
    np.testing.assert_allclose(
        all_of_them.signals("sv", ["es"], pivot_z_C)["shares"], -signals.distance(share_CK, np.full(K, 0.25))
    )
    leading = np.isin(np.arange(C), [1, 3]).astype(float)  # a quarter of six, rounded up
    assert np.array_equal(found["vote"], signals.agreement_with_vote(label_CU, leading))


def test_what_a_text_cannot_give_is_left_out(label_CU: np.ndarray):
    places = observed(label_CU, with_shares=False).signals("sv", ["de"], np.zeros(C))
    assert places.keys() == {"confidence", "entropy", "atc", "agreement", "vote"}
    assert "agreement" not in observed(label_CU).signals("de", ["es"], np.zeros(C))  # no predictions were kept
    assert observed(label_CU).signals("pt", ["de"], np.zeros(C)) == {}
