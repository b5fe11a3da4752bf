"""Features and statistics are what the definitions say, whatever the batches."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from lms_ray.data.examples import TaggedSentence
from lms_ray.models import encoder as encoders
from lms_ray.models.encode import BATCH_TOKENS, encode
from lms_ray.settings.models import Encode
from lms_ray.tasks.windows import IGNORE

MAX_LENGTH = 12


@pytest.fixture(scope="module")
def model(task, encoder):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = task.build(encoder.config)
    encoders.load_weights(made, encoder)
    return made.eval()


@pytest.fixture(scope="module")
def examples(sentences) -> list[TaggedSentence]:
    return sentences(200, longest=25)


def brute_force(model, windows) -> tuple[np.ndarray, np.ndarray]:
    """One window at a time in float64: each example's mean last hidden state at [CLS], and its words right and all."""
    model = deepcopy(model).double()
    cls = [[] for _ in range(windows.examples)]
    counts = np.zeros((windows.examples, 2), int)
    for start, end, example in zip(windows.starts_W, windows.ends_W, windows.example_W, strict=True):
        with torch.no_grad():
            output = model(
                input_ids=torch.tensor(windows.input_ids_T[None, start:end], dtype=torch.long),
                output_hidden_states=True,
            )
        cls[example].append(output.hidden_states[-1][0, 0].numpy())
        for logits, label in zip(output.logits[0].numpy(), windows.labels_T[start:end], strict=True):
            if label != IGNORE:
                counts[example] += [logits.argmax() == label, 1]
    return np.stack([np.mean(windows_of_one, axis=0) for windows_of_one in cls]), counts


def test_features_and_statistics_equal_a_brute_force(model, task, encoder, examples):
    windows = task.windows(examples, encoder.tokenizer, MAX_LENGTH)
    assert len(windows) > len(examples)  # some span several windows
    cls_EH, counts_ES = brute_force(model, windows)
    encoded = encode(model, task, windows, Encode())
    assert encoded.examples == len(examples)
    assert encoded.cls_sum_H.dtype == encoded.statistics_ES.dtype == np.float64
    np.testing.assert_allclose(encoded.cls_sum_H / encoded.examples, cls_EH.mean(0), rtol=1e-5, atol=1e-6)
    assert np.array_equal(encoded.statistics_ES, counts_ES)
    assert counts_ES[:, 1].tolist() == [len(example.words) for example in examples]
    assert 0 < counts_ES[:, 0].sum() < counts_ES[:, 1].sum()


def test_the_batch_size_does_not_matter(model, task, encoder, examples):
    windows = task.windows(examples, encoder.tokenizer, MAX_LENGTH)
    small, large = (encode(model, task, windows, Encode(batch_tokens=tokens)) for tokens in (512, 100_000))
    np.testing.assert_allclose(small.cls_sum_H, large.cls_sum_H, rtol=1e-5, atol=1e-4)
    assert np.array_equal(small.statistics_ES, large.statistics_ES)


def test_the_default_batch_is_the_device_s_own(model, task, encoder, examples):
    windows = task.windows(examples, encoder.tokenizer, MAX_LENGTH)
    default, named, other = (
        encode(model, task, windows, Encode(batch_tokens=tokens)) for tokens in (None, BATCH_TOKENS["cpu"], 512)
    )
    assert np.array_equal(default.cls_sum_H, named.cls_sum_H)
    assert not np.array_equal(default.cls_sum_H, other.cls_sum_H)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.05)])
@pytest.mark.parametrize("batch_tokens", [None, 512])
def test_a_gpu_gives_what_a_cpu_gives(model, task, encoder, examples, precision, tolerance, batch_tokens):
    windows = task.windows(examples, encoder.tokenizer, MAX_LENGTH)
    wanted = encode(model, task, windows, Encode())
    there = deepcopy(model).cuda()
    encoded = encode(there, task, windows, Encode(precision=precision, batch_tokens=batch_tokens))
    np.testing.assert_allclose(encoded.cls_sum_H / len(examples), wanted.cls_sum_H / len(examples), atol=tolerance)
    if precision == "float32":
        assert np.array_equal(encoded.statistics_ES, wanted.statistics_ES)


def test_sums_of_shards_are_the_sum_of_all(model, task, encoder, examples):
    def part(chosen: list[TaggedSentence]):
        return encode(model, task, task.windows(chosen, encoder.tokenizer, MAX_LENGTH), Encode())

    whole, first, rest = part(examples), part(examples[:70]), part(examples[70:])
    np.testing.assert_allclose(first.cls_sum_H + rest.cls_sum_H, whole.cls_sum_H, rtol=1e-5, atol=1e-4)
    assert np.array_equal(np.concatenate([first.statistics_ES, rest.statistics_ES]), whole.statistics_ES)


def test_an_example_of_many_windows_weighs_as_one(model, task, encoder):
    short = TaggedSentence(("dog", "."), ("NOUN", "PUNCT"))
    long = TaggedSentence(("garden",) * 60, ("VERB",) * 60)
    one, many, both = (
        task.windows(examples, encoder.tokenizer, MAX_LENGTH) for examples in ([short], [long], [short, long])
    )
    assert (len(one), len(many), len(both)) == (1, 6, 7)
    (short_H,), _ = brute_force(model, one)
    (long_H,), _ = brute_force(model, many)
    encoded = encode(model, task, both, Encode())
    np.testing.assert_allclose(encoded.cls_sum_H, short_H + long_H, rtol=1e-5, atol=1e-5)
    assert encoded.statistics_ES[:, 1].tolist() == [2, 60]


def test_unlabelled_text_has_features_and_nothing_to_score(model, task, encoder, examples):
    lines = [" ".join(example.words) for example in examples]
    plain = encode(model, task, task.text_windows(lines, encoder.tokenizer, MAX_LENGTH), Encode())
    labelled = encode(model, task, task.windows(examples, encoder.tokenizer, MAX_LENGTH), Encode())
    np.testing.assert_array_equal(plain.cls_sum_H, labelled.cls_sum_H)
    assert plain.statistics_ES.shape == (len(lines), len(task.statistics))
    assert not plain.statistics_ES.any()


def test_the_feature_is_taken_where_each_window_has_its_cls(model, task, encoder, examples):
    """Some architectures put it at the end."""
    windows = task.windows(examples[:9], encoder.tokenizer, MAX_LENGTH)
    rng = np.random.default_rng(0)
    elsewhere = replace(windows, cls_W=rng.integers(0, windows.lengths_W).astype(np.int32))
    wanted_H = np.zeros(encoder.config.hidden_size)
    share_W = 1 / np.bincount(windows.example_W)[windows.example_W]
    for start, end, cls, share in zip(windows.starts_W, windows.ends_W, elsewhere.cls_W, share_W, strict=True):
        with torch.no_grad():
            ids = torch.tensor(windows.input_ids_T[None, start:end], dtype=torch.long)
            wanted_H += share * model.base_model(ids)[0][0, cls].numpy()
    encoded = encode(model, task, elsewhere, Encode(batch_tokens=512))
    np.testing.assert_allclose(encoded.cls_sum_H, wanted_H, rtol=1e-5, atol=1e-5)


def test_encoding_leaves_no_hook_behind(model, task, encoder, examples):
    encode(model, task, task.windows(examples[:2], encoder.tokenizer, MAX_LENGTH), Encode())
    assert not model.base_model._forward_hooks


def test_bfloat16_is_close_to_float32(model, task, encoder, examples):
    windows = task.windows(examples, encoder.tokenizer, MAX_LENGTH)
    exact, rough = (encode(model, task, windows, Encode(precision=name)) for name in ("float32", "bfloat16"))
    assert not np.array_equal(exact.cls_sum_H, rough.cls_sum_H)
    np.testing.assert_allclose(rough.cls_sum_H / len(examples), exact.cls_sum_H / len(examples), atol=0.05)
