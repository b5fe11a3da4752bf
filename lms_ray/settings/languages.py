"""Language codes and URIEL / learned language vectors, read from the data of lang2vec 1.1.2.

lang2vec cannot be imported with a current setuptools and cannot load `learned`; its folder of arrays is all we need.
Codes are ISO 639-1, or 639-3 where a language has no two-letter code.
"""

import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

VectorKind = Literal["learned", "syntax_knn", "none"]

# A macrolanguage has no single grammar: the member that the paper's data is written in stands for it.
ALIASES = {"ar": "arb", "fa": "pes", "sw": "swh", "qu": "quy"}

LEARNED_SHA256 = "c4291e75e50312e631cc97fe547e2622e010c45d69ae0dee44155ddd881ea23b"


class MissingVectorError(ValueError):
    """A language has no vector of the wanted kind."""


@cache
def data_folder() -> Path:
    """Folder with the arrays of the installed lang2vec (found, not imported)."""
    spec = importlib.util.find_spec("lang2vec")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("lang2vec is not installed; its data folder holds the language vectors")
    return Path(spec.submodule_search_locations[0]) / "data"


@cache
def _two_letter_codes() -> dict[str, str]:
    return json.loads((data_folder() / "letter_codes.json").read_text(encoding="utf-8"))


@cache
def _uriel() -> tuple[dict[str, int], list[str], np.ndarray]:
    """Row of each ISO 639-3 code, feature names and the k-nearest-neighbour predictions, shape (languages, 289)."""
    with np.load(data_folder() / "feature_predictions.npz") as table:
        rows = {str(code): row for row, code in enumerate(table["langs"])}
        return rows, [str(name) for name in table["feats"]], table["data"][:, :, 0]


@cache
def _learned() -> dict[str, np.ndarray]:
    path = data_folder() / "learned.npy"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != LEARNED_SHA256:  # the file is a pickle: only the known bytes are allowed to run
        raise ValueError(f"{path}: sha256 is {digest}, accepted is {LEARNED_SHA256}; reinstall lang2vec 1.1.2")
    table = np.load(path, allow_pickle=True, encoding="latin1").item()
    return {code: vector for code, vector in table.items() if code != "langs"}


def iso639_3(code: str) -> str:
    """Three-letter code under which a language's vectors are filed.

    Raises:
        ValueError: the code is no ISO 639 code that URIEL knows.
    """
    if code in ALIASES:
        return ALIASES[code]
    known = _two_letter_codes()
    if code in known:
        return known[code]
    # One language must not pass for two: `deu` beside `de` would defeat leave-one-language-out.
    short = {long: two for two, long in known.items()} | {long: two for two, long in ALIASES.items()}
    if code in short:
        raise ValueError(f"{code!r} has a two-letter code: accepted is {short[code]!r}")
    if code in _uriel()[0] and len(code) == 3:
        return code
    raise ValueError(f"{code!r} is not a language: accepted are ISO 639-1 codes ('de'), or 639-3 where there is none")


def vector(code: str, kind: VectorKind) -> np.ndarray:
    """Vector of one language, shape (512,) for `learned` (Malaviya et al. 2017), (103,) for `syntax_knn` (URIEL).

    Raises:
        MissingVectorError: there is none; it is never guessed from another language.
    """
    iso = iso639_3(code)
    if kind == "none":
        raise MissingVectorError(f"{code}: no vector is asked for (language_vector is none)")
    if kind == "learned":
        if iso not in _learned():
            raise MissingVectorError(f"{code} ({iso}): lang2vec has no learned vector")
        return _learned()[iso].astype(np.float64)
    rows, names, predictions_LF = _uriel()
    if iso not in rows:
        raise MissingVectorError(f"{code} ({iso}): lang2vec has no syntax_knn vector")
    syntax = [column for column, name in enumerate(names) if name.startswith("S_")]
    return predictions_LF[rows[iso], syntax].astype(np.float64)


def syntax(code: str) -> dict[str, float]:
    """URIEL syntax features of a language by name, each 0 or 1 (`S_ADJECTIVE_BEFORE_NOUN`)."""
    names = [name for name in _uriel()[1] if name.startswith("S_")]
    return dict(zip(names, vector(code, "syntax_knn").tolist(), strict=True))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two vectors."""
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@cache
def _families() -> tuple[dict[str, int], list[str], np.ndarray]:
    """Row of each ISO 639-3 code, family names and membership, shape (languages, families); widest family first."""
    with np.load(data_folder() / "family_features.npz") as table:
        rows = {str(code): row for row, code in enumerate(table["langs"])}
        member_LF = table["data"][:, :, 0] > 0
        widest_first = np.argsort(-member_LF.sum(axis=0), kind="stable")
        return rows, [str(name) for name in table["feats"][widest_first]], member_LF[:, widest_first]


def families(code: str) -> tuple[str, ...]:
    """Families of a language from the widest to the narrowest (`F_Indo-European`, `F_Germanic`, ...).

    Empty where URIEL places the language in none.
    """
    rows, names, member_LF = _families()
    row = rows.get(iso639_3(code))
    return () if row is None else tuple(names[column] for column in np.flatnonzero(member_LF[row]))
