"""An ONNX graph says what its model says, for every architecture and head."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import encoders as tiny_encoders
from lms_ray import tasks
from lms_ray.models import onnx
from lms_ray.settings.errors import ConfigError, JobError

pytestmark = pytest.mark.slow

LABELS = {"pos": (), "qa": (), "re": ("O", "IN"), "classification": ("art", "sport")}
LINES = ["Ada lives in London .", "where does the green dog run ?"] * 3


def model_of(task_name: str, architecture: str, folder: Path) -> tuple[tasks.Task, Path]:
    """A task and the folder of a model of it, with random weights."""
    task = tasks.get(task_name, LABELS[task_name])
    return task, tiny_encoders.make_model(task, architecture, folder, LINES)


@pytest.mark.parametrize(
    ("task_name", "architecture"),
    [*((name, "bert") for name in LABELS), *(("pos", name) for name in tiny_encoders.ARCHITECTURES if name != "bert")],
)
def test_the_graph_gives_the_models_numbers(task_name: str, architecture: str, tmp_path: Path):
    task, folder = model_of(task_name, architecture, tmp_path)
    path = tmp_path / "out" / "model.onnx"
    onnx.write(task.model_class, folder, path)
    session = onnxruntime.InferenceSession(path)
    model = task.load(folder, "cpu")
    ids_BL = 5 + torch.arange(4 * 12).reshape(4, 12) % 17
    values = {
        "input_ids": ids_BL,
        "attention_mask": torch.ones_like(ids_BL),
        "token_type_ids": torch.zeros_like(ids_BL),
    }
    values["entity_starts"] = torch.tensor([[1, 4]] * 4)
    inputs = {given.name: values[given.name] for given in session.get_inputs()}
    with torch.inference_mode():
        wanted = model(**inputs)
    found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    assert [output.name for output in session.get_outputs()] == list(wanted)
    for got, want in zip(found, wanted.values(), strict=True):
        np.testing.assert_allclose(got, want.numpy(), atol=1e-4)
    assert np.ptp(found[0]) > 0.01, "or any graph would do"


def test_a_graph_that_says_something_else_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    task, folder = model_of("classification", "bert", tmp_path)
    seen = onnx._run
    monkeypatch.setattr(onnx, "_run", lambda *given: {name: out + 0.1 for name, out in seen(*given).items()})
    with pytest.raises(JobError, match=r"differs from the model by 0\.1"):
        onnx.write(task.model_class, folder, tmp_path / "model.onnx")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onnx, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(ConfigError, match=r"--onnx: found no package onnxscript; `pip install 'lms-ray\[onnx\]'`"):
        onnx.require()
