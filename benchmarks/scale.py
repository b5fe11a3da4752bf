"""The whole sweep on many nodes that are killed at random: what it loses, and what limits it.

    python benchmarks/scale.py 240x1 1000x0.3 5000x0.1 --nodes 8 --kill-every 10

Each run is so many candidates of `--epochs` epochs of so many seconds. The sweep is the real one (Tune, actors,
attempts, states to go on from, DONE.json) in a driver of its own, on a local cluster of `--nodes` nodes of one
pretended GPU each; only the training is replaced, by sleep. Once every node is at work, one is killed with all of its
processes every `--kill-every` seconds, and another one joins (0: none is killed). Then comes what the other stages keep
books of, with as many candidates and no models. It fails if a candidate or an epoch that was safe was done twice.

`--profile FOLDER` keeps a profile of each driver, of `cProfile`, for `python -m pstats`.
"""

import argparse
import cProfile
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import ray
import torch
from local_cluster import LocalCluster, driving
from tabulate import tabulate

from lms_ray import sweep
from lms_ray.cluster.connecting import connect
from lms_ray.cluster.nodes import watched
from lms_ray.models import candidates
from lms_ray.models.candidates import Recipe, Tell, Training
from lms_ray.models.job import Job
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.loading import load, to_yaml
from lms_ray.store import encodings, identity, lineage, pool, status
from lms_ray.store.encodings import CorpusRow, Encoding
from lms_ray.store.files import Store
from lms_ray.store.lock import hold

TICK = 0.2  # seconds


@dataclass(frozen=True)
class Plan:
    """One run."""

    candidates: int
    seconds: float
    """Of an epoch."""
    epochs: int
    folder: str
    """What it leaves: the experiment, and `epochs/`, what each node has done."""
    address: str = "local"
    profile: str | None = None

    @property
    def work(self) -> float:
        """Seconds of training, without anything else."""
        return self.candidates * self.epochs * self.seconds

    @property
    def told(self) -> Path:
        """Where each node tells of its epochs."""
        return Path(self.folder, "epochs")

    def job(self) -> Job:
        """The sweep of a grid."""
        grid = ["sweep.learning_rate=[1e-3]", f"sweep.epochs=[{self.epochs}]", f"sweep.seeds={self.candidates}"]
        where = [f"storage={self.folder}", f"cluster.address={json.dumps(self.address)}"]
        experiment = load("quickstart", [*grid, *where, "sweep.resources.gpus=1", "sweep.max_failures=100"])
        return Job(experiment, Store(experiment.folder))


# ---- the training that is pretended


@dataclass(frozen=True)
class Pretended(Recipe):
    """Candidates that only sleep."""

    plan: Plan | None = None

    def training(self, candidate: Candidate, device: str, tell: Tell) -> Training:
        """Do and write what a training does, but for the arithmetic; a state is the number of epochs."""
        assert self.plan
        store, unit = self.store, pool.unit(self.id(candidate))
        if record := store.done(unit):
            return record
        started, resume = time.time(), f"{unit}/{pool.RESUME}"
        store.write_json(f"{unit}/{pool.SETTING}", asdict(candidate))
        safe = int(store.read_bytes(resume)) if store.exists(resume) else 0
        tell("begun", safe)
        for epoch in range(safe + 1, candidate.epochs + 1):
            self._tell_of(candidate, epoch, "begun")
            time.sleep(self.plan.seconds)
            tell("ended", epoch)
            if epoch < candidate.epochs:
                store.write_bytes(resume, str(epoch).encode())
                tell("saved", epoch)
                self._tell_of(candidate, epoch, "safe")
            yield {"epoch": epoch, "loss": 1.0}
        files = {"model.safetensors": store.write_bytes(f"{unit}/model.safetensors", b"weights")}
        record = {
            "id": self.id(candidate),
            **asdict(candidate),
            "dev": self.dev_digest,
            "dev_score": 0.5,
            "seconds": time.time() - started,
        }
        store.commit(unit, record, files)
        self._tell_of(candidate, candidate.epochs, "safe")
        store.delete(resume)
        return record

    def _tell_of(self, candidate: Candidate, epoch: int, event: str) -> None:
        assert self.plan
        line = json.dumps([event, candidate.seed, epoch, time.time()]) + "\n"
        with (self.plan.told / ray.get_runtime_context().get_node_id()).open("a") as file:
            file.write(line)


class OnPretendedGpu(sweep.Trial):
    """A trial whose machine has a GPU, as far as it can tell."""

    def setup(self, config: dict[str, Any], recipe: Recipe) -> None:  # type: ignore[override]
        """Pretend it in this process."""
        torch.cuda.is_available = lambda: True
        torch.cuda.get_device_name = lambda *_: "pretended"
        super().setup(config, recipe)


# ---- the driver, in a process of its own


def drive(plan: Plan) -> None:
    """Run the sweep as the only driver of its folder, and write what it took."""
    job = plan.job()
    windows: Any = SimpleNamespace(examples=100)
    candidates.prepare = lambda job: Pretended(
        job.experiment, job.store, "hash", None, None, windows, windows, "dev", plan=plan  # type: ignore[arg-type]
    )  # fmt: skip
    sweep.Trial = OnPretendedGpu  # type: ignore[misc]
    resources = {"sweep": job.experiment.sweep.resources}
    with hold(job.store), connect(job.experiment.cluster, **resources), watched(job.store, (), resources):
        job.store.write_bytes(identity.CONFIGURATION, to_yaml(job.experiment).encode())
        process = psutil.Process()
        before, started = sum(process.cpu_times()[:2]), time.time()
        with cProfile.Profile() if plan.profile else nullcontext() as profile:
            sweep.run(job)
        took = {"started": started, "ended": time.time(), "cpu": sum(process.cpu_times()[:2]) - before, "peak": peak()}
        if profile:
            profile.dump_stats(str(plan.profile))
    Path(plan.folder, "driver.json").write_text(json.dumps(took))


def peak() -> float:
    """MiB that this process has ever held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


# ---- what became of it


@dataclass
class Slot:
    """What a node did with its time, in seconds."""

    starting: float = 0.0
    """Until its first epoch: its worker, the imports, the first actor."""
    training: float = 0.0
    lost: float = 0.0
    """In epochs that were cut by its end."""
    idle: float = 0.0
    """After the last epoch."""
    between: float = 0.0
    """All else: between epochs, and between candidates."""


@dataclass(frozen=True)
class Measured:
    """One run."""

    plan: Plan
    kills: int
    wall: float
    """Seconds of the whole stage."""
    ideal: float
    """Seconds in which the slots that were there could have done the work."""
    after: float
    """Seconds from the last candidate's commit to the stage's end."""
    slots: Slot
    """Of all nodes."""
    begun_again: int
    """Epochs that were begun more than once."""
    twice: int
    """Epochs, and whole candidates, that were done again after they were safe."""
    cpu: float
    """Seconds of the driver's processor time."""
    peak: float
    """MiB of the driver."""


def run(plan: Plan, nodes: int, kill_every: float, most: float, seed: int) -> Measured:
    """Run a sweep to its end while nodes are killed, `most` of them."""
    plan.told.mkdir(parents=True)
    rng = random.Random(seed)
    with LocalCluster(nodes, gpus=1) as cluster:
        plan = Plan(**asdict(plan) | {"address": cluster.address})
        command = [__file__, "--drive", json.dumps(asdict(plan))]
        with driving(command, Path(plan.folder, "driver.txt")) as driver:
            last = None
            while driver.poll() is None:
                time.sleep(TICK)
                if last is None and len(list(plan.told.iterdir())) == nodes:
                    last = time.monotonic()
                if kill_every and most and last and time.monotonic() - last > kill_every:
                    last, most = time.monotonic(), most - 1
                    cluster.replace_node(rng)
        return measure(plan, cluster)


def measure(plan: Plan, cluster: LocalCluster) -> Measured:
    """Read what the driver and the nodes have told."""
    took = json.loads(Path(plan.folder, "driver.json").read_text())
    began, ended = took["started"], took["ended"]
    told = {node: _lines(plan.told / node.id) for node in cluster.ever}
    slots = [
        _slot(told[node], max(node.joined, began), min(node.killed or ended, ended))
        for node in cluster.ever
        if node.seconds(began, ended)
    ]
    events = Counter((event, seed, epoch) for lines in told.values() for event, seed, epoch, _ in lines)
    begun_again = sum(count - 1 for (event, *_), count in events.items() if event == "begun")
    return Measured(
        plan=plan,
        kills=sum(node.killed is not None and node.killed < ended for node in cluster.ever),
        wall=ended - began,
        ideal=_least(lambda until: cluster.slot_seconds(began, until) - plan.work, began, ended) - began,
        after=ended - max(when for lines in told.values() for *_, when in lines),
        slots=Slot(**{name: sum(getattr(slot, name) for slot in slots) for name in asdict(Slot())}),
        begun_again=begun_again,
        twice=_again_though_safe(told.values()),
        cpu=took["cpu"],
        peak=took["peak"],
    )


def _lines(path: Path) -> list[tuple[str, int, int, float]]:
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def _slot(lines: Sequence[tuple[str, int, int, float]], joined: float, left: float) -> Slot:
    """What one node did from when it joined, or the stage began, to when it left or the stage ended."""
    if not lines:
        return Slot(starting=left - joined)
    slot, begun = Slot(starting=lines[0][-1] - joined), None
    for event, _, _, when in lines:
        if event == "begun":
            begun = when
        elif begun is not None:
            slot.training += when - begun
            begun = None
    if begun is None:
        slot.idle = left - lines[-1][-1]
    else:
        slot.lost = left - begun
    slot.between = left - joined - sum(asdict(slot).values())
    return slot


def _again_though_safe(told: Iterable[Sequence[tuple[str, int, int, float]]]) -> int:
    """Epochs that were begun after they, or a later one of the same candidate, had been safe."""
    events: dict[int, list[tuple[float, str, int]]] = defaultdict(list)
    for lines in told:
        for event, seed, epoch, when in lines:
            events[seed].append((when, event, epoch))
    twice = 0
    for of_candidate in events.values():
        safe = 0
        for _, event, epoch in sorted(of_candidate):
            if event == "safe":
                twice += epoch <= safe
                safe = max(safe, epoch)
            else:
                twice += epoch <= safe
    return twice


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that grows reaches zero."""
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if function(middle) >= 0 else (middle, high)
    return high


# ---- the books of the other stages


def books(plan: Plan) -> dict[str, float]:
    """Seconds of what the driver does for all candidates and without any model, once the sweep has ended."""
    job = plan.job()
    experiment, store = job.experiment, job.store
    timed: dict[str, float] = {}

    def take(name: str, call: Callable[[], Any]) -> Any:
        started = time.monotonic()
        result = call()
        timed[name] = time.monotonic() - started
        return result

    records = {name: store.done(pool.unit(name)) for name in pool.candidates(store)}
    origin = {"settings": lineage.settings(experiment, lineage.CANDIDATES)}
    take("pool.write", lambda: pool.write(store, [record for record in records.values() if record], origin))
    names = [f"{language}-dev" for language in experiment.labelled_languages]
    rows = [CorpusRow(name, 2, name, ("a", "b")) for name in names]
    encodings.write_corpora(store, rows, {"settings": lineage.settings(experiment, lineage.ENCODING)})
    encoded = {name: Encoding(np.zeros(64), np.ones((2, 2))) for name in names}
    digests = {row.name: row.digest for row in rows}

    def write() -> None:
        for name in records:
            encodings.write(store, name, encoded, ("correct", "total"), digests, [])

    take("encodings.write", write)
    take("encodings.missing", lambda: [encodings.missing(store, name, digests) for name in records])
    take("encodings.require", lambda: encodings.require(store, list(records), names))
    take("encodings.features", lambda: encodings.features(store, list(records), names))
    take("pool.tidy", lambda: pool.tidy(store, set(records)))
    take("status", lambda: status.read(store))
    return timed


# ---- the tables


def main() -> None:
    """Run all that is wanted, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("runs", nargs="*", metavar="CANDIDATESxSECONDS", help="and seconds of an epoch")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--kill-every", type=float, default=10.0, metavar="SECONDS", help="0: no node is killed")
    parser.add_argument("--kills", type=int, default=math.inf, help="at most so many")
    parser.add_argument("--seed", type=int, default=0, help="of who is killed")
    parser.add_argument("--profile", metavar="FOLDER")
    parser.add_argument("--drive", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive:
        drive(Plan(**json.loads(arguments.drive)))
        return
    measured, of_books = [], []
    for wanted in arguments.runs:
        count, _, seconds = wanted.partition("x")
        profile = arguments.profile and str(Path(arguments.profile, f"{wanted}.prof").absolute())
        with tempfile.TemporaryDirectory(prefix="lms-ray-scale-") as folder:
            plan = Plan(int(count), float(seconds), arguments.epochs, folder, profile=profile)
            measured.append(run(plan, arguments.nodes, arguments.kill_every, arguments.kills, arguments.seed))
            print(f"{wanted}: {measured[-1]}", file=sys.stderr, flush=True)  # the table comes much later
            of_books.append({"candidates": plan.candidates, **books(plan)})
    print(table(measured))
    print()
    print(tabulate(of_books, headers="keys", tablefmt="github", floatfmt=".2f"))
    if any(one.twice for one in measured):
        sys.exit("work that was safe was done twice")


def table(measured: Sequence[Measured]) -> str:
    """A line for each run."""
    rows = []
    for one in measured:
        plan, spent = one.plan, sum(asdict(one.slots).values())
        rows.append(
            {
                "candidates": plan.candidates,
                "epochs x s": f"{plan.epochs} x {plan.seconds:g}",
                "kills": one.kills,
                "wall, s": f"{one.wall:.1f}",
                "ideal, s": f"{one.ideal:.1f}",
                "ideal / wall": f"{one.ideal / one.wall:.2f}",
                **{f"{name}, %": f"{100 * seconds / spent:.1f}" for name, seconds in asdict(one.slots).items()},
                "after, s": f"{one.after:.1f}",
                "epochs begun again": one.begun_again,
                "done twice": one.twice,
                "driver's CPU, s": f"{one.cpu:.1f}",
                "ms / candidate": f"{1000 * one.cpu / plan.candidates:.1f}",
                "driver's peak, MiB": f"{one.peak:.0f}",
            }
        )
    return tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    main()
