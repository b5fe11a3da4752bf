"""Checkpoints that the user brought as the candidates: find them, hold each against the first one, score it.

They stay where they are; `candidates/<id>/DONE.json` names the folder. All must be of one architecture, read text with
one tokenizer and have one set of labels; the order of the labels may differ. Each is scored on the source's dev set.
"""

import fnmatch
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from lms_ray.data.corpora import Corpus
from lms_ray.models import encoder, folders
from lms_ray.models.encode import diverged, encode
from lms_ray.settings.base import shown
from lms_ray.settings.errors import ConfigError, StorageError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash
from lms_ray.settings.uris import with_credentials_of, without_credentials
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


def find(pattern: str) -> list[str]:
    """Folders of the checkpoints that a pattern or a parent folder names, sorted.

    Raises:
        ConfigError: there is none.
    """
    path, question, options = pattern.partition("?") if "://" in pattern else (pattern, "", "")
    parts = path.rstrip("/").split("/")
    fixed = next((number for number, part in enumerate(parts) if set(part) & set("*[")), len(parts))
    store = Store(f"{'/'.join(parts[:fixed]) or '/'}{question}{options}")
    names = [""]
    for part in parts[fixed:] or ["*"]:
        if set(part) & set("*["):
            below = [(folder, name) for folder in names for name in store.names(folder) if fnmatch.fnmatch(name, part)]
        else:
            below = [(folder, part) for folder in names]
        names = [f"{folder}/{name}".removeprefix("/") for folder, name in below]
    names = [name for name in names if store.exists(f"{name}/config.json")]
    if not names:
        raise ConfigError(
            f"sweep.checkpoints: found no folder with a config.json at {shown(pattern)}; accepted is a folder that "
            "holds checkpoints of transformers, or a pattern for them such as runs/ner-* or runs/*/best"
        )
    root = store.root.partition("?")[0].rstrip("/")
    return [f"{root}/{name}{question}{options}" for name in names]


def labels(experiment: Experiment) -> list[str]:
    """The head's labels in the first checkpoint, whose order is that of all.

    Raises:
        ConfigError: its configuration is broken, or does not name them.
    """
    with _first(experiment) as (_, store):
        try:
            content = store.read_bytes("config.json")
        except StorageError as error:
            raise ValueError(f"config.json cannot be read: {first_line(error)}") from error
        names = folders.parse_config(content).get("id2label")
        found: list[Any] = [names.get(str(index)) for index in range(len(names))] if isinstance(names, dict) else []
        if not found or not all(isinstance(name, str) for name in found) or len(set(found)) < len(found):
            raise ValueError(
                f"config.json has id2label {names}; accepted is the name of each of the head's outputs, all different, "
                'as in {"0": "O", "1": "B-LOC"}'
            )
        return found


@contextmanager
def _first(experiment: Experiment) -> Iterator[tuple[str, Store]]:
    """The first checkpoint's folder; what is wrong in it is said of the key `sweep.checkpoints`."""
    folder = find(experiment.sweep.checkpoints or "")[0]
    try:
        yield without_credentials(folder), Store(folder)
    except (OSError, StorageError, ValueError) as error:
        raise ConfigError(f"sweep.checkpoints: {without_credentials(folder)}: {first_line(error)}") from error


@contextmanager
def folder_of(candidate: str, store: Store, experiment: Experiment) -> Iterator[Path]:
    """The local folder of a candidate's model, fine-tuned here or brought."""
    path = (store.done(pool.unit(candidate)) or {}).get("path")
    brought = path and Store(with_credentials_of(path, experiment.sweep.checkpoints or ""))
    with brought.as_local("") if brought else store.as_local(pool.unit(candidate)) as folder:
        yield folder


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
    finetune = experiment.finetune
    with _first(experiment) as (first, store), store.as_local("") as local:
        config, tokenizer = folders.load_config(local), folders.load_tokenizer(local)
    encoder.check_length(finetune.max_length, encoder.longest(config, tokenizer))
    lacking = [name for name in task.special_tokens if name not in tokenizer.vocab]
    if lacking or (NONE in task.outputs(()) and NONE not in task.labels):
        raise ConfigError(
            f"sweep.checkpoints: found {first} with labels {', '.join(task.labels)}; accepted for {experiment.task} "
            f"are labels with {NONE} for none, and a tokenizer with {', '.join(task.special_tokens) or 'any sub-words'}"
        )
    text = tokenizer.backend_tokenizer.to_str()
    return Standard(
        experiment=experiment,
        task=task,
        folders=tuple(find(experiment.sweep.checkpoints or "")),
        config=config,
        tokenizer=text,
        dev=task.windows(dev.examples, tokenizer, finetune.max_length, finetune.stride),
        # As in sweep.checkpoints, a folder stands for the checkpoints that it holds.
        allow_pickled=folders.absolute(
            spelling for pattern in experiment.allow_pickled for spelling in (pattern, f"{pattern.rstrip('/')}/*")
        ),
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
    """
    started = time.time()
    store = Store(folder)
    signature = store.signature()
    with store.as_local("") as local:
        found, wanted = _shared(folders.load_config(local)), _shared(standard.config)
        differing = [key for key in SHARED if found[key] != wanted[key]]
        if differing:
            difference = ", ".join(f"{key} {found[key]} instead of {wanted[key]}" for key in differing)
            raise ValueError(f"its architecture differs from the first one's: {difference}")
        tokenizer = folders.load_tokenizer(local)
        if tokenizer.backend_tokenizer.to_str() != standard.tokenizer:
            raise ValueError("its tokenizer differs from the first one's")
        is_safe = folders.uses_safetensors(local, folders.is_named(folder, standard.allow_pickled))
        model = standard.task.load(local, device, is_safe)
        folders.require_embeddings(model, tokenizer)
        digest = _digest(local)
    statistics_ES = encode(model, standard.task, standard.dev, standard.experiment.encode).statistics_ES
    return {
        "id": f"{Path(folder.partition('?')[0]).name}-{digest[:8]}",
        "path": without_credentials(folder),
        "digest": digest,
        "signature": signature,
        "standard": standard.digest,
        "dev_score": float(standard.task.score(statistics_ES.sum(0))),
        "diverged": diverged(model),
        "started": started,
        "seconds": time.time() - started,
        "device": device,
    }


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
