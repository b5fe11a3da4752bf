"""What Ray Tune costs for each candidate: the same fine-tunes in a plain loop and as Tune trials, one at a time.

    python benchmarks/ray_overhead.py CONFIG [key=value ...] --candidates 4

Both sides call the same function on one core with the same arrays; the loop runs first. Start-up (of Ray and of its
first actor) is shown apart, because it is paid once for a sweep and not for each candidate.
"""

import argparse
import tempfile
import time

import torch
from tabulate import tabulate

from lms_ray import sweep
from lms_ray.cluster.connecting import connect
from lms_ray.models import candidates
from lms_ray.models.job import Job
from lms_ray.models.pretrain import materialise
from lms_ray.settings.candidates import grid
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.settings.resources import Resources
from lms_ray.store.files import Store


def main() -> None:
    """Time both and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--candidates", type=int, default=4)
    arguments = parser.parse_args()
    experiment = materialise(load(arguments.config, arguments.overrides))
    one_core = experiment.sweep.model_copy(update={"resources": Resources(cpus=1, workers=1)})
    experiment = experiment.model_copy(update={"sweep": one_core})
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as loop, tempfile.TemporaryDirectory() as tuned:
        loop_seconds = in_a_loop(experiment, Store(loop), arguments.candidates)
        start_up, tune_seconds = in_tune(experiment, Store(tuned), arguments.candidates)
    count = arguments.candidates
    rows = [
        ("plain loop", "", f"{loop_seconds:.1f}", f"{loop_seconds / count:.2f}"),
        ("Ray Tune", f"{start_up:.1f}", f"{tune_seconds:.1f}", f"{tune_seconds / count:.2f}"),
        ("Ray Tune / loop", "", "", f"{tune_seconds / loop_seconds:.3f}"),
        ("overhead", "", "", f"{(tune_seconds - loop_seconds) / count:.2f}"),
    ]
    headers = ["", "start-up, s", f"{count} candidates, s", "each, s"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


def in_a_loop(experiment: Experiment, store: Store, count: int) -> float:
    """Seconds of the candidates one after the other in this process."""
    recipe = candidates.prepare(Job(experiment, store))
    started = time.monotonic()
    for candidate in grid(experiment.sweep)[:count]:
        candidates.fine_tune(candidate, recipe, "cpu")
    return time.monotonic() - started


def in_tune(experiment: Experiment, store: Store, count: int) -> tuple[float, float]:
    """Seconds until the first candidate begins, and from there to the end of the last one."""
    wanted = grid(experiment.sweep)[:count]
    started = time.monotonic()
    with connect(experiment.cluster):
        recipe = candidates.prepare(Job(experiment, store))
        _, records = sweep.fine_tune_all(wanted, recipe, store)
        ended = time.monotonic()
    began = min(record["started"] for record in records.values()) - (time.time() - time.monotonic())
    return began - started, ended - began


if __name__ == "__main__":
    main()
