"""A ranker in a folder of its own: what it is in JSON, its weights in safetensors; nothing is pickled.

ranker.json            version, parameters, what it learned from, and the hash of the weights; written last
weights.safetensors    of each ranker that was kept, one for each seed, by its number and name: `0.weight`
"""

import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from pydantic import ValidationError

import lms_ray
from lms_ray.settings.base import Model, PositiveInt, Several, expanded, shown
from lms_ray.settings.choosing import Fit
from lms_ray.settings.errors import AbsentError, BrokenError, ConfigError, MissingError
from lms_ray.settings.languages import VectorKind
from lms_ray.store.folder import Folder

KIND, VERSION = "lms_ray.PairwiseRanker", 1
RECORD, WEIGHTS = "ranker.json", "weights.safetensors"

Tensors = Sequence[Mapping[str, np.ndarray]]
"""Of each ranker, by their names."""


class Saved(Model):
    """What was learned, but for the weights."""

    form: Fit
    """Which ranker it is."""
    languages: Several[str] | None
    """Codes of the pivots."""
    width: PositiveInt
    """Of a feature."""
    vector_width: PositiveInt | None
    """Of a language's vector; None where there is no language branch."""
    language_vector: VectorKind
    """Which vectors codes stand for."""
    validation: Several[dict[str, float | int | bool | None]]
    """Every grid point."""


class _Record(Model):
    kind: str
    """What the folder holds."""
    version: int
    """Of this layout."""
    lms_ray: str
    """Version that wrote it."""
    parameters: dict[str, Any]
    """As the constructor takes them."""
    learned: Saved
    """What was learned, but for the weights."""
    rankers: PositiveInt
    """How many: one for each seed that was kept."""
    sha256: str
    """Of the weights."""


def write(folder: str, parameters: Mapping[str, Any], saved: Saved, of_rankers: Tensors) -> None:
    """Write both files, each atomically; the weights go first, and the record names their hash."""
    store = Folder(expanded(folder), "folder")
    named = {f"{number}.{name}": array for number, one in enumerate(of_rankers) for name, array in one.items()}
    written = store.write_bytes(WEIGHTS, safetensors.numpy.save(named))
    record = {
        "kind": KIND,
        "version": VERSION,
        "lms_ray": lms_ray.__version__,
        "parameters": {name: plain(value) for name, value in parameters.items()},
        "learned": saved.model_dump(mode="json"),
        "rankers": len(of_rankers),
        "sha256": written.sha256,
    }
    store.write_json(RECORD, record)


def read(folder: str, accepted: Sequence[str]) -> tuple[dict[str, Any], Saved, Tensors]:
    """Parameters, what was learned, and the weights.

    Args:
        folder: local path or URI.
        accepted: names of the parameters.

    Raises:
        MissingError: there is none.
        BrokenError: a file is not what was written.
        ConfigError: it is of a version, or has something, that is not known here.
    """
    store = Folder(expanded(folder), "folder")
    try:
        found = store.read_json(RECORD)
        weights = store.read_bytes(WEIGHTS)
    except AbsentError:
        raise MissingError(
            f"folder: found no {RECORD} and {WEIGHTS} in {store.where()}; accepted is what PairwiseRanker.save wrote"
        ) from None
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise unknown(folder, f"{RECORD} is of no {KIND}")
    if found.get("version") != VERSION:
        raise unknown(folder, f"it is of version {shown(found.get('version'))}; accepted is {VERSION}")
    try:
        record = _Record.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise unknown(folder, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if set(record.parameters) != set(accepted):
        raise unknown(folder, f"parameters: found {', '.join(record.parameters)}; accepted are {', '.join(accepted)}")
    if sha256(weights).hexdigest() != record.sha256:
        raise BrokenError(f"{store.where(WEIGHTS)}: broken; its sha256 is not the one that {RECORD} names")
    try:
        named = safetensors.numpy.load(weights)
    except (safetensors.SafetensorError, TypeError, KeyError) as error:
        raise unknown(folder, f"{WEIGHTS}: {error}") from None
    of_rankers: list[dict[str, np.ndarray]] = [{} for _ in range(record.rankers)]
    for key, array in named.items():
        number, _, name = key.partition(".")
        if not number.isdecimal() or int(number) >= record.rankers or not np.isfinite(array).all():
            raise unknown(folder, f"{WEIGHTS}: found {shown(key)}, which is no ranker's, or not finite")
        of_rankers[int(number)][name] = array
    parameters = {name: tuple(value) if isinstance(value, list) else value for name, value in record.parameters.items()}
    return parameters, record.learned, of_rankers


def unknown(folder: str, why: str) -> ConfigError:
    """The error for what this version does not know."""
    return ConfigError(f"{Folder(expanded(folder), 'folder').where()}: no ranker that can be read: {why}")


def number(value: float) -> float | None:
    """A number as JSON knows it: None for NaN."""
    return None if math.isnan(value) else float(value)


def plain(value: Any) -> Any:
    """A parameter as JSON knows it."""
    return np.asarray(value).tolist() if isinstance(value, np.ndarray | np.generic | Sequence) else value
