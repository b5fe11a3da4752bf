"""What the ranker's inputs are worth: an extra that no other stage needs (paper, Tables 5 and 6).

    python -m lms_ray.ablation CONFIG [key=value ...]

Fits the fast form of the ranker with each kind of features and with each kind of language vector, anew in every draw of
the meta split, and scores the picks on the targets' test sets. Needs encodings only, and leaves rankings as they are.
"""

import logging

import numpy as np
import pandas as pd

from lms_ray import tasks
from lms_ray.choosing.ablations import ablate, by_features, by_language_vector
from lms_ray.choosing.gathering import gather, oracles
from lms_ray.choosing.grid import targets_by_pivots
from lms_ray.choosing.rules import best
from lms_ray.choosing.split import divide
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.pages.progress import Progress, say
from lms_ray.pages.tables import Table
from lms_ray.pages.terminal import show
from lms_ray.settings import languages
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.languages import MissingVectorError
from lms_ray.store import ablations, encodings, lineage, pool
from lms_ray.store.ablations import Ablated

log = logging.getLogger(__name__)


def run(job: Job) -> None:
    """Write `ablations.parquet`, and print what each variant is worth.

    A kind of language vector that one of the languages lacks is left out, and said.

    Raises:
        MissingError: an earlier stage has not done its part.
        ConfigError: no target has labels.
    """
    experiment, store, task = job.experiment, job.store, tasks.get(job.experiment.task)
    if not experiment.targets:
        raise ConfigError("targets: found none; accepted is at least one, by whose labels variants are judged")
    lineage.require_encoded(experiment, store)
    candidates = pool.candidates(store)
    corpora = roles.picked_from(experiment, task.example)
    encodings.require(store, candidates, corpora)
    material, judged = gather(experiment, store), oracles(experiment, store, candidates)
    draws = [divide(len(candidates), split, experiment.seed) for split in experiment.meta_split.each_draw]
    variants = {("features", name): of for name, of in by_features(experiment.ranker).items()}
    for kind, settings in by_language_vector(experiment.ranker).items():
        try:
            languages.vectors(material.languages, settings.language_vector)
            variants["language_vector", kind] = settings
        except MissingVectorError as error:
            log.warning("ranker.language_vector=%s is left out: %s", kind, error)
    source_C = task.score(encodings.sums(store, candidates, [roles.source(experiment)], task.statistics))[:, 0]
    progress, rows = Progress("ablation", "variants", len(variants)), list[Ablated]()
    for done, ((table, variant), settings) in enumerate(variants.items(), 1):
        scores = ablate(material, {variant: settings}, targets_by_pivots(experiment), draws)[variant]
        for target in experiment.targets:
            score_DC, test_C = scores[target], judged[target].test_C
            for draw, part_C in enumerate(draws):
                pool_C = np.flatnonzero(part_C == "test")
                picked, reference = (pool_C[best(of_C[pool_C])] for of_C in (score_DC[draw], source_C))
                score = float(test_C[picked])
                rows.append(Ablated(table, variant, draw, target, score, score - float(test_C[reference])))
        progress.show(done)
    ablations.write(store, rows, lineage.origin(experiment, lineage.SELECTION, store, candidates, corpora))
    show("\n".join(["", _table(pd.DataFrame(rows)).to_text(), ""]))
    say("ablation", store.where(ablations.PATH))


def _table(rows: pd.DataFrame) -> Table:
    """Means over targets and draws, a group of rows for each key that varies."""
    groups = []
    for table, of_table in rows.groupby("table", sort=False):
        means_DV = 100 * of_table.pivot_table(index="draw", columns="variant", values=["score", "delta"], sort=False)
        groups.append(
            [
                [
                    f"ranker.{table}",
                    str(variant),
                    f"{means_DV['score'][variant].mean():.1f}",
                    f"{means_DV['delta'][variant].mean():+z.2f}",
                    f"{means_DV['delta'][variant].std():.2f}",
                ]
                for variant in of_table["variant"].unique()
            ]
        )
    return Table(["Key", "Value", "Score", "Δ to En-Dev", "s.d. over draws"], groups)


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="ablation")
