"""Named entity recognition."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from lms_ray.data.examples import NONE, EntitySentence
from lms_ray.tasks import entities
from lms_ray.tasks.base import micro_f1
from lms_ray.tasks.tagging import Tagging, flat
from lms_ray.tasks.windows import IGNORE, Windows


class NamedEntities(Tagging):
    """Entities as IOB2 tags; the metric is the micro F1 over entities."""

    name = "ner"
    example = EntitySentence
    metric = "F1"
    statistics = ("tp", "predicted", "gold", "right", "words")

    @classmethod
    def outputs(cls, names: Iterable[str]) -> tuple[str, ...]:
        """Begin and inside of every entity type, and outside."""
        return (NONE, *(f"{prefix}-{kind}" for kind in sorted(set(names)) for prefix in "BI"))

    @property
    def names(self) -> frozenset[str]:
        """Entity types."""
        return frozenset(label[2:] for label in self.labels if label != NONE)

    def count(self, windows: Windows, predicted_W: list[np.ndarray]) -> np.ndarray:
        """Right, predicted and annotated entities of each sentence; words whose tag is right, and words."""
        counts = np.zeros((windows.examples, 5))
        if windows.labels_T is None:
            return counts
        scored_T = np.flatnonzero(windows.labels_T != IGNORE)
        example_T = np.repeat(windows.example_W, windows.lengths_W)[scored_T]
        tags = np.asarray(self.labels, dtype=object)
        gold, predicted = (tags[of_T[scored_T]] for of_T in (windows.labels_T, flat(windows, predicted_W)))
        bounds = np.searchsorted(example_T, np.arange(windows.examples + 1))
        for example, (start, end) in enumerate(pairwise(bounds)):
            counts[example, :3] = entities.counts(gold[start:end].tolist(), predicted[start:end].tolist())
            counts[example, 3:] = (gold[start:end] == predicted[start:end]).sum(), end - start
        return counts

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Micro F1 over entities."""
        return micro_f1(sums)

    def accuracy(self, sums: np.ndarray) -> np.ndarray:
        """Share of words whose tag is right."""
        return sums[..., 3] / sums[..., 4]
