"""The part of the configuration that says how candidates are fine-tuned and read."""

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from lms_ray.settings.base import Model, PositiveFloat, PositiveInt, Several, each_once
from lms_ray.settings.resources import Resources

Decay = Annotated[float, Field(ge=0, lt=1)]
Precision = Literal["float32", "bfloat16"]


class FineTune(Model):
    """How one candidate is fine-tuned. Where the paper is silent the default is the common one, and said so."""

    schedule: Literal["linear", "constant"] = "linear"
    """Learning rate after the warm-up: linear decay to zero, or constant. Not in the paper; linear is common."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps in which the learning rate rises linearly. Not in the paper; 0.1 is BERT's own."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decoupled weight decay (AdamW), on weight matrices, not on biases and layer norms. Paper: 0.01."""
    adam_betas: Annotated[tuple[Decay, Decay], Strict(False)] = (0.9, 0.999)
    """Adam's moment decay rates. Paper: 0.9, 0.999."""
    max_grad_norm: PositiveFloat = 1.0
    """Gradients are clipped to this norm. Not in the paper; 1.0 is common."""
    shared_head: bool = False
    """Whether the random weights of the head are the same in every candidate, so that the weights of several can be
    averaged (`lms-ray soups`; Schmidt et al., 2023). In the paper every candidate has its own."""
    max_length: Annotated[int, Field(ge=8)] = 128
    """Sub-words in one window, special tokens included; longer text continues in another window. Not in the paper."""
    stride: Annotated[int, Field(ge=0)] | None = None
    """Sub-words that neighbouring windows of a question's context share. Not in the paper; None is a third of
    `max_length`, as in BERT's own 128 of 384."""
    precision: Precision = "float32"
    """Arithmetic of the forward and backward pass; bfloat16 runs under autocast, the weights stay float32."""
    save_dtype: Precision = "float32"
    """Type of the saved weights; bfloat16 halves the storage, and the dev score is measured after the rounding."""

    @model_validator(mode="after")
    def _windows_move_on(self) -> Self:
        if self.stride is not None and self.stride > self.max_length // 2:
            raise ValueError(f"stride is {self.stride}; accepted is at most half of max_length, {self.max_length // 2}")
        return self


class Encode(Model):
    """How text is passed through the checkpoints."""

    batch_tokens: Annotated[int, Field(ge=512)] | None = None
    """Sub-words in one batch, padding included; batches hold windows of like length. None fits the device: a CPU's
    caches hold 1,024, a GPU is full with 32,768."""
    shard_examples: PositiveInt = 4096
    """Examples in one shard, the unit of streaming. Sums are taken by shard, then over shards in their order, so the
    result does not depend on who encoded which."""
    predictions: Annotated[int, Field(ge=0)] = 1000
    """Examples of each corpus whose predicted labels are kept: from these it is known how far candidates agree."""
    beginnings: Several[PositiveInt] = (25, 100)
    """Features and signals are kept of the first so many examples of each corpus too: they tell how much text is
    needed. A batch holds none from before and after such a place."""
    precision: Precision = "float32"
    """Arithmetic of the forward pass; sums are float64 in any case."""
    resources: Resources = Resources()
    """What one encoding actor takes."""

    _lists = field_validator("beginnings")(each_once)
