"""`corpora.parquet`, and `encodings/<id>/`: what was encoded, and one candidate's features and example statistics.

    corpora.parquet                      every corpus: examples, hash, groups in which they are resampled
    encodings/<id>/features.parquet      mean [CLS] vector of each corpus
    encodings/<id>/sums.parquet          sums of the example statistics of each corpus, from which scores come
    encodings/<id>/signals.parquet       what is to be seen on each corpus without labels: confidence, label shares, ...
    encodings/<id>/predictions.parquet   the label that each unit of a corpus's first examples is given
    encodings/<id>/beginnings.parquet    features and signals of the first examples of each corpus, and how many labels
    encodings/<id>/statistics.parquet    example statistics themselves, which are many: read them for a few candidates
    newcomers/<id>/                      the same of a checkpoint that is held against the pool

Shape suffixes: C candidates, G corpora, H hidden, E examples, S statistics, U units (what gets a label).
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lms_ray.settings.errors import MissingError
from lms_ray.store import attempts
from lms_ray.store.attempts import Use
from lms_ray.store.files import Store
from lms_ray.store.requests import each

CORPORA = "corpora.parquet"
FOLDER = "encodings"
NEWCOMERS = "newcomers"
"""In place of `FOLDER`, for checkpoints that are no candidates: the same tables."""
VERSION = 5
"""Of the tables: what was written by an older one is encoded again."""
TABLES = ("features", "sums", "signals", "predictions", "beginnings", "statistics")
BEGINNINGS = pa.schema(
    [("corpus", pa.string()), ("examples", pa.int64()), ("labels", pa.int64()), ("feature", pa.list_(pa.float64()))]
)  # and signals
PREDICTIONS = pa.schema([("corpus", pa.string()), ("labels", pa.list_(pa.int32()))])


@dataclass(frozen=True)
class Beginning:
    """What one candidate makes of the first examples of a corpus, which has more."""

    examples: int
    feature_H: np.ndarray
    """As of the whole corpus."""
    signals: Mapping[str, Any]
    """As of the whole corpus."""
    labels: int
    """How many of the corpus's labels that were kept are theirs."""


@dataclass(frozen=True)
class Encoding:
    """What one candidate makes of one corpus."""

    feature_H: np.ndarray
    """Mean [CLS] vector, float64."""
    statistics_ES: np.ndarray
    """Example statistics, float64; all zero for text without labels."""
    signals: Mapping[str, Any] = field(default_factory=dict)
    """Means over units, numbers or lists, by the names of `tasks.tally`; none for text without units of the task."""
    label_U: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))
    """The label of each unit of the first examples."""
    beginnings: Sequence[Beginning] = ()


@dataclass(frozen=True)
class CorpusRow:
    """What is known of one corpus, whoever encodes it."""

    name: str
    """`de-dev`."""
    examples: int
    digest: str
    """Hash of all that decides its encodings but the candidate: content, tokenizer, settings."""
    groups: tuple[str, ...]
    """For each labelled example the name of the group in which it is resampled, the same for its translations."""
    baselines: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Sums of the statistics of rules that need no model, by their names."""
    gold_share: Sequence[float] = ()
    """Share of each label among the right ones, of sets of the source and the pivots."""


def unit(candidate: str, folder: str = FOLDER) -> str:
    """Folder of a candidate's encodings, or in another folder of what is encoded in the same way."""
    return f"{folder}/{candidate}"


def write_corpora(store: Store, rows: Iterable[CorpusRow], origin: Mapping[str, Any]) -> None:
    """Write what is known of every corpus, and what it was made from."""
    schema = pa.schema(
        [
            ("corpus", pa.string()),
            ("examples", pa.int64()),
            ("digest", pa.string()),
            ("groups", pa.list_(pa.string())),
            ("baselines", pa.map_(pa.string(), pa.list_(pa.float64()))),
            ("gold_share", pa.list_(pa.float64())),
        ]
    )
    values = [
        {
            "corpus": row.name,
            "examples": row.examples,
            "digest": row.digest,
            "groups": list(row.groups),
            "baselines": list(row.baselines.items()),
            "gold_share": list(row.gold_share),
        }
        for row in rows
    ]
    store.write_table(CORPORA, pa.Table.from_pylist(values, schema), origin)


def digests(store: Store) -> dict[str, str]:
    """Hash of every corpus by its name.

    Raises:
        MissingError: nothing was encoded yet.
    """
    store.require(CORPORA, "features")
    table = store.read_table(CORPORA, columns=["corpus", "digest"])
    return dict(zip(table["corpus"].to_pylist(), table["digest"].to_pylist(), strict=True))


def corpora(store: Store, names: Sequence[str]) -> dict[str, CorpusRow]:
    """What is known of some corpora, by their names; the table, which holds every example's group, is read once."""
    rows = store.read_table(CORPORA, filters=[("corpus", "in", list(names))]).to_pylist()
    return {
        row["corpus"]: CorpusRow(
            row["corpus"],
            row["examples"],
            row["digest"],
            tuple(row["groups"]),
            dict(row["baselines"]),
            tuple(row["gold_share"]),
        )
        for row in rows
    }


def write(
    store: Store,
    candidate: str,
    fresh: Mapping[str, Encoding],
    statistics: Sequence[str],
    digests: Mapping[str, str],
    uses: Sequence[Use],
    folder: str = FOLDER,
) -> None:
    """Add corpora to a candidate's encodings and commit them.

    Args:
        store: the experiment's folder.
        candidate: its id.
        fresh: the newly encoded corpora by name.
        statistics: names of the statistics.
        digests: what each wanted corpus must have been encoded from; kept ones have the same digest as before.
        uses: of machines, for the new ones.
        folder: in which all encodings of this kind are.
    """
    record = store.done(unit(candidate, folder)) or {"corpora": {}}
    kept = [name for name, digest in record["corpora"].items() if digests.get(name) == digest and name not in fresh]
    parts: dict[str, list[pa.Table]] = {table: [] for table in TABLES}
    for table, of_table in parts.items():
        if kept:
            old = store.read_unit_table(unit(candidate, folder), f"{table}.parquet")
            of_table.append(old.filter(pc.is_in(old["corpus"], pa.array(kept))))
    for name, encoding in fresh.items():
        parts["features"].append(pa.table({"corpus": [name], "feature": [encoding.feature_H]}))
        parts["sums"].append(_statistics_rows(name, statistics, encoding.statistics_ES.sum(0, keepdims=True)))
        parts["signals"].append(pa.Table.from_pylist([{"corpus": name, **encoding.signals}]))
        parts["beginnings"].append(_beginning_rows(name, encoding))
        parts["predictions"].append(pa.table({"corpus": [name], "labels": [encoding.label_U]}, PREDICTIONS))
        parts["statistics"].append(_statistics_rows(name, statistics, encoding.statistics_ES))
    store.delete(f"{unit(candidate, folder)}/DONE.json")  # between the tables below the folder is not whole
    files = {
        f"{table}.parquet": store.write_table(f"{unit(candidate, folder)}/{table}.parquet", _together(of_table))
        for table, of_table in parts.items()
    }
    corpora = {name: digests[name] for name in [*kept, *fresh]}
    took = [*record.get("uses", ()), *(use.model_dump() for use in attempts.by_machine(uses))]
    store.commit(unit(candidate, folder), {"corpora": corpora, "uses": took}, files)


def missing(store: Store, candidate: str, digests: Mapping[str, str], folder: str = FOLDER) -> list[str]:
    """The wanted corpora that a candidate has not encoded, or from other content."""
    record = store.done(unit(candidate, folder))
    have = record["corpora"] if record else {}
    return [name for name, digest in digests.items() if have.get(name) != digest]


def missing_of_each(
    store: Store, candidates: Sequence[str], digests: Mapping[str, str], folder: str = FOLDER
) -> list[list[str]]:
    """`missing` of many candidates."""
    return each(lambda candidate: missing(store, candidate, digests, folder), candidates)


def require(store: Store, candidates: Sequence[str], corpora: Sequence[str]) -> None:
    """Refuse to go on without the encodings of these corpora as they are now.

    Raises:
        MissingError: a candidate lacks some, or made them from other content; names the stage to run.
    """
    known = digests(store)
    absent = [name for name in corpora if name not in known]
    if not absent:
        wanted = {name: known[name] for name in corpora}
        for candidate, lacking in zip(candidates, missing_of_each(store, candidates, wanted), strict=True):
            if lacking:
                raise MissingError(
                    f"{candidate} was not encoded on {', '.join(lacking)} as it is now; "
                    "run `python -m lms_ray.features` first"
                )
    else:
        raise MissingError(f"nothing was encoded on {', '.join(absent)}; run `python -m lms_ray.features` first")


def features(
    store: Store,
    candidates: Sequence[str],
    corpora: Sequence[str],
    first: int | None = None,
    folder: str = FOLDER,
) -> np.ndarray:
    """Mean [CLS] vectors over the named corpora, shape (C, G, H), float64.

    Args:
        store: the experiment's folder.
        candidates: ids.
        corpora: names.
        first: over so many first examples of each (of `encode.beginnings`), or all where it has no more.
        folder: `FOLDER` or `NEWCOMERS`.

    Raises:
        MissingError: a candidate was not encoded on one of them.
    """

    def of(candidate: str) -> np.ndarray:
        table = _read(store, candidate, "features", corpora, first, folder)
        feature_NH = np.stack(table["feature"].to_numpy(zero_copy_only=False))
        return feature_NH[_rows_of(table, candidate, corpora)]

    return np.stack(each(of, candidates))


def sums(
    store: Store, candidates: Sequence[str], corpora: Sequence[str], statistics: Sequence[str], folder: str = FOLDER
) -> np.ndarray:
    """Sums of the example statistics over the named corpora, and of no others, shape (C, G, S), float64.

    Raises:
        MissingError: a candidate was not encoded on one of them.
    """

    def of(candidate: str) -> np.ndarray:
        table = store.read_unit_table(
            unit(candidate, folder), "sums.parquet", filters=[("corpus", "in", list(corpora))]
        )
        sum_NS = np.stack([table[name].to_numpy() for name in statistics], axis=1)
        return sum_NS[_rows_of(table, candidate, corpora)]

    return np.stack(each(of, candidates))


def signals(
    store: Store,
    candidates: Sequence[str],
    corpora: Sequence[str],
    first: int | None = None,
    folder: str = FOLDER,
) -> dict[str, np.ndarray]:
    """What was seen without labels, by the names of `tasks.tally`: shape (C, G), or (C, G, ...) of a list, float64.

    NaN where a corpus has no units of the task; empty where none of them has.

    Args:
        store: the experiment's folder.
        candidates: ids.
        corpora: names.
        first: of so many first examples of each, as for `features`.
        folder: `FOLDER` or `NEWCOMERS`.

    Raises:
        MissingError: a candidate was not encoded on one of them.
    """

    def of(candidate: str) -> pa.Table:
        table = _read(store, candidate, "signals", corpora, first, folder)
        return table.take(_rows_of(table, candidate, corpora))

    tables = each(of, candidates)
    shape = len(candidates), len(corpora)
    result = {}
    for name, column in _together(tables).to_pydict().items():
        seen = [value for value in column if value is not None]
        if name != "corpus" and seen:
            nothing = np.full_like(seen[0], np.nan, float)
            values = [nothing if value is None else value for value in column]
            result[name] = np.asarray(values, float).reshape(*shape, *nothing.shape)
    return result


def predictions(
    store: Store,
    candidates: Sequence[str],
    corpora: Sequence[str],
    first: int | None = None,
    folder: str = FOLDER,
) -> dict[str, np.ndarray]:
    """The label of each unit of the first examples, shape (C, U), int32, by corpus.

    Args:
        store: the experiment's folder.
        candidates: ids.
        corpora: names.
        first: of so many first examples of each, as for `features`; None is all that were kept.
        folder: `FOLDER` or `NEWCOMERS`.

    Raises:
        MissingError: a candidate was not encoded on one of them.
    """
    if not corpora:
        return {}
    wanted = [("corpus", "in", list(corpora))]

    def of(candidate: str) -> list[np.ndarray]:
        table = store.read_unit_table(unit(candidate, folder), "predictions.parquet", filters=wanted)
        labels_of = _labels_of(store, candidate, first, folder)
        labels = table["labels"].combine_chunks()
        rows = zip(corpora, _rows_of(table, candidate, corpora), strict=True)
        return [labels[row].values.to_numpy()[: labels_of.get(name)] for name, row in rows]

    return _by_corpus(each(of, candidates), corpora)


def statistics(
    store: Store,
    candidates: Sequence[str],
    corpora: Sequence[str],
    statistics: Sequence[str],
    folder: str = FOLDER,
) -> dict[str, np.ndarray]:
    """Example statistics of the named corpora, shape (C, E, S), float64, by corpus; each file is read once.

    Raises:
        MissingError: a candidate was not encoded on one of them.
    """
    wanted = [("corpus", "in", list(corpora))]

    def of(candidate: str) -> list[np.ndarray]:
        table = store.read_unit_table(unit(candidate, folder), "statistics.parquet", filters=wanted).to_pandas()
        of_corpus = dict(iter(table.groupby("corpus", sort=False)))
        _require(candidate, corpora, of_corpus)
        return [of_corpus[name][list(statistics)].to_numpy() for name in corpora]

    return _by_corpus(each(of, candidates), corpora)


def read(
    store: Store, candidate: str, corpora: Sequence[str], statistics_of: Sequence[str], folder: str = FOLDER
) -> dict[str, Encoding]:
    """What one candidate makes of the named corpora, by their names, as it was written.

    Raises:
        MissingError: it was not encoded on one of them.
    """
    feature_GH = features(store, [candidate], corpora, folder=folder)[0]
    statistics_of_corpus = statistics(store, [candidate], corpora, statistics_of, folder)
    seen, labels = (
        signals(store, [candidate], corpora, folder=folder),
        predictions(store, [candidate], corpora, folder=folder),
    )
    return {
        name: Encoding(
            feature_GH[row],
            statistics_of_corpus[name][0],
            {signal: of_all[0, row] for signal, of_all in seen.items()},
            labels[name][0],
        )
        for row, name in enumerate(corpora)
    }


def _read(store: Store, candidate: str, name: str, corpora: Sequence[str], first: int | None, folder: str) -> pa.Table:
    """A table of some corpora, in which those that have more examples than `first` are of their beginnings."""
    wanted = [("corpus", "in", list(corpora))]
    whole = store.read_unit_table(unit(candidate, folder), f"{name}.parquet", filters=wanted)
    if first is None:
        return whole
    begun = _beginnings(store, candidate, first, folder)
    rest = whole.filter(pc.invert(pc.is_in(whole["corpus"], begun["corpus"].combine_chunks())))
    return _together([begun, rest]).select(whole.column_names)


def _labels_of(store: Store, candidate: str, first: int | None, folder: str) -> dict[str, int]:
    if first is None:
        return {}
    begun = _beginnings(store, candidate, first, folder)
    return dict(zip(begun["corpus"].to_pylist(), begun["labels"].to_pylist(), strict=True))


def _beginnings(store: Store, candidate: str, first: int, folder: str) -> pa.Table:
    return store.read_unit_table(unit(candidate, folder), "beginnings.parquet", filters=[("examples", "=", first)])


def _beginning_rows(corpus: str, encoding: Encoding) -> pa.Table:
    rows = [
        {"corpus": corpus, "examples": one.examples, "labels": one.labels, "feature": one.feature_H, **one.signals}
        for one in encoding.beginnings
    ]
    return pa.Table.from_pylist(rows) if rows else BEGINNINGS.empty_table()


def _by_corpus(of_each: Sequence[Sequence[np.ndarray]], corpora: Sequence[str]) -> dict[str, np.ndarray]:
    """What each candidate has of each corpus, together for each corpus."""
    return {name: np.stack([of_one[place] for of_one in of_each]) for place, name in enumerate(corpora)}


def _rows_of(table: pa.Table, candidate: str, corpora: Sequence[str]) -> list[int]:
    row_of = {name: row for row, name in enumerate(table["corpus"].to_pylist())}
    _require(candidate, corpora, row_of)
    return [row_of[name] for name in corpora]


def _require(candidate: str, corpora: Sequence[str], found: Container[str]) -> None:
    absent = [name for name in corpora if name not in found]
    if absent:
        raise _not_encoded(candidate, absent)


def _not_encoded(candidate: str, corpora: Sequence[str]) -> MissingError:
    return MissingError(f"{candidate} was not encoded on {', '.join(corpora)}; run `python -m lms_ray.features` first")


def _together(tables: Sequence[pa.Table]) -> pa.Table:
    """One table of several; a column that one of them lacks, as the signals of text without units do, is null there."""
    return pa.concat_tables(tables, promote_options="default")


def _statistics_rows(corpus: str, names: Sequence[str], statistics_NS: np.ndarray) -> pa.Table:
    columns = {name: statistics_NS[:, index] for index, name in enumerate(names)}
    return pa.table({"corpus": pa.array([corpus] * len(statistics_NS)), **columns})
