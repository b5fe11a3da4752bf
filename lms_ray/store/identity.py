"""Which experiment a folder holds: one folder, one experiment, of one version of the tables."""

import logging
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from lms_ray.settings import loading, plain_yaml
from lms_ray.settings.errors import BrokenError, ConfigError, MissingError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.uris import split
from lms_ray.store import lineage
from lms_ray.store.files import Store

log = logging.getLogger(__name__)

CONFIGURATION = "experiment.yaml"
PROVENANCE = "provenance.json"
UNREADABLE = ("0.1.",)
"""Versions whose folders this one does not read."""


def read(store: Store) -> dict[str, Any]:
    """The configuration that the last job wrote into a folder.

    Raises:
        AbsentError: there is none.
        BrokenError: it is no mapping in YAML.
    """
    try:
        values = plain_yaml.load(store.read_bytes(CONFIGURATION).decode())
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise BrokenError(
            f"{store.where(CONFIGURATION)}: broken; it is no configuration; delete it and run the same command again"
        )
    return values


def experiment(store: Store) -> Experiment:
    """The experiment that is in a folder.

    Raises:
        MissingError: there is none.
        BrokenError: its configuration is not one of this version.
    """
    if not store.exists(CONFIGURATION):
        raise MissingError(
            f"{store.key}: found no {CONFIGURATION} in {store.where()}; accepted is an experiment's folder"
        )
    try:
        return Experiment.model_validate(read(store))
    except ValidationError:
        raise BrokenError(f"{store.where(CONFIGURATION)}: broken; it is no experiment of this version") from None


def in_place(store: Store, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment that is in a folder, its storage where the folder is, with `key.sub=value` overrides.

    Raises:
        MissingError: there is none.
        BrokenError: its configuration is not one of this version.
        ConfigError: an override is wrong.
    """
    there = experiment(store).model_dump(mode="json")
    path, options = split(store.root)
    storage = path.rstrip("/").rpartition("/")[0] or "/"
    return loading.revised({**there, "storage": f"{storage}{options}"}, overrides)


def warn_of_another_encoder(store: Store, experiment: Experiment) -> None:
    """Say where another experiment names another encoder than this one: the two features may have nothing in common.

    Two names may be of one encoder, so nobody is refused.
    """
    there = read(store).get("encoder")
    if there != experiment.encoder:
        log.warning(
            "%s: its candidates are of the encoder %s, this experiment's of %s; unless these are the same, a ranker of "
            "the ones says nothing about the others", store.where(), there, experiment.encoder,
        )  # fmt: skip


def require_same(experiment: Experiment, store: Store) -> None:
    """Refuse a folder that holds another experiment of this name, or one that an older version made.

    Raises:
        ConfigError: names what differs, and what to do.
        BrokenError: its configuration or provenance cannot be read.
    """
    if not store.exists(CONFIGURATION):
        return
    _refuse_old(store)
    configuration = read(store)
    found = {key: configuration.get(key) for key in lineage.IDENTITY}
    wanted = experiment.model_dump(mode="json", include=set(lineage.IDENTITY))
    if difference := lineage.differing(found, wanted):
        raise ConfigError(
            f"name: {store.where()} holds another experiment, {difference}; accepted is another name or storage "
            f"(or remove {CONFIGURATION} there to go on in this folder)"
        )


def _refuse_old(store: Store) -> None:
    provenance = store.read_json(PROVENANCE) if store.exists(PROVENANCE) else {}
    version = str(provenance.get("lms_ray")) if isinstance(provenance, dict) else ""
    if version.startswith(UNREADABLE):
        raise ConfigError(
            f"name: {store.where()} was made by lms_ray {version}, whose tables this version does not read; "
            f"accepted is another name than {PurePosixPath(store.where()).name}, or lms_ray {version}"
        )
