"""Which experiment a folder holds: one folder, one experiment, of one version of the tables."""

from pathlib import PurePosixPath
from typing import Any

import yaml

from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import lineage
from lms_ray.store.files import Store

CONFIGURATION = "experiment.yaml"
PROVENANCE = "provenance.json"
UNREADABLE = ("0.1.",)
"""Versions whose folders this one does not read."""


def require_same(experiment: Experiment, store: Store) -> None:
    """Refuse a folder that holds another experiment of this name, or one that an older version made.

    Raises:
        ConfigError: names what differs, and what to do.
    """
    if not store.exists(CONFIGURATION):
        return
    _refuse_old(store)
    found = {key: _configuration(store).get(key) for key in lineage.IDENTITY}
    wanted = {key: getattr(experiment, key) for key in lineage.IDENTITY}
    if difference := lineage.differing(found, wanted):
        raise ConfigError(
            f"name: {store.root} holds another experiment, {difference}; accepted is another name or storage "
            f"(or remove {CONFIGURATION} there to go on in this folder)"
        )


def _refuse_old(store: Store) -> None:
    version = str(store.read_json(PROVENANCE).get("lms_ray")) if store.exists(PROVENANCE) else ""
    if version.startswith(UNREADABLE):
        raise ConfigError(
            f"name: {store.root} was made by lms_ray {version}, whose tables this version does not read; "
            f"accepted is another name than {PurePosixPath(store.root).name}, or lms_ray {version}"
        )


def _configuration(store: Store) -> dict[str, Any]:
    try:
        values = yaml.safe_load(store.read_bytes(CONFIGURATION))
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        raise ConfigError(f"{store.root}/{CONFIGURATION}: broken; accepted is the configuration that a job wrote there")
    return values
