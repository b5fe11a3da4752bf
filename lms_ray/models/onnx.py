"""A model as one ONNX graph, held against the model itself.

The layout is that of the hub: `onnx/model.onnx` in the model's folder, inputs and outputs named as `transformers` does.
Needs the packages of `lms-ray[onnx]`.
"""

import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.export import Dim
from transformers import PreTrainedModel

from lms_ray.models import folders
from lms_ray.settings.errors import ConfigError, JobError
from lms_ray.tasks.pretrained import from_pretrained

FILE = "onnx/model.onnx"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
ONE_FILE = 1.9e9  # bytes of weights; a protobuf holds 2 GiB, what is larger lies in a file beside it
ALIKE = 1e-3  # logits are some units apart, and float32 over a dozen layers some 1e-5
SEGMENTS, STARTS = "token_type_ids", "entity_starts"
TRACED, TRIED = (2, 9), ((1, 5), (3, 30))  # windows and sub-words; none of which may be built into the graph


def require() -> None:
    """Refuse where a package is missing.

    Raises:
        ConfigError: names it.
    """
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        raise ConfigError(f"--onnx: found no package {', '.join(absent)}; `pip install 'lms-ray[onnx]'` brings it")


def write(model_class: Any, folder: Path, path: Path) -> None:
    """Write a model as ONNX, and run both on the same text.

    Args:
        model_class: an Auto class of transformers, or one like it.
        folder: of the model.
        path: file to write; weights of more than two gigabytes go into another beside it.

    Raises:
        JobError: the graph gives other numbers than the model.
    """
    model, _ = from_pretrained(model_class, folder, folders.uses_safetensors(folder, may_be_pickled=True))
    model.eval()
    names = _inputs(model)
    traced = _sample(model, names, *TRACED)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _quiet():
        torch.onnx.export(
            model,
            (),
            path,
            kwargs=traced,
            input_names=names,
            output_names=list(_run(model, traced)),
            dynamic_shapes={name: {0: Dim.DYNAMIC, **({} if name == STARTS else {1: Dim.DYNAMIC})} for name in names},
            external_data=model.get_memory_footprint() > ONE_FILE,
            dynamo=True,
            verbose=False,
        )
    _compare(model, names, path)


def _inputs(model: PreTrainedModel) -> list[str]:
    """What the model is given."""
    known = inspect.signature(model.forward).parameters
    has_segments = getattr(model.config, "type_vocab_size", 0) > 1  # XLM-R and others know one
    beside = [SEGMENTS] * has_segments + [STARTS]
    return ["input_ids", "attention_mask", *(name for name in beside if name in known)]


def _sample(model: PreTrainedModel, names: list[str], windows: int, sub_words: int) -> dict[str, torch.Tensor]:
    """Windows of random sub-words, of which the first is shorter than the others."""
    random = torch.Generator().manual_seed(windows)
    shape = (windows, sub_words)
    rows = cast(nn.Embedding, model.get_input_embeddings()).num_embeddings
    mask_BL = torch.ones(shape, dtype=torch.long)
    mask_BL[0, -2:] = 0
    values = {
        "input_ids": torch.randint(rows, shape, generator=random),
        "attention_mask": mask_BL,
        SEGMENTS: torch.randint(2, shape, generator=random),
        STARTS: torch.randint(sub_words - 2, (windows, 2), generator=random),
    }
    return {name: values[name] for name in names}


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of operators of packages that nobody asked for, and of what it could not simplify."""
    for name in ("torch.onnx", "onnxscript"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@torch.inference_mode()
def _run(model: nn.Module, inputs: dict[str, torch.Tensor]) -> dict[str, Any]:
    return dict(model(**inputs))


def _compare(model: PreTrainedModel, names: list[str], path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in TRIED:
        inputs = _sample(model, names, *shape)
        wanted = _run(model, inputs)
        found = session.run(list(wanted), {name: value.numpy() for name, value in inputs.items()})
        off = max(float(np.abs(got - want.numpy()).max()) for got, want in zip(found, wanted.values(), strict=True))
        if not off <= ALIKE:
            raise JobError(f"--onnx: the graph differs from the model by {off:.2g} in its logits; it is not written")
