"""`missing.parquet`: the candidates without which the sweep has ended, and why; no file where there are none.

One that diverged is done, and stands in `candidates.parquet`.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

import pyarrow as pa

from lms_ray.settings.errors import BrokenError, MissingError
from lms_ray.store.files import Store

PATH = "missing.parquet"
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("state", pa.string()),
        ("failures", pa.int64()),
        ("losses", pa.int64()),
        ("preemptions", pa.int64()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Missing:
    """A candidate that was given up; the counts are of the driver's last run."""

    id: str
    state: Literal["failed", "lost"]
    failures: int
    """How often an error of its own has ended it."""
    losses: int
    """How often its worker or node was lost without notice."""
    preemptions: int
    """How often its node was drained."""
    reason: str
    """One line."""


def write(store: Store, rows: Iterable[Missing]) -> None:
    """Write the table, in the order of the ids; without rows there is none afterwards."""
    if of_each := [asdict(row) for row in sorted(rows, key=lambda row: row.id)]:
        store.write_table(PATH, pa.Table.from_pylist(of_each, SCHEMA))
    else:
        store.delete(PATH)


def read(store: Store) -> list[Missing]:
    """The table; empty where no candidate is missing.

    Raises:
        BrokenError: the file is no such table.
    """
    if not store.exists(PATH):
        return []
    rows = [Missing(**row) for row in store.read_table(PATH, columns=SCHEMA.names).to_pylist()]
    if unknown := {row.state for row in rows} - {"failed", "lost"}:
        raise BrokenError(f"{store.where(PATH)}: broken; it has the state {unknown.pop()!r}, not failed or lost")
    return rows


def require_few(store: Store, accepted: int) -> None:
    """Refuse a pool in which more candidates are missing than may be.

    Raises:
        MissingError: says how many, names one, and how to go on.
    """
    rows = read(store)
    if len(rows) > accepted:
        raise MissingError(
            f"{in_words(rows)}; accepted are {accepted} (sweep.max_missing). Run the sweep to try them again, or with "
            f"sweep.max_missing={len(rows)} to go on without those that are given up once more"
        )


def in_words(rows: list[Missing]) -> str:
    """How many, and one of them with its reason."""
    count = {state: sum(row.state == state for row in rows) for state in ("failed", "lost")}
    each = " and ".join(f"{number} {state}" for state, number in count.items() if number)
    return f"{len(rows)} candidates are missing ({each}), among them {rows[0].id}: {rows[0].reason}"
