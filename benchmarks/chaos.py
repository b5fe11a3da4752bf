"""The main job while nodes and workers of its cluster are killed: the same picks, and what it costs.

    python benchmarks/chaos.py [CONFIG] [key=value ...] --nodes 4 --every 10

The whole job (the quickstart, if none is named), with real training, runs twice on a local cluster: undisturbed, and
with a kill every `--every` seconds until it ends, of a node with all of its processes (another one joins) or of a
worker. It fails if the picks differ, or if a unit of work that was done is done again.
"""

import argparse
import math
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_cluster import LocalCluster, driving
from tabulate import tabulate

from lms_ray.models.pretrain import materialise
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.store import deployment, picks, status
from lms_ray.store.files import DONE, Store

TICK = 0.2  # seconds
TABLES = (picks.PICKS, deployment.PATH)
STAGE = re.compile(r"^(\w+) +finished in ([\d.]+) s$", re.MULTILINE)


@dataclass
class Run:
    """A job that runs, or has ended."""

    experiment: Experiment
    seconds: float = 0.0
    killed: Counter[str] = field(default_factory=Counter)
    """What was killed, and how often."""
    done: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """The finished units' DONE.json, as first seen."""
    again: set[Path] = field(default_factory=set)
    """Those that were written once more."""

    @property
    def store(self) -> Store:
        """Its folder."""
        return Store(self.experiment.folder)

    @property
    def log(self) -> Path:
        """What it has printed."""
        return Path(f"{self.experiment.folder}.txt")

    def look(self) -> None:
        """See which units are done, and whether one that was is done again."""
        for path in Path(self.experiment.folder).glob(f"*/*/{DONE}"):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            now = (found.st_ino, found.st_mtime_ns)
            if self.done.setdefault(path, now) != now:
                self.again.add(path)

    def row(self) -> dict[str, str]:
        """A line of the table."""
        found = status.read(self.store)
        uses = found.uses["sweep"]
        stages = {stage: f"{float(seconds):.1f}" for stage, seconds in STAGE.findall(self.log.read_text())}
        return {
            "killed": ", ".join(f"{count} {what}" for what, count in sorted(self.killed.items())) or "nothing",
            "whole job, s": f"{self.seconds:.1f}",
            **{f"{stage}, s": stages.get(stage, "") for stage in ("sweep", "features", "ranking")},
            "attempts": str(sum(len(candidate.attempts) for candidate in found.candidates)),
            "training, s": f"{sum(use.seconds for use in uses):.1f}",
            "of it lost, s": f"{sum(use.lost for use in uses):.1f}",
            "units done": str(len(self.done)),
            "done twice": str(len(self.again)),
        }


def run(words: Sequence[str], nodes: int, every: float | None, seed: int, most: float = math.inf) -> Run:
    """The main job from its start to its end.

    Args:
        words: of its command: CONFIG, and key=value.
        nodes: of one core.
        every: seconds between kills; None kills nothing.
        seed: of what is killed.
        most: so many kills in all.
    """
    job, rng = Run(load(words[0], words[1:])), random.Random(seed)
    with LocalCluster(nodes) as cluster:
        started = last = time.monotonic()
        with driving(["-m", "lms_ray.sweep", *words, f"cluster.address={cluster.address}"], job.log) as driver:
            while driver.poll() is None:
                time.sleep(TICK)
                job.look()
                if every and job.killed.total() < most and time.monotonic() - last > every:
                    last = time.monotonic()
                    title = None if rng.random() < 0.5 else cluster.kill_worker(rng)
                    if title is None:
                        cluster.replace_node(rng)
                    job.killed["nodes" if title is None else "workers"] += 1
                    print(f"{last - started:.0f} s: killed {title or 'a node'}", file=sys.stderr, flush=True)
        job.seconds = time.monotonic() - started
    job.look()
    return job


def differing(one: Run, other: Run) -> list[str]:
    """Tables of picks that are not the same in both."""
    return [path for path in TABLES if not one.store.read_table(path).equals(other.store.read_table(path))]


def main() -> None:
    """Run both, and print what they took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("words", nargs="*", metavar="CONFIG key=value", help="as of the main job")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--every", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lms-ray-chaos-") as storage:
        words = [*arguments.words, f"storage={storage}"]
        if "=" in words[0]:
            words.insert(0, "quickstart")
        materialise(load(words[0], words[1:]))  # else the first to run would make the toy languages
        runs = {
            name: run([*words, f"name={name}"], arguments.nodes, every, arguments.seed)
            for name, every in (("undisturbed", None), ("disturbed", arguments.every))
        }
        rows = [{"": name, **one.row()} for name, one in runs.items()]
        print(tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True))
        calm, disturbed = runs.values()
        faults = [f"{path} differs" for path in differing(calm, disturbed)]
        faults += [f"{path} was done twice" for path in sorted(disturbed.again)]
        print("\n" + ("\n".join(faults) or f"{' and '.join(TABLES)} are the same in both; no unit was done twice."))
        if faults:
            sys.exit(1)


if __name__ == "__main__":
    main()
