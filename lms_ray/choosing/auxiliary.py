"""Experiments on other tasks that teach a ranker too (paper, A.4): what is read of them.

They may say how well their candidates do in a target language. These are labels of another task; an experiment on the
task that candidates are picked for is refused, so that the target's own labels stay unseen.

Shape suffixes: C candidates, G languages, H hidden, V language vector.
"""

import numpy as np

from lms_ray import tasks
from lms_ray.choosing.material import Auxiliary
from lms_ray.choosing.split import divide
from lms_ray.data import roles
from lms_ray.settings import languages
from lms_ray.settings.errors import RankingError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import encodings, identity, lineage, pool
from lms_ray.store.files import Store


def read(folder: str, experiment: Experiment, width: int) -> Auxiliary:
    """What an experiment on another task teaches in the pivots and targets of this one that it knows.

    Only as many of its candidates teach as meta-train would have, drawn in the same way: a pair of one task counts as
    much as one of the other.

    Args:
        folder: of that experiment, whose text has been encoded.
        experiment: for which rankers are fitted.
        width: of this experiment's features.

    Raises:
        MissingError: an earlier stage has not done its part there.
        RankingError: it cannot teach, and why.
    """
    store = Store(folder, "ranker.auxiliary")
    other = identity.experiment(store)
    where = f"ranker.auxiliary: {store.where()}"
    if other.task == experiment.task:
        raise RankingError(
            f"{where} is on {other.task} as well, and its labels in a target language may teach nobody here; accepted "
            "are experiments on another task"
        )
    identity.warn_of_another_encoder(store, experiment)
    lineage.require_encoded(other, store)
    task, here = tasks.get(other.task), roles.describing(experiment, tasks.get(experiment.task).example)
    described_by = roles.describing(other, task.example)
    spoken = [language for language in here if language in described_by and language in other.labelled_languages]
    known = f"{where} knows {', '.join(described_by)}"
    if not spoken:
        raise RankingError(f"{known}; needed are pivots or targets of this experiment: {', '.join(here)}")
    absent = [pivot for pivot in experiment.pivots if pivot not in spoken]
    if absent and "pivot" in experiment.ranker.features:
        raise RankingError(f"{known}; needed are all pivots, as ranker.features names pivot: {', '.join(absent)}")
    everyone = pool.candidates(store)
    try:
        part_C = divide(len(everyone), experiment.meta_split, experiment.seed)
    except ValueError as error:
        raise RankingError(f"{where}: candidates: {error}") from None
    candidates = [candidate for candidate, part in zip(everyone, part_C, strict=True) if part == "train"]
    texts = [described_by[language] for language in spoken]
    scored = [f"{language}-{roles.seen_split(other, language)}" for language in spoken]
    source = [roles.source(other)] if "source" in experiment.ranker.features else []
    encodings.require(store, candidates, list(dict.fromkeys([*texts, *scored, *source])))
    feature_CNH = encodings.features(store, candidates, [*texts, *source])
    score_CG = task.score(encodings.sums(store, candidates, scored, task.statistics))
    if feature_CNH.shape[-1] != width:
        raise RankingError(
            f"{where} has features of width {feature_CNH.shape[-1]}, this experiment of width {width}; accepted are "
            "candidates of the same encoder"
        )
    if not (np.isfinite(feature_CNH).all() and np.isfinite(score_CG).all()):
        raise RankingError(f"{where} has a feature or a score that is not finite")
    if not np.ptp(score_CG, axis=0).any():
        raise RankingError(f"{where} has no two candidates that differ in score on {', '.join(spoken)}")
    return Auxiliary(
        task=other.task,
        languages=tuple(spoken),
        feature_CGH=feature_CNH[:, : len(spoken)],
        vector_GV=languages.vectors(spoken, experiment.ranker.language_vector),
        score_CG=score_CG,
        source_CH=feature_CNH[:, -1] if source else None,
    )
