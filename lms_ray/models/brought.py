"""Checkpoints that the user brought as the candidates: find them, hold each against the first one, score it.

They stay where they are; `candidates/<id>/DONE.json` names the folder. All must be of one architecture, read text with
one tokenizer and have one set of labels; the order of the labels may differ. Each is scored on the source's dev set.
"""

import hashlib
import json
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.data.corpora import Corpus
from lms_ray.data.files import WILDCARDS, Bucket, matching
from lms_ray.models import encoder, folders
from lms_ray.models.encode import diverged, encode
from lms_ray.settings.base import shown
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.errors import AbsentError, ConfigError, StorageError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash
from lms_ray.settings.uris import split, with_credentials_of, without_credentials
from lms_ray.store import pool
from lms_ray.store.files import Store
from lms_ray.tasks.base import NONE, Task
from lms_ray.tasks.pretrained import first_line
from lms_ray.tasks.windows import Windows

SHARED = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
"""Settings in which all checkpoints must agree, so that their features can be compared."""


@dataclass(frozen=True)
class Standard:
    """What every checkpoint is held against, and scored on."""

    experiment: Experiment
    task: Task
    folders: tuple[str, ...]
    """Of all checkpoints."""
    config: PretrainedConfig
    tokenizer: str
    dev: Windows
    allow_pickled: tuple[str, ...]
    """Patterns of the folders whose weights may be pickled."""
    digest: str
    """Hash over what decides a score, without the checkpoints."""
    name: str = "the first one"
    """What messages call it."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint that fits a standard, as long as its files are at hand."""

    id: str
    """The name of its folder, and the beginning of its hash."""
    digest: str
    """Hash over configuration and weights: the same checkpoint elsewhere has the same."""
    standard: Standard
    local: Path
    """Its folder, or a copy."""
    tokenizer: PreTrainedTokenizerBase
    is_safe: bool
    """Whether its weights are safetensors."""
    made_as: Candidate | None
    """How it was fine-tuned, where it is a candidate of some experiment, whose folder says so."""

    def load(self, device: str) -> PreTrainedModel:
        """The model, its outputs in the order of the standard's labels.

        Raises:
            ValueError: its labels or weights do not fit.
        """
        model = self.standard.task.load(self.local, device, self.is_safe)
        folders.require_embeddings(model, self.tokenizer)
        return model


def find(checkpoints: str) -> list[str]:
    """Folders of the checkpoints that a pattern or a parent folder names, sorted; URIs have its keys and options.

    Raises:
        ConfigError: there is none.
        StorageError: an object store does not answer, or forbids to look.
    """
    path, options = split(checkpoints)
    parts = path.rstrip("/").split("/")
    fixed = next((number for number, part in enumerate(parts) if WILDCARDS & set(part)), len(parts))
    above = Bucket(f"{'/'.join(parts[:fixed]) or '/'}{options}", "sweep.checkpoints")
    pattern = "/".join(parts[fixed:] or ["*"])
    found = matching(above, f"{pattern if above.is_local else unquote(pattern)}/config.json")
    if not found:
        raise ConfigError(
            f"sweep.checkpoints: found no folder with a config.json at {shown(checkpoints)}; accepted is a folder that "
            "holds checkpoints of transformers, or a pattern for them such as runs/ner-* or runs/*/best"
        )
    names = [name.removesuffix("/config.json") for name in found]
    if above.is_local:
        return [f"{above.file_system[1].rstrip('/')}/{name}" for name in names]
    return [f"{'/'.join(parts[:fixed])}/{quote(name)}{options}" for name in names]


def missing_here(folders: Iterable[str]) -> list[str]:
    """Local folders that this machine does not have: every node must reach them, unless they lie in an object store."""
    return [folder for folder in folders if "://" not in folder and not Path(folder).is_dir()]


def labels(experiment: Experiment) -> list[str]:
    """The head's labels in the first checkpoint, whose order is that of all.

    Raises:
        ConfigError: its configuration is broken, or does not name them.
    """
    with _first(experiment) as folder:
        try:
            content = Store(folder).read_bytes("config.json")
        except StorageError as error:
            raise ValueError(f"config.json cannot be read: {first_line(error)}") from error
        return folders.labels(content)


@contextmanager
def _first(experiment: Experiment) -> Iterator[str]:
    """The first checkpoint's folder; what is wrong in it is said of the key `sweep.checkpoints`."""
    folder = find(experiment.sweep.checkpoints or "")[0]
    try:
        yield folder
    except (OSError, StorageError, ValueError) as error:
        raise ConfigError(f"sweep.checkpoints: {without_credentials(folder)}: {first_line(error)}") from error


@contextmanager
def folder_of(candidate: str, store: Store, experiment: Experiment) -> Iterator[Path]:
    """The local folder of a candidate's model, fine-tuned here or brought.

    Raises:
        AbsentError: it was brought, and is not on this machine.
    """
    path = (store.done(pool.unit(candidate)) or {}).get("path")
    brought = path and with_credentials_of(path, experiment.sweep.checkpoints or "")
    with local_copy(_opened(brought)) if brought else store.as_local(pool.unit(candidate)) as folder:
        yield folder


def _opened(folder: str) -> Store:
    """A checkpoint's folder.

    Raises:
        AbsentError: it is a local one, and not on this machine.
    """
    if missing_here([folder]):
        raise AbsentError(
            f"{folder}: found no such folder on {platform.node()}; accepted is one that every node reaches, "
            "or one in an object store"
        )
    return Store(folder)


@contextmanager
def local_copy(store: Store, weights: bool = True) -> Iterator[Path]:
    """A checkpoint's folder: itself, or a copy of those of its files that are read, which is removed afterwards."""
    if store.is_local:
        with store.as_local("") as local:
            yield local
        return
    names = [name for name in store.sizes("") if name.endswith(folders.READ)]  # beside them may lie an optimizer's
    is_safe = any(name.endswith(".safetensors") for name in names)
    unread = (".bin",) * is_safe if weights else (".safetensors", ".bin")
    with tempfile.TemporaryDirectory(prefix="lms-ray-") as copy:
        store.download("", [name for name in names if not name.endswith(unread)], Path(copy))
        yield Path(copy)


def standard(experiment: Experiment, task: Task, dev: Corpus) -> Standard:
    """What every checkpoint is held against: the first one.

    Args:
        experiment: names the checkpoints.
        task: with the first checkpoint's labels.
        dev: the source's dev set.

    Raises:
        ConfigError: the first checkpoint cannot be read, or is not of the experiment's task.
        DataError: a dev example has a label that the checkpoint does not have.
    """
    with _first(experiment) as first, local_copy(Store(first), weights=False) as local:
        config, tokenizer = folders.load_config(local), folders.load_tokenizer(local)
    finetune = experiment.finetune
    encoder.check_length(finetune.max_length, encoder.longest(config, tokenizer))
    lacking = [name for name in task.special_tokens if name not in tokenizer.vocab]
    if lacking or (NONE in task.outputs(()) and NONE not in task.labels):
        raise ConfigError(
            f"sweep.checkpoints: found {without_credentials(first)} with labels {', '.join(task.labels)}; "
            f"accepted for {experiment.task} are labels with {NONE} for none, and a tokenizer with "
            f"{', '.join(task.special_tokens) or 'any sub-words'}"
        )
    return _standard(experiment, task, dev, config, tokenizer, tuple(find(experiment.sweep.checkpoints or "")))


def standard_of_pool(experiment: Experiment, task: Task, dev: Corpus, store: Store) -> Standard:
    """What a checkpoint is held against that is to stand beside the candidates of an experiment: the first of these.

    Raises:
        MissingError: there are no candidates yet.
        StorageError, BrokenError, ValueError: the first one's folder cannot be read.
    """
    with folder_of(pool.candidates(store)[0], store, experiment) as local:
        config, tokenizer = folders.load_config(local), folders.load_tokenizer(local)
    return replace(_standard(experiment, task, dev, config, tokenizer, ()), name="the pool")


def _standard(
    experiment: Experiment,
    task: Task,
    dev: Corpus,
    config: PretrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    checkpoints: tuple[str, ...],
) -> Standard:
    text, finetune = tokenizer.backend_tokenizer.to_str(), experiment.finetune
    return Standard(
        experiment=experiment,
        task=task,
        folders=checkpoints,
        config=config,
        tokenizer=text,
        dev=task.windows(dev.examples, tokenizer, finetune.max_length, finetune.stride),
        # As in sweep.checkpoints, a folder stands for the checkpoints that it holds.
        allow_pickled=folders.absolute([*experiment.allow_pickled, *map(_all_in, experiment.allow_pickled)]),
        digest=content_hash(
            experiment.task, task.labels, _shared(config), text, dev.digest, finetune.max_length, finetune.stride
        ),
    )


def examine(folder: str, standard: Standard, device: str) -> dict[str, Any]:
    """Hold one checkpoint against the standard and score it.

    Args:
        folder: of the checkpoint, local or in an object store.
        standard: the first checkpoint.
        device: `cpu` or `cuda`.

    Returns:
        Its record: the content of its DONE.json.

    Raises:
        ValueError: it cannot be read or does not fit; says the difference.
        AbsentError: it is not on this machine.
    """
    started, began = time.time(), time.monotonic()
    signature = _opened(folder).signature()
    with opened(folder, standard) as checkpoint:
        model = checkpoint.load(device)
    statistics_ES = encode(model, standard.task, standard.dev, standard.experiment.encode).statistics_ES
    return {
        "id": checkpoint.id,
        "path": without_credentials(folder),
        "digest": checkpoint.digest,
        "signature": signature,
        "standard": standard.digest,
        "dev_score": float(standard.task.score(statistics_ES.sum(0))),
        "diverged": diverged(model),
        "started": started,
        "seconds": time.monotonic() - began,
        "device": device,
    }


@contextmanager
def opened(folder: str, standard: Standard) -> Iterator[Checkpoint]:
    """A checkpoint, held against the standard.

    Args:
        folder: of the checkpoint, local or in an object store.
        standard: what it must fit.

    Raises:
        ValueError: it cannot be read or does not fit; says the difference.
        AbsentError: it is not on this machine.
    """
    store = _opened(folder)
    with local_copy(store) as local:
        if difference := differing(folders.load_config(local), standard.config):
            raise ValueError(f"its architecture differs from {standard.name}'s: {difference}")
        tokenizer = folders.load_tokenizer(local)
        if tokenizer.backend_tokenizer.to_str() != standard.tokenizer:
            raise ValueError(f"its tokenizer differs from {standard.name}'s")
        is_safe = folders.uses_safetensors(local, folders.is_named(folder, standard.allow_pickled))
        digest = _digest(local)
        name = f"{PurePosixPath(store.file_system[1]).name}-{digest[:8]}"
        yield Checkpoint(name, digest, standard, local, tokenizer, is_safe, _made_as(local))


def _made_as(folder: Path) -> Candidate | None:
    try:
        return Candidate(**json.loads((folder / pool.SETTING).read_bytes()))
    except (OSError, ValueError, TypeError):  # any other checkpoint may have a file of this name
        return None


def differing(found: PretrainedConfig, wanted: PretrainedConfig) -> str:
    """The settings in which an architecture is another one, with both values; empty where there are none."""
    ours, theirs = _shared(found), _shared(wanted)
    return ", ".join(f"{key} {ours[key]} instead of {theirs[key]}" for key in SHARED if ours[key] != theirs[key])


def _all_in(folder: str) -> str:
    """The pattern of what a folder holds; a URI without its options, as it is compared."""
    return f"{split(folder)[0].rstrip('/')}/*"


def _shared(config: PretrainedConfig) -> dict[str, Any]:
    return {key: getattr(config, key, None) for key in SHARED}


def _digest(folder: Path) -> str:
    """sha256 over configuration and weights: the same checkpoint elsewhere has the same."""
    total = hashlib.sha256()
    weights = [*folder.glob("model*.safetensors")] or [*folder.glob("pytorch_model*.bin")]
    for path in [folder / "config.json", *sorted(weights)]:
        with path.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()
