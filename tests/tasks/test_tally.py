"""What is seen without labels is what its definitions say, whatever the batches."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from lms_ray.models import encoder as encoders
from lms_ray.models.encode import encode
from lms_ray.settings.models import Encode
from lms_ray.tasks.tally import BINS, Tally, tally

K = 5


@pytest.fixture
def logit_UK() -> np.ndarray:
    return 3 * np.random.default_rng(0).normal(size=(40, K))


def tallied(logit_BUK: np.ndarray, weight_BU: np.ndarray, labels: bool = True) -> np.ndarray:
    return tally(torch.from_numpy(logit_BUK), torch.from_numpy(weight_BU), labels).numpy()


def test_means_equal_their_definitions(logit_UK):
    means = Tally.unpack(tallied(logit_UK[None], np.ones((1, 40)))).means()
    probability_UK = softmax(logit_UK, axis=1)
    taylor_UK = 1 + logit_UK + logit_UK**2 / 2
    taylor_UK /= taylor_UK.sum(1, keepdims=True)
    expected = {
        "units": 40,
        "confidence": probability_UK.max(1).mean(),
        "entropy": -(probability_UK * np.log(probability_UK)).sum(1).mean(),
        "softmax_norm": (probability_UK**4).mean(),
        "taylor_norm": (taylor_UK**4).mean(),
        "spread": -np.log(probability_UK).mean(),
        "nuclear_norm": np.linalg.norm(probability_UK, "nuc") / np.sqrt(K * 40),
        "label_share": probability_UK.mean(0),
        "confidences": np.histogram(probability_UK.max(1), np.linspace(0, 1, BINS + 1))[0] / 40,
    }
    assert means.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(means[name], value, rtol=1e-5, atol=1e-7, err_msg=name)


def test_batches_add_up_and_padding_counts_for_nothing(logit_UK):
    whole = tallied(logit_UK[None], np.ones((1, 40)))
    padded = np.concatenate([logit_UK[25:], np.full((10, K), 7.0)])[None]
    parts = tallied(logit_UK[None, :25], np.ones((1, 25))) + tallied(padded, np.r_[np.ones(15), np.zeros(10)][None])
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)


def test_places_that_are_not_allowed_are_no_labels(logit_UK):
    logit_UK[:, 3:] = -np.inf
    means = Tally.unpack(tallied(logit_UK[None], np.ones((1, 40)), labels=False)).means()
    probability_UK = softmax(logit_UK[:, :3], axis=1)
    assert means["confidence"] == pytest.approx(probability_UK.max(1).mean())
    assert means["entropy"] == pytest.approx(-(probability_UK * np.log(probability_UK)).sum(1).mean())
    assert not len(means["label_share"])


def test_the_forward_pass_sees_every_word_once(task, encoder, sentences):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = task.build(encoder.config)
    encoders.load_weights(model, encoder)
    examples = sentences(60, longest=25)
    labelled = task.windows(examples, encoder.tokenizer, 12)  # some span several windows
    plain = task.text_windows([" ".join(example.words) for example in examples], encoder.tokenizer, 12)
    seen, unseen = (encode(model.eval(), task, windows, Encode(predictions=50)) for windows in (labelled, plain))
    words = sum(len(example.words) for example in examples)
    assert Tally.unpack(seen.tally).units == words
    np.testing.assert_allclose(seen.tally, unseen.tally)  # labels change nothing
    assert np.array_equal(seen.label_U, unseen.label_U)
    assert seen.units_E.tolist() == [len(example.words) for example in examples[:50]]
    gold_U = [task.number[tag] for example in examples[:50] for tag in example.tags]
    assert (seen.label_U == gold_U).sum() == seen.statistics_ES[:50, 0].sum()


def test_gold_shares_sum_to_one(task, sentences):
    examples = sentences(60)
    share_K = task.gold_share(examples)
    assert share_K.sum() == pytest.approx(1)
    words = [tag for example in examples for tag in example.tags]
    assert share_K[task.number[words[0]]] == pytest.approx(words.count(words[0]) / len(words))
