"""What is seen without labels is what its definitions say, whatever the task and the batches."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from lms_ray import tasks
from lms_ray.data.examples import Answer, EntitySentence, LabelledText, Pair, Question
from lms_ray.models import encoder as encoders
from lms_ray.models.encode import encode
from lms_ray.settings.models import Encode
from lms_ray.tasks.pairs import MARKERS
from lms_ray.tasks.tally import BINS, label_means, of_labels, of_spans, span_means

K = 5
ENTITIES = ("O", "B-LOC", "I-LOC")
LABELS = {
    "pos": (),
    "ner": ENTITIES,
    "qa": (),
    "re": ("O", "owns"),
    "arl": ("O", "A0"),
    "classification": ("no", "yes"),
}
LONGEST = 3


@pytest.fixture
def logit_UK() -> np.ndarray:
    return 3 * np.random.default_rng(0).normal(size=(40, K))


def sums(logit_BUK: np.ndarray, weight_BU: np.ndarray) -> np.ndarray:
    return of_labels(torch.from_numpy(logit_BUK), torch.from_numpy(weight_BU)).numpy()


def test_means_equal_their_definitions(logit_UK):
    means = label_means(sums(logit_UK[None], np.ones((1, 40))))
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
        np.testing.assert_allclose(means[name], value, rtol=1e-6, atol=1e-12, err_msg=name)


def test_batches_add_up_and_padding_counts_for_nothing(logit_UK):
    whole = sums(logit_UK[None], np.ones((1, 40)))
    padded = np.concatenate([logit_UK[25:], np.full((10, K), 7.0)])[None]
    parts = sums(logit_UK[None, :25], np.ones((1, 25))) + sums(padded, np.r_[np.ones(15), np.zeros(10)][None])
    np.testing.assert_allclose(parts, whole)


def test_the_nuclear_norm_is_highest_where_labels_are_sure_and_balanced():
    """Deng et al. 2023: confidence and dispersion in one number."""
    norms = [
        label_means(sums(100 * np.eye(K)[labels][None], np.ones((1, 40))))["nuclear_norm"]
        for labels in (np.arange(40) % K, np.zeros(40, int))
    ]
    assert norms == pytest.approx([1, 1 / np.sqrt(K)])


def test_bfloat16_around_it_rounds_no_sums(logit_UK):
    logit_1UK, weight_1U = torch.from_numpy(logit_UK[None]).float(), torch.ones(1, 40)
    wanted = of_labels(logit_1UK, weight_1U)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(of_labels(logit_1UK, weight_1U), wanted)


# Scores of five sub-words, of which the first is outside of the context, as first and as last one of an answer; what
# the answer that is given then scores, and whether the best ends, each for itself, are an empty or an overlong one.
ANSWERS = [
    ([0, 3, 1, 0, 0], [0, 0, 4, 0, 0], 7, False, False),
    ([9, 3, 1, 0, 0], [9, 0, 4, 0, 0], 7, True, False),  # at [CLS]
    ([0, 0, 0, 5, 0], [0, 0, 4, 1, 0], 6, True, False),  # ends before it begins
    ([0, 3, 0, 0, 0], [0, 0, 1, 2, 4], 5, False, True),  # four sub-words are one too many
]


def test_answers_are_as_sure_as_their_two_ends_and_say_when_they_are_none():
    first_BL, last_BL, best_B, is_empty_B, is_overlong_B = map(np.asarray, zip(*ANSWERS, strict=True))
    inside_BL = np.tile([False, True, True, True, True], (4, 1))
    weight_B = np.asarray([1, 0.5, 0.5, 1])
    score_B2L = np.stack([first_BL, last_BL], 1).astype(float)
    means = span_means(of_spans(*map(torch.from_numpy, (score_B2L, inside_BL, weight_B, best_B)), LONGEST).numpy())
    log_B2L = log_softmax(score_B2L[..., 1:], axis=-1)
    entropy_B2 = -(np.exp(log_B2L) * log_B2L).sum(-1)
    share_B = weight_B / weight_B.sum()
    assert means["units"] == 2 * weight_B.sum()
    assert means["confidence"] == pytest.approx(share_B @ np.exp(log_B2L).max(-1).mean(1))
    assert means["entropy"] == pytest.approx(share_B @ entropy_B2.mean(1))
    assert means["empty"] == pytest.approx(share_B @ is_empty_B)
    assert means["overlong"] == pytest.approx(share_B @ is_overlong_B)
    given = [(1, 2), (1, 2), (3, 3), (1, 3)]
    log_B = [log_B2L[row, 0, first - 1] + log_B2L[row, 1, last - 1] for row, (first, last) in enumerate(given)]
    assert means["span_log_probability"] == pytest.approx(share_B @ log_B, rel=1e-5)
    assert sum(means["confidences"]) == pytest.approx(1)


@pytest.fixture(scope="module")
def marked(encoder_folder) -> encoders.Encoder:
    return encoders.load(str(encoder_folder), MARKERS)


@pytest.fixture(scope="module")
def examples(sentences) -> dict[str, list]:
    """Sixty examples of each task; the longest span several windows of 32 sub-words."""
    tagged = sentences(60, longest=25)
    texts = [" ".join(one.words * 3) for one in tagged]
    pairs = [
        Pair(one.words, (0, 1), (1, 2), () if number % 2 else ("owns",), None, 0) for number, one in enumerate(tagged)
    ]
    return {
        "pos": tagged,
        "ner": [EntitySentence(one.words, tuple(ENTITIES[len(word) % 3] for word in one.words)) for one in tagged],
        "qa": [
            Question("the dog ?", text, (Answer(text.split()[0], 0),), "en", number)
            for number, text in enumerate(texts)
        ],
        "re": pairs,
        "arl": [replace(pair, labels=("A0",) if pair.labels else ()) for pair in pairs],
        "classification": [
            LabelledText(text, None, "yes" if number % 3 else "no") for number, text in enumerate(texts)
        ],
    }


def candidate(task, encoder):
    """A model whose random head makes differing predictions."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        model = task.build(encoder.config)
        encoders.load_weights(model, encoder)
        for name, parameter in model.named_parameters():
            if name.startswith(("classifier", "qa_outputs")):
                torch.nn.init.normal_(parameter)
    return model.eval()


@pytest.mark.parametrize("name", list(LABELS))
def test_every_task_s_signals_are_finite_and_do_not_depend_on_batches(name, marked, examples):
    task = tasks.get(name, LABELS[name])
    model, windows = candidate(task, marked), task.windows(examples[name], marked.tokenizer, 32)
    one, other = (encode(model, task, windows, Encode(batch_tokens=tokens, predictions=50)) for tokens in (512, 9999))
    np.testing.assert_allclose(one.tally, other.tally, rtol=1e-4, atol=1e-3)
    assert np.array_equal(one.label_U, other.label_U)
    means = task.means(one.tally)
    assert np.isfinite(np.hstack(list(means.values()))).all()
    assert np.sum(means["confidences"]) == pytest.approx(1)
    per_example = {"pos": None, "ner": None, "qa": 2}.get(name, 1)
    units_E = [per_example or len(one.words) for one in examples[name]]
    assert means["units"] == pytest.approx(sum(units_E))
    assert one.units_E.tolist() == units_E[:50]
    assert len(one.label_U) == sum(units_E[:50])
    if name == "qa":
        assert not len(task.gold_share(examples[name]))
    else:
        assert np.sum(means["label_share"]) == pytest.approx(1)
        assert task.gold_share(examples[name]).sum() == pytest.approx(1)
        assert len(means["label_share"]) == len(task.gold_share(examples[name]))
        assert set(one.label_U) <= set(range(len(task.labels)))


@pytest.mark.parametrize("name", [name for name in LABELS if name != "qa"])
def test_the_share_of_right_units_is_what_labels_and_predictions_say(name, marked, examples):
    task = tasks.get(name, LABELS[name])
    encoded = encode(candidate(task, marked), task, task.windows(examples[name], marked.tokenizer, 32), Encode())
    gold_U = np.asarray([task.number[label] for label in task.gold(examples[name])])
    accuracy = task.accuracy(encoded.statistics_ES.sum(0))
    assert 0 < accuracy < 1
    assert accuracy == pytest.approx((encoded.label_U == gold_U).mean())


@pytest.mark.parametrize("name", list(LABELS))
def test_labels_change_nothing_and_plain_text_has_signals_where_it_has_units(name, marked, examples):
    task = tasks.get(name, LABELS[name])
    model = candidate(task, marked)
    if name in ("qa", "re", "arl"):  # text has neither questions nor pairs
        encoded = encode(model, task, task.text_windows(["the dog runs ."], marked.tokenizer, 32), Encode())
        assert len(encoded.tally) == len(encoded.label_U) == 0
        return
    lines = [one.text if name == "classification" else " ".join(one.words) for one in examples[name]]
    labelled, plain = (
        encode(model, task, windows, Encode())
        for windows in (
            task.windows(examples[name], marked.tokenizer, 32),
            task.text_windows(lines, marked.tokenizer, 32),
        )
    )
    assert np.array_equal(labelled.tally, plain.tally)
    assert np.array_equal(labelled.label_U, plain.label_U)


def test_answers_are_told_by_their_place_in_the_context_whichever_window_holds_them(marked):
    """Else candidates that find one answer in different windows would disagree."""
    qa = tasks.get("qa")
    text = " ".join(["the dog sees a green garden"] * 10)
    question = Question("the dog ?", text, (Answer("dog", 4),), "en", 0)
    windows = qa.windows([question], marked.tokenizer, 32, 12)
    assert len(windows) > 2
    length = windows.lengths_W.max()
    places = []
    for window in range(2):  # the same characters, in two windows that overlap
        offset_L2 = windows.offsets_T2[windows.starts_W[window] : windows.ends_W[window]]
        at = int(np.flatnonzero(offset_L2[:, 0] == windows.offsets_T2[windows.starts_W[1] :][length // 2, 0])[0])
        predicted_W = [np.zeros(3)] * len(windows)
        predicted_W[window] = np.asarray([at, at, 5.0])
        places.append(qa.labelled_as(windows, predicted_W)[0].tolist())
    assert places[0] == places[1]
    assert text[slice(*places[0])] in text.split()
