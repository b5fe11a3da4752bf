"""What decided a result: the settings and inputs that a stage records beside it, and that the next one compares.

A stage that finds a result of other settings does it again; one that needs such a result refuses, and says the first
key that differs. So no page ever speaks of picks that were made otherwise.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from lms_ray.settings.errors import MissingError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash
from lms_ray.store import encodings, missing, pool
from lms_ray.store.files import Store

CANDIDATES = ("task", "seed", "source", "train_on", "sweep", "finetune")
"""Settings that decide the candidates."""
ENCODING = ("data", "encode")
"""Settings that decide what they encode, and how. What the data holds is compared by its hash."""
RANKING = (*CANDIDATES, *ENCODING, "pivots", "targets", "unlabelled_targets", "meta_split", "ranker")
"""Settings that decide the rankings."""
SELECTION = (*RANKING, "selection")
"""Settings that decide the picks."""
SOUPS = (*RANKING, "soups")
"""Settings that decide which candidates are averaged."""
PLACES = (
    *("resources", "batch_tokens", "max_failures", "max_losses", "max_missing", "save_every", "keep_weights"),
    *("root", "text", "path"),
)
"""Keys that say where and how something runs or lies, or how long it is kept, whatever they are in."""
IMPLIED = {"sweep.objective": "dev", "sweep.judged_by": None, "sweep.judged_for": None}
"""Values that go without saying: folders that are older than the key do not name it."""
RANKERS = "rankers"
"""The unit of the rankings, whose tables are in `rankings`."""
IDENTITY = ("task", "source", "encoder", "seed")
"""Settings that may not change within one folder: another value is another experiment."""

Settings = dict[str, Any]


def settings(experiment: Experiment, keys: Iterable[str]) -> Settings:
    """The values of some keys, flat (`ranker.hidden`), without those that say where something runs or lies."""
    values = experiment.model_dump(mode="json", include=set(keys))
    return {
        key: value
        for key, value in _flat(values).items()
        if not set(PLACES) & set(key.split(".")) and (key, value) not in IMPLIED.items()
    }


def differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first key in which two settings differ, with both values; empty where there is none."""
    for key in sorted(found.keys() | wanted.keys()):
        if found.get(key) != wanted.get(key):
            return f"{key} is {found.get(key)!r} there and {wanted.get(key)!r} here"
    return ""


def require_same(what: str, found: Mapping[str, Any], wanted: Mapping[str, Any], stage: str) -> None:
    """Refuse a result whose `origin` is another than it would be now.

    Raises:
        MissingError: names the difference, and the stage to run.
    """
    difference = differing(found.get("settings", {}), wanted["settings"])
    if not difference and found.get("input") != wanted.get("input"):
        difference = "the candidates, or the texts that they encoded, have changed since"
    if difference:
        raise MissingError(f"the {what} were made otherwise: {difference}; run `python -m lms_ray.{stage}` first")


def changed(experiment: Experiment, keys: Iterable[str], found: Mapping[str, Any]) -> str:
    """The first setting by which a result was made otherwise than an experiment says now; empty where there is none.

    Toy languages become files when a job runs, and are recorded as these: where they lie is not compared.

    Args:
        experiment: as its folder holds it.
        keys: settings that decide the result.
        found: the settings by which it was made.
    """
    wanted = settings(experiment, keys)
    if experiment.data.format == "toy":
        found, wanted = (
            {key: value for key, value in of_one.items() if not key.startswith("data.")} for of_one in (found, wanted)
        )
    return differing(found, wanted)


def require_settings(
    what: str, origin: Mapping[str, Any], experiment: Experiment, keys: Iterable[str], stage: str
) -> None:
    """Refuse a result of other settings than an experiment has now, whatever its input was.

    Args:
        what: it is, for the message.
        origin: what it was made from.
        experiment: as its folder holds it.
        keys: settings that decide the result.
        stage: that makes it.

    Raises:
        MissingError: names the difference, and the stage to run.
    """
    if difference := changed(experiment, keys, origin.get("settings", {})):
        raise MissingError(f"the {what} were made otherwise: {difference}; run `python -m lms_ray.{stage}` first")


def read_table(store: Store, path: str, what: str, origin: Mapping[str, Any] | None, stage: str) -> pd.DataFrame:
    """A table that a stage has written with its origin.

    Args:
        store: the experiment's folder.
        path: of the table in it.
        what: it holds, for messages.
        origin: what it must have been made from; None takes it as it is.
        stage: that writes it.

    Raises:
        MissingError: there is none, or it was made otherwise.
    """
    store.require(path, stage)
    if origin is not None:
        require_same(what, store.read_origin(path), origin, stage)
    return store.read_table(path).to_pandas()


def require_encoded(experiment: Experiment, store: Store) -> None:
    """Refuse candidates of other settings, or texts that were encoded by others.

    Raises:
        MissingError: names the difference, and the stage to run.
    """
    require_candidates(experiment, store)
    wanted = {"settings": settings(experiment, ENCODING)}
    store.require(encodings.CORPORA, "features")
    require_same("encodings", store.read_origin(encodings.CORPORA), wanted, "features")


def require_candidates(experiment: Experiment, store: Store) -> None:
    """Refuse candidates of other settings, and a pool that lacks more of them than it may.

    Raises:
        MissingError: names the difference, and the stage to run.
    """
    missing.require_few(store, experiment.sweep.max_missing)
    wanted = {"settings": settings(experiment, CANDIDATES)}
    store.require(pool.PATH, "sweep")
    require_same("candidates", store.read_origin(pool.PATH), wanted, "sweep")


def origin(
    experiment: Experiment, keys: Iterable[str], store: Store, candidates: Sequence[str], corpora: Iterable[str]
) -> dict[str, Any]:
    """What a stage records beside its result: the settings that decide it, and a hash of its input."""
    return {"settings": settings(experiment, keys), "input": input_of(experiment, store, candidates, corpora)}


def input_of(experiment: Experiment, store: Store, candidates: Sequence[str], corpora: Iterable[str]) -> str:
    """Hash of what a result is made from.

    The candidates, the corpora that they encoded, and the same of experiments that teach the ranker, or the rankers of
    the one from which they are taken.
    """
    digests = encodings.digests(store)
    others = [Store(folder, "ranker.auxiliary") for folder in experiment.ranker.auxiliary]
    taught = [(pool.candidates(other), encodings.digests(other)) for other in others]
    rankers = {}
    if folder := experiment.ranker.transfer_from:
        files = Store(folder, "ranker.transfer_from").files_of(RANKERS)
        rankers = {name: written.sha256 for name, written in files.items()}
    return content_hash(list(candidates), {name: digests.get(name) for name in corpora}, taught, rankers)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Settings:
    flat: Settings = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
