"""Experiments with all that a report is made from, by hand: a pool, picks, rankings and what is to be used."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lms_ray.data import roles
from lms_ray.data.examples import TaggedSentence
from lms_ray.models.job import Job
from lms_ray.store import deployment, encodings, lineage, rankings, redrawn
from lms_ray.store import picks as pick_tables
from lms_ray.store import pool as tables
from lms_ray.store.encodings import CorpusRow
from lms_ray.store.files import Store
from lms_ray.store.picks import SELECTORS, Pick
from made_picks import experiment, splits_of, with_means


def pool_of(targets: tuple[str, ...], candidates: int, apart: float = 0.02) -> pd.DataFrame:
    """Scores that differ between targets, each so far from the one before, and less between candidates."""
    rng = np.random.default_rng(0)
    names = [f"lr5e-05-ep3-bs32-seed{seed:03d}-{seed:08x}" for seed in range(candidates)]
    scores = {t: 0.55 + apart * i + rng.normal(0, 0.012, candidates) for i, t in enumerate(targets)}
    return pd.DataFrame({"candidate": names, **scores}).set_index("candidate")


def picks_of(pool: pd.DataFrame, chosen: dict[str, int]) -> list[Pick]:
    """The candidates of those numbers, for every target; Best is found, Random is the mean."""
    picks = []
    for target in pool.columns:
        score_C = pool[target].to_numpy()
        reference, best = score_C[chosen["En-Dev"]], score_C.max()
        for selector in [name for name in SELECTORS if name in {*chosen, "Best", "Random"}]:
            index = chosen.get(selector, int(score_C.argmax()))
            is_random = selector == "Random"
            score = float(score_C.mean() if is_random else score_C[index])
            delta = float(score - reference)
            picks.append(
                Pick(
                    selector=selector,
                    target=target,
                    candidate=None if is_random else pool.index[index],
                    pivot="zh" if selector == "Pivot-Dev" else None,
                    examples={"100-Target": 100, "All-Target": 437}.get(selector),
                    score=score,
                    delta=delta,
                    regret=float(best - score),
                    rank=float((score_C > score).sum() + 1),
                    low=None if is_random else delta - 0.01,
                    high=None if is_random else delta + 0.01,
                    p_value=None if is_random else 0.002 if abs(delta) > 0.01 else 0.4,
                    p_holm=None if is_random else 0.002 if abs(delta) > 0.01 else 0.4,
                )
            )
    return with_means(picks)


ALL = {"En-Dev": 0, "Pivot-Dev": 1, "All-Pivot": 2, "LMS": 3, "Recommended": 4, "100-Target": 4, "All-Target": 5}


def job_of(
    folder: Path,
    pool: pd.DataFrame,
    picks: list[Pick],
    baselines: dict[str, dict[str, float]] | None = None,
    told: Callable[[int], Mapping[str, Any]] = lambda number: {},
    **settings: Any,
) -> Job:
    """An experiment with what the stages before the report write; `told` is known of the pick for each target."""
    job = Job(experiment(tuple(pool.columns), **settings), Store(str(folder / "small")))
    store, count = job.store, len(pool)
    candidates = [*(f"other-{number}" for number in range(3 * count)), *pool.index]
    tables.write(store, [{"id": candidate} for candidate in candidates] + [{"id": "worse", "diverged": True}], {})
    parts = ["train"] * 2 * count + ["dev"] * count + ["test"] * count
    split = rankings.write_split(store, candidates, np.array(parts))
    names = roles.picked_from(job.experiment, TaggedSentence)
    encodings.write_corpora(store, [CorpusRow(name, 1, name, ()) for name in names], {})
    chosen_from = tables.candidates(store)
    origin = lineage.origin(job.experiment, lineage.SELECTION, store, chosen_from, names)
    pick_tables.write(store, picks, splits_of(picks), [], pool, baselines or {}, origin)
    ranked_from = roles.ranked_from(job.experiment, TaggedSentence)
    grid = [(16, 1e-4, 0.41, False), (16, 1e-5, 0.52, True), (32, 1e-4, -0.1, False)]
    row = {"pivots": "de,zh", "seed": 0, "seconds": 1.0}
    validation = rankings.write_validation(
        store,
        [{**row, "batch_size": b, "learning_rate": lr, "kendall_tau": tau, "chosen": c} for b, lr, tau, c in grid],
    )
    of_rankings = lineage.origin(job.experiment, lineage.RANKING, store, chosen_from, ranked_from)
    store.commit(rankings.UNIT, of_rankings, split | validation)
    score_C = np.arange(len(chosen_from), dtype=float)
    overall = {target: dict.fromkeys(("Recommended", "All-Pivot z", "LMS"), score_C) for target in pool.columns}
    recommended = [
        {"pivots": "de,zh", "rule": "All-Pivot z", "weight": 1.0, "gains": [0.5, 0.7], "reason": "it was tried"}
    ]
    followed = [{"target": target, "followed": "Recommended"} for target in pool.columns]
    redrawn.write(store, of_rankings, chosen_from, np.asarray(parts)[None], overall, {}, recommended, followed)
    row = {"rule": "Recommended", "candidate": chosen_from[-1], "followed": True}
    unit, weights = tables.unit(chosen_from[-1]), "model.safetensors"
    store.commit(unit, {"id": chosen_from[-1]}, {weights: store.write_bytes(f"{unit}/{weights}", b"weights")})
    rows = [{"target": target, **row, **told(number)} for number, target in enumerate(pool.columns)]
    deployment.write(store, rows, [], of_rankings)
    return job
