"""Candidates that were not in the pool, scored beside it by every rule without teaching anything anew.

    said = score(known, newcomer, pivots_of, rankers, weights)["da"]
    place(said.scores["Recommended"])

LMS is the saved rankers; rules that learn from candidates and were not saved are left out. The others see the pool and
the newcomer as if that had been one of its candidates. Z-scores are in the pool's own mean and deviation, so that what
a newcomer gets does not depend on which others are asked about.

Shape suffixes: C candidates of the pool, J these and the newcomer, which is the last, G languages, H feature, N bins of
confidence, P pivots, S statistics, U units (what gets a label).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lms_ray import tasks
from lms_ray.choosing import transfer
from lms_ray.choosing.evidence import Known
from lms_ray.choosing.recommended import RECOMMENDED, untaught
from lms_ray.choosing.rules import best
from lms_ray.choosing.taught import LMS
from lms_ray.choosing.transfer import Saved
from lms_ray.data import roles
from lms_ray.settings.experiment import Experiment
from lms_ray.store.encodings import Encoding

ALIKE = 1e-6
"""Scores that differ by less are one: the same checkpoint, encoded in other batches, differs so much."""

Weights = Mapping[str, float]
"""How much each rule counts in the recommended one."""


@dataclass(frozen=True)
class Newcomer:
    """What the encodings of one checkpoint say, in the order of the pool's arrays; no label of a target is in it."""

    name: str
    feature_GH: np.ndarray
    """Over each language's text."""
    source_H: np.ndarray
    """Over the source's dev set."""
    source_score: float
    pivot_score_P: np.ndarray
    seen: Mapping[str, np.ndarray]
    """Means over units of each language that is observed, shape (G, ...), by the names of `tasks.tally`."""
    label_U: Mapping[str, np.ndarray]
    """The label of each unit, by language."""
    source_confidences_N: np.ndarray
    source_right: float
    """Share of the source's units that are right."""
    setting: int | None = None
    """Number of the pool's setting that it was fine-tuned with; None stands for one of its own."""

    @property
    def is_finite(self) -> bool:
        """Whether its features are numbers: those of a model that diverged are not."""
        return bool(np.isfinite(self.feature_GH).all() and np.isfinite(self.source_H).all())


@dataclass(frozen=True)
class Said:
    """What the rules say for one target."""

    scores: dict[str, np.ndarray]
    """By rule, shape (J,)."""
    left_out: dict[str, float]
    """Rules that count in the recommended one and have no score here, and how much they count."""


@dataclass(frozen=True)
class Place:
    """Where a newcomer stands under one rule."""

    score: float
    place: int
    """1 is before the whole pool; of equals the pool's candidates come first."""
    ahead: int
    """The best candidate of the pool, by its index."""

    @property
    def is_picked(self) -> bool:
        """Whether it is better than every candidate of the pool."""
        return self.place == 1


def described(
    name: str, encodings: Mapping[str, Encoding], experiment: Experiment, known: Known, setting: int | None = None
) -> Newcomer:
    """What a checkpoint's encodings say.

    Args:
        name: of the checkpoint.
        encodings: by corpus, of all that the pool's rankings are made from (`roles.ranked_from`).
        experiment: of the pool; says which corpus is for what.
        known: of the pool.
        setting: of the pool, by its number, with which the checkpoint was fine-tuned.
    """
    task = tasks.get(experiment.task)
    describing, signalling = roles.describing(experiment, task.example), roles.signalling(experiment, task.example)
    source = encodings[roles.source(experiment)]
    source_S = source.statistics_ES.sum(0)
    pivot_PS = np.stack([encodings[corpus].statistics_ES.sum(0) for corpus in roles.held_out(experiment)])
    observed = [encodings[signalling[language]] for language in known.observed.languages]
    seen = {}
    for signal, of_all in known.observed.seen.items():
        nothing = np.full(of_all.shape[2:], np.nan)
        seen[signal] = np.stack([np.asarray(one.signals.get(signal, nothing), float) for one in observed])
    return Newcomer(
        name=name,
        feature_GH=np.stack([encodings[describing[language]].feature_H for language in known.material.languages]),
        source_H=source.feature_H,
        source_score=float(task.score(source_S)),
        pivot_score_P=task.score(pivot_PS),
        seen=seen,
        label_U={language: one.label_U for language, one in zip(known.observed.languages, observed, strict=True)},
        source_confidences_N=np.asarray(source.signals.get("confidences", ()) if seen else (), float),
        source_right=float(task.accuracy(source_S)),
        setting=setting,
    )


def beside(known: Known, newcomer: Newcomer) -> Known:
    """What is known of the pool and the newcomer, as if that had been a candidate too."""
    material, observed = known.material, known.observed
    own_setting = int(known.setting_C.max()) + 1
    return replace(
        known,
        material=replace(
            material,
            candidates=(*material.candidates, newcomer.name),
            part_C=np.append(material.part_C, "test"),
            feature_CGH=_with(material.feature_CGH, newcomer.feature_GH),
            pivot_score_CP=_with(material.pivot_score_CP, newcomer.pivot_score_P),
            source_CH=None if material.source_CH is None else _with(material.source_CH, newcomer.source_H),
        ),
        source_C=_with(known.source_C, newcomer.source_score),
        setting_C=_with(known.setting_C, own_setting if newcomer.setting is None else newcomer.setting),
        without_model={},  # nothing is stated of it
        _made={},
        observed=replace(
            observed,
            source_label_CU=None,
            seen={signal: _with(of_all, newcomer.seen[signal]) for signal, of_all in observed.seen.items()},
            label_CU={
                language: _with(of_all, newcomer.label_U[language]) for language, of_all in observed.label_CU.items()
            },
            source_confidences_CN=_with(observed.source_confidences_CN, newcomer.source_confidences_N),
            source_right_C=_with(observed.source_right_C, newcomer.source_right),
        ),
    )


def score(
    known: Known,
    newcomer: Newcomer,
    pivots_of: Mapping[str, tuple[str, ...]],
    rankers: Sequence[Saved],
    weights: Mapping[tuple[str, ...], Weights],
) -> dict[str, Said]:
    """What every rule says of the pool and a newcomer, by target.

    Args:
        known: of the pool.
        newcomer: whose features are finite.
        pivots_of: for each target the pivots whose labels may be looked at.
        rankers: that the pool has taught.
        weights: of the rules in the recommended one, by pivots.

    Returns:
        LMS is the mean over the rankers of a target (one for each seed) of z-scores, `Recommended` the weighted mean of
        the z-scores of the rules that have a score; where none of them has, there is no `Recommended`.
    """
    everyone = beside(known, newcomer)
    by_ranker = transfer.apply(rankers, list(pivots_of), everyone.material)
    result = {}
    for target, pivots in pivots_of.items():
        scores = untaught(everyone, target, pivots)
        scores[LMS] = np.mean([pool_z(score_J) for _, score_J in by_ranker[target]], axis=0)
        counted = {rule: weight for rule, weight in weights[pivots].items() if rule in scores and weight}
        if counted:
            total = sum(counted.values())
            scores[RECOMMENDED] = sum(
                (weight / total * pool_z(scores[rule]) for rule, weight in counted.items()), start=np.zeros(())
            )
        left_out = {rule: weight for rule, weight in weights[pivots].items() if rule not in scores and weight}
        result[target] = Said(scores, left_out)
    return result


def place(score_J: np.ndarray) -> Place:
    """Where the newcomer stands."""
    own, score_C = score_J[-1], score_J[:-1]
    return Place(float(own), 1 + int((score_C > own - ALIKE).sum()), best(score_C))


def pool_z(score_J: np.ndarray) -> np.ndarray:
    """Scores in standard deviations of the pool from its mean; all zero where the pool is of one score."""
    score_C = score_J[:-1]
    centred_J, deviation = score_J - score_C.mean(), score_C.std()
    return centred_J / deviation if deviation > 0 else np.zeros_like(centred_J)


def _with(of_all: np.ndarray, own: np.ndarray | float) -> np.ndarray:
    return np.concatenate([of_all, np.asarray(own, of_all.dtype)[None]])
