"""`candidates.parquet`: every candidate of the experiment, and which of them may be chosen."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from lms_ray.store.files import Store

PATH = "candidates.parquet"
ERROR = "ERROR.txt"  # in a candidate's folder: why it failed
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("learning_rate", pa.float64()),  # no settings where the checkpoint was brought
        ("epochs", pa.int64()),
        ("batch_size", pa.int64()),
        ("seed", pa.int64()),
        ("dev_score", pa.float64()),
        ("seconds", pa.float64()),
        ("diverged", pa.bool_()),
    ]
)


def unit(candidate: str) -> str:
    """Folder of a candidate's model and record."""
    return f"candidates/{candidate}"


def write(store: Store, records: Iterable[Mapping[str, Any]], origin: Mapping[str, Any]) -> None:
    """Write the table from the candidates' records, in the order of their ids, and what it was made from."""
    rows = [
        {name: record.get(name) for name in SCHEMA.names} | {"diverged": bool(record.get("diverged"))}
        for record in sorted(records, key=lambda record: record["id"])
    ]
    store.write_table(PATH, pa.Table.from_pylist(rows, SCHEMA), origin)


def read(store: Store) -> pd.DataFrame:
    """The table.

    Raises:
        MissingError: the sweep has not ended.
        BrokenError: the file is no such table.
    """
    store.require(PATH, "sweep")
    return store.read_table(PATH, columns=SCHEMA.names).to_pandas()


def candidates(store: Store) -> list[str]:
    """Ids of the candidates that may be chosen: all that did not diverge, sorted.

    Raises:
        MissingError: the sweep has not ended.
    """
    table = read(store)
    return table[~table["diverged"]]["id"].tolist()
