"""`rankers/draws-<hash>/`: what every rule says of every candidate, overall and in many divisions of them.

parts.parquet         part of each candidate in each draw
overall.parquet       every rule's score of every candidate for every target
learned.parquet       of the rules that learn, the scores in each draw of the candidates that they did not learn from
recommended.parquet   how much each rule counts in the recommended one, and how well it picked for each pivot
trust.parquet         how far the recommended scores are to be trusted for each target

Shape suffixes: D draws, C candidates.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lms_ray.settings.errors import MissingError
from lms_ray.settings.hashing import content_hash
from lms_ray.store.files import Store
from lms_ray.store.rankings import UNIT

Scores = dict[str, dict[str, np.ndarray]]
"""By target and rule, shape (C,) or (D, C); NaN where there is none."""

VERSION = 3
"""Of the rules: what an older one says is made anew."""
TRUST_SCHEMA = pa.schema(
    [
        ("target", pa.string()),
        ("followed", pa.string()),
        ("location", pa.float64()),  # null, as the rest, where there are too few pivots to tell
        ("spread", pa.float64()),
        ("quantile_PQ", pa.list_(pa.list_(pa.float64()))),
        ("level", pa.struct([("expected", pa.float64()), ("error", pa.float64()), ("freedom", pa.int64())])),
    ]
)
PARTS, OVERALL, LEARNED = "parts.parquet", "overall.parquet", "learned.parquet"
RECOMMENDED, TRUST = "recommended.parquet", "trust.parquet"


def unit(origin: Mapping[str, Any]) -> str:
    """Folder of the draws that are made from these settings and input (`lineage.origin`)."""
    return f"{UNIT}/draws-{content_hash(VERSION, origin)[:12]}"


def write(
    store: Store,
    origin: Mapping[str, Any],
    candidates: Sequence[str],
    part_DC: np.ndarray,
    overall: Scores,
    learned: Scores,
    recommended: Iterable[Mapping[str, Any]],
    trust: Iterable[Mapping[str, Any]],
) -> None:
    """Write and commit all tables.

    Args:
        store: the experiment's folder.
        origin: what they were made from.
        candidates: ids, in the order of the arrays.
        part_DC: `train`, `dev` or `test`.
        overall: scores of shape (C,).
        learned: scores of shape (D, C).
        recommended: rows of pivots, rule, weight, gains (a number for each pivot) and reason.
        trust: rows of target, the rule that is followed for it, and the fields of `choosing.certainty.Trust`.
    """
    parts = [
        {"draw": draw, "candidate": candidate, "part": part}
        for draw, part_C in enumerate(part_DC)
        for candidate, part in zip(candidates, part_C, strict=True)
    ]
    tables = {
        PARTS: pa.Table.from_pylist(parts),
        OVERALL: _long(overall, candidates).drop_columns(["draw"]),
        LEARNED: _long(learned, candidates),
        RECOMMENDED: pa.Table.from_pylist([dict(row) for row in recommended]),
        TRUST: pa.Table.from_pylist([dict(row) for row in trust], TRUST_SCHEMA),
    }
    files = {name: store.write_table(f"{unit(origin)}/{name}", table) for name, table in tables.items()}
    store.commit(unit(origin), dict(origin), files)


def require(store: Store, origin: Mapping[str, Any]) -> None:
    """Refuse to go on without the draws that would be made now.

    Raises:
        MissingError: there are none.
    """
    if store.done(unit(origin)) is None:
        raise MissingError(f"{store.where(unit(origin))}: not there yet; run `python -m lms_ray.ranking` first")


def read(store: Store, origin: Mapping[str, Any], candidates: Sequence[str]) -> tuple[np.ndarray, Scores, Scores]:
    """The parts of shape (D, C), and the scores overall and learned, as they were written."""
    parts = _table(store, origin, PARTS).pivot(index="draw", columns="candidate", values="part")
    overall, learned = (_table(store, origin, name) for name in (OVERALL, LEARNED))
    return (
        parts[list(candidates)].to_numpy(),
        _arrays(overall.assign(draw=0), candidates, 1, drop=True),
        _arrays(learned, candidates, len(parts), drop=False),
    )


def read_scores(store: Store, origin: Mapping[str, Any], rules: Iterable[str]) -> pd.DataFrame:
    """What some rules say of all candidates: rows of target, rule, candidate and score."""
    filters = [("rule", "in", list(rules))]
    return store.read_unit_table(unit(origin), OVERALL, filters=filters).to_pandas()


def candidates(store: Store, origin: Mapping[str, Any]) -> list[str]:
    """Ids of all candidates that are picked from, sorted."""
    return sorted(_table(store, origin, PARTS)["candidate"].unique())


def read_recommended(store: Store, origin: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of pivots, rule, weight, gains and reason."""
    return _table(store, origin, RECOMMENDED)


def read_trust(store: Store, origin: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of target, the rule that is followed for it, and the fields of `choosing.certainty.Trust`."""
    return store.read_unit_table(unit(origin), TRUST).to_pylist()


def _table(store: Store, origin: Mapping[str, Any], name: str) -> pd.DataFrame:
    return store.read_unit_table(unit(origin), name).to_pandas()


def _long(scores: Scores, candidates: Sequence[str]) -> pa.Table:
    rows: dict[str, list[Any]] = {name: [] for name in ("target", "rule", "draw", "candidate", "score")}
    ids = np.asarray(candidates, object)
    for target, of_target in scores.items():
        for rule, array in of_target.items():
            score_DC = np.atleast_2d(array)
            draw_N, candidate_N = np.nonzero(~np.isnan(score_DC))
            rows["target"].append(np.full(len(draw_N), target, object))
            rows["rule"].append(np.full(len(draw_N), rule, object))
            rows["draw"].append(draw_N)
            rows["candidate"].append(ids[candidate_N])
            rows["score"].append(score_DC[draw_N, candidate_N])
    return pa.table({name: np.concatenate(parts) if parts else [] for name, parts in rows.items()})


def _arrays(table: pd.DataFrame, candidates: Sequence[str], draws: int, drop: bool) -> Scores:
    place_of = {candidate: place for place, candidate in enumerate(candidates)}
    scores: Scores = {}
    for (target, rule), rows in table.groupby(["target", "rule"], sort=False):
        score_DC = np.full((draws, len(candidates)), np.nan)
        score_DC[rows["draw"], rows["candidate"].map(place_of)] = rows["score"]
        scores.setdefault(str(target), {})[str(rule)] = score_DC[0] if drop else score_DC
    return scores
