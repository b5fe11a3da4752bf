"""`newcomers.parquet`: where checkpoints that were not in the pool stand beside it, for each target and rule.

Their encodings are in `newcomers/<id>/`, see `encodings`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from lms_ray.store import lineage
from lms_ray.store.files import Store

PATH = "newcomers.parquet"


@dataclass(frozen=True)
class Ranked:
    """What one rule says of one checkpoint for one target."""

    newcomer: str
    """Name of its folder, and the beginning of its hash."""
    path: str
    """Its folder, without keys."""
    target: str
    rule: str
    score: float
    """By this rule, in its own measure; of Recommended and LMS in standard deviations of the pool from its mean."""
    place: int
    """Among the pool and itself, 1 the best."""
    pool: int
    """How many candidates the pool has."""
    is_picked: bool
    """Whether it is better than every candidate of the pool."""
    present: str | None
    """The candidate that the rule picks for use without it; None where it picks none."""
    followed: bool
    """Whether this is the rule to follow for the target."""


def write(store: Store, rows: Sequence[Ranked], origin: Mapping[str, Any]) -> None:
    """Write what is known of some newcomers; what was known of others stays if the pool's rankings are the same.

    Args:
        store: the experiment's folder.
        rows: of the newcomers.
        origin: what the pool's rankings were made from (`lineage.origin`).
    """
    fresh = {(row.newcomer, row.target) for row in rows}
    kept = [row for row in read(store, origin) if (row.newcomer, row.target) not in fresh]
    store.write_table(PATH, pa.Table.from_pylist([asdict(row) for row in [*kept, *rows]]), origin)


def read(store: Store, origin: Mapping[str, Any]) -> list[Ranked]:
    """What is known of newcomers; nothing where there is no table, or one beside other rankings."""
    if not store.exists(PATH):
        return []
    found = store.read_origin(PATH)
    is_same = found.get("input") == origin["input"] and not lineage.differing(found["settings"], origin["settings"])
    return [Ranked(**row) for row in store.read_table(PATH).to_pylist()] if is_same else []
