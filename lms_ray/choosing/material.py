"""All that ranking may see, and how it describes a candidate and a language to a ranker.

A candidate is described by one or several kinds of features (`ranker.features`; paper, Table 5), a language by its
vector, and by the task where other tasks teach too (A.4).

Shape suffixes: C candidates, G languages, P pivots, H hidden, D feature (all kinds, one after the other), V language
vector, T tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from lms_ray.choosing.ranker import Lesson
from lms_ray.settings.choosing import Ranker
from lms_ray.settings.hashing import content_hash

TAUGHT_BY_CONTENT = {"resources", "auxiliary", "transfer_from"}
"""Keys of the ranker that decide nothing, or by what is read from there, which is hashed itself."""
OF_THE_OTHER_FIT = {
    "paper": {"l2"},
    "fast": {"hidden", "batch_size", "learning_rate", "epochs", "ties", "checkpoint", "seeds"},
}
"""Keys that decide nothing in one kind of fit."""


@dataclass(frozen=True)
class Auxiliary:
    """Candidates of another task, and how well they do it in languages of this experiment (paper, A.4).

    Targets are among these languages: what is known of them are labels of the other task, never of this one.
    """

    task: str
    languages: tuple[str, ...]
    feature_CGH: np.ndarray
    """Features over each language's text."""
    vector_GV: np.ndarray | None
    score_CG: np.ndarray
    """Scores on labelled sets that no candidate was fine-tuned on."""
    source_CH: np.ndarray | None = None
    """Features over the source's dev set, where they are asked for."""


@dataclass(frozen=True)
class Material:
    """All that ranking may see: features of every candidate, and its scores on the pivots' held-out sets."""

    settings: Ranker
    seed: int
    candidates: tuple[str, ...]
    part_C: np.ndarray
    """Part of the meta split of each candidate."""
    languages: tuple[str, ...]
    """Pivots and targets."""
    feature_CGH: np.ndarray
    """Features over each language's text."""
    vector_GV: np.ndarray | None
    """Language vectors, None where they are left out."""
    pivots: tuple[str, ...]
    pivot_score_CP: np.ndarray
    """Scores on the pivots' held-out sets."""
    source_CH: np.ndarray | None = None
    """Features over the source's dev set, where they are asked for."""
    auxiliary: tuple[Auxiliary, ...] = ()

    @property
    def digest(self) -> str:
        """Hash over everything that decides the rankings."""
        arrays = [self.feature_CGH, self.pivot_score_CP, self.vector_GV, self.source_CH]
        for other in self.auxiliary:
            arrays += [other.feature_CGH, other.score_CG, other.vector_GV, other.source_CH]
        return content_hash(
            [None if array is None else sha256(np.ascontiguousarray(array).data).hexdigest() for array in arrays],
            self.settings.model_dump(exclude=TAUGHT_BY_CONTENT | OF_THE_OTHER_FIT[self.settings.fit]),
            self.seed,
            self.candidates,
            self.part_C.tolist(),
            self.languages,
            self.pivots,
            [(other.task, other.languages) for other in self.auxiliary],
        )

    def of(self, taken_C: np.ndarray) -> "Material":
        """The same of some candidates only."""
        return replace(
            self,
            candidates=tuple(self.candidates[place] for place in taken_C),
            part_C=self.part_C[taken_C],
            feature_CGH=self.feature_CGH[taken_C],
            pivot_score_CP=self.pivot_score_CP[taken_C],
            source_CH=None if self.source_CH is None else self.source_CH[taken_C],
        )

    def lesson(self, pivots: tuple[str, ...], part: str) -> Lesson:
        """The candidates of one part of the meta split on some pivots."""
        everything = Lesson(
            self.features(pivots, pivots),
            self.pivot_score_CP[:, [self.pivots.index(pivot) for pivot in pivots]],
            self._vectors(self, pivots, 0),
        )
        return everything.of(np.flatnonzero(self.part_C == part))

    def other_lessons(self, pivots: tuple[str, ...]) -> list[Lesson]:
        """What the auxiliary tasks teach a ranker of some pivots."""
        return [
            Lesson(
                _described(other, self.settings, other.languages, pivots),
                other.score_CG,
                self._vectors(other, other.languages, 1 + self._other_tasks.index(other.task)),
            )
            for other in self.auxiliary
        ]

    def features(self, languages: Sequence[str], pivots: Sequence[str]) -> np.ndarray:
        """How a ranker of some pivots sees every candidate in some languages, shape (C, G, D).

        Raises:
            ValueError: one of them is no language of this experiment.
        """
        return _described(self, self.settings, languages, pivots)

    def vector(self, language: str) -> np.ndarray | None:
        """How a ranker sees a language when candidates are to be picked for it."""
        vector_GV = self._vectors(self, [language], 0)
        return None if vector_GV is None else vector_GV[0]

    @property
    def _other_tasks(self) -> list[str]:
        return list(dict.fromkeys(other.task for other in self.auxiliary))

    def _vectors(self, known: "Material | Auxiliary", languages: Sequence[str], task: int) -> np.ndarray | None:
        """Language vectors; with several tasks, the task joined to them at the same length, so that neither drowns."""
        rows = [known.languages.index(language) for language in languages]
        vector_GV = None if known.vector_GV is None else known.vector_GV[rows]
        if not self.auxiliary:
            return vector_GV
        task_GT = np.tile(np.eye(1 + len(self._other_tasks))[task], (len(languages), 1))
        if vector_GV is None:
            return task_GT
        return np.concatenate([vector_GV, task_GT * np.linalg.norm(vector_GV, axis=1, keepdims=True)], axis=1)


def _described(
    known: Material | Auxiliary, settings: Ranker, languages: Sequence[str], pivots: Sequence[str]
) -> np.ndarray:
    """Features of every kind that is asked for, shape (C, G, D)."""
    own_CGH = known.feature_CGH[:, [known.languages.index(language) for language in languages]]
    if settings.features == ("target",):
        return own_CGH
    parts = []
    for kind in settings.features:
        if kind == "target":
            parts.append(own_CGH)
            continue
        if kind == "source":
            assert known.source_CH is not None, "gathered where it is asked for"
            same_CH = known.source_CH
        else:
            same_CH = known.feature_CGH[:, [known.languages.index(pivot) for pivot in pivots]].mean(axis=1)
        parts.append(np.broadcast_to(same_CH[:, None], own_CGH.shape))
    return np.concatenate(parts, axis=2)
