"""Language codes and URIEL / learned language vectors, read from the data of lang2vec 1.1.2.

lang2vec cannot be imported with a current setuptools and cannot load `learned`; its folder of arrays is all we need.
A language has one code: ISO 639-1, or 639-3 where it has no two-letter code.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from itertools import combinations
from pathlib import Path
from typing import Literal

import iso639
import numpy as np

from lms_ray.settings.base import shown

VectorKind = Literal["learned", "syntax_knn", "none"]

# A macrolanguage has no single grammar: the member that the paper's data is written in stands for it.
ALIASES = {"ar": "arb", "fa": "pes", "sw": "swh", "qu": "quy"}

# Withdrawn from ISO 639-1, still written by some data sets. (`sh` is withdrawn too, but has no single successor.)
RETIRED = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro"}

# Codes that data sets use for one language: a macrolanguage, and the member that is meant by it (CLDR's aliases of kind
# `macrolanguage`). Each may be used, as often only one has a learned vector, but not both in one experiment. Other
# members (ar/arz, ku/ckb, no/nn, zh/yue) are languages of their own. `sh` is Bosnian, Croatian and Serbian in one.
_PAIRS = """
ak/fat ak/tw ay/ayr az/azj bal/bcc bik/bcl bnc/lbk bua/bxr chm/mhr cr/cwd del/unm den/xsl din/dik doi/dgo et/ekk ff/fuc
fil/tl gba/gya gn/gug gon/gno grb/gbo hai/hdn hmn/hea ik/esk iu/ike kg/kng kln/spy kok/knn kpe/xpe kr/knc ku/kmr kv/kpv
lah/pnb luy/bxk lv/lvs man/emk mg/plt mn/khk ms/zsm mwr/dhd ne/npi no/nb oj/ojg om/gaz or/ory ps/pbt ps/pbu raj/mup
rom/rmy sc/src sh/bs sh/hr sh/sr sq/als syr/cld tmh/taq uz/uzn yi/ydd za/zyb zap/zai zh/cmn zza/diq
"""
ONE_LANGUAGE = {frozenset(pair.split("/")) for pair in _PAIRS.split()}

_REMARK = re.compile(r" \((?:[^)]*\d[^)]*|individual language|macrolanguage)\)$")
"""What ISO 639 puts behind some names: `Modern Greek (1453-)`."""

LEARNED_SHA256 = "c4291e75e50312e631cc97fe547e2622e010c45d69ae0dee44155ddd881ea23b"


class MissingVectorError(ValueError):
    """A language has no vector of the wanted kind."""


@cache
def data_folder() -> Path:
    """Folder with the arrays of the installed lang2vec (found, not imported)."""
    # Not by `find_spec`: lang2vec also installs a script `lang2vec.py` into the folder of console scripts, which is the
    # first that an installed `lms-ray` looks in.
    try:
        return Path(str(distribution("lang2vec").locate_file("lang2vec/data")))
    except PackageNotFoundError:
        raise ModuleNotFoundError("lang2vec is not installed; its data folder holds the language vectors") from None


@cache
def _letter_codes() -> tuple[dict[str, str], dict[str, str]]:
    """The ISO 639-3 code of each two-letter code, and the two-letter code of each other code of the same language."""
    codes = json.loads((data_folder() / "letter_codes.json").read_text(encoding="utf-8"))
    long = {code: iso for code, iso in codes.items() if len(code) == 2}
    short = {iso: two for two, iso in (*long.items(), *ALIASES.items())}
    bibliographic = {code: short[iso] for code, iso in codes.items() if len(code) == 3}  # ISO 639-2/B: `ger`
    return long, short | bibliographic | RETIRED


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
    long, short = _letter_codes()
    if code in ALIASES:
        return ALIASES[code]
    if code in long:
        return long[code]
    # One language must not pass for two: `deu` or `ger` beside `de` would defeat leave-one-language-out.
    if code in short:
        raise ValueError(f"{code!r} is a second code of one language: accepted is {short[code]!r}")
    if code in _uriel()[0] and len(code) == 3:
        return code
    raise ValueError(
        f"{shown(code)} is not a language: accepted are ISO 639-1 codes ('de'), or 639-3 where there is none"
    )


def name(code: str) -> str:
    """What the language is called in English, by ISO 639; the code itself where that has no name for it."""
    by = iso639.Language.from_part1 if len(code) == 2 else iso639.Language.from_part3
    try:
        return _REMARK.sub("", by(code).name)
    except iso639.LanguageNotFoundError:
        return code


def require_distinct(codes: Iterable[str]) -> None:
    """Refuse two codes that name one language: labels of the one would teach the ranker of the other.

    Raises:
        ValueError: names the two.
    """
    for one, other in combinations(codes, 2):
        if frozenset((one, other)) in ONE_LANGUAGE:
            raise ValueError(f"{one!r} and {other!r} name one language; accepted is one of them")


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


def vectors(codes: Sequence[str], kind: VectorKind) -> np.ndarray | None:
    """Vectors of several languages, shape (languages, width), or None where none are asked for.

    Raises:
        MissingVectorError: one has none.
    """
    return None if kind == "none" else np.stack([vector(code, kind) for code in codes])


def similarity(code: str, other: str, kind: VectorKind) -> float:
    """Cosine of the vectors of two languages."""
    return cosine(vector(code, kind), vector(other, kind))


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
