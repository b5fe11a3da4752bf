"""`rankers/`: which candidates taught, chose and may be picked, every grid point's validation, and the scores.

rankers/DONE.json             what the rankings were made from
rankers/split.parquet         part of the meta split of each candidate
rankers/validation.parquet    Kendall's tau of every grid point on meta-dev, and which points were chosen
rankers/scores.parquet        the chosen rankers' scores of every candidate for every target
rankers/<hash>/<point>/       one fitted grid point: scores, and weights where it was chosen
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lms_ray.settings.errors import MissingError
from lms_ray.store import lineage
from lms_ray.store.files import Store
from lms_ray.store.folder import Written

UNIT = lineage.RANKERS
SPLIT, VALIDATION, SCORES, WEIGHTS = "split.parquet", "validation.parquet", "scores.parquet", "weights.safetensors"

POINT = ("fit", "batch_size", "learning_rate", "l2", "seed", "kendall_tau", "seconds")
"""Columns of the validation that come from a fitted ranker's record; null where the kind of fit has no such axis."""


def require(store: Store, origin: Mapping[str, Any]) -> None:
    """Refuse to go on without the rankings that would be made now.

    Args:
        store: the experiment's folder.
        origin: what they would be made from, see `lineage.origin`.

    Raises:
        MissingError: there are none, or they were made for other settings or from other input.
    """
    lineage.require_same("rankings", _record(store), origin, "ranking")


def settings(store: Store) -> dict[str, Any]:
    """The settings by which the rankings of a folder were made, see `lineage.settings`.

    Raises:
        MissingError: there are none.
    """
    return _record(store)["settings"]


def read_kept(store: Store) -> list[tuple[dict[str, Any], bytes]]:
    """Record and weights of every chosen ranker.

    Raises:
        MissingError: none were fitted in this folder.
        BrokenError: a file is not what was committed.
    """
    _record(store)
    kept = []
    for name in store.files_of(UNIT):
        point, _, file = f"{UNIT}/{name}".rpartition("/")
        if file == WEIGHTS:
            with store.as_local(point) as folder:
                kept.append((store.done(point) or {}, (folder / WEIGHTS).read_bytes()))
    if not kept:
        raise MissingError(f"{store.where(UNIT)}: the rankers were not fitted there but taken from another experiment")
    return kept


def write_split(store: Store, candidates: Sequence[str], part_C: np.ndarray) -> dict[str, Written]:
    """Write the part (`train`, `dev`, `test`) of each candidate."""
    return _write(store, SPLIT, pa.table({"candidate": list(candidates), "part": part_C.tolist()}))


def read_split(store: Store) -> pd.Series:
    """Part of each candidate, by its id."""
    return store.read_unit_table(UNIT, SPLIT).to_pandas().set_index("candidate")["part"]


def write_validation(store: Store, rows: list[dict[str, Any]]) -> dict[str, Written]:
    """Write what became of every grid point."""
    return _write(store, VALIDATION, pa.Table.from_pylist(rows))


def read_validation(store: Store) -> pd.DataFrame:
    """Every grid point: pivots, chosen, and `POINT`."""
    return store.read_unit_table(UNIT, VALIDATION).to_pandas()


def score_rows(target: str, seed: int, candidates: Sequence[str], score_C: np.ndarray) -> pa.Table:
    """One ranker's scores of all candidates for one target."""
    count = len(candidates)
    return pa.table(
        {"target": [target] * count, "seed": [seed] * count, "candidate": list(candidates), "score": score_C}
    )


def write_scores(store: Store, tables: Sequence[pa.Table]) -> dict[str, Written]:
    """Write the chosen rankers' scores."""
    return _write(store, SCORES, pa.concat_tables(tables))


def read_scores(store: Store, candidates: Sequence[str]) -> dict[str, np.ndarray]:
    """The rankers' scores of some candidates, shape (K, C), one row for each seed, by target."""
    table = store.read_unit_table(UNIT, SCORES).to_pandas()
    return {
        target: rows.pivot(index="seed", columns="candidate", values="score")[list(candidates)].to_numpy()
        for target, rows in table.groupby("target")
    }


def _record(store: Store) -> dict[str, Any]:
    record = store.done(UNIT)
    if record is None:
        raise MissingError(f"{store.where(UNIT)}: not there yet; run `python -m lms_ray.ranking` first")
    return record


def _write(store: Store, name: str, table: pa.Table) -> dict[str, Written]:
    return {name: store.write_table(f"{UNIT}/{name}", table)}
