"""`soups/<id>/`: what averages of candidates encode; `soups.parquet`: what they are worth beside single picks.

The tables of a soup are those of a candidate (see `encodings`). Its weights are kept nowhere: it is the mean of its
members, which `soups.parquet` names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from lms_ray.store import lineage
from lms_ray.store.files import Store

FOLDER, PATH = "soups", "soups.parquet"
Kind = Literal["single", "top", "all", "first", "setting", "best setting", "oracle"]
SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("selector", pa.string()),
        ("setting", pa.string()),
        ("target", pa.string()),
        ("members", pa.int64()),
        ("score", pa.float64()),
        ("delta", pa.float64()),
        ("delta_to_pick", pa.float64()),
        ("id", pa.string()),
        ("recipe", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class Scored:
    """What one soup, or one single pick of all candidates, is worth for one target."""

    kind: Kind
    """`single` picks for use and `oracle` ones beside the soups: of a rule's `top` candidates, of `all`, of the `first`
    runs, of a `setting`'s seeds, and of the `best setting` by the pivots."""
    selector: str | None
    """The rule that chose the members, or among the settings; None where nothing is chosen."""
    setting: str | None
    """`lr5e-05/ep4/bs32`, of a setting's soup."""
    target: str
    members: int
    """How many candidates are averaged."""
    score: float
    """Test metric in [0, 1]."""
    delta: float
    """Score minus that of En-Dev's single pick."""
    delta_to_pick: float | None
    """Score minus that of the same selector's single pick."""
    id: str
    """Of the soup, or of the candidate."""
    recipe: tuple[str, ...]
    """Ids of the members."""


def write(store: Store, rows: Iterable[Scored], origin: Mapping[str, Any]) -> None:
    """Write the table, and what it was made from."""
    store.write_table(PATH, pa.Table.from_pylist([asdict(row) for row in rows], SCHEMA), origin)


def read(store: Store, origin: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """The columns of `Scored`.

    Args:
        store: the experiment's folder.
        origin: what it must have been made from; None takes it as it is.

    Raises:
        MissingError: there is none, or it was made otherwise.
    """
    return lineage.read_table(store, PATH, "soups", origin, "soups")
