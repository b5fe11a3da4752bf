"""Stage 4: every selector's pick for every target, scored on the target's test set.

    python -m lms_ray.selection CONFIG [key=value ...]

This is the first place that reads labels of a target. All selectors pick from the same pool, the meta-test candidates.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import fmean

import numpy as np
import pyarrow as pa

from lms_ray import tasks
from lms_ray.choosing import selectors
from lms_ray.choosing.ranker import ranks
from lms_ray.choosing.significance import Comparison, average, paired_bootstrap
from lms_ray.ranking import gather, input_digest
from lms_ray.settings import languages
from lms_ray.settings.errors import MissingError
from lms_ray.settings.experiment import Experiment, seed_for
from lms_ray.store import encodings
from lms_ray.store.encodings import Statistics
from lms_ray.store.files import DONE, Store
from lms_ray.sweep import POOL

PICKS = "picks.parquet"
SELECTORS = ("En-Dev", "Pivot-Dev", "All-Pivot", "LMS", "Random", "100-Target", "All-Target", "Best")
AVERAGE = "average"  # stands for the target in the picks' means over all targets
ORACLES = ("100-Target", "All-Target", "Best")


@dataclass(frozen=True)
class Pick:
    """What one selector chose for one target."""

    selector: str
    target: str
    candidate: str | None
    """None for Random, whose score is the mean over the pool, and for the average over targets."""
    pivot: str | None
    """The pivot that Pivot-Dev followed."""
    examples: int | None
    """Labelled target examples that an oracle saw."""
    score: float
    """Test metric in [0, 1]."""
    delta: float
    """Score minus En-Dev's."""
    regret: float
    """The pool's best score minus this one."""
    rank: float
    """Place in the pool by test score, 1 the best; ties share their mean place."""
    low: float | None
    """Interval of the delta, from the paired bootstrap; None for Random."""
    high: float | None
    p_value: float | None
    """Two-sided p-value of the delta; None for Random."""


def run(experiment: Experiment, store: Store) -> None:
    """Pick for every target and write the table of picks and the pool's test scores."""
    store.require(f"rankers/{DONE}", "ranking")
    if store.read_json(f"rankers/{DONE}")["input"] != input_digest(gather(experiment, store), experiment):
        raise MissingError(
            "the rankings are of other candidates, texts or targets; run `python -m lms_ray.ranking` first"
        )
    table = store.read_table(POOL)
    pool = table.filter(np.asarray(table["meta_split"].to_pylist()) == "test")["id"].to_pylist()
    names = [f"{language}-dev" for language in experiment.languages]
    names += [f"{target}-test" for target in experiment.targets]
    if experiment.pivot_split == "test":
        names += [f"{pivot}-test" for pivot in experiment.pivots]
    statistics = encodings.statistics(store, tasks.get(experiment.task), pool, names)
    ranker_scores = store.read_table("rankers/scores.parquet").to_pandas()
    picks: list[Pick] = []
    comparisons: dict[str, list[Comparison]] = {}
    for target in experiment.targets:
        scores = ranker_scores[ranker_scores["target"] == target].pivot(
            index="seed", columns="candidate", values="score"
        )
        of_target, compared = picks_for(target, pool, statistics, scores[pool].to_numpy(), experiment)
        picks += of_target
        for selector, comparison in compared.items():
            comparisons.setdefault(selector, []).append(comparison)
    picks += averages(picks, comparisons, experiment.selection.confidence)
    store.write_table(PICKS, pa.Table.from_pylist([asdict(pick) for pick in picks]))
    test_scores = {target: statistics.scores(target, "test") for target in experiment.targets}
    store.write_table("report/pool.parquet", pa.table({"candidate": pool, **test_scores}))


def picks_for(
    target: str, pool: list[str], statistics: Statistics, ranker_score_KC: np.ndarray, experiment: Experiment
) -> tuple[list[Pick], dict[str, Comparison]]:
    """Picks of all selectors for one target, and their comparisons with En-Dev.

    Args:
        target: the language.
        pool: ids of the candidates to pick from.
        statistics: example statistics of the pool.
        ranker_score_KC: the rankers' scores of the pool for this target, one row for each seed.
        experiment: roles of the languages, seeds and bootstrap settings.
    """
    test_CES = statistics.of_groups(target, "test")
    score_C = statistics.scores(target, "test")
    rank_C = ranks(score_C)
    chosen = list(_choices(target, statistics, ranker_score_KC, score_C, experiment))
    reference = chosen[0].candidate
    compared: dict[int, Comparison] = {}
    for choice in chosen:
        if choice.candidate not in compared:
            compared[choice.candidate] = paired_bootstrap(
                test_CES[choice.candidate],
                test_CES[reference],
                statistics.task.score,
                experiment.selection.bootstrap,
                experiment.selection.confidence,
                seed_for(experiment.seed, "bootstrap", target),
            )
    picks = [
        Pick(
            selector=choice.selector,
            target=target,
            candidate=pool[choice.candidate],
            pivot=choice.pivot,
            examples=choice.examples,
            score=float(score_C[choice.candidate]),
            delta=float(score_C[choice.candidate] - score_C[reference]),
            regret=float(score_C.max() - score_C[choice.candidate]),
            rank=float(rank_C[choice.candidate]),
            low=compared[choice.candidate].low,
            high=compared[choice.candidate].high,
            p_value=compared[choice.candidate].p_value,
        )
        for choice in chosen
    ]
    mean = float(score_C.mean())
    random = Pick(
        "Random", target, None, None, None,
        score=mean, delta=mean - float(score_C[reference]), regret=float(score_C.max()) - mean,
        rank=float(rank_C.mean()), low=None, high=None, p_value=None,
    )  # fmt: skip
    picks = sorted([*picks, random], key=lambda pick: SELECTORS.index(pick.selector))
    return picks, {choice.selector: compared[choice.candidate] for choice in chosen}


def averages(picks: list[Pick], comparisons: dict[str, list[Comparison]], confidence: float) -> list[Pick]:
    """For each selector the means over all targets; their interval and p-value resample every test set."""
    result = []
    for selector in dict.fromkeys(pick.selector for pick in picks):
        of_selector = [pick for pick in picks if pick.selector == selector]
        compared = average(comparisons[selector], confidence) if selector in comparisons else None
        result.append(
            Pick(
                selector=selector,
                target=AVERAGE,
                candidate=None,
                pivot=None,
                examples=None,
                score=fmean(pick.score for pick in of_selector),
                delta=fmean(pick.delta for pick in of_selector),
                regret=fmean(pick.regret for pick in of_selector),
                rank=fmean(pick.rank for pick in of_selector),
                low=compared.low if compared else None,
                high=compared.high if compared else None,
                p_value=compared.p_value if compared else None,
            )
        )
    return result


@dataclass(frozen=True)
class _Choice:
    selector: str
    candidate: int
    pivot: str | None = None
    examples: int | None = None


def _choices(
    target: str, statistics: Statistics, ranker_score_KC: np.ndarray, score_C: np.ndarray, experiment: Experiment
) -> Iterator[_Choice]:
    """Every selector's candidate, En-Dev first."""
    yield _Choice("En-Dev", selectors.best(statistics.scores(experiment.source, "dev")))
    pivots = experiment.pivots_for(target)
    kind = experiment.ranker.language_vector
    if kind != "none":
        similar = selectors.most_similar(
            languages.vector(target, kind), np.stack([languages.vector(pivot, kind) for pivot in pivots])
        )
        pivot = pivots[similar]
        yield _Choice("Pivot-Dev", selectors.best(statistics.scores(pivot, experiment.pivot_split)), pivot=pivot)
    pivot_score_PC = np.stack([statistics.scores(pivot, experiment.pivot_split) for pivot in pivots])
    yield _Choice("All-Pivot", selectors.all_pivot(pivot_score_PC))
    yield _Choice("LMS", selectors.learned(ranker_score_KC))

    dev_CES = statistics.of(target, "dev")
    count = min(experiment.selection.target_examples, dev_CES.shape[1])
    rng = np.random.default_rng(seed_for(experiment.seed, "target-examples", target))
    sample = rng.choice(dev_CES.shape[1], size=count, replace=False)
    few_C = statistics.task.score(dev_CES[:, sample].sum(1))
    yield _Choice("100-Target", selectors.best(few_C), examples=count)
    yield _Choice("All-Target", selectors.best(statistics.scores(target, "dev")), examples=dev_CES.shape[1])
    yield _Choice("Best", selectors.best(score_C))


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="selection")
