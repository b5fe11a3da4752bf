"""What a ranker is handed, checked: features, scores, and the languages that they are of.

Shape suffixes: C candidates, P languages, D feature, V language vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lms_ray.settings import languages
from lms_ray.settings.base import shown
from lms_ray.settings.languages import VectorKind

Spoken = str | Sequence[str] | ArrayLike
"""Languages by their codes, or by vectors of one's own."""


@dataclass(frozen=True)
class Languages:
    """The languages of some features."""

    codes: tuple[str, ...] | None
    """None where they are known by vectors alone, or not at all."""
    vector_PV: np.ndarray | None
    """None where nothing describes them to a ranker."""

    @property
    def width(self) -> int | None:
        """Of a language's vector."""
        return None if self.vector_PV is None else self.vector_PV.shape[1]


def spoken(given: Spoken | None, count: int, kind: VectorKind) -> Languages:
    """Languages as they are handed over: codes, whose vectors are looked up, or vectors.

    Args:
        given: one code, several, an array of shape (P, V), or of shape (V,) for one; None describes no language.
        count: how many there must be.
        kind: of the vectors that are looked up.

    Raises:
        ValueError: there are others than `count`, a code is unknown or named twice, or a vector cannot be used.
    """
    if given is None:
        return Languages(None, None)
    listed = [given] if isinstance(given, str) else list(np.asarray(given, object)) if _are_codes(given) else None
    if listed is None:
        vector_PV = np.atleast_2d(_numbers(given, "languages"))
        if vector_PV.ndim != 2 or len(vector_PV) != count:
            raise ValueError(
                f"languages: found vectors of shape {vector_PV.shape}; accepted is a row for each of {count} languages"
            )
        if not vector_PV.any(axis=1).all():
            raise ValueError("languages: found a vector of zeros, which has no direction; accepted are others")
        return Languages(None, vector_PV)
    codes = tuple(map(str, listed))
    if len(codes) != count:
        raise ValueError(f"languages: found {len(codes)} ({', '.join(codes)}); accepted are {count}, as in X")
    for code in codes:
        languages.iso639_3(code)
    if twice := {code for code in codes if codes.count(code) > 1}:
        raise ValueError(f"languages: found {min(twice)} twice; accepted is each once")
    languages.require_distinct(codes)
    return Languages(codes, languages.vectors(codes, kind))


def features(given: ArrayLike) -> np.ndarray:
    """Features of candidates in languages, shape (C, P, D), float64; one language's may lack the middle axis.

    Raises:
        ValueError: the shape is another, or a number is not finite.
    """
    feature_CPD = _numbers(given, "X")
    if feature_CPD.ndim == 2:
        feature_CPD = feature_CPD[:, None]
    if feature_CPD.ndim != 3 or not feature_CPD.size:
        raise ValueError(
            f"X: found shape {np.shape(given)}; accepted are (candidates, languages, width), or (candidates, width) "
            "for one language"
        )
    return feature_CPD


def feature(given: ArrayLike, width: int) -> np.ndarray:
    """Features of candidates in one language, shape (C, D), float64.

    Raises:
        ValueError: the shape is another, or a number is not finite.
    """
    feature_CD = _numbers(given, "X")
    if feature_CD.ndim != 2 or feature_CD.shape[1] != width:
        raise ValueError(f"X: found shape {feature_CD.shape}; accepted is (candidates, {width}), as it was fitted on")
    return feature_CD


def scores(given: ArrayLike, candidates: int, count: int) -> np.ndarray:
    """Scores of candidates in languages, shape (C, P), float64; those in one language may be of shape (C,).

    Args:
        given: the scores.
        candidates: how many are in X.
        count: of languages in X.

    Raises:
        ValueError: the shape is another, or a number is not finite.
    """
    score_CP = _numbers(given, "y")
    if score_CP.ndim == 1:
        score_CP = score_CP[:, None]
    if score_CP.shape != (candidates, count):
        raise ValueError(
            f"y: found shape {np.shape(given)}; accepted is ({candidates}, {count}), a score for each candidate of X "
            "on each of its languages"
        )
    return score_CP


def _are_codes(given: Any) -> bool:
    array = np.asarray(given)
    return array.ndim == 1 and array.dtype.kind in "OUT" and all(isinstance(one, str) for one in array)


def _numbers(given: Any, name: str) -> np.ndarray:
    """An array of finite numbers."""
    try:
        array = np.ascontiguousarray(given, np.float64)  # sums shall not depend on how a data frame keeps its columns
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: found {shown(given)}; accepted is an array of numbers ({error})") from None
    missing = np.argwhere(~np.isfinite(array))
    if len(missing):
        place = tuple(missing[0].tolist())
        raise ValueError(
            f"{name}: found {array[place]} at {list(place)}, one of {len(missing)} such values; accepted are finite "
            "numbers: leave out a candidate that diverged or was not scored"
        )
    return array
