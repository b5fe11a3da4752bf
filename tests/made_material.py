"""Pools of candidates in memory, whose scores follow from traits that some of their features show, or none."""

import numpy as np

from lms_ray.choosing.material import Auxiliary, Material
from lms_ray.choosing.split import divide
from lms_ray.settings.choosing import MetaSplit, Ranker

C, H = 80, 8
PIVOTS, TARGETS = ("ar", "de", "es"), ("nl", "pt")
LANGUAGES = PIVOTS + TARGETS
TARGETS_OF = {PIVOTS: list(TARGETS)}
WANTED_H, ELSEWHERE_H = np.linalg.qr(np.random.default_rng(99).normal(size=(H, 2)))[0].T
"""Which traits make a candidate good; and others, at a right angle to them."""


def planted(settings: Ranker, shown_in: str | None, seed: int = 0) -> tuple[Material, np.ndarray]:
    """A pool whose candidates with the `WANTED_H` traits are good at the pivots; and their traits, shape (C, H).

    Args:
        settings: of the ranker.
        shown_in: the kind of features that shows the traits: `source`, `pivot` (over the pivots' text, but not the
            targets'), `target` (over each language's own text); None: no feature does.
        seed: another one gives another pool and other language vectors.
    """
    rng = np.random.default_rng(seed)
    trait_CH = rng.normal(size=(C, H))
    feature_CGH, source_CH = rng.normal(size=(C, len(LANGUAGES), H)), rng.normal(size=(C, H))
    if shown_in == "source":
        source_CH += 3 * trait_CH
    elif shown_in == "target":
        feature_CGH += 3 * trait_CH[:, None]
    elif shown_in == "pivot":
        feature_CGH[:, : len(PIVOTS)] += 3 * trait_CH[:, None]
    material = Material(
        settings=settings,
        seed=seed,
        candidates=tuple(f"c{number:02}" for number in range(C)),
        part_C=divide(C, MetaSplit(), seed),
        languages=LANGUAGES,
        feature_CGH=feature_CGH,
        vector_GV=None if settings.language_vector == "none" else rng.normal(size=(len(LANGUAGES), 6)),
        pivots=PIVOTS,
        pivot_score_CP=np.round(np.tile(trait_CH @ WANTED_H[:, None], len(PIVOTS)), 1),
        source_CH=source_CH,
    )
    return material, trait_CH


def auxiliary(material: Material, count: int, wanted_GH: np.ndarray, task: str = "ner") -> Auxiliary:
    """Candidates of another task, whose features show their traits as well, and which are wanted in each language."""
    rng = np.random.default_rng(material.seed + 1000)
    trait_CH = rng.normal(size=(count, H))
    return Auxiliary(
        task=task,
        languages=LANGUAGES,
        feature_CGH=3 * trait_CH[:, None] + rng.normal(size=(count, len(LANGUAGES), H)),
        vector_GV=material.vector_GV,
        score_CG=trait_CH @ wanted_GH.T,
        source_CH=rng.normal(size=(count, H)),
    )
