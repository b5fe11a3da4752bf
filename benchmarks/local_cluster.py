"""A Ray cluster on this machine, whose nodes and workers are killed without notice; others join in their place.

    with LocalCluster(nodes=4) as cluster:
        with driving(["-m", "lms_ray.sweep", f"cluster.address={cluster.address}"], log) as driver:
            cluster.replace_node(rng)

Its head has no CPUs, as the head of a cluster that is paid by the hour; so work is on the nodes alone.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",  # else what runs beside it on this machine starves the workers, and not the driver
    "RAY_DISABLE_IMPORT_WARNING": "1",
}
UNWORKING = re.compile("IDLE|Agent$")  # titles of processes that wait for work, or without which a node ends
GRACE = 10.0  # seconds until what was killed must be gone


@dataclass(eq=False)
class Node:
    """A node, and when it was there, in seconds since 1970."""

    ray: Any
    joined: float
    killed: float | None = None

    @property
    def id(self) -> str:
        """As Ray names it."""
        return self.ray.node_id

    @property
    def raylet(self) -> psutil.Process:
        """The process that the node is; its workers and agents are its children."""
        return psutil.Process(self.ray.all_processes["raylet"][0].process.pid)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.ray.all_processes["raylet"][0].process.poll() is None

    @property
    def workers(self) -> list[psutil.Process]:
        """Processes at work: actors and tasks, not those that wait for some."""
        children = self.raylet.children()
        return [
            child for child in children if _title(child).startswith("ray::") and not UNWORKING.search(_title(child))
        ]

    def seconds(self, since: float, until: float) -> float:
        """How long it was there in that time."""
        return max(0.0, min(self.killed or until, until) - max(self.joined, since))


@dataclass
class LocalCluster:
    """A cluster for the length of a block; nodes are added and killed from the thread that began it."""

    nodes: int
    cpus: int = 1
    """Of each node."""
    gpus: int = 0
    """Of each node; there need be none."""
    store_memory: int = 80 * 2**20
    """Bytes of each node's object store."""
    address: str = ""
    ever: list[Node] = field(default_factory=list)
    """Every node, also those that were killed."""

    def __enter__(self) -> "LocalCluster":
        self._before = {key: os.environ.get(key) for key in (*ENVIRONMENT, "RAY_TMPDIR")}
        # Of its own: Ray leaves files, and an address that `ray.init()` of others on this machine would find.
        self._folder = tempfile.TemporaryDirectory(prefix="lms-ray-", dir="/tmp", ignore_cleanup_errors=True)
        os.environ.update(ENVIRONMENT, RAY_TMPDIR=self._folder.name)
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "object_store_memory": self.store_memory, "include_dashboard": False},
        )
        try:
            self.address = self._cluster.address
            for _ in range(self.nodes):
                self.add_node()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        mine = psutil.Process().children(recursive=True)
        self._cluster.shutdown()
        _kill([process for process in mine if self._is_of_cluster(process)])
        self._folder.cleanup()
        for key, value in self._before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value

    @property
    def alive(self) -> list[Node]:
        """Nodes that were not killed."""
        return [node for node in self.ever if node.killed is None]

    def add_node(self) -> None:
        """Have one more node, and wait until it is there."""
        added = self._cluster.add_node(num_cpus=self.cpus, num_gpus=self.gpus, object_store_memory=self.store_memory)
        self.ever.append(Node(added, time.time()))

    def tend(self) -> None:
        """Have a node join for each that has ended by itself, as on a machine that is too busy to answer in time."""
        for node in self.alive:
            if not node.is_running:
                node.killed = time.time()
                self._cluster.remove_node(node.ray, allow_graceful=False)
                self.add_node()

    def replace_node(self, rng: random.Random) -> None:
        """Kill a node as a lost machine ends, its raylet and workers at once; another joins in its place."""
        self.tend()
        node = rng.choice(self.alive)
        raylet = node.raylet
        lost = [raylet, *raylet.children(recursive=True)]
        node.killed = time.time()
        _kill(lost)
        self._cluster.remove_node(node.ray, allow_graceful=False)
        self.add_node()

    def kill_worker(self, rng: random.Random) -> str | None:
        """Kill a process that is at work; what it is called, or None where nobody is at work."""
        self.tend()
        workers = [worker for node in self.alive for worker in node.workers]
        if not workers:
            return None
        worker = rng.choice(workers)
        title = _title(worker)
        _kill([worker])
        return title

    def slot_seconds(self, since: float, until: float) -> float:
        """Seconds that nodes were there in that time, summed up."""
        return sum(node.seconds(since, until) for node in self.ever)

    def _is_of_cluster(self, process: psutil.Process) -> bool:
        try:
            return self._folder.name in " ".join(process.cmdline()) or _title(process).startswith("ray::")
        except psutil.Error:
            return False


@contextmanager
def driving(words: Sequence[str], log: Path) -> Iterator[subprocess.Popen]:
    """Run `python ...` beside the block, its output in a file; it is ended with the block.

    Raises:
        SystemExit: it has failed; says what it had printed.
    """
    with log.open("w") as file:
        driver = subprocess.Popen([sys.executable, *words], stdout=file, stderr=file)
    try:
        yield driver
    finally:
        if driver.poll() is None:
            driver.terminate()
            driver.wait()
    if driver.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{log.read_text()}")


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()  # Ray pads it
    except psutil.Error:
        return ""


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    until = time.monotonic() + GRACE
    while left := [process for process in processes if _runs(process)]:
        if time.monotonic() > until:
            raise RuntimeError(f"not gone after a SIGKILL: {left}")
        time.sleep(0.05)


def _runs(process: psutil.Process) -> bool:
    """Whether a process has not ended; one that nobody has heard out yet has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
