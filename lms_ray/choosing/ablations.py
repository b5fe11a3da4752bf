"""What the ranker's inputs are worth (paper, Tables 5 and 6): variants of one ranker, over several divisions of a pool.

    scores = ablate(material, {**by_features(settings), **by_language_vector(settings)}, targets_of, parts_DC)

Nothing is written: the experiment's own rankings stay as they are.

Shape suffixes: D divisions, C candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lms_ray.choosing.grid import choose, fit_fast
from lms_ray.choosing.material import Material
from lms_ray.settings import languages
from lms_ray.settings.choosing import Feature, Ranker


def by_features(settings: Ranker) -> dict[str, Ranker]:
    """The ranker with each kind of features, and with all of them (Table 5).

    Published code means other things by its names: its [Pivot] is our `target`, each language's own text; its [Target]
    describes a candidate by the target's text in every pivot too, with a ranker for each target, which is not here.
    """
    kinds: dict[str, tuple[Feature, ...]] = {
        "source": ("source",),
        "pivot": ("pivot",),
        "target": ("target",),
        "fusion": ("source", "pivot", "target"),
    }
    return {name: settings.model_copy(update={"features": features}) for name, features in kinds.items()}


def by_language_vector(settings: Ranker) -> dict[str, Ranker]:
    """The ranker with each kind of language vector, and with none (Table 6)."""
    return {kind: settings.model_copy(update={"language_vector": kind}) for kind in ("learned", "syntax_knn", "none")}


def ablate(
    material: Material,
    variants: Mapping[str, Ranker],
    targets_of: Mapping[tuple[str, ...], Sequence[str]],
    parts_DC: Sequence[np.ndarray],
) -> dict[str, dict[str, np.ndarray]]:
    """Fit the `fast` form of every variant anew in every division of the candidates, and let it score all of them.

    Args:
        material: of the experiment, with the source's features.
        variants: settings of the ranker, by name.
        targets_of: the targets of each set of pivots.
        parts_DC: in each division the part of every candidate: `train`, `dev` or `test`.

    Returns:
        Scores of every candidate in each division, shape (D, C), by variant and target. Only those of its `test` part
        are of candidates that the ranker has not seen.

    Raises:
        MissingVectorError: a language has no vector of a kind that is asked for.
        ValueError: no two meta-train candidates differ in score on any pivot.
    """
    return {name: _one(material, settings, targets_of, parts_DC) for name, settings in variants.items()}


def _one(
    material: Material,
    settings: Ranker,
    targets_of: Mapping[tuple[str, ...], Sequence[str]],
    parts_DC: Sequence[np.ndarray],
) -> dict[str, np.ndarray]:
    vector_GV = languages.vectors(material.languages, settings.language_vector)
    settings = settings.model_copy(update={"fit": "fast"})
    scores: dict[str, list[np.ndarray]] = {}
    for part_C in parts_DC:
        given = replace(material, settings=settings, vector_GV=vector_GV, part_C=part_C)
        fitted = fit_fast(given, targets_of, "cpu")
        for point in choose({point: one.record["kendall_tau"] for point, one in fitted.items()}):
            for target, score_C in fitted[point].scores.items():
                scores.setdefault(target, []).append(score_C)
    return {target: np.stack(divisions) for target, divisions in scores.items()}
