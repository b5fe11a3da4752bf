"""Finished experiments, each read from its folder alone, and what each of them is an instance of."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pandas as pd

from lms_ray import tasks
from lms_ray.settings.choosing import Ranker
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import ablations, identity, lineage, picks, rankings
from lms_ray.store.files import Store
from lms_ray.store.picks import Pick

DATA_OF = {
    "POS": ("pos", r"\bconllu\b|universal[_-]dependencies"),
    "QA": ("qa", r"\bmlqa"),
    "RE": ("re", r"^ace |\bace[-_]?(20)?05"),
    "ARL": ("arl", r"^ace |\bace[-_]?(20)?05"),
    "NERCoNLL": ("ner", r"conll(?!u)"),
    "NERWikiAnn": ("ner", r"wikiann|pan-?x"),
}
"""The paper's experiments by its names: our name of the task, and how `data` names the data set."""
DEFAULT = Ranker()


@dataclass(frozen=True, eq=False)
class Study:
    """One experiment, once its picks are made."""

    label: str
    """Its name; numbered where two have the same."""
    where: str
    """Its folder."""
    experiment: Experiment
    picks: Sequence[Pick]
    """Of its main division, with the means over targets."""
    pool: pd.DataFrame
    """Test scores in [0, 1] of the candidates that were picked from, by target."""
    splits: pd.DataFrame
    """Picks in every division: the columns of `store.picks.SplitPick`."""
    taught: int
    """Candidates outside of the pool, which rankers learned from."""
    ablations: pd.DataFrame | None
    """The columns of `store.ablations.Ablated`, where variants were tried."""

    @cached_property
    def pick(self) -> dict[tuple[str, str], Pick]:
        """Picks by target and selector."""
        return {(pick.target, pick.selector): pick for pick in self.picks}

    @property
    def selectors(self) -> list[str]:
        """In the order of the tables."""
        return list(dict.fromkeys(pick.selector for pick in picks.in_order(self.picks)))

    @property
    def targets(self) -> tuple[str, ...]:
        """In the order of the configuration."""
        return self.experiment.targets

    @property
    def draws(self) -> int:
        """Divisions of the candidates on which selectors were compared."""
        return self.splits["draw"].nunique()

    @cached_property
    def encoder(self) -> Literal["mBERT", "XLM-R", "other"]:
        """What the candidates were made from, by its name."""
        name = self.experiment.encoder.rstrip("/").rpartition("/")[2].lower()
        if self.experiment.sweep.checkpoints:
            return "other"
        if re.search(r"xlm-?r", name):
            return "XLM-R"
        return "mBERT" if re.search(r"bert-base-multilingual|mbert", name) else "other"

    @cached_property
    def paper_name(self) -> str | None:
        """The paper's name of this task on these data; None where they are not, or not clearly, one of the paper's."""
        data = self.experiment.data
        languages = self.experiment.languages
        named = [source.pattern for one in languages if (source := data.where(one, "test"))]
        named += [f"{hub.path} {hub.name or ''}" for one in languages if (hub := data.data_set(one))]
        words = " ".join([data.format, data.root or "", *named]).lower()
        fitting = [
            name
            for name, (task, pattern) in DATA_OF.items()
            if task == self.experiment.task and re.search(pattern, words)
        ]
        return fitting[0] if len(fitting) == 1 else None

    @property
    def metric(self) -> str:
        """Name of its score."""
        return tasks.get(self.experiment.task).metric

    @property
    def ranker_features(self) -> str:
        """The kind of features, or `fusion`."""
        kinds = self.experiment.ranker.features
        return kinds[0] if len(kinds) == 1 else "fusion"

    @property
    def described(self) -> str:
        """What it is and where, in a sentence."""
        experiment, ranker = self.experiment, self.experiment.ranker
        trained = f"{experiment.encoder} fine-tuned on {experiment.train_on.replace('+', ' and ')}"
        if experiment.sweep.checkpoints:
            trained = f"checkpoints of {experiment.sweep.checkpoints}"
        special = {
            "features": f"features {' + '.join(ranker.features)}",
            "language_vector": f"language vectors {ranker.language_vector}",
            "auxiliary": f"auxiliary {', '.join(ranker.auxiliary)}",
            "transfer_from": f"rankers of {ranker.transfer_from}",
        }
        parts = [
            f"{self.label} ({self.where}): {experiment.task}, {trained}",
            f"{len(self.pool)} candidates to pick from",
            *(f"at most {count} {split} examples of a language" for split, count in experiment.data.limit if count),
            *(text for key, text in special.items() if getattr(ranker, key) != getattr(DEFAULT, key)),
        ]
        return f"{'; '.join(parts)}."


def read_all(folders: Sequence[str]) -> list[Study]:
    """The experiments of some folders, local paths or URIs.

    Raises:
        ConfigError: a folder is named twice.
        MissingError: there is no experiment, or its picks are not made, or were made by other settings.
        BrokenError: a table or configuration cannot be read.
    """
    stores = [Store(folder, "FOLDER") for folder in folders]
    twice = [where for where, count in Counter(store.where() for store in stores).items() if count > 1]
    if twice:
        raise ConfigError(f"FOLDER: found {twice[0]} twice; accepted is each experiment once")
    experiments = [identity.experiment(store).without_credentials() for store in stores]
    count_of, seen = Counter(experiment.name for experiment in experiments), Counter[str]()
    studies = []
    for store, experiment in zip(stores, experiments, strict=True):
        seen[name := experiment.name] += 1
        studies.append(_read(store, experiment, f"{name} ({seen[name]})" if count_of[name] > 1 else name))
    return studies


def _read(store: Store, experiment: Experiment, label: str) -> Study:
    made = picks.read(store)
    if not experiment.targets:
        raise ConfigError(f"FOLDER: {store.where()} has no target with labels; accepted are experiments that have some")
    store.require(picks.SPLITS, "selection")  # an earlier version wrote none
    _require_same("picks", store, picks.PICKS, experiment, "selection")
    tried = None
    if store.exists(ablations.PATH):
        _require_same("ablations", store, ablations.PATH, experiment, "ablation")
        tried = ablations.read(store)
    pool_scores = picks.read_pool_scores(store)
    return Study(
        label=label,
        where=store.where(),
        experiment=experiment,
        picks=made,
        pool=pool_scores,
        splits=picks.read_splits(store),
        taught=len(rankings.read_split(store)) - len(pool_scores),
        ablations=tried,
    )


def _require_same(what: str, store: Store, table: str, experiment: Experiment, stage: str) -> None:
    """Refuse a table of other settings than those that the folder holds."""
    lineage.require_settings(
        f"{what} of {store.where()}", store.read_origin(table), experiment, lineage.SELECTION, stage
    )
