"""Read what picks are made from, and what they are judged by, out of an experiment's folder.

Labels of targets are read by `oracles` only, which no ranker and no rule is handed.

Shape suffixes: C candidates, G languages or corpora, H feature, N bins of confidence, P pivots, S statistics.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lms_ray import tasks
from lms_ray.choosing import auxiliary
from lms_ray.choosing.certainty import Trust
from lms_ray.choosing.evidence import SOURCE, Known
from lms_ray.choosing.grid import targets_by_pivots
from lms_ray.choosing.level import Level, sampling_error
from lms_ray.choosing.material import Material
from lms_ray.choosing.picking import Oracles
from lms_ray.choosing.redrawn import Redrawn
from lms_ray.choosing.reliability import split_half
from lms_ray.choosing.signals import Observed
from lms_ray.choosing.split import divide
from lms_ray.data import roles
from lms_ray.settings import languages
from lms_ray.settings.errors import RankingError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import seed_for
from lms_ray.store import encodings, pool, redrawn
from lms_ray.store.files import Store


def gather(experiment: Experiment, store: Store, first: int | None = None) -> Material:
    """Read features of all languages, and statistics of the pivots' held-out sets only.

    Args:
        experiment: says of what.
        store: its folder.
        first: features are over so many first examples of each text only, of `encode.beginnings`.

    Raises:
        MissingError: an earlier stage has not done its part.
        RankingError: too few candidates, a feature that is not finite, or the pivots' scores give nothing to learn.
    """
    candidates = pool.candidates(store)
    task = tasks.get(experiment.task)
    encodings.require(store, candidates, roles.ranked_from(experiment, task.example))
    try:
        part_C = divide(len(candidates), experiment.meta_split, experiment.seed)
    except ValueError as error:
        raise RankingError(f"candidates: {error}") from None
    described_by = roles.describing(experiment, task.example)
    feature_CNH = encodings.features(store, candidates, [*described_by.values(), roles.source(experiment)], first)
    for candidate, feature_GH in zip(candidates, feature_CNH, strict=True):
        if not np.isfinite(feature_GH).all():
            raise RankingError(f"{candidate}: its features are not finite; leave its setting out of the sweep")
    held_out = roles.held_out(experiment)
    pivot_score_CP = task.score(encodings.sums(store, candidates, held_out, task.statistics))
    for name, score_C in zip(held_out, pivot_score_CP.T, strict=True):
        _require_scores(score_C, name, candidates)
    for pivots, targets in targets_by_pivots(experiment).items():
        columns = [experiment.pivots.index(pivot) for pivot in pivots]
        if not np.ptp(pivot_score_CP[part_C == "train"][:, columns], axis=0).any():
            raise RankingError(f"no two meta-train candidates differ in score on a pivot of {targets[0]}")
    spoken = tuple(described_by)
    return Material(
        settings=experiment.ranker,
        seed=experiment.seed,
        candidates=tuple(candidates),
        part_C=part_C,
        languages=spoken,
        feature_CGH=feature_CNH[:, :-1],
        vector_GV=languages.vectors(spoken, experiment.ranker.language_vector),
        pivots=experiment.pivots,
        pivot_score_CP=pivot_score_CP,
        source_CH=feature_CNH[:, -1],
        auxiliary=tuple(
            auxiliary.read(folder, experiment, feature_CNH.shape[-1]) for folder in experiment.ranker.auxiliary
        ),
    )


def know(experiment: Experiment, store: Store, material: Material, first: int | None = None) -> Known:
    """Read what rules may look at beside the material: signals, scores on the source, label shares of the pivots.

    Args:
        experiment: says of what.
        store: its folder.
        material: of the same.
        first: signals are of so many first examples of each text only, of `encode.beginnings`.
    """
    task = tasks.get(experiment.task)
    candidates, source = list(material.candidates), roles.source(experiment)
    source_CS = encodings.sums(store, candidates, [source], task.statistics)[:, 0]
    _require_scores(task.score(source_CS), source, candidates)
    described_by = roles.signalling(experiment, task.example)
    seen = encodings.signals(store, candidates, list(described_by.values()), first) if described_by else {}
    of_source = encodings.signals(store, candidates, [source])
    labels = encodings.predictions(store, candidates, list(described_by.values()), first)
    # Other text than the source's labelled set is of another kind, on which agreement is worth something else.
    alike = described_by and not roles.unlabelled(experiment, task.example)
    if without_model := _without_model(experiment, store) if alike else {}:
        labels |= encodings.predictions(store, candidates, [source])
    errors = _sampling_errors(experiment, store, candidates) if without_model else {}
    gold = encodings.corpora(store, roles.held_out(experiment))
    table = pool.read(store).set_index("id").loc[candidates, ["learning_rate", "epochs", "batch_size"]]
    # A checkpoint that was brought has no setting, and stands for one of its own.
    setting_C = [name if row.hasnans else str(tuple(row)) for name, row in table.iterrows()]
    return Known(
        material=material,
        source_C=task.score(source_CS),
        setting_C=np.unique(np.asarray(setting_C), return_inverse=True)[1],
        observed=Observed(
            languages=tuple(described_by),
            seen=seen,
            label_CU={language: labels[corpus] for language, corpus in described_by.items()},
            gold_share={row.name.partition("-")[0]: np.asarray(row.gold_share) for row in gold.values()},
            source_confidences_CN=of_source["confidences"][:, 0] if of_source else np.empty((len(candidates), 0)),
            source_right_C=task.accuracy(source_CS),
            source_label_CU=labels.get(source),
        ),
        without_model=without_model,
        sampling_error=errors,
    )


def _without_model(experiment: Experiment, store: Store) -> dict[str, float]:
    """What the best answer that needs no model scores on each labelled set that may be looked at."""
    names = {SOURCE: roles.source(experiment), **dict(zip(experiment.pivots, roles.held_out(experiment), strict=True))}
    known, score = encodings.corpora(store, list(names.values())), tasks.get(experiment.task).score
    found = {
        name: [float(score(np.asarray(sums))) for sums in known[corpus].baselines.values()]
        for name, corpus in names.items()
    }
    return {name: max(scores) for name, scores in found.items() if scores}


def _sampling_errors(experiment: Experiment, store: Store, candidates: Sequence[str]) -> dict[str, float]:
    """Of the mean candidate's score on each pivot's labelled set."""
    score = tasks.get(experiment.task).score
    return {
        pivot: sampling_error(of_CES, score, seed_for(experiment.seed, "level", f"{pivot}-{experiment.pivot_split}"))
        for pivot, of_CES in _held_out(experiment, store, candidates).items()
    }


def reliabilities(experiment: Experiment, store: Store, candidates: Sequence[str]) -> dict[str, float]:
    """How far each pivot's labelled set tells candidates apart, see `reliability.split_half`."""
    score = tasks.get(experiment.task).score
    return {
        pivot: split_half(of_CES, score, seed_for(experiment.seed, "halves", pivot))
        for pivot, of_CES in _held_out(experiment, store, candidates).items()
    }


def _held_out(experiment: Experiment, store: Store, candidates: Sequence[str]) -> dict[str, np.ndarray]:
    """Example statistics of each pivot's labelled set, by pivot."""
    names = roles.held_out(experiment)
    found = encodings.statistics(store, candidates, names, tasks.get(experiment.task).statistics)
    return {pivot: found[name] for pivot, name in zip(experiment.pivots, names, strict=True)}


def recall(store: Store, origin: Mapping[str, Any], candidates: Sequence[str]) -> Redrawn:
    """What every rule said of every candidate, as ranking wrote it.

    Args:
        store: the experiment's folder.
        origin: what it was made from (`lineage.origin`).
        candidates: ids.
    """
    rows = redrawn.read_trust(store, origin)
    return Redrawn(
        *redrawn.read(store, origin, candidates),
        followed={row["target"]: row["followed"] for row in rows},
        trust={
            row["target"]: Trust(
                row["location"], row["spread"], np.asarray(row["quantile_PQ"]), row["level"] and Level(**row["level"])
            )
            for row in rows
            if row["location"] is not None
        },
    )


def _require_scores(score_C: np.ndarray, corpus: str, candidates: Sequence[str]) -> None:
    if unknown := [name for name, score in zip(candidates, score_C, strict=True) if not np.isfinite(score)]:
        raise RankingError(f"{corpus}: {len(unknown)} candidates have no score there, among them {unknown[0]}")


def oracles(experiment: Experiment, store: Store, candidates: Sequence[str]) -> dict[str, Oracles]:
    """For each target the scores of all candidates by its labels."""
    task = tasks.get(experiment.task)
    names = [f"{target}-{split}" for target in experiment.targets for split in ("dev", "test")]
    sum_CGS = encodings.sums(store, candidates, names, task.statistics)
    score_C = dict(zip(names, task.score(sum_CGS).T, strict=True))
    dev_names = [f"{target}-dev" for target in experiment.targets]
    dev_CES = encodings.statistics(store, candidates, dev_names, task.statistics)
    oracles = {}
    for target, dev in zip(experiment.targets, dev_names, strict=True):
        examples = dev_CES[dev].shape[1]
        few = min(experiment.selection.target_examples, examples)
        rng = np.random.default_rng(seed_for(experiment.seed, "target-examples", target))
        sample = rng.choice(examples, size=few, replace=False)
        oracles[target] = Oracles(
            few_C=task.score(dev_CES[dev][:, sample].sum(1)),
            few=few,
            dev_C=score_C[dev],
            dev=examples,
            test_C=score_C[f"{target}-test"],
        )
    return oracles
