"""Folders of finished experiments, as far as the paper's tables are made from them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lms_ray.settings.data import Data
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import to_yaml
from lms_ray.store import ablations, lineage, picks, rankings
from lms_ray.store.ablations import Ablated
from lms_ray.store.files import Store
from lms_ray.store.picks import AVERAGE, Pick
from made_picks import HAND_MADE, pick, splits_of, with_means

ACE = Data(format="ace", root="ldc", files={"en": "English", "ar": "Arabic", "zh": "Chinese"})
MBERT, XLMR = "bert-base-multilingual-cased", "models/xlm-roberta-base"


def of_pairs(lms: float) -> list[Pick]:
    """Picks for the languages of ACE."""
    picked = (("En-Dev", 0.5), ("LMS", lms), ("100-Target", 0.53), ("All-Target", 0.54))
    return with_means([pick(name, target, score, 0.5) for target in ("ar", "zh") for name, score in picked])


def study(folder: Path, made: list[Pick] = HAND_MADE, name: str = "small", draws: int = 3, **settings: Any) -> Store:
    """An experiment with its picks, on part-of-speech tags unless told otherwise."""
    targets = tuple(dict.fromkeys(pick.target for pick in made if pick.target != AVERAGE))
    values = {"pivots": ("de", "nl"), "data": Data(root="ud", files="{lang}-{split}.conllu"), **settings}
    experiment = Experiment(name=name, targets=targets, **values).absolute()
    store = Store(str(folder / name))
    store.write_bytes("experiment.yaml", to_yaml(experiment).encode())
    names = [f"c{number}" for number in range(5)]
    pool = pd.DataFrame({target: np.linspace(0.4, 0.9, len(names)) for target in targets}, index=names)
    picks.write(store, made, splits_of(made, draws), [], pool, {}, origin(experiment))
    parts = np.array(["train"] * 10 + ["dev"] * 5 + ["test"] * 5)
    store.commit(rankings.UNIT, {}, rankings.write_split(store, [f"x{n}" for n in range(15)] + names, parts))
    return store


def origin(experiment: Experiment) -> dict[str, Any]:
    return {"settings": lineage.settings(experiment, lineage.SELECTION), "input": "hash"}


def with_ablations(store: Store, experiment: Experiment, scores: dict[tuple[str, str], tuple[float, ...]]) -> None:
    """Ablations of one target, by table and variant the score in each draw; En-Dev has 0.5 in all of them."""
    rows = [
        Ablated(table, variant, draw, "sv", score, score - 0.5)
        for (table, variant), of_draws in scores.items()
        for draw, score in enumerate(of_draws)
    ]
    ablations.write(store, rows, origin(experiment))
