"""`candidates.parquet`: every candidate of the experiment, and which of them may be chosen; whose weights are kept."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from lms_ray.settings import errors
from lms_ray.settings.errors import MissingError
from lms_ray.store.files import DONE, Store
from lms_ray.store.folder import PARTIAL

FOLDER = "candidates"
SETTING = "candidate.json"
"""What a candidate is to be, in its folder from its beginning."""
RESUME = "resume.safetensors"
"""State of a candidate that trains, in its folder."""
WEIGHTS = ".safetensors"
"""End of the names of a candidate's weights."""
PATH = "candidates.parquet"
ERROR = "ERROR.txt"  # in a candidate's folder: why it failed, or what Ray said of its loss
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("learning_rate", pa.float64()),  # no settings where the checkpoint was brought
        ("epochs", pa.int64()),
        ("batch_size", pa.int64()),
        ("seed", pa.int64()),
        ("dev_score", pa.float64()),
        ("seconds", pa.float64()),
        ("diverged", pa.bool_()),
    ]
)


def unit(candidate: str) -> str:
    """Folder of a candidate's model and record."""
    return f"{FOLDER}/{candidate}"


def weights_at(store: Store, candidate: str) -> str | None:
    """The folder of a candidate's weights: here, or where it was brought from; None where they were not kept."""
    record = store.done(unit(candidate))
    if record is None:
        return None
    if "path" in record:
        return record["path"]
    is_kept = any(name.endswith(WEIGHTS) for name in store.files_of(unit(candidate)))
    return store.where(unit(candidate)) if is_kept else None


def write(store: Store, records: Iterable[Mapping[str, Any]], origin: Mapping[str, Any]) -> None:
    """Write the table from the candidates' records, in the order of their ids, and what it was made from."""
    rows = [
        {name: record.get(name) for name in SCHEMA.names} | {"diverged": bool(record.get("diverged"))}
        for record in sorted(records, key=lambda record: record["id"])
    ]
    store.write_table(PATH, pa.Table.from_pylist(rows, SCHEMA), origin)


def read(store: Store) -> pd.DataFrame:
    """The table.

    Raises:
        MissingError: the sweep has not ended.
        BrokenError: the file is no such table.
    """
    store.require(PATH, "sweep")
    return store.read_table(PATH, columns=SCHEMA.names).to_pandas()


def candidates(store: Store) -> list[str]:
    """Ids of the candidates that may be chosen: all that did not diverge, sorted.

    Raises:
        MissingError: the sweep has not ended.
    """
    table = read(store)
    return table[~table["diverged"]]["id"].tolist()


def make_room(store: Store, candidate: str, resume: bool = False) -> None:
    """Delete the weights that a candidate which is not done has half written, and what its killed workers left.

    Args:
        store: the experiment's folder.
        candidate: its id.
        resume: delete its training state too; it then begins anew.
    """
    names = store.sizes(unit(candidate))
    if DONE in names:
        return
    for name in names:
        if name.endswith((WEIGHTS, PARTIAL)) and (resume or name != RESUME):
            store.delete(f"{unit(candidate)}/{name}")


def reason(traceback: str) -> str:
    """The last line of a traceback that is not of its frames; of an error that says enough, without its class."""
    lines = [line for line in traceback.splitlines() if line.strip() and not line.startswith((" ", "Traceback"))]
    if not lines:
        return ""
    kind, _, said = lines[-1].partition(": ")
    return said if said and kind.startswith(f"{errors.__name__}.") else lines[-1]


def tidy(store: Store, keep: Collection[str]) -> None:
    """Delete the weights of candidates that are done and not to be kept, and training states that were left behind.

    A candidate without its weights is still done. Candidates that were brought have no weights in the folder.

    Args:
        store: the experiment's folder.
        keep: ids of the candidates whose weights stay.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for path in store.sizes(FOLDER, recursive=True):
        candidate, _, name = path.partition("/")
        if name.endswith(WEIGHTS):
            found[candidate].append(name)
    for candidate in read(store)["id"]:
        unwanted = [name for name in found[candidate] if name == RESUME or candidate not in keep]
        if unwanted and store.done(unit(candidate)) is not None:
            store.drop(unit(candidate), unwanted)


def without_weights(store: Store, candidates: Iterable[str]) -> list[str]:
    """Those of the candidates that were fine-tuned here, and whose weights were not kept."""
    files_of = {candidate: store.files_of(unit(candidate)) for candidate in candidates}
    return [
        candidate
        for candidate, files in files_of.items()
        if files and not any(name.endswith(WEIGHTS) for name in files)
    ]


def require_weights(
    store: Store, candidates: Iterable[str], reason: str, instead: str = "go back to what was read before, or "
) -> None:
    """Refuse to go on where candidates would have to be loaded whose weights were not kept.

    Args:
        store: the experiment's folder.
        candidates: those to load.
        reason: why they are needed.
        instead: what else could be done than to fine-tune them again.

    Raises:
        MissingError: names one, and what to do.
    """
    if gone := without_weights(store, candidates):
        raise MissingError(
            f"{reason}, and the weights of {len(gone)} candidates that would have to be loaded were not kept "
            f"(sweep.keep_weights), among them {gone[0]}; {instead}delete "
            f"{store.where(unit(gone[0]))} and the like and run the sweep, which fine-tunes them again"
        )
