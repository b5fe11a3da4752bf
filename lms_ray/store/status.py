"""Progress of an experiment from its folder alone, also after its cluster is gone."""

import time

import yaml

from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import ConfigError
from lms_ray.store.files import Store


def show(path: str) -> None:
    """Print what is done of each stage and whether a driver is at work.

    Raises:
        ConfigError: there is no experiment in that folder.
    """
    store = Store(path)
    if not store.exists("experiment.yaml"):
        raise ConfigError(f"PATH: found no experiment.yaml in {path}; accepted is the folder of an experiment")
    experiment = Experiment.model_validate(yaml.safe_load(store.read_bytes("experiment.yaml")))
    swept = store.exists("candidates.parquet")
    names = store.read_table("candidates.parquet")["id"].to_pylist() if swept else store.names("candidates")
    total: int | str = len(names) if swept else experiment.number_of_candidates
    if experiment.sweep.checkpoints and not swept:
        total = "?"
    print(f"{_mark(swept)} sweep      {_done(store, 'candidates', names)}/{total} candidates")
    encoded = _done(store, "encodings", names)
    print(f"{_mark(swept and encoded == total)} features   {encoded}/{total} candidates")
    print(f"{_mark(store.done('rankers') is not None)} ranking")
    print(f"{_mark(store.exists('picks.parquet'))} selection")
    print(f"{_mark(store.exists('report/report.html'))} report     {path}/report/report.html")
    if store.exists("driver.json"):
        driver = store.read_json("driver.json")
        seconds = time.time() - driver["beat"]
        print(f"driver: process {driver['pid']} on {driver['host']}, last heard of {seconds:.0f} s ago")
    else:
        print("driver: none")


def _done(store: Store, folder: str, names: list[str]) -> int:
    return sum(store.done(f"{folder}/{name}") is not None for name in names)


def _mark(done: bool) -> str:
    return "✓" if done else "✗"
