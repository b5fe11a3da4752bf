"""`deployment.parquet`: what each rule picks for each target of all candidates, for use, and how sure that is.

`worth.parquet` beside it: which language's labels would make the picks surer.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from lms_ray.settings.errors import MissingError
from lms_ray.store import lineage, redrawn
from lms_ray.store.files import Store

PATH = "deployment.parquet"
WORTH = "worth.parquet"
FOR_USE = ("Recommended", "LMS", "All-Pivot z", "En-Dev")
"""Rules whose picks of all candidates are shown, and whose weights are kept."""
SCHEMA = pa.schema(
    [
        ("target", pa.string()),
        ("rule", pa.string()),
        ("candidate", pa.string()),
        ("followed", pa.bool_()),  # the one rule to follow for the target
        # What is expected of the pick: the fields of `choosing.certainty.Expected`, null where nothing is.
        ("better_than_source", pa.float64()),
        ("better_than_pivots", pa.float64()),
        ("better_than_average", pa.float64()),
        ("better_than_no_model", pa.float64()),
        ("gain", pa.float64()),
        ("regret", pa.float64()),
        ("rank", pa.float64()),
    ]
)
WORTH_SCHEMA = pa.schema(
    [
        ("language", pa.string()),  # whose labelled dev set would be one more pivot
        ("target", pa.string()),
        ("before", pa.float64()),  # expected regret
        ("after", pa.float64()),
    ]
)


def write(
    store: Store,
    rows: Iterable[Mapping[str, Any]],
    worth: Iterable[Mapping[str, Any]],
    origin: Mapping[str, Any],
) -> None:
    """Write what is picked for use, and what more labels would be worth, by the columns of the schemas."""
    store.write_table(WORTH, pa.Table.from_pylist([dict(row) for row in worth], WORTH_SCHEMA), origin)
    store.write_table(PATH, pa.Table.from_pylist([dict(row) for row in rows], SCHEMA), origin)


def read(store: Store, origin: Mapping[str, Any]) -> pd.DataFrame:
    """What is picked for use.

    Raises:
        MissingError: nothing is, or it was made otherwise.
    """
    return lineage.read_table(store, PATH, "picks for use", origin, "ranking")


def origin(store: Store) -> dict[str, Any]:
    """What the picks for use that are in the folder were made from.

    Raises:
        MissingError: there are none, or the scores behind them are gone.
    """
    store.require(PATH, "ranking")
    found = store.read_origin(PATH)
    redrawn.require(store, found)
    return found


def picked_for(store: Store, origin: Mapping[str, Any], target: str) -> dict[str, str]:
    """By rule the candidate that it picks of all for one target.

    Raises:
        MissingError: nothing is picked for it.
    """
    picked = read(store, origin)
    picked = picked[picked["target"] == target]
    if picked.empty:
        raise MissingError(f"nothing is picked for {target} yet; run `python -m lms_ray.ranking` first")
    return dict(zip(picked["rule"], picked["candidate"], strict=True))


def stated(store: Store, origin: Mapping[str, Any], target: str) -> dict[str, tuple[float | None, float | None]]:
    """By rule how probably its pick for a target was said to be better than En-Dev's, and what regret was expected."""
    rows = read(store, origin).query("target == @target")
    columns = (rows["better_than_source"], rows["regret"])
    better, regret = ([None if pd.isna(value) else float(value) for value in column] for column in columns)
    return dict(zip(rows["rule"], zip(better, regret, strict=True), strict=True))


def read_worth(store: Store, origin: Mapping[str, Any]) -> pd.DataFrame:
    """What more labels would be worth.

    Raises:
        MissingError: it is not known, or was made otherwise.
    """
    return lineage.read_table(store, WORTH, "worth of labels", origin, "ranking")


def kept(store: Store, origin: Mapping[str, Any]) -> list[str]:
    """The candidates that the rules of `FOR_USE` pick for any target."""
    picked = read(store, origin)
    return picked.loc[picked["rule"].isin(FOR_USE), "candidate"].unique().tolist()
