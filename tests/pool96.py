"""The real pool of `$LMS_RAY_SHARED/pool96`: 96 taggers, five pivots, fifteen targets; what is known, and the truth.

Shape suffixes: C candidates, G languages, H hidden.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lms_ray.choosing.evidence import Known
from lms_ray.choosing.material import Material
from lms_ray.choosing.picking import Oracles
from lms_ray.choosing.signals import Observed
from lms_ray.choosing.split import divide
from lms_ray.settings import languages
from lms_ray.settings.choosing import MetaSplit, Ranker

PIVOTS = ("ar", "de", "es", "nl", "zh")
TARGETS = ("bg", "da", "eu", "fa", "fr", "hu", "id", "it", "ja", "pt", "ru", "sk", "sv", "tr", "vi")
SEED = 11  # of the sweep that made the pool
NOTHING_OBSERVED = Observed((), {}, {}, {}, np.empty((0, 0)), np.empty(0))


@dataclass(frozen=True)
class Pool96:
    """The pool; labels of targets are in the oracles only."""

    known: Known
    oracles: dict[str, Oracles]


def read(shared: Path) -> Pool96:
    """Features, scores and settings from the Parquet files, candidates in the order of their ids."""
    folder = shared / "pool96"
    candidates = pd.read_parquet(folder / "candidates.parquet").sort_values("id").reset_index(drop=True)
    statistics = pd.read_parquet(folder / "statistics.parquet")
    total = statistics.groupby(["candidate", "corpus"], observed=True)[["correct", "total"]].sum()
    score_CG = (total["correct"] / total["total"]).unstack().loc[list(candidates["id"])]
    spoken = (*PIVOTS, *TARGETS)
    features = pd.read_parquet(folder / "features.parquet").set_index(["candidate", "corpus"])["feature"]
    settings = Ranker(fit="fast")
    material = Material(
        settings=settings,
        seed=SEED,
        candidates=tuple(candidates["id"]),
        part_C=divide(len(candidates), MetaSplit(), SEED),
        languages=spoken,
        feature_CGH=np.stack(
            [np.stack([features[candidate, f"{code}-dev"] for code in spoken]) for candidate in candidates["id"]]
        ),
        vector_GV=languages.vectors(spoken, settings.language_vector),
        pivots=PIVOTS,
        pivot_score_CP=score_CG[[f"{pivot}-dev" for pivot in PIVOTS]].to_numpy(),
    )
    setting_C = candidates.groupby(["learning_rate", "epochs", "batch_size"]).ngroup().to_numpy()
    known = Known(material, score_CG["en-dev"].to_numpy(), setting_C, NOTHING_OBSERVED)
    return Pool96(known, {target: _oracles(score_CG, target) for target in TARGETS})


def _oracles(score_CG: pd.DataFrame, target: str) -> Oracles:
    """By the whole dev set: the pool's sentences are few enough that a sample of 100 would say nothing else here."""
    dev_C, examples = score_CG[f"{target}-dev"].to_numpy(), 200
    return Oracles(few_C=dev_C, few=examples, dev_C=dev_C, dev=examples, test_C=score_CG[f"{target}-test"].to_numpy())
