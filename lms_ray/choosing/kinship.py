"""How alike candidates are ordered in two languages, told from how the encoder sees the languages.

Languages whose mean features lie in one direction order the candidates alike: of 190 pairs of languages in a pool of 96
taggers, the cosine of the features and the correlation of the scores go together at 0.55 (language vectors: 0.26). How
much of that holds in an experiment is fitted to its pivots. From there on scores in all languages are one Gaussian
process over languages: it says how much each pivot counts for a target, and how much all of them tell of it.

Shape suffixes: C candidates, G languages, P pivots, H hidden.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

MOST = 0.95  # of a correlation between scores in two languages: each has noise of its own
SHRINKAGE = 0.5  # of the slope; so many pairs whose cosines differ by 1 would say that it is 0


def similarity(feature_CGH: np.ndarray, middle_CGH: np.ndarray) -> np.ndarray:
    """Cosines of the languages' mean features, shape (G, G).

    Args:
        feature_CGH: features over each language's text.
        middle_CGH: of the languages between whose mean and each other one its direction lies; not of those that are
            picked for, of which each would then move the others.
    """
    centred_GH = feature_CGH.mean(0) - middle_CGH.mean((0, 1))
    length_G1 = np.linalg.norm(centred_GH, axis=1, keepdims=True)
    unit_GH = np.divide(centred_GH, length_G1, out=np.zeros_like(centred_GH), where=length_G1 > 0)
    return unit_GH @ unit_GH.T


def alike(feature_CGH: np.ndarray) -> np.ndarray:
    """Linear CKA of every pair of languages (Kornblith et al. 2019): how alike candidates lie to each other, (G, G)."""
    centred_GCH = (feature_CGH - feature_CGH.mean(0)).swapaxes(0, 1)
    between_GN = (centred_GCH @ centred_GCH.swapaxes(1, 2)).reshape(len(centred_GCH), -1)
    length_G1 = np.linalg.norm(between_GN, axis=1, keepdims=True)
    unit_GN = np.divide(between_GN, length_G1, out=np.zeros_like(between_GN), where=length_G1 > 0)
    return unit_GN @ unit_GN.T


@dataclass(frozen=True)
class Kinship:
    """Correlations of the candidates' scores in pairs of languages: `floor` + `slope` x similarity."""

    languages: tuple[str, ...]
    similarity_GG: np.ndarray
    floor: float
    slope: float

    @classmethod
    def fitted(
        cls, languages: Sequence[str], similarity_GG: np.ndarray, pivots: Sequence[str], score_CP: np.ndarray
    ) -> "Kinship":
        """Fit to the pivots' scores, by least squares over their pairs; one pivot, which has none, says nothing."""
        places = [languages.index(pivot) for pivot in pivots]
        first_N, second_N = np.triu_indices(len(places), 1)
        cosine_N = similarity_GG[np.ix_(places, places)][first_N, second_N]
        found_N = correlations(score_CP)[first_N, second_N]
        design = np.column_stack([np.append(np.ones(len(cosine_N)), 0), np.append(cosine_N, SHRINKAGE)])
        floor, slope = nnls(design, np.append(found_N, 0))[0]
        shrink = min(1.0, MOST / max(floor + slope, MOST))
        return cls(tuple(languages), similarity_GG, shrink * floor, shrink * slope)

    def weights(self, language: str, pivots: Sequence[str]) -> np.ndarray:
        """How much each pivot's z-scores say of a language, shape (P,): the best linear prediction of its own."""
        return np.linalg.solve(self._between(pivots), self._to(language, pivots))

    def correlation(self, language: str, pivots: Sequence[str]) -> float:
        """Correlation of the best prediction from the pivots with the language's own scores, from 0 to below 1."""
        explained = self._to(language, pivots) @ self.weights(language, pivots)
        return float(np.sqrt(np.clip(explained, 0, MOST**2)))

    def _to(self, language: str, pivots: Sequence[str]) -> np.ndarray:
        row_G = self.similarity_GG[self.languages.index(language)]
        return self.floor + self.slope * row_G[[self.languages.index(pivot) for pivot in pivots]]

    def _between(self, pivots: Sequence[str]) -> np.ndarray:
        result_PP = np.stack([self._to(pivot, pivots) for pivot in pivots])
        np.fill_diagonal(result_PP, 1.0)
        return result_PP


def correlations(score_CP: np.ndarray) -> np.ndarray:
    """Correlations of the columns, shape (P, P); 0 with one that knows no difference."""
    centred_CP = score_CP - score_CP.mean(0)
    length_P = np.linalg.norm(centred_CP, axis=0)
    unit_CP = np.divide(centred_CP, length_P, out=np.zeros_like(centred_CP), where=length_P > 0)
    return unit_CP.T @ unit_CP
