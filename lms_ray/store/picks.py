"""The tables that selection leaves behind: every pick, what rules are worth over many draws, and the pool's scores."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from lms_ray.store.files import Store

PICKS = "picks.parquet"
POOL_SCORES = "report/pool.parquet"
BASELINES = "report/baselines.parquet"
SPLITS = "splits.parquet"
CALIBRATION = "calibration.parquet"
SELECTORS = (
    "En-Dev", "Pivot-Dev", "All-Pivot", "LMS", "Recommended", "Random", "100-Target", "All-Target", "Best"
)  # fmt: skip
"""Those of the paper's tables, in this order, and the one that a user should follow; other rules come after them."""
ORACLES = ("100-Target", "All-Target", "Best")
AVERAGE = "average"  # stands for the target in the picks' means over all targets


@dataclass(frozen=True)
class Pick:
    """What one selector chose for one target."""

    selector: str
    target: str
    candidate: str | None
    """None for Random, whose score is the mean over the pool, and for the average over targets."""
    pivot: str | None
    """The pivot that Pivot-Dev followed."""
    examples: int | None
    """Labelled target examples that an oracle saw."""
    score: float
    """Test metric in [0, 1]."""
    delta: float
    """Score minus En-Dev's."""
    regret: float
    """The pool's best score minus this one."""
    rank: float
    """Place in the pool by test score, 1 the best; ties share their mean place."""
    low: float | None
    """Interval of the delta, from the paired bootstrap; None for Random."""
    high: float | None
    p_value: float | None
    """Two-sided p-value of the delta; None for Random."""
    p_holm: float | None = None
    """The same after Holm's correction for the targets."""


@dataclass(frozen=True)
class SplitPick:
    """What one selector's pick for one target is worth in one division of the candidates."""

    draw: int
    selector: str
    target: str
    score: float
    """Test metric in [0, 1]; Random's is the mean over the pool."""
    delta: float
    """Score minus En-Dev's in the same pool."""
    regret: float
    """The pool's best score minus this one."""
    rank: float
    """Place in the pool by test score, 1 the best."""
    correlation: float
    """Spearman's, between the selector's scores and the test scores of the pool."""


@dataclass(frozen=True)
class Outcome:
    """What was stated of a rule's pick for one target in one division of the candidates, and what came of it."""

    draw: int
    target: str
    rule: str
    told: bool
    """Whether the evidence was said to be enough to follow."""
    statement: str
    """A field of `choosing.certainty.Expected`."""
    stated: float
    happened: float
    """Of a probability 1 where it happened, 0 where not, half where scores were equal."""


P = TypeVar("P", Pick, SplitPick)


def in_order(picks: Sequence[P]) -> list[P]:
    """Picks in the order of `SELECTORS`, then other rules in their own."""
    place = {name: place for place, name in enumerate(SELECTORS)}
    return sorted(picks, key=lambda pick: place.get(pick.selector, len(place)))


def write(
    store: Store,
    picks: Sequence[Pick],
    splits: Sequence[SplitPick],
    outcomes: Sequence[Outcome],
    pool: pd.DataFrame,
    baselines: Mapping[str, Mapping[str, float]],
    origin: Mapping[str, Any],
) -> None:
    """Write all that selection leaves behind; the table of picks goes first and comes last, as the sign that it did.

    Args:
        store: the experiment's folder.
        picks: in the order in which they were made.
        splits: of every draw.
        outcomes: of what was stated of them.
        pool: test scores of the candidates that were picked from, by target; the index is their ids.
        baselines: test scores of rules that need no model, by their names and by target.
        origin: what they were made from (`lineage.origin`).
    """
    store.delete(PICKS)
    store.write_table(POOL_SCORES, pa.Table.from_pandas(pool.rename_axis("candidate").reset_index()))
    rows = [
        {"baseline": name, "target": target, "score": score}
        for name, of_target in baselines.items()
        for target, score in of_target.items()
    ]
    schema = pa.schema([("baseline", pa.string()), ("target", pa.string()), ("score", pa.float64())])
    store.write_table(BASELINES, pa.Table.from_pylist(rows, schema))
    store.write_table(CALIBRATION, _table(outcomes, Outcome))
    store.write_table(SPLITS, _table(splits, SplitPick))
    store.write_table(PICKS, _table(picks, Pick), origin)


def read(store: Store) -> list[Pick]:
    """Every pick, in the order in which they were made.

    Raises:
        MissingError: nothing was picked yet.
    """
    store.require(PICKS, "selection")
    return [Pick(**row) for row in store.read_table(PICKS).to_pylist()]


def read_splits(store: Store) -> pd.DataFrame:
    """What every selector is worth in every draw: the columns of `SplitPick`."""
    return store.read_table(SPLITS).to_pandas()


def read_outcomes(store: Store) -> pd.DataFrame:
    """What was stated of picks in every draw and what came of it: the columns of `Outcome`."""
    return store.read_table(CALIBRATION).to_pandas()


def origin(store: Store) -> dict[str, Any]:
    """What the picks were made from."""
    store.require(PICKS, "selection")
    return store.read_origin(PICKS)


def read_baselines(store: Store) -> dict[str, dict[str, float]]:
    """Test scores of rules that need no model, by their names and by target."""
    scores: dict[str, dict[str, float]] = {}
    for row in store.read_table(BASELINES).to_pylist():
        scores.setdefault(row["baseline"], {})[row["target"]] = row["score"]
    return scores


def read_pool_scores(store: Store) -> pd.DataFrame:
    """Test scores in [0, 1] of the pool: a row for each candidate, a column for each target."""
    return store.read_table(POOL_SCORES).to_pandas().set_index("candidate")


def _table(picks: Sequence[Any], kind: type) -> pa.Table:
    """Rows of one kind; also where there are none, its columns."""
    rows = [asdict(pick) for pick in picks]
    return pa.Table.from_pylist(rows) if rows else pa.table({column.name: [] for column in fields(kind)})
