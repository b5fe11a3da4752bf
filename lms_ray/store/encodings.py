"""The tables of `encodings/<id>/`: one candidate's features and example statistics for every corpus.

Shape suffixes: C candidates, G languages, H hidden, E examples, S statistics.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lms_ray.models.encode import Encoded
from lms_ray.settings.errors import MissingError
from lms_ray.store.files import Store
from lms_ray.tasks.base import Task

VERSION = 2
"""Of the tables: what was written by an older one is encoded again."""


def unit(candidate: str) -> str:
    """Folder of a candidate's encodings."""
    return f"encodings/{candidate}"


def write(
    store: Store, task: Task, candidate: str, fresh: dict[str, list[Encoded]], digests: dict[str, str], seconds: float
) -> None:
    """Add corpora to a candidate's encodings and commit them.

    Args:
        store: the experiment's folder.
        task: names the statistics.
        candidate: its id.
        fresh: the newly encoded shards of each corpus (`de-dev`), in their order.
        digests: what each wanted corpus must have been encoded from; kept ones have the same digest as before.
        seconds: time spent on the new ones.
    """
    record = store.done(unit(candidate)) or {"corpora": {}, "seconds": 0.0}
    kept = [name for name, digest in record["corpora"].items() if digests.get(name) == digest and name not in fresh]
    tables: dict[str, list[pa.Table]] = {"features": [], "statistics": []}
    for table, parts in tables.items():
        if kept:
            old = store.read_table(f"{unit(candidate)}/{table}.parquet")
            parts.append(old.filter(pc.is_in(old["corpus"], pa.array(kept))))
    for name, shards in fresh.items():
        tables["features"].append(_feature_row(name, shards))
        tables["statistics"].append(_statistics_rows(name, shards, task))
    store.delete(f"{unit(candidate)}/DONE.json")  # between the two tables below the folder is not whole
    for table, parts in tables.items():
        store.write_table(f"{unit(candidate)}/{table}.parquet", pa.concat_tables(parts))
    corpora = {name: digests[name] for name in [*kept, *fresh]}
    store.commit(unit(candidate), {"corpora": corpora, "seconds": record["seconds"] + seconds})


def missing(store: Store, candidate: str, digests: dict[str, str]) -> list[str]:
    """The wanted corpora that a candidate has not encoded, or from other content."""
    record = store.done(unit(candidate))
    have = record["corpora"] if record else {}
    return [name for name, digest in digests.items() if have.get(name) != digest]


def features(store: Store, candidates: Sequence[str], corpora: Sequence[str]) -> np.ndarray:
    """Mean [CLS] vectors over the named corpora, shape (C, G, H), float64.

    Raises:
        MissingError: a candidate was not encoded in a language, or its feature is not finite.
    """
    result = []
    for candidate in candidates:
        table = store.read_table(f"{unit(candidate)}/features.parquet")
        row_of = {name: row for row, name in enumerate(table["corpus"].to_pylist())}
        _require(candidate, corpora, row_of)
        feature_NH = np.stack(table["feature"].to_numpy(zero_copy_only=False))
        feature_GH = feature_NH[[row_of[name] for name in corpora]]
        if not np.isfinite(feature_GH).all():
            raise MissingError(f"{candidate}: its features are not finite: fine-tuning diverged; leave its setting out")
        result.append(feature_GH)
    return np.stack(result)


@dataclass(frozen=True)
class Statistics:
    """Example statistics of all candidates on some corpora."""

    task: Task
    by_corpus: dict[str, np.ndarray]
    """Arrays of shape (C, E, S) by name (`de-dev`)."""
    groups: dict[str, np.ndarray]
    """Number of the group in which each example is resampled, shape (E,), by name."""

    def of(self, language: str, split: str) -> np.ndarray:
        """Example statistics of one corpus, shape (C, E, S)."""
        return self.by_corpus[f"{language}-{split}"]

    def of_groups(self, language: str, split: str) -> np.ndarray:
        """Statistics summed over examples that are resampled together, shape (C, groups, S)."""
        name = f"{language}-{split}"
        _, group_E = np.unique(self.groups[name], return_inverse=True)
        sums_GCS = np.zeros((group_E.max() + 1, len(self.by_corpus[name]), len(self.task.statistics)))
        np.add.at(sums_GCS, group_E, self.by_corpus[name].swapaxes(0, 1))
        return sums_GCS.swapaxes(0, 1)

    def scores(self, language: str, split: str) -> np.ndarray:
        """The metric of every candidate, shape (C,)."""
        return self.task.score(self.of(language, split).sum(1))


def statistics(store: Store, task: Task, candidates: Sequence[str], corpora: Sequence[str]) -> Statistics:
    """Read the example statistics of the named corpora, and of no others.

    Raises:
        MissingError: a candidate was not encoded on one of them.
    """
    rows: dict[str, list[np.ndarray]] = {name: [] for name in corpora}
    group_of: dict[str, np.ndarray] = {}
    for candidate in candidates:
        path = f"{unit(candidate)}/statistics.parquet"
        table = store.read_table(path, filters=[("corpus", "in", list(corpora))]).to_pandas()
        groups = dict(iter(table.groupby("corpus", sort=False)))
        _require(candidate, corpora, groups)
        for name, arrays in rows.items():
            examples = groups[name].sort_values("example")
            arrays.append(examples[list(task.statistics)].to_numpy())
            group_of[name] = examples["group"].to_numpy()
    return Statistics(task, {name: np.stack(arrays) for name, arrays in rows.items()}, group_of)


def _require(candidate: str, corpora: Sequence[str], found: Container[str]) -> None:
    absent = [name for name in corpora if name not in found]
    if absent:
        raise MissingError(
            f"{candidate} was not encoded on {', '.join(absent)}; run `python -m lms_ray.features` first"
        )


def _feature_row(name: str, shards: list[Encoded]) -> pa.Table:
    count = sum(shard.examples for shard in shards)
    mean_H = np.sum([shard.cls_sum_H for shard in shards], axis=0) / count
    return pa.table({"corpus": [name], "examples": [count], "feature": [mean_H]})


def _statistics_rows(name: str, shards: list[Encoded], task: Task) -> pa.Table:
    statistics_ES = np.concatenate([shard.statistics_ES for shard in shards])
    columns = {key: statistics_ES[:, index] for index, key in enumerate(task.statistics)}
    number_E = np.arange(len(statistics_ES))
    grouped = [shard.group_E for shard in shards if shard.group_E is not None]
    group_E = np.concatenate(grouped) if grouped else number_E
    names = pa.array([name] * len(number_E))
    return pa.table({"corpus": names, "example": number_E, "group": group_E.astype(np.int64), **columns})
