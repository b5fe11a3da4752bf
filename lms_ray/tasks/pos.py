"""Part-of-speech tagging."""

from collections.abc import Iterable

import numpy as np

from lms_ray.data.examples import TaggedSentence
from lms_ray.data.readers import conllu
from lms_ray.tasks.tagging import Tagging, flat
from lms_ray.tasks.windows import IGNORE, Windows


class PartOfSpeech(Tagging):
    """Universal part-of-speech tags; the metric is the accuracy over words."""

    name = "pos"
    example = TaggedSentence
    metric = "accuracy"
    statistics = ("correct", "total")

    @classmethod
    def outputs(cls, names: Iterable[str]) -> tuple[str, ...]:
        """The seventeen universal tags, whichever of them the training data has."""
        return conllu.UPOS

    def count(self, windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
        """Correctly tagged words, and words."""
        if windows.labels_T is None:
            return np.zeros((windows.examples, 2))
        scored_T = windows.labels_T != IGNORE
        correct_T = (flat(windows, predicted_W) == windows.labels_T) & scored_T
        example_T = np.repeat(windows.example_W, windows.lengths_W)
        counts = [np.bincount(example_T, weights=of_T, minlength=windows.examples) for of_T in (correct_T, scored_T)]
        return np.stack(counts, axis=1)

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Accuracy over words."""
        return sums[..., 0] / sums[..., 1]
