"""`curves/<hash>/`: what picks are worth with less of everything, a folder for each point of a curve."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from lms_ray.settings.errors import MissingError
from lms_ray.settings.hashing import content_hash
from lms_ray.store import redrawn
from lms_ray.store.files import Store

TABLE = "picks.parquet"


@dataclass(frozen=True)
class Pick:
    """What one rule's pick for one target is worth."""

    curve: str
    size: int
    repeat: int
    rule: str
    target: str
    score: float
    """Test metric in [0, 1]."""
    regret: float
    """The best score of all candidates of the experiment minus this one."""


def unit(origin: Mapping[str, Any], point: str = "") -> str:
    """Folder of the curves that are made from these settings and input (`lineage.origin`), or of one point."""
    return f"curves/{content_hash(redrawn.VERSION, origin)[:12]}/{point}".rstrip("/")


def write(store: Store, origin: Mapping[str, Any], point: str, rows: Iterable[Pick]) -> None:
    """Write and commit one point."""
    table = pa.Table.from_pylist([asdict(row) for row in rows])
    place = unit(origin, point)
    store.commit(place, {}, {TABLE: store.write_table(f"{place}/{TABLE}", table)})


def read(store: Store, origin: Mapping[str, Any]) -> pd.DataFrame:
    """All points that are made: the columns of `Pick`.

    Raises:
        MissingError: there are none.
    """
    made = [name for name in store.names(unit(origin)) if store.done(unit(origin, name)) is not None]
    if not made:
        raise MissingError(f"{store.where(unit(origin))}: not there yet; run `python -m lms_ray.curves` first")
    return pd.concat([store.read_unit_table(unit(origin, name), TABLE).to_pandas() for name in sorted(made)])
