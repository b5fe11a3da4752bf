"""What is read of an experiment's folder: each part once, and only if it was made by the settings that it has now.

Shape suffixes: C candidates, G corpora, H feature, P pivots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lms_ray import tasks
from lms_ray.choosing.gathering import gather, recall
from lms_ray.choosing.material import Material
from lms_ray.choosing.redrawn import Redrawn
from lms_ray.data import roles
from lms_ray.models.pretrain import materialise
from lms_ray.settings.base import shown
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import deployment, encodings, lineage, picks, pool, redrawn
from lms_ray.store.files import Store


@dataclass(frozen=True)
class Lesson:
    """What a ranker for a target may learn from: nothing of the target is in it."""

    feature_CPH: np.ndarray
    """Features of the meta-train and meta-dev candidates on the pivots."""
    score_CP: np.ndarray
    pivots: tuple[str, ...]
    is_dev_C: np.ndarray
    """Whether a candidate is of meta-dev."""


class Reader:
    """Reads an experiment's folder, and keeps what it has read."""

    def __init__(self, store: Store, experiment: Experiment):
        self.store, self.experiment = store, experiment
        self._features: dict[str, np.ndarray] = {}

    @cached_property
    def as_run(self) -> Experiment:
        """The configuration as the stages see it: toy languages are files to them."""
        return materialise(self.experiment, make=False)

    @cached_property
    def encoded(self) -> pd.Index:
        """Ids of the candidates that did not diverge.

        Raises:
            MissingError: they were made or encoded by other settings, or not at all.
        """
        lineage.require_encoded(self.as_run, self.store)
        return pd.Index(pool.candidates(self.store), name="candidate")

    def corpus(self, name: str) -> str:
        """Name of the corpus that a language, or the corpus itself, stands for.

        Raises:
            ConfigError: there is none.
        """
        describing = roles.describing(self.as_run, tasks.get(self.experiment.task).example)
        if name in describing:
            return describing[name]
        known = encodings.digests(self.store)
        if name not in known:
            accepted = [*describing, *known]
            raise ConfigError(f"language: found {shown(name)}; accepted are {', '.join(accepted)}")
        return name

    def features(self, corpora: Sequence[str]) -> list[pd.DataFrame]:
        """Features of the candidates over each corpus, shape (C, H); those that are missing are read together.

        Raises:
            MissingError: a candidate has not encoded one of them.
        """
        if absent := [corpus for corpus in dict.fromkeys(corpora) if corpus not in self._features]:
            encodings.require(self.store, list(self.encoded), absent)
            feature_CGH = encodings.features(self.store, list(self.encoded), absent)
            self._features |= {corpus: feature_CGH[:, place] for place, corpus in enumerate(absent)}
        return [pd.DataFrame(self._features[corpus].copy(), self.encoded) for corpus in corpora]

    def scores(self) -> pd.DataFrame:
        """Scores on every labelled set, a column for each language and split.

        Raises:
            MissingError: a candidate has not encoded one of them.
        """
        task, sets = tasks.get(self.experiment.task), roles.labelled(self.experiment)
        encodings.require(self.store, list(self.encoded), roles.named(sets))
        sum_CGS = encodings.sums(self.store, list(self.encoded), roles.named(sets), task.statistics)
        columns = pd.MultiIndex.from_tuples(sets, names=["language", "split"])
        return pd.DataFrame(task.score(sum_CGS), self.encoded, columns).sort_index(axis=1)

    @cached_property
    def _material(self) -> Material:
        lineage.require_encoded(self.as_run, self.store)
        return gather(self.as_run, self.store)

    def lesson(self, target: str | None) -> Lesson:
        """What the ranking stage would teach a ranker for a target; None is for languages that are no pivots.

        Raises:
            ConfigError: the target is neither pivot nor target, or rankers of this experiment see more than that.
            MissingError: the features stage has not run.
            RankingError: the pivots' scores give nothing to learn.
        """
        experiment, spoken = self.experiment, roles.spoken(self.experiment)
        if target is not None and target not in spoken:
            raise ConfigError(
                f"target: found {shown(target)}; accepted are {', '.join(spoken)}, whose texts the candidates have "
                "encoded"
            )
        if experiment.ranker.transfer_from:
            raise ConfigError(
                f"ranker.transfer_from: found {experiment.ranker.transfer_from}, whose rankers pick here; accepted is "
                "an experiment with rankers of its own, such as that one"
            )
        if experiment.ranker.features != ("target",) or experiment.ranker.auxiliary:
            raise ConfigError(
                f"ranker.features: found {', '.join(experiment.ranker.features)}, and ranker.auxiliary names "
                f"{len(experiment.ranker.auxiliary)} experiments; accepted here are features over a language's own "
                "text (target) and no other experiments; PairwiseRanker.fit takes any features"
            )
        pivots = tuple(pivot for pivot in experiment.pivots if pivot != target)
        if not pivots:
            raise ConfigError(f"target: found {target}, which is the only pivot; accepted are other languages")
        material = self._material
        taught_C = np.flatnonzero(material.part_C != "test")
        columns = [material.pivots.index(pivot) for pivot in pivots]
        return Lesson(
            feature_CPH=material.features(pivots, pivots)[taught_C],
            score_CP=material.pivot_score_CP[taught_C][:, columns],
            pivots=pivots,
            is_dev_C=material.part_C[taught_C] == "dev",
        )

    @cached_property
    def origin(self) -> dict[str, Any]:
        """What the picks for use were made from.

        Raises:
            MissingError: there are none, or they were made by other settings.
        """
        found = deployment.origin(self.store)
        lineage.require_settings("picks for use", found, self.experiment, lineage.RANKING, "ranking")
        return found

    @cached_property
    def ranked(self) -> pd.Index:
        """The candidates, in the order of what rules said of them."""
        return pd.Index(redrawn.candidates(self.store, self.origin), name="candidate")

    @cached_property
    def said(self) -> Redrawn:
        """What every rule said of every candidate."""
        return recall(self.store, self.origin, list(self.ranked))

    def require_picked_for(self, language: str) -> None:
        """Refuse a language for which no candidate is picked.

        Raises:
            ConfigError: names those for which one is.
        """
        accepted = [one for one in self.experiment.picked_for if one in self.said.overall]
        if language not in accepted:
            raise ConfigError(f"language: found {shown(language)}; accepted are {', '.join(accepted)}")

    def require_selected(self) -> None:
        """Refuse to show what the selection made by other settings.

        Raises:
            MissingError: it has not run, or names the difference.
        """
        found = picks.origin(self.store)
        lineage.require_settings("picks", found, self.experiment, lineage.SELECTION, "selection")
