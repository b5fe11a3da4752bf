"""What rules may look at when they pick for a language: everything but its labels.

Shape suffixes: C candidates, P pivots, G languages, H feature, V language vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from lms_ray.choosing.kinship import Kinship, alike, similarity
from lms_ray.choosing.level import Level, beyond_chance, level
from lms_ray.choosing.material import Material
from lms_ray.choosing.signals import Observed
from lms_ray.settings.languages import cosine

SOURCE = "source"
"""Stands for the source among languages whose labels are known."""


@dataclass(frozen=True)
class Evidence:
    """What is known of some candidates in one language."""

    source_C: np.ndarray
    """Scores on the source's dev set."""
    pivot_CP: np.ndarray
    """Scores on the pivots' held-out sets."""
    similarity_P: np.ndarray | None
    """Cosine of the language's vector and each pivot's; None where vectors are left out."""
    kinship_P: np.ndarray
    """How much each pivot's scores say of the language (`Kinship.weights`)."""
    setting_C: np.ndarray
    """Number of the setting (learning rate, epochs, batch size) that a candidate was fine-tuned with."""
    alike_P: np.ndarray
    """How alike candidates lie to each other in the features of the language and of each pivot (linear CKA)."""
    signals: dict[str, np.ndarray]
    """By the names of `signals.SIGNALS`, shape (C,); those that the text cannot give are missing."""

    @property
    def pivot_z_C(self) -> np.ndarray:
        """Mean z-score over the pivots."""
        return z_scores(self.pivot_CP).mean(1)


@dataclass(frozen=True)
class Known:
    """What is known of all candidates before any label of a target is read."""

    material: Material
    source_C: np.ndarray
    """Scores on the source's dev set."""
    setting_C: np.ndarray
    """Number of each candidate's setting."""
    observed: Observed
    without_model: Mapping[str, float] = field(default_factory=dict)
    """What the best answer that needs no model scores on the labelled sets of the pivots and of the `SOURCE`; empty
    where the task has none."""
    sampling_error: Mapping[str, float] = field(default_factory=dict)
    """Of the mean candidate's score on each pivot's set."""
    _made: dict[Any, Evidence] = field(default_factory=dict, compare=False, repr=False)

    def of(self, taken_C: np.ndarray) -> "Known":
        """The same of some candidates only."""
        return replace(
            self,
            material=self.material.of(taken_C),
            source_C=self.source_C[taken_C],
            setting_C=self.setting_C[taken_C],
            observed=self.observed.of(taken_C),
            _made={},
        )

    def level(self, language: str, pivots: Sequence[str]) -> Level | None:
        """The mean candidate's score in a language, less that of an answer without a model; None if nothing tells."""
        label_CU, of_source_CU = self.observed.label_CU, self.observed.source_label_CU
        if not self.without_model or language not in label_CU or of_source_CU is None:
            return None
        agreement_G = np.asarray([beyond_chance(of_source_CU), *(self._agreement(pivot) for pivot in pivots)])
        mean_G = np.asarray([self.source_C.mean(), *self.pivot_scores(pivots).mean(0)])
        margin_G = mean_G - [self.without_model[name] for name in (SOURCE, *pivots)]
        error = fmean(self.sampling_error[pivot] for pivot in pivots)
        return level(agreement_G, margin_G, error, self._agreement(language))

    def _agreement(self, language: str) -> float:
        return beyond_chance(self.observed.label_CU[language])

    def kinship(self, pivots: Sequence[str]) -> Kinship:
        """How alike languages order the candidates, as these pivots' labels tell."""
        return Kinship.fitted(self.material.languages, self._similarity_GG, pivots, self.pivot_scores(pivots))

    @cached_property
    def _alike_GG(self) -> np.ndarray:
        return alike(self.material.feature_CGH)

    @cached_property
    def _similarity_GG(self) -> np.ndarray:
        material = self.material
        middle = [material.feature_CGH[:, material.languages.index(pivot)] for pivot in material.pivots]
        if material.source_CH is not None:
            middle.append(material.source_CH)
        return similarity(material.feature_CGH, np.stack(middle, axis=1))

    def evidence(self, language: str, pivots: Sequence[str]) -> Evidence:
        """What rules may look at for a language, a target or a pivot, when these pivots' labels are known.

        Raises:
            ValueError: the language is one of the pivots.
        """
        if language in pivots:
            raise ValueError(f"{language} is one of the pivots whose labels are known")
        key = language, tuple(pivots)
        if key not in self._made:
            self._made[key] = self._evidence(language, tuple(pivots))
        return self._made[key]

    def pivot_scores(self, pivots: Sequence[str]) -> np.ndarray:
        """Scores of all candidates on some pivots, shape (C, P)."""
        return self.material.pivot_score_CP[:, [self.material.pivots.index(pivot) for pivot in pivots]]

    def _evidence(self, language: str, pivots: tuple[str, ...]) -> Evidence:
        material, pivot_CP = self.material, self.pivot_scores(pivots)
        column, columns = (
            material.languages.index(language),
            [material.languages.index(pivot) for pivot in pivots],
        )
        vector_GV, similarity_P = material.vector_GV, None
        if vector_GV is not None:
            similarity_P = np.asarray([cosine(vector_GV[column], vector_GV[other]) for other in columns])
        return Evidence(
            source_C=self.source_C,
            pivot_CP=pivot_CP,
            similarity_P=similarity_P,
            kinship_P=self.kinship(pivots).weights(language, pivots),
            setting_C=self.setting_C,
            alike_P=self._alike_GG[column, columns],
            signals=self.observed.signals(language, pivots, z_scores(pivot_CP).mean(1)),
        )


def without(pivots: Sequence[str], language: str) -> tuple[str, ...]:
    """The pivots whose labels are known when one of them plays the target."""
    return tuple(pivot for pivot in pivots if pivot != language)


def z_scores_of_known(score_C: np.ndarray) -> np.ndarray:
    """Z-scores among the candidates that have a score; NaN for the others."""
    result, has_score_C = np.full(len(score_C), np.nan), ~np.isnan(score_C)
    if has_score_C.any():
        result[has_score_C] = z_scores(score_C[has_score_C])
    return result


def z_scores(value_C: np.ndarray) -> np.ndarray:
    """Values in standard deviations from their mean, along the first axis; all zero where they are equal."""
    centred_C = value_C - value_C.mean(0)
    deviation = centred_C.std(0)
    return np.divide(centred_C, deviation, out=np.zeros_like(centred_C), where=deviation > 0)
