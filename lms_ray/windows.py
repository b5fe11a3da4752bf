"""Tokenised text as flat arrays: what travels through the object store and is cut into padded batches.

Shape suffixes: T sub-words of all windows, W windows, B windows of a batch, L longest of the batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

POOL = 32  # batches sorted by length together in training: three times less padding on EWT than random batches
IGNORE = -100  # label of sub-words that are not scored, as torch's cross-entropy ignores it


@dataclass(frozen=True)
class Windows:
    """Windows of sub-words; an example that is too long for one window has several."""

    input_ids_T: np.ndarray
    """Sub-word ids with special tokens, int32."""
    labels_T: np.ndarray
    """Label of each sub-word, int16; `IGNORE` where none is scored."""
    ends_W: np.ndarray
    """End of each window in the flat arrays, int64."""
    example_W: np.ndarray
    """Which example a window belongs to, int32, ascending."""
    examples: int
    """Number of examples."""

    def __len__(self) -> int:
        return len(self.ends_W)

    @property
    def starts_W(self) -> np.ndarray:
        """Start of each window in the flat arrays."""
        return np.concatenate(([0], self.ends_W[:-1]))

    @property
    def lengths_W(self) -> np.ndarray:
        """Sub-words of each window."""
        return np.diff(self.ends_W, prepend=0)


@dataclass(frozen=True)
class Batch:
    """Padded windows."""

    input_ids_BL: np.ndarray
    attention_mask_BL: np.ndarray
    labels_BL: np.ndarray


def pad(windows: Windows, chosen_B: np.ndarray, pad_id: int) -> Batch:
    """Cut out the chosen windows and pad them on the right to the longest, int64."""
    starts_B, lengths_B = windows.starts_W[chosen_B], windows.lengths_W[chosen_B]
    column_L = np.arange(lengths_B.max())
    inside_BL = column_L < lengths_B[:, None]
    position_BL = np.where(inside_BL, starts_B[:, None] + column_L, 0)
    return Batch(
        input_ids_BL=np.where(inside_BL, windows.input_ids_T[position_BL], pad_id).astype(np.int64),
        attention_mask_BL=inside_BL.astype(np.int64),
        labels_BL=np.where(inside_BL, windows.labels_T[position_BL], IGNORE).astype(np.int64),
    )


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
