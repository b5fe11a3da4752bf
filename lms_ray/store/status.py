"""Progress of an experiment from its folder alone, whatever state that is in, also after its cluster is gone."""

import sys
import time

import pandas as pd
from pydantic import ValidationError

from lms_ray.settings.errors import BrokenError, ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import identity, lock
from lms_ray.store.files import Store


def show(path: str) -> None:
    """Print what is done of each stage, what failed, and whether a driver is at work.

    Raises:
        ConfigError: there is no experiment in that folder.
        StorageError: the folder cannot be read.
    """
    store = Store(path)
    if not store.exists(identity.CONFIGURATION):
        raise ConfigError(f"PATH: found no experiment.yaml in {path}; accepted is the folder of an experiment")
    table = _pool(store)
    names = store.names("candidates") if table is None else table["id"].tolist()
    total = _expected(store) if table is None else len(table)
    diverged = 0 if table is None else int(table.get("diverged", pd.Series(dtype=bool)).sum())
    tuned, encoded = (
        {name for name in names if store.done(f"{folder}/{name}") is not None} for folder in ("candidates", "encodings")
    )
    said = f", {diverged} of them diverged" if diverged else ""
    _say(f"{_mark(table is not None)} sweep      {len(tuned)}/{total} candidates{said}")
    _show_failures(store, [name for name in names if name not in tuned])
    wanted = total if isinstance(total, str) else total - diverged
    _say(f"{_mark(table is not None and len(encoded) == wanted)} features   {len(encoded)}/{wanted} candidates")
    _say(f"{_mark(store.done('rankers') is not None)} ranking")
    _say(f"{_mark(store.exists('picks.parquet'))} selection")
    _say(f"{_mark(store.exists('report/report.html'))} report     {store.where('report/report.html')}")
    _show_drivers(store)


def _pool(store: Store) -> pd.DataFrame | None:
    """The candidates of a complete sweep."""
    if not store.exists("candidates.parquet"):
        return None
    try:
        return store.read_table("candidates.parquet").to_pandas()
    except BrokenError as error:
        _say(str(error))
        return None


def _expected(store: Store) -> int | str:
    """How many candidates the configuration describes, as far as it says."""
    try:
        experiment = Experiment.model_validate(identity.read(store))
    except BrokenError as error:
        _say(str(error))
        return "?"
    except ValidationError:
        _say(f"{store.where(identity.CONFIGURATION)}: broken; it is no experiment of this version")
        return "?"
    return "?" if experiment.sweep.checkpoints else experiment.number_of_candidates


def _show_failures(store: Store, unfinished: list[str]) -> None:
    reasons = {name: f"candidates/{name}/ERROR.txt" for name in unfinished}
    failed = {name: path for name, path in reasons.items() if store.exists(path)}
    for name, path in list(failed.items())[:1]:
        lines = store.read_bytes(path).decode(errors="replace").splitlines()
        said = [line for line in lines if line.strip() and not line.startswith((" ", "Traceback"))]
        _say(f"  {len(failed)} failed, among them {name}: {said[-1] if said else 'its ERROR.txt says nothing'}")


def _show_drivers(store: Store) -> None:
    found = lock.claims(store)
    for claim in found:
        who = claim.driver or f"{store.where(claim.path)}: broken"
        _say(f"driver: {who}, last heard of {max(0.0, time.time() - claim.modified):.0f} s ago")
    if not found:
        _say("driver: none")


def _mark(done: bool) -> str:
    """Whether something is done: as a sign, or as a word where the output has no such sign."""
    try:
        "✓✗".encode(_encoding())
    except UnicodeEncodeError:
        return "yes" if done else "no "
    return "✓" if done else "✗"


def _say(line: str) -> None:
    """Print a line; a letter that the output lacks, of a path for example, as a question mark."""
    print(line.encode(_encoding(), "replace").decode(_encoding()))


def _encoding() -> str:
    return sys.stdout.encoding or "utf-8"
