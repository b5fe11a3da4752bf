"""Train only the rows of the embedding matrix whose sub-words occur in the training data.

A sub-word that never occurs has a gradient of zero, at every step. Adam's moments of it stay zero, it adds nothing to
the norm that gradients are clipped to, and only decoupled weight decay moves it: by a factor at each step, the same for
all such sub-words. So the rows of those that occur are a small matrix while a model is trained, with a small gradient
and small moments, and the others get the product of their factors in one go. Half of mBERT's weights are such rows.

Shape suffixes: T sub-words of all windows, V vocabulary, U sub-words that occur, H hidden.
"""

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel


class CompactEmbedding:
    """A model's input embedding: whole, or with the rows in use alone, which are what is trained.

    The model is always given the ids of the tokenizer, some of which it compares (padding); those of rows are known to
    the embedding only. An embedding that shares its weights with another part of the model always stays whole.

    Args:
        model: on the device on which it is trained; its embedding is made compact.
        input_ids_T: sub-words of the training data.
        more_ids: others that are looked up in training, as that for padding.
    """

    def __init__(self, model: PreTrainedModel, input_ids_T: np.ndarray, more_ids: Iterable[int]):
        self.decay = 1.0
        """Product of the factors by which weight decay has shrunk the other rows."""
        self._embedding = cast(nn.Embedding, model.get_input_embeddings())
        self._device = self._embedding.weight.device
        self._initial_VH: torch.Tensor | None = None  # None: it stays whole
        self._hook: Any = None  # of the embedding while it is compact
        if _is_shared(model, self._embedding.weight):
            return
        padding = self._padding_V = self._embedding.padding_idx
        ids_U = np.union1d(input_ids_T, [*more_ids, *([] if padding is None else [padding])])
        self._ids_U = torch.from_numpy(ids_U.astype(np.int64))
        row_V = torch.full((self._embedding.num_embeddings,), len(ids_U))  # of no row, so that a look-up fails
        row_V[self._ids_U] = torch.arange(len(ids_U))
        self._padding_U = None if padding is None else int(row_V[padding])
        self._row_V = row_V.to(self._device)
        self._initial_VH = self._embedding.weight.detach().cpu()  # in the main memory, of which there is more
        self._rows_UH = nn.Parameter(self._initial_VH[self._ids_U].to(self._device))
        self.compact()

    def compact(self) -> None:
        """Leave only the rows in use in the model, as they were when last trained."""
        if self._initial_VH is None or self._hook:
            return
        self._embedding.weight, self._embedding.padding_idx = self._rows_UH, self._padding_U
        self._hook = self._embedding.register_forward_pre_hook(lambda _module, ids: (self._row_V[ids[0]], *ids[1:]))

    def expand(self) -> None:
        """Put the whole matrix, as it is now, into the model."""
        if not self._hook:
            return
        assert self._initial_VH is not None
        self._hook.remove()
        self._hook = None
        whole_VH = self._initial_VH * self.decay
        whole_VH[self._ids_U] = self._rows_UH.detach().cpu()
        self._embedding.weight = nn.Parameter(whole_VH.to(self._device))
        self._embedding.padding_idx = self._padding_V


def _is_shared(model: PreTrainedModel, weight: torch.Tensor) -> bool:
    return sum(parameter is weight for _, parameter in model.named_parameters(remove_duplicate=False)) > 1
