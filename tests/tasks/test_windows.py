"""Every window is trained on and encoded once, whatever batch it falls into."""

from dataclasses import replace

import numpy as np
import pytest

from lms_ray.tasks.windows import IGNORE, Windows, by_length, pad, shuffled


def windows(lengths: list[int]) -> Windows:
    """Windows of 100, 101, ... numbered through, with label = id - 100."""
    total = sum(lengths)
    return Windows(
        input_ids_T=np.arange(100, 100 + total, dtype=np.int32),
        labels_T=np.arange(total, dtype=np.int16),
        ends_W=np.cumsum(lengths, dtype=np.int64),
        example_W=np.arange(len(lengths), dtype=np.int32),
        examples=len(lengths),
        cls_W=np.zeros(len(lengths), np.int32),
    )


@pytest.fixture(scope="module")
def many() -> Windows:
    return windows(np.random.default_rng(0).integers(2, 40, 700).tolist())


def test_flat_arrays_know_their_windows():
    three = windows([2, 5, 1])
    assert len(three) == 3
    assert three.starts_W.tolist() == [0, 2, 7]
    assert three.lengths_W.tolist() == [2, 5, 1]


def test_a_batch_is_padded_on_the_right_to_its_longest():
    batch = pad(windows([2, 3, 1, 9]), np.array([1, 2, 0]), pad_id=7)
    assert batch.input_ids_BL.tolist() == [[102, 103, 104], [105, 7, 7], [100, 101, 7]]
    assert batch.attention_mask_BL.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert batch.labels_BL.tolist() == [[2, 3, 4], [5, IGNORE, IGNORE], [0, 1, IGNORE]]
    assert {array.dtype for array in (batch.input_ids_BL, batch.attention_mask_BL, batch.labels_BL)} == {
        np.dtype("int64")
    }


def test_a_batch_has_what_the_windows_have_and_nothing_else():
    three = replace(windows([2, 3, 1]), labels_T=None, cls_W=np.array([1, 2, 0], np.int32))
    bare = pad(three, np.array([1, 0]), pad_id=7)
    assert bare.cls_B.tolist() == [2, 1]
    optional = (bare.labels_BL, bare.types_BL, bare.offsets_BL2, bare.spans_B2, bare.label_B)
    assert optional == (None,) * 5
    full = replace(
        three,
        types_T=np.array([0, 1, 0, 1, 1, 1], np.int8),
        offsets_T2=np.array([[-1, -1], [0, 3], [-1, -1], [0, 2], [3, 4], [0, 9]], np.int32),
        spans_W2=np.array([[0, 1], [1, 2], [0, 0]], np.int32),
        label_W=np.array([4, 5, 6], np.int32),
    )
    batch = pad(full, np.array([1, 0]), pad_id=7)
    assert batch.types_BL.tolist() == [[0, 1, 1], [0, 1, 0]]
    assert batch.offsets_BL2.tolist() == [[[-1, -1], [0, 2], [3, 4]], [[-1, -1], [0, 3], [-1, -1]]]
    assert (batch.spans_B2.tolist(), batch.label_B.tolist()) == ([[1, 2], [0, 1]], [5, 4])
    arrays = (batch.cls_B, batch.types_BL, batch.offsets_BL2, batch.spans_B2, batch.label_B)
    assert {array.dtype for array in arrays} == {np.dtype("int64")}  # torch takes no int8 as an index


@pytest.mark.parametrize("batch_tokens", [1, 39, 100, 512, 10**6])
def test_batches_by_length_hold_every_window_once_within_the_budget(many: Windows, batch_tokens: int):
    batches = list(by_length(many, batch_tokens))
    assert sorted(np.concatenate(batches)) == list(range(len(many)))
    sizes = [(len(batch), pad(many, batch, 0).input_ids_BL.size) for batch in batches]
    assert all(size <= batch_tokens or count == 1 for count, size in sizes)
    assert sum(size for _, size in sizes) < 2 * len(many.input_ids_T)  # little padding


@pytest.mark.parametrize("batch_size", [1, 16, 33, 1000])
def test_shuffled_batches_hold_every_window_once(many: Windows, batch_size: int):
    batches = list(shuffled(many, batch_size, np.random.default_rng(1)))
    assert sorted(np.concatenate(batches)) == list(range(len(many)))
    assert len(batches) == -(-len(many) // batch_size)
    assert max(map(len, batches)) == min(batch_size, len(many))


def test_the_order_depends_on_the_generator_only(many: Windows):
    first, same, other = (
        np.concatenate(list(shuffled(many, 16, np.random.default_rng(seed)))).tolist() for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other
