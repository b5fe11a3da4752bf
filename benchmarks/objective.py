"""A search by the recommended score beside a grid that is picked from by it, at equal cost.

    python benchmarks/objective.py CONFIG [key=value ...] [--part 0.25] [--target LANG ...] [--searches 1]

CONFIG is a grid whose stages up to the ranking are done; it judges. A search (`sweep.objective: recommended`)
fine-tunes for about as many epochs in all as a part of the grid took, within the ends of the grid's lists; it is an
experiment beside the grid's, and resumes. Then, in Markdown, test scores of each target in percent:

- of the search: what its objective picks, what English dev accuracy picks, the mean and the best of its candidates;
- of the grid, from as many candidates, drawn at random 1,000 times: the mean pick by Recommended and by En-Dev, and the
  best;
- of the whole grid, which costs more: the same, and the mean.

What it leaves out of the bill is the judge: all candidates of the grid, which somebody must have fine-tuned before.
Searches after the first have other seeds of the experiment, and with `finetune.shared_head` another head than the pool.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tabulate import tabulate

from lms_ray.choosing import judging
from lms_ray.choosing.gathering import oracles, recall
from lms_ray.choosing.judging import Judge
from lms_ray.choosing.recommended import RECOMMENDED
from lms_ray.models import brought, folders, shards
from lms_ray.models.job import Job
from lms_ray.models.pretrain import materialise
from lms_ray.settings.candidates import AXES, Sweep
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.store import pool
from lms_ray.store.files import Store

SUBSETS = 1000


@dataclass(frozen=True)
class Pool:
    """Candidates, and for each target what is said of them and what is right; arrays of one length."""

    epochs_C: np.ndarray
    dev_C: np.ndarray
    said: dict[str, np.ndarray]
    """The recommended score, by target."""
    test: dict[str, np.ndarray]
    """By target."""


def main() -> None:
    """Search, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--part", type=float, default=0.25, help="of the grid's epochs, for one search")
    parser.add_argument("--target", nargs="+", default=[], help="targets of the grid; none is all of them")
    parser.add_argument("--searches", type=int, default=1, help="over which results are averaged")
    arguments = parser.parse_args()
    experiment = materialise(load(arguments.config, arguments.overrides))
    job = Job(experiment, Store(experiment.folder))
    judge = judging.read(job)
    judge.require_targets(arguments.target, "--target")
    targets = tuple(arguments.target) or experiment.targets
    whole = of_grid(job, judge, targets)
    count = candidates_for(arguments.part * whole.epochs_C.sum(), experiment.sweep)
    searches = []
    for number in range(arguments.searches):
        searched = [
            *arguments.overrides,
            f"name={experiment.name}-objective-{number}",
            f"seed={experiment.seed + number}",
            f"sweep={in_yaml(experiment.sweep, count, Path(job.store.root), targets)}",
        ]
        command = [sys.executable, "-m", "lms_ray.sweep", arguments.config, *searched, "--only"]
        subprocess.run(command, check=True)
        searches.append(of_search(materialise(load(arguments.config, searched)), job, targets))
    print(f"\n{bill(whole, searches)}\n\n{table(whole, searches, targets)}")


def candidates_for(epochs: float, sweep: Sweep) -> int:
    """How many candidates a search may propose, at the mean length of what it proposes."""
    assert isinstance(sweep.epochs, tuple), "of a grid"
    return max(1, round(epochs / np.mean([min(sweep.epochs), max(sweep.epochs)])))


def in_yaml(sweep: Sweep, count: int, judge: Path, targets: Sequence[str]) -> str:
    """The search within the ends of a grid's lists; a list of one value stays one."""
    spaces = {}
    for axis in AXES:
        values = getattr(sweep, axis)
        log = axis != "epochs"
        ends = f"{{low: {min(values)}, high: {max(values)}, log: {str(log).lower()}}}"
        spaces[axis] = ends if len(values) > 1 else f"[{values[0]}]"
    listed = ", ".join(f"{axis}: {space}" for axis, space in spaces.items())
    return (
        f"{{search: optuna, candidates: {count}, objective: recommended, judged_by: '{judge}', "
        f"judged_for: [{', '.join(targets)}], {listed}}}"
    )


def of_grid(job: Job, judge: Judge, targets: Sequence[str]) -> Pool:
    """The candidates of the grid, as the report speaks of them."""
    candidates = list(judge.known.material.candidates)
    said = recall(job.store, judge.origin, candidates).overall
    right = oracles(job.experiment, job.store, candidates)
    return Pool(
        epochs_C=pool.read(job.store).set_index("id").loc[candidates, "epochs"].to_numpy(),
        dev_C=judge.known.source_C,
        said={target: said[target][RECOMMENDED] for target in targets},
        test={target: right[target].test_C for target in targets},
    )


def of_search(experiment: Experiment, judging_job: Job, targets: Sequence[str]) -> Pool:
    """The candidates of a search; their test scores are measured here."""
    store, task = Store(experiment.folder), judging_job.task
    candidates = pool.candidates(store)
    records = [store.done(pool.unit(candidate)) or {} for candidate in candidates]
    tests = [corpus for corpus in judging_job.corpora.labelled if corpus.name in {f"{one}-test" for one in targets}]
    device, windows, test = "cuda" if torch.cuda.is_available() else "cpu", None, {one: [] for one in targets}
    for candidate in candidates:
        with brought.folder_of(candidate, store, experiment) as folder:
            if windows is None:
                tokenizer = folders.load_tokenizer(folder)
                windows = shards.all_tokenised(tests, task, tokenizer, judging_job.experiment)
            model = task.load(folder, device)
        for name, encoding in shards.all_encoded(model, task, windows, judging_job.experiment.encode).items():
            test[name.partition("-")[0]].append(float(task.score(encoding.statistics_ES.sum(0))))
    return Pool(
        epochs_C=np.asarray([record["epochs"] for record in records]),
        dev_C=np.asarray([record["dev_score"] for record in records]),
        said={target: np.asarray([record["judged"][target] for record in records]) for target in targets},
        test={target: np.asarray(scores) for target, scores in test.items()},
    )


def bill(whole: Pool, searches: Sequence[Pool]) -> str:
    """What was compared."""
    epochs, size = np.mean([one.epochs_C.sum() for one in searches]), size_of_subsets(whole, searches)
    return (
        f"Searches: {len(searches)}, each of {len(searches[0].dev_C)} candidates and {epochs:.0f} epochs on average. "
        f"The grid: {len(whole.dev_C)} candidates and {whole.epochs_C.sum()} epochs; {size} of its candidates take as "
        "many as a search."
    )


def size_of_subsets(whole: Pool, searches: Sequence[Pool]) -> int:
    """How many candidates of the grid cost as much as a search."""
    epochs = np.mean([one.epochs_C.sum() for one in searches])
    return min(len(whole.dev_C), max(1, round(epochs / whole.epochs_C.mean())))


def table(whole: Pool, searches: Sequence[Pool], targets: Sequence[str]) -> str:
    """Test scores in percent, a row for each target and their means."""
    size = size_of_subsets(whole, searches)
    order_RC = np.argsort(np.random.default_rng(0).random((SUBSETS, len(whole.dev_C))), axis=1)[:, :size]
    rows = {}
    for target in targets:
        test_C, said_C = whole.test[target], whole.said[target]
        rows[target] = {
            "search: objective": np.mean([one.test[target][one.said[target].argmax()] for one in searches]),
            "search: En-Dev": np.mean([one.test[target][one.dev_C.argmax()] for one in searches]),
            "search: mean": np.mean([one.test[target].mean() for one in searches]),
            "search: best": np.mean([one.test[target].max() for one in searches]),
            f"{size} of grid: Recommended": _picked(said_C, test_C, order_RC),
            f"{size} of grid: En-Dev": _picked(whole.dev_C, test_C, order_RC),
            f"{size} of grid: best": test_C[order_RC].max(1).mean(),
            "grid: Recommended": test_C[said_C.argmax()],
            "grid: En-Dev": test_C[whole.dev_C.argmax()],
            "grid: mean": test_C.mean(),
            "grid: best": test_C.max(),
        }
    frame = 100 * pd.DataFrame(rows).T
    frame.loc["mean"] = frame.mean()
    return tabulate(frame.T, headers="keys", tablefmt="github", floatfmt=".1f")


def _picked(score_C: np.ndarray, test_C: np.ndarray, order_RC: np.ndarray) -> float:
    picked_R = np.take_along_axis(order_RC, score_C[order_RC].argmax(1)[:, None], axis=1)[:, 0]
    return float(test_C[picked_R].mean())


if __name__ == "__main__":
    main()
