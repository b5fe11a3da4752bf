"""`verified/<language>-<digest>/`: what labels that came later say of the picks for use, one folder for each content.

candidates/<id>/statistics.parquet   example statistics of one candidate
scores.parquet                       every candidate's score by these labels
verification.parquet                 the pick of every rule, and how good it is

Shape suffixes: C candidates, E examples, S statistics.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lms_ray.store.files import Store

FOLDER, VERIFICATION, SCORES, STATISTICS = "verified", "verification.parquet", "scores.parquet", "statistics.parquet"


@dataclass(frozen=True)
class Verified:
    """One rule's pick for use, as the labels judge it."""

    rule: str
    candidate: str | None
    """None for Random, whose score is the mean over the candidates."""
    score: float
    """Metric in [0, 1]."""
    delta: float
    """Score minus that of En-Dev's pick."""
    low: float | None
    """Interval of the delta, from the paired bootstrap; None for Random."""
    high: float | None
    p_value: float | None
    """Two-sided p-value of the delta; None for Random."""
    regret: float
    """The best candidate's score minus this one."""
    rank: float
    """Place among the candidates, 1 the best; ties share their mean place."""
    kendall_tau: float | None
    """Between the rule's scores of the candidates and those by the labels; None for Random and Best."""
    stated_better: float | None = None
    """The probability that was stated before any label, that it is better than En-Dev's pick; None where none was."""
    stated_regret: float | None = None
    """The regret that was expected then."""


def folder(language: str, digest: str) -> str:
    """Folder of one verification.

    Args:
        language: of the labels.
        digest: of their content, and of how it is read.
    """
    return f"{FOLDER}/{language}-{digest[:12]}"


def unit(within: str, candidate: str) -> str:
    """Folder of what one candidate makes of the labelled examples."""
    return f"{within}/candidates/{candidate}"


def write_statistics(
    store: Store, within: str, candidate: str, names: Sequence[str], statistics_ES: np.ndarray
) -> None:
    """Write and commit one candidate's example statistics."""
    table = pa.table({name: statistics_ES[:, column] for column, name in enumerate(names)})
    written = store.write_table(f"{unit(within, candidate)}/{STATISTICS}", table)
    store.commit(unit(within, candidate), {"examples": len(statistics_ES)}, {STATISTICS: written})


def read_statistics(store: Store, within: str, candidates: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Example statistics of some candidates, shape (C, E, S), float64."""
    tables = [store.read_unit_table(unit(within, candidate), STATISTICS) for candidate in candidates]
    return np.stack([np.stack([table[name].to_numpy() for name in names], axis=1) for table in tables])


def write(
    store: Store, within: str, rows: Iterable[Verified], score_of: Mapping[str, float], origin: Mapping[str, Any]
) -> None:
    """Write what the labels say, and what it was made from.

    Args:
        store: the experiment's folder.
        within: folder of this verification.
        rows: in the order in which they are shown.
        score_of: every candidate's score.
        origin: of the picks, and what else decides the result.
    """
    scores = pa.table({"candidate": list(score_of), "score": list(score_of.values())})
    store.write_table(f"{within}/{SCORES}", scores, origin)
    table = pa.Table.from_pylist([asdict(row) for row in rows])
    store.write_table(f"{within}/{VERIFICATION}", table, origin)


def read(store: Store, within: str) -> pd.DataFrame:
    """The columns of `Verified`."""
    return store.read_table(f"{within}/{VERIFICATION}").to_pandas()
