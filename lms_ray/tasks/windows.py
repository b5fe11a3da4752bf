"""Tokenised text as flat arrays: what travels through the object store and is cut into padded batches.

Shape suffixes: T sub-words of all windows, W windows, E examples, B windows of a batch, L longest of the batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

POOL = 32  # batches sorted by length together in training: three times less padding on EWT than random batches
IGNORE = -100  # label of sub-words that are not scored, as torch's cross-entropy ignores it


@dataclass(frozen=True)
class Windows:
    """Windows of sub-words; an example that is too long for one window has several.

    The arrays that default to None are there for the tasks that want them.
    """

    input_ids_T: np.ndarray
    """Sub-word ids with special tokens, int32."""
    ends_W: np.ndarray
    """End of each window in the flat arrays, int64."""
    example_W: np.ndarray
    """Which example a window belongs to, int32, ascending."""
    examples: int
    """Number of examples."""
    cls_W: np.ndarray
    """Position of the [CLS] sub-word in each window, int32."""
    labels_T: np.ndarray | None = None
    """Label of each sub-word, int16; `IGNORE` where none is scored."""
    units_T: np.ndarray | None = None
    """Whether a sub-word is the first of its word, bool: the one whose label is the word's."""
    types_T: np.ndarray | None = None
    """Segment of each sub-word, int8: 0, or 1 in the second text of a pair (a question's context)."""
    offsets_T2: np.ndarray | None = None
    """Begin and end of each sub-word in its example's context, int32; -1 where it is not of the context."""
    spans_W2: np.ndarray | None = None
    """Two positions in each window, int32: an answer's first and last sub-word, or where two entities begin."""
    label_W: np.ndarray | None = None
    """Label of each window, int32."""
    gold_E: tuple[Any, ...] = ()
    """What a task wants for scoring an example, one for each."""

    def __len__(self) -> int:
        return len(self.ends_W)

    @cached_property
    def starts_W(self) -> np.ndarray:
        """Start of each window in the flat arrays."""
        return np.concatenate(([0], self.ends_W[:-1]))

    @cached_property
    def lengths_W(self) -> np.ndarray:
        """Sub-words of each window."""
        return np.diff(self.ends_W, prepend=0)


@dataclass(frozen=True)
class Batch:
    """Padded windows, int64; the shapes and meanings are those of `Windows`."""

    input_ids_BL: np.ndarray
    attention_mask_BL: np.ndarray
    cls_B: np.ndarray
    labels_BL: np.ndarray | None
    units_BL: np.ndarray | None
    types_BL: np.ndarray | None
    offsets_BL2: np.ndarray | None
    spans_B2: np.ndarray | None
    label_B: np.ndarray | None


def pad(windows: Windows, chosen_B: np.ndarray, pad_id: int) -> Batch:
    """Cut out the chosen windows and pad them on the right to the longest."""
    starts_B, lengths_B = windows.starts_W[chosen_B], windows.lengths_W[chosen_B]
    column_L = np.arange(lengths_B.max())
    inside_BL = column_L < lengths_B[:, None]
    position_BL = np.where(inside_BL, starts_B[:, None] + column_L, 0)

    def cut(flat_T: np.ndarray, fill: int) -> np.ndarray:
        where = inside_BL if flat_T.ndim == 1 else inside_BL[..., None]
        return np.where(where, flat_T[position_BL], fill).astype(np.int64)

    def of_windows(values_W: np.ndarray | None) -> np.ndarray | None:
        return None if values_W is None else values_W[chosen_B].astype(np.int64)

    return Batch(
        input_ids_BL=cut(windows.input_ids_T, pad_id),
        attention_mask_BL=inside_BL.astype(np.int64),
        cls_B=windows.cls_W[chosen_B].astype(np.int64),
        labels_BL=None if windows.labels_T is None else cut(windows.labels_T, IGNORE),
        units_BL=None if windows.units_T is None else cut(windows.units_T, 0),
        types_BL=None if windows.types_T is None else cut(windows.types_T, 0),
        offsets_BL2=None if windows.offsets_T2 is None else cut(windows.offsets_T2, -1),
        spans_B2=of_windows(windows.spans_W2),
        label_B=of_windows(windows.label_W),
    )


def on_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """An array as a tensor; a GPU copies it from pinned memory, and the host does not wait."""
    tensor = torch.from_numpy(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def by_length(windows: Windows, batch_tokens: int) -> Iterator[np.ndarray]:
    """Batches of windows of like length, longest first, each at most `batch_tokens` sub-words with its padding."""
    order_W = np.argsort(-windows.lengths_W, kind="stable")
    start = 0
    while start < len(order_W):
        size = max(1, batch_tokens // int(windows.lengths_W[order_W[start]]))
        yield order_W[start : start + size]
        start += size


def shuffled(windows: Windows, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches in random order, of windows that are like in length within random pools; one batch may be smaller."""
    order_W = rng.permutation(len(windows))
    pools = np.split(order_W, range(batch_size * POOL, len(order_W), batch_size * POOL))
    batches = []
    for pool in pools:
        pool = pool[np.argsort(windows.lengths_W[pool], kind="stable")]
        batches += np.split(pool, range(batch_size, len(pool), batch_size))
    for batch in rng.permutation(len(batches)):
        yield batches[batch]
