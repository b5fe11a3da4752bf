"""What an experiment would do and cost, before anything runs."""

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from tabulate import tabulate

from lms_ray.choosing.split import require_left
from lms_ray.data import toy
from lms_ray.models import pretrain
from lms_ray.models.job import Job
from lms_ray.models.work import Stage, Work
from lms_ray.pages.cost import NO_PRICE, Prices, money, took
from lms_ray.pages.counting import span
from lms_ray.pages.terminal import readable, show
from lms_ray.settings.candidates import grid
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.resources import Cluster, Resources, Unit
from lms_ray.store import identity, lineage, status
from lms_ray.store.attempts import Use
from lms_ray.store.files import Store
from lms_ray.store.status import Status

ASSUMED = {"GPU": 8.0, "core": 0.01}  # 10^12 operations a second, see settings.resources.Cluster
Average = Callable[[Sequence[float]], float]
STATE_BYTES = 12  # of a parameter: the weight and both moments, float32


@dataclass(frozen=True)
class Estimate:
    """What a stage will take."""

    stage: str
    work: str
    resources: Resources
    hours: float
    """Of one GPU or core."""
    source: str
    """Where the hours come from."""
    workers: int | None
    """How many may work at once; None where the configuration does not say."""

    @property
    def wall(self) -> float | None:
        """Seconds from its begin to its end, with all workers at work."""
        return None if self.workers is None else 3600 * self.hours / self.resources.units / self.workers


def show_plan(experiment: Experiment, like: str | None = None) -> None:
    """Print the amounts of work, storage, time and money, after every check that needs no cluster; writes nothing.

    Args:
        experiment: what is planned.
        like: folder of another experiment whose measured times are taken; None is its own, as far as it has any.

    Raises:
        ConfigError, DataError: a setting, a file, the encoder or a checkpoint is not what is accepted.
        SweepError: so many candidates have diverged that the sweep would end with this; raised after the plan is shown.
    """
    store = Store(experiment.folder)
    identity.require_same(experiment, store)
    found = status.read(store) if store.exists(identity.CONFIGURATION) else None
    uses_of = status.read(Store(like, "--like")).uses if like else found.uses if found else {}
    on_files = pretrain.materialise(experiment, make=False)
    if experiment.data.format != "toy":
        _show(Job(on_files, store), uses_of, found)
        return
    sizes, untrained = toy.Sizes(text=100), pretrain.Settings(steps=0)
    with tempfile.TemporaryDirectory(prefix="lms-ray-plan-") as folder:  # the sets of the job; an encoder of its shape
        root, encoder = pretrain.prepare(Path(folder), experiment.languages, experiment.seed, sizes, untrained)
        _show(Job(pretrain.on_toy_files(on_files, root, encoder), store), uses_of, found)


def _show(job: Job, uses_of: Mapping[str, Sequence[Use]], found: Status | None) -> None:
    job.check()
    work = Work(job)
    amounts = [
        (name, readable(text)) for name, text in [*_amounts(work), *_rerun(found, _diverged(job.experiment, found))]
    ]
    estimates = _estimates(work, uses_of)
    show(tabulate(amounts, tablefmt="plain", disable_numparse=True))
    show("\n" + "\n".join(_costs(estimates, Prices.of(job.experiment))))
    require_left(job.experiment, work.candidates, _diverged(job.experiment, found), absent=0)


def _amounts(work: Work) -> list[tuple[str, str]]:
    job, corpora = work.job, work.job.corpora
    experiment, epochs = job.experiment, sum(work.epochs)
    train = sum(len(corpus) for corpus in corpora.training)
    examples, lines = (sum(len(corpus) for corpus in some) for some in (corpora.labelled, corpora.texts))
    parameters, dtype = work.model.num_parameters(), experiment.finetune.save_dtype
    size = parameters * (2 if dtype == "bfloat16" else 4)
    saves, state = _saves(work.epochs, experiment.sweep.save_every), parameters * STATE_BYTES
    is_searched = experiment.sweep.search == "optuna"
    return [
        ("candidates", f"{work.candidates:,}"),
        ("epochs", f"{'about ' * is_searched}{epochs:,.0f}" if epochs else "none, checkpoints are brought"),
        ("fine-tuning, examples", f"{train * epochs:,.0f} ({train:,} each epoch)" if epochs else "none"),
        (
            "encoding, examples",
            f"{work.candidates * examples:,} ({len(corpora.labelled)} corpora, {examples:,} examples each candidate)",
        ),
        (
            "unlabelled sentences",
            f"{work.candidates * lines:,} ({len(corpora.texts)} texts)" if corpora.texts else "the dev sets' words",
        ),
        ("forward passes", f"{work.features.amount:,.0f}"),
        ("rankers", f"{work.ranking.amount:,.0f}"),
        ("checkpoint", f"{_bytes(size)} ({parameters / 1e6:,.1f} M parameters, {dtype})"),
        ("all checkpoints", _kept(experiment, work.candidates, size) if epochs else "none, they stay where they are"),
        (
            "resume states",
            f"at most {_bytes(saves * state)} written ({saves:,.0f} of {_bytes(state)} each)" if saves else "none",
        ),
        ("folder", job.store.where()),
    ]


def _diverged(experiment: Experiment, found: Status | None) -> int:
    """How many of the candidates that are planned have diverged, and would again."""
    made_by = ("task", "seed", "source", "train_on", "finetune")
    if found is None or found.experiment is None:
        return 0
    if lineage.differing(*(lineage.settings(each, made_by) for each in (found.experiment, experiment))):
        return 0
    planned = {_setting(candidate.id("")) for candidate in grid(experiment.sweep)}
    diverged = [_setting(candidate.id) for candidate in found.candidates if candidate.state == "diverged"]
    return sum(setting in planned for setting in diverged) if planned else len(diverged)


def _setting(name: str) -> str:
    """A candidate's id without the hash at its end."""
    return name.rpartition("-")[0]


def _rerun(found: Status | None, diverged: int) -> list[tuple[str, str]]:
    """What has diverged, and what the command would do of the sweep, where a part of it was done before."""
    if found is None or found.wanted is None:
        return []
    said = [("diverged", f"{diverged:,} candidates, which are left out of the pool")] if diverged else []
    left = found.wanted - found.tuned
    numbers = {state: found.count(state) for state in ("failed", "lost", "preempted", "stopped", "training")}
    numbers["not begun"] = left - sum(numbers.values())
    if left > 0 and numbers["not begun"] != found.wanted:
        why = ", ".join(f"{number:,} {state}" for state, number in numbers.items() if number)
        said.append(("a rerun fine-tunes", f"{left:,} of {found.wanted:,} candidates ({why})"))
    return said


def _kept(experiment: Experiment, candidates: int, size: float) -> str:
    """Bytes of all checkpoints, and of those that stay."""
    stay = {
        "all": "",
        "pool": f", {_bytes(experiment.meta_split.sizes(candidates)[2] * size)} after the features",
        "picks": ", only the picks' after selection",
    }
    return _bytes(candidates * size) + stay[experiment.sweep.keep_weights]


def _saves(epochs: Sequence[float], every: int) -> float:
    """How often a candidate's state is saved, all candidates together: never after its last epoch."""
    return sum((each - 1) // every for each in epochs) if every else 0


def _estimates(work: Work, uses_of: Mapping[str, Sequence[Use]]) -> list[Estimate]:
    experiment = work.job.experiment
    stages: dict[str, tuple[Stage, Resources, str, Average]] = {
        "sweep": (work.sweep, experiment.sweep.resources, "examples", median),
        "features": (work.features, experiment.encode.resources, "examples", median),
        "ranking": (work.ranking, experiment.ranker.resources, "rankers", fmean),  # small batches take far longer
    }
    return [
        Estimate(
            name,
            f"{stage.amount:,.0f} {noun}",
            resources,
            *_time(stage, resources, average, uses_of.get(name, ()), experiment.cluster),
            _workers(resources, experiment.cluster),
        )
        for name, (stage, resources, noun, average) in stages.items()
    ]


def _time(
    stage: Stage, resources: Resources, average: Average, uses: Sequence[Use], cluster: Cluster
) -> tuple[float, str]:
    """Hours of one GPU or core, and where they come from.

    Measured are uses of machines that ended well, on the kind of which there are most.
    """
    good = [use for use in uses if use.work and not use.lost and not use.failed and use.machine.unit == resources.unit]
    if not good:
        tflops = cluster.assumed_tflops or ASSUMED[resources.unit]
        source = f"assumed: cluster.assumed_tflops={tflops:g} of one {resources.unit}"
        return stage.operations / (tflops * 1e12) / 3600, source
    ((accelerator, count),) = Counter(use.machine.accelerator for use in good).most_common(1)
    each = [use.seconds * use.machine.units / use.work for use in good if use.machine.accelerator == accelerator]
    source = f"measured: {'mean' if average is fmean else 'median'} of {count:,} on {accelerator or 'CPU'}"
    return stage.amount * average(each) / 3600, source


def _workers(resources: Resources, cluster: Cluster) -> int | None:
    if cluster.cpus and not cluster.address and not resources.gpus:
        fits = max(1, int(cluster.cpus / resources.cpus))
        return min(fits, resources.workers or fits)
    return resources.workers


def _costs(estimates: Sequence[Estimate], prices: Prices) -> list[str]:
    """The table of time and money, and what it leaves open."""
    markets = list(prices.by_market)
    priced = [[prices(one.hours, one.resources.unit, market) for market in markets] for one in estimates]
    rows = [
        [
            estimate.stage,
            estimate.work,
            took(estimate.hours, estimate.resources.unit),
            "-" if estimate.wall is None else f"{span(estimate.wall)} with {estimate.workers:,} workers",
            *(money(price) for price in of_markets),
            estimate.source,
        ]
        for estimate, of_markets in zip(estimates, priced, strict=True)
    ]
    totals = [sum(price or 0.0 for price in of_market) for of_market in zip(*priced, strict=True)]
    walls = [estimate.wall for estimate in estimates if estimate.wall is not None]
    wall = span(sum(walls)) if len(walls) == len(estimates) else "-"
    rows.append(["in all", "", _in_all(estimates), wall, *map(money, totals), ""])
    header = ["", "work", "time", "wall time", *(f"all {market}" for market in markets), "time is"]
    lines = tabulate(rows, header, tablefmt="plain", disable_numparse=True).splitlines()
    if len(walls) < len(estimates):
        lines.append("no wall time: set the workers of sweep.resources, encode.resources and ranker.resources")
    if not markets:
        lines.append(NO_PRICE)
    return lines


def _in_all(estimates: Sequence[Estimate]) -> str:
    of_unit: dict[Unit, float] = {}
    for estimate in estimates:
        unit = estimate.resources.unit
        of_unit[unit] = of_unit.get(unit, 0.0) + estimate.hours
    return ", ".join(took(total, unit) for unit, total in of_unit.items())


def _bytes(count: float) -> str:
    """Bytes in the unit that leaves one to three digits before the point."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"
