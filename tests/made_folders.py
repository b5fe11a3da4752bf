"""Folders of experiments in any state, made by the store's own writers."""

import json
import time
from typing import Any

import pyarrow as pa

from lms_ray.settings.candidates import grid
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load, to_yaml
from lms_ray.settings.uris import split
from lms_ray.store import lineage, lock, pool, rankings
from lms_ray.store.attempts import Attempt, Machine, Use
from lms_ray.store.files import Store

SPOT = Machine(host="worker-1", market="spot", accelerator="NVIDIA A10G", cpus=4, gpus=1)
ON_DEMAND = SPOT.model_copy(update={"host": "worker-2", "market": "on-demand"})
EIGHT = ("sweep.learning_rate=[1e-4]", "sweep.epochs=[1,2]", "sweep.batch_size=[8]", "sweep.seeds=4")
TWELVE_RANKERS = (
    "pivots=[de,es]",
    "targets=[sv,de,es]",
    "ranker.fit=paper",
    "ranker.batch_size=[16,32]",
    "ranker.learning_rate=[1e-4,1e-5]",
)


def configured(store: Store, *overrides: str) -> Experiment:
    """Write the configuration of an experiment of eight candidates."""
    storage, _, name = split(store.root)[0].rpartition("/")
    experiment = load("quickstart", [*EIGHT, *TWELVE_RANKERS, f"storage={storage}", f"name={name}", *overrides])
    store.write_bytes("experiment.yaml", to_yaml(experiment).encode())
    return experiment


def ids(experiment: Experiment, config_hash: str = "hash") -> list[str]:
    return [candidate.id(config_hash) for candidate in grid(experiment.sweep)]


def finished(store: Store, candidate: str, **record: Any) -> None:
    """A candidate that is done."""
    unit = pool.unit(candidate)
    files = {"model.safetensors": store.write_bytes(f"{unit}/model.safetensors", b"1234")}
    store.commit(unit, {"id": candidate, "dev_score": 0.5, "diverged": False, **record}, files)


def tried(
    store: Store, candidate: str, ago: float = 600.0, seconds: float = 300.0, saved: float | None = None, **changes: Any
) -> Attempt:
    """An attempt that began some seconds ago, took some or was last heard of then, and saved after some."""
    started = round(time.time()) - ago
    end = {"ended": started + seconds} if changes.get("outcome") in ("done", "failed") else {}
    values = {"machine": SPOT, "examples": 1000, "planned": 2, "started": started, "seen": started + seconds}
    attempt = Attempt(**{**values, **end, "saved": None if saved is None else started + saved, **changes})
    store.write_json(f"{pool.unit(candidate)}/attempts/{started:.0f}-{attempt.number}.json", attempt.model_dump())
    return attempt


def failed(store: Store, candidate: str, reason: str) -> None:
    traceback = f'Traceback (most recent call last):\n  File "x.py", line 3, in step\n    train()\n{reason}\n'
    store.write_bytes(f"{pool.unit(candidate)}/{pool.ERROR}", traceback.encode())


def encoded(store: Store, candidate: str, uses: list[Use], folder: str = "encodings", **record: Any) -> None:
    unit = f"{folder}/{candidate}"
    files = {"sums.parquet": store.write_bytes(f"{unit}/sums.parquet", b"12")}
    store.commit(unit, {"corpora": {}, **record, "uses": [use.model_dump() for use in uses]}, files)


def fitted(store: Store, group: str, point: str, uses: list[Use], **record: Any) -> None:
    unit = f"{rankings.UNIT}/{group}/{point}"
    files = {"scores.parquet": store.write_bytes(f"{unit}/scores.parquet", b"12")}
    store.commit(unit, {**record, "uses": [use.model_dump() for use in uses]}, files)


def swept(store: Store, experiment: Experiment) -> list[str]:
    """All candidates done, and the pool written."""
    names = ids(experiment)
    for name in names:
        finished(store, name)
    pool.write(store, [{"id": name, "dev_score": 0.5} for name in names], {})
    return names


def a_driver_elsewhere(store: Store) -> None:
    driver = {"host": "head", "boot": "b", "namespace": "n", "pid": 7, "since_boot": 1.0, "holds": True}
    store.write_bytes(f"{lock.FOLDER}/1.json", json.dumps(driver).encode())


def table(store: Store, path: str, settings: lineage.Settings | None = None) -> None:
    """A table, made by some settings."""
    store.write_table(path, pa.table({"x": [1]}), {} if settings is None else {"settings": settings})
