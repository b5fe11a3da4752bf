"""`rankers/draws-<hash>/`: what every rule says of every candidate, overall and in many divisions of them.

parts.parquet         part of each candidate in each draw
overall.parquet       every rule's score of every candidate for every target
learned.parquet       of the rules that learn, the scores in each draw of the candidates that they did not learn from
recommended.parquet   how much each rule counts in the recommended one, and how well it picked for each pivot

Shape suffixes: D draws, C candidates.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from lms_ray.settings.errors import MissingError
from lms_ray.settings.hashing import content_hash
from lms_ray.store import lineage
from lms_ray.store.files import Store
from lms_ray.store.rankings import UNIT

Scores = dict[str, dict[str, np.ndarray]]
"""By target and rule, shape (C,) or (D, C); NaN where there is none."""

VERSION = 1
"""Of the rules: what an older one says is made anew."""
DEPLOYMENT = "deployment.parquet"
"""In the experiment's folder: the candidate that each rule picks for each target of all candidates, for use."""
FOR_USE = ("Recommended", "LMS", "All-Pivot z", "En-Dev")
"""Rules whose picks of all candidates are shown, and whose weights are kept."""
PARTS, OVERALL, LEARNED, RECOMMENDED = "parts.parquet", "overall.parquet", "learned.parquet", "recommended.parquet"


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


def write_deployment(store: Store, rows: Iterable[Mapping[str, str]], origin: Mapping[str, Any]) -> None:
    """Write what is picked for use: rows of target, rule and candidate."""
    store.write_table(DEPLOYMENT, pa.Table.from_pylist([dict(row) for row in rows]), origin)


def read_deployment(store: Store, origin: Mapping[str, Any]) -> pd.DataFrame:
    """Target, rule and the candidate that it picks of all, for use.

    Raises:
        MissingError: there are none, or they were made otherwise.
    """
    store.require(DEPLOYMENT, "ranking")
    lineage.require_same("picks for use", store.read_origin(DEPLOYMENT), origin, "ranking")
    return store.read_table(DEPLOYMENT).to_pandas()


def picked_for_use(store: Store, origin: Mapping[str, Any]) -> list[str]:
    """The candidates that the rules of `FOR_USE` pick of all, for any target."""
    picked = read_deployment(store, origin)
    return picked.loc[picked["rule"].isin(FOR_USE), "candidate"].unique().tolist()


def read_recommended(store: Store, origin: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of pivots, rule, weight, gains and reason."""
    return _table(store, origin, RECOMMENDED)


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
