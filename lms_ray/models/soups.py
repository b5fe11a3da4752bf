"""Average the weights of several models: a soup (Wortsman et al., 2022; Schmidt et al., 2023)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from lms_ray.models.loading import Candidates


@dataclass(frozen=True)
class Soups:
    """Soups as models: made when they are asked for, and kept nowhere."""

    candidates: Candidates
    members: Mapping[str, Sequence[str]]
    """By the soup's id the candidates that it is the average of."""

    def load(self, name: str, device: str) -> PreTrainedModel:
        """A soup in float32, for inference.

        Raises:
            BrokenError, ValueError: as `Candidates.load`; the members do not fit each other.
        """
        return average(self.candidates.load(member, "cpu") for member in self.members[name]).to(device)  # type: ignore[arg-type]

    def read_for(self, name: str) -> Sequence[str]:
        """Ids of the candidates whose weights are read for one."""
        return self.members[name]


def average(models: Iterable[PreTrainedModel]) -> PreTrainedModel:
    """The first model, with the mean of all models' weights in place of its own.

    Sums are float64, in which those of a few hundred float32 weights are as good as exact: the mean is rounded once,
    and that of one model is the model. One model is looked at after the other, so memory holds the sums (twice the
    bytes of the weights) and two models.

    Args:
        models: of one architecture, in float32.

    Raises:
        ValueError: there is none, or they differ in the names or shapes of their weights.
    """
    soup, sums, count = None, dict[str, torch.Tensor](), 0
    for model in models:
        state = {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
        if soup is None:
            soup = model
            sums = {name: torch.zeros_like(tensor, dtype=torch.float64) for name, tensor in state.items()}
        shapes, wanted = ({name: tensor.shape for name, tensor in of_one.items()} for of_one in (state, sums))
        if differing := sorted({name for name, _ in shapes.items() ^ wanted.items()}):
            raise ValueError(f"models to be averaged differ in {differing[0]}; accepted is one architecture")
        for name, tensor in state.items():
            sums[name] += tensor
        count += 1
    if soup is None:
        raise ValueError("found no model to average")
    with torch.no_grad():
        for name, tensor in soup.state_dict().items():
            if name in sums:
                tensor.copy_(sums[name] / count)
    return soup
