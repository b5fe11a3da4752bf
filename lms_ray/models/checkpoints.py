"""Stage 1 without fine-tuning: take checkpoints that the user brought as the candidates.

They stay where they are; `candidates/<id>/DONE.json` names the folder. All must be of one architecture, read text with
one tokenizer and have one set of labels; the order of the labels may differ. Each is scored on the source's dev set.
"""

import fnmatch
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from lms_ray import tasks
from lms_ray.cluster.connecting import use
from lms_ray.data import corpora
from lms_ray.models import encoder
from lms_ray.models.encode import encode
from lms_ray.pages.progress import Progress
from lms_ray.settings.errors import SweepError
from lms_ray.settings.experiment import Experiment, content_hash
from lms_ray.settings.loading import ConfigError
from lms_ray.store.files import Store
from lms_ray.tasks.base import NONE, Task
from lms_ray.tasks.windows import Windows

SHARED = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
"""Settings in which all checkpoints must agree, so that their features can be compared."""


@dataclass(frozen=True)
class Standard:
    """What every checkpoint is held against, and scored on."""

    experiment: Experiment
    task: Task
    settings: dict[str, Any]
    tokenizer: str
    dev: Windows
    digest: str
    """Hash over all of it, without the checkpoints."""


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
            f"sweep.checkpoints: found no folder with a config.json at {pattern!r}; accepted is a folder that holds "
            "checkpoints of transformers, or a pattern for them such as runs/ner-* or runs/*/best"
        )
    root = store.root.partition("?")[0].rstrip("/")
    return [f"{root}/{name}{question}{options}" for name in names]


def labels(experiment: Experiment) -> list[str]:
    """The head's labels in the first checkpoint, whose order is that of all."""
    folder = find(experiment.sweep.checkpoints or "")[0]
    names = json.loads(Store(folder).read_bytes("config.json")).get("id2label") or {}
    return [names[key] for key in sorted(names, key=int)]


def config_of(experiment: Experiment) -> Any:
    """The first checkpoint's configuration."""
    with Store(find(experiment.sweep.checkpoints or "")[0]).as_local("") as folder:
        return encoder.load_config(str(folder))


def task_of(experiment: Experiment) -> Task:
    """The experiment's task, with the labels of its training set, or of the checkpoints."""
    if experiment.sweep.checkpoints:
        empty = tasks.get(experiment.task)
        return empty if experiment.task == "qa" else tasks.get(experiment.task, labels(experiment))
    return corpora.task_of(experiment)


@contextmanager
def folder_of(candidate: str, store: Store) -> Iterator[Path]:
    """The local folder of a candidate's model, fine-tuned here or brought."""
    brought = (store.done(f"candidates/{candidate}") or {}).get("path")
    with Store(brought).as_local("") if brought else store.as_local(f"candidates/{candidate}") as folder:
        yield folder


def take_all(experiment: Experiment, store: Store) -> list[dict[str, Any]]:
    """Examine and score every checkpoint that is not known yet.

    Returns:
        The record of each.

    Raises:
        ConfigError: there are too few, or some do not fit; names each with the difference.
        SweepError: some could not be examined.
    """
    folders = find(experiment.sweep.checkpoints or "")
    try:
        experiment.meta_split.require(len(folders), f"{experiment.sweep.checkpoints} holds")
    except ValueError as error:
        raise ConfigError(f"sweep.checkpoints: {error}") from None
    standard = _standard(experiment, folders[0])
    done = (store.done(f"candidates/{name}") for name in store.names("candidates"))
    of_standard = [record for record in done if record and record.get("standard") == standard.digest]
    files_of = {folder: Store(folder).signature() for folder in folders}
    records = {
        record["path"]: record
        for record in of_standard
        if record["path"] in files_of and record["files"] == files_of[record["path"]]
    }
    progress = Progress("sweep", "checkpoints", len(folders), done=len(records))
    resources = experiment.sweep.resources
    examine: Any = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_calls=1)(_examine)
    standard_ref = ray.put(standard)
    running = {examine.remote(folder, standard_ref): folder for folder in folders if folder not in records}
    misfits: list[str] = []
    failures: list[str] = []
    while running:
        (ready,), _ = ray.wait(list(running))
        folder = running.pop(ready)
        try:
            record = ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            (misfits if isinstance(error.cause, ValueError) else failures).append(f"{folder}: {error.cause}")
        else:
            store.commit(f"candidates/{record['id']}", record)
            records[folder] = record
        progress.show(len(records), len(running), len(misfits) + len(failures))
    if misfits:
        raise ConfigError("sweep.checkpoints: some do not fit\n" + "\n".join(sorted(misfits)))
    if failures:
        raise SweepError("some checkpoints could not be examined\n" + "\n".join(sorted(failures)))
    by_content: dict[str, str] = {}
    for folder, record in records.items():
        other = by_content.setdefault(record["digest"], folder)
        if other != folder:
            raise ConfigError(f"sweep.checkpoints: {other} and {folder} are the same checkpoint")
    return [records[folder] for folder in folders]


def _standard(experiment: Experiment, first: str) -> Standard:
    task = task_of(experiment)
    with Store(first).as_local("") as folder:
        config = encoder.load_config(str(folder))
        tokenizer = encoder.load_tokenizer(str(folder))
    encoder.check_length(experiment.finetune.max_length, config, tokenizer)
    lacking = [name for name in task.special_tokens if name not in tokenizer.vocab]
    if lacking or (experiment.task in ("ner", "re", "arl") and NONE not in task.labels):
        raise ConfigError(
            f"sweep.checkpoints: found {first} with labels {', '.join(task.labels)}; accepted for {experiment.task} "
            f"are labels with {NONE} for none, and a tokenizer with {', '.join(task.special_tokens) or 'any sub-words'}"
        )
    settings = {key: getattr(config, key, None) for key in SHARED}
    dev, finetune = corpora.source_dev(experiment).examples(), experiment.finetune
    text = tokenizer.backend_tokenizer.to_str()
    return Standard(
        experiment=experiment,
        task=task,
        settings=settings,
        tokenizer=text,
        dev=task.windows(dev, tokenizer, finetune.max_length, finetune.stride),
        digest=content_hash(
            experiment.task, task.labels, settings, text, corpora.digest_of(dev), finetune.max_length, finetune.stride
        ),
    )


def _examine(folder: str, standard: Standard) -> dict[str, Any]:
    """Hold one checkpoint against the standard and score it.

    Raises:
        ValueError: it does not fit; says the difference.
    """
    started = time.time()
    experiment, store = standard.experiment, Store(folder)
    device = use(experiment.sweep.resources)
    files = store.signature()
    with store.as_local("") as local:
        config = encoder.load_config(str(local))
        found = {key: getattr(config, key, None) for key in SHARED}
        differing = [key for key in SHARED if found[key] != standard.settings[key]]
        if differing:
            difference = ", ".join(f"{key} {found[key]} instead of {standard.settings[key]}" for key in differing)
            raise ValueError(f"its architecture differs from the first one's: {difference}")
        if encoder.load_tokenizer(str(local)).backend_tokenizer.to_str() != standard.tokenizer:
            raise ValueError("its tokenizer differs from the first one's")
        is_safe = encoder.uses_safetensors(str(local), may_be_pickled=True)
        if not is_safe and not any(fnmatch.fnmatch(folder, allowed) for allowed in experiment.allow_pickled):
            raise ValueError("it has no safetensors, and allow_pickled does not name it")
        model = standard.task.load(local, device, is_safe)
        digest = _digest(local)
    statistics_ES = encode(model, standard.task, standard.dev, experiment.encode).statistics_ES
    return {
        "id": f"{Path(folder.partition('?')[0]).name}-{digest[:8]}",
        "path": folder,
        "digest": digest,
        "files": files,
        "standard": standard.digest,
        "dev_score": float(standard.task.score(statistics_ES.sum(0))),
        "started": started,
        "seconds": time.time() - started,
        "device": device,
    }


def _digest(folder: Path) -> str:
    """sha256 over configuration and weights: the same checkpoint elsewhere has the same."""
    total = hashlib.sha256()
    weights = [*folder.glob("model*.safetensors")] or [*folder.glob("pytorch_model*.bin")]
    for path in [folder / "config.json", *sorted(weights)]:
        with path.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()
