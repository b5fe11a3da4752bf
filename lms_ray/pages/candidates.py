"""Every candidate in a row, and in a line: what a page says of one that a reader follows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lms_ray.pages.answer import Answers
from lms_ray.pages.tables import Table


def candidate_table(candidates: pd.DataFrame, use: Answers, pool: pd.DataFrame | None, source: str) -> Table:
    """A row for each candidate, in the order of the ids.

    Args:
        candidates: the table of the candidates.
        use: which are to be used.
        pool: test scores in [0, 1], a row for each of its candidates, a column for each target; None without labels.
        source: the language of the dev score.
    """
    header = ["Candidate", f"{source} dev", "To use for"]
    mean_of, place_of = _means(pool)
    if pool is not None:
        header[2:2] = ["Mean over targets", "Place in pool"]
    targets_of = _targets_of(use)
    rows = []
    for row in candidates.to_dict("records"):
        one = row["id"]
        judged = [] if pool is None else [_score(mean_of.get(one)), f"{place_of[one]:g}" if one in place_of else "-"]
        count = len(targets_of.get(one, []))
        rows.append([one, _score(row["dev_score"]), *judged, "1 target" if count == 1 else f"{count} targets"])
    return Table(header, [rows], candidates=frozenset({0}))


def facts(candidates: pd.DataFrame, use: Answers, pool: pd.DataFrame | None, source: str) -> dict[str, str]:
    """The same in a line for each, with the codes of the targets that it is to be used for."""
    mean_of, place_of = _means(pool)
    targets_of = _targets_of(use)
    lines = {}
    for row in candidates.to_dict("records"):
        said = [] if pd.isna(row["dev_score"]) else [f"{source} dev {_score(row['dev_score'])}"]
        if row["diverged"]:
            said.append("diverged")
        if row["id"] in mean_of:
            mean, place = _score(mean_of[row["id"]]), f"{place_of[row['id']]:g}"
            said.append(f"test {mean} on the mean over the targets, number {place} of {len(mean_of)} in the pool")
        elif pool is not None:
            said.append("not in the pool of this draw")
        if targets := targets_of.get(row["id"]):
            said.append(f"to use for {' '.join(targets)}")
        lines[row["id"]] = "; ".join(said)
    return lines


def _means(pool: pd.DataFrame | None) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """The mean over the targets and the place by it, of each candidate of the pool."""
    if pool is None:
        return {}, {}
    mean_C = pool.mean(axis=1)
    place_C = mean_C.rank(ascending=False)
    return dict(zip(map(str, pool.index), mean_C, strict=True)), dict(zip(map(str, pool.index), place_C, strict=True))


def _targets_of(use: Answers) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for one in use.rows:
        found.setdefault(one.candidate, []).append(one.target)
    return found


def _score(value: Any) -> str:
    return "-" if value is None or pd.isna(value) else f"{100 * value:.1f}"
