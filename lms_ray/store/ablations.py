"""`ablations.parquet`: what variants of the ranker are worth in each draw of the meta split (paper, Tables 5 and 6)."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from lms_ray.store import lineage
from lms_ray.store.files import Store

PATH = "ablations.parquet"


@dataclass(frozen=True)
class Ablated:
    """What the pick of one variant is worth for one target in one draw."""

    table: str
    """`features` or `language_vector`: the key of `ranker` that differs."""
    variant: str
    """The key's value; `fusion` for all kinds of features."""
    draw: int
    target: str
    score: float
    """Test metric in [0, 1]."""
    delta: float
    """Score minus En-Dev's in the same pool."""


def write(store: Store, rows: Iterable[Ablated], origin: Mapping[str, Any]) -> None:
    """Write the table, and what it was made from."""
    store.write_table(PATH, pa.Table.from_pylist([asdict(row) for row in rows]), origin)


def read(store: Store, origin: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """The columns of `Ablated`.

    Args:
        store: the experiment's folder.
        origin: what it must have been made from; None takes it as it is.

    Raises:
        MissingError: there is none, or it was made otherwise.
    """
    return lineage.read_table(store, PATH, "ablations", origin, "ablation")
