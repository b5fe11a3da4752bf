"""A Ray cluster of several nodes on this machine: a head without CPUs, and nodes of one CPU, which are taken and added.

Each node is a `ray start` of its own with a folder of its own, as machines have. So all of its processes are known, and
are killed as a machine goes: all at once, without a word.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from ray._private import services

from lms_ray.cluster.resources import MARKET

RAY = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--disable-usage-stats"]

ACTORS = ("Trial", "Trainable", "EncodingActor", "RayTrainWorker")  # of the sweep, the features and the ranking
# The head asks nodes for a sign of life. One whose processes are gone refuses at once, and counts as lost at the third
# time; a real cluster takes a minute.
NOTICED_SOON = {"RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "500"}
NOTICED_SOON["RAY_health_check_failure_threshold"] = "3"


@dataclass
class Node:
    """The processes of one `ray start`."""

    name: str
    folder: str
    process: subprocess.Popen

    def processes(self) -> list[psutil.Process]:
        """All that run for it, its workers included."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid == self.process.pid or self.folder in " ".join(process.cmdline()):
                    found += [process, *process.children(recursive=True)]
            except psutil.Error:
                continue
        return list(dict.fromkeys(found))

    @property
    def raylet(self) -> psutil.Process:
        return next(process for process in self.processes() if process.name() == "raylet")

    @property
    def node_id(self) -> str:
        """In hex, from the raylet's arguments."""
        return next(word for word in self.raylet.cmdline() if word.startswith("--node_id=")).partition("=")[2]

    def kill(self) -> None:
        """Take it as a machine is taken: SIGKILL for all of it."""
        killed = self.processes()
        for process in killed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        psutil.wait_procs(killed, timeout=10)


class Cluster:
    """A running cluster; `nodes` are those beside the head."""

    def __init__(self, folder: str):
        self.folder, self.nodes, self.added = folder, list[Node](), 0
        self.address = f"{services.get_node_ip_address()}:{_a_free_port()}"
        port = self.address.rpartition(":")[2]
        self.head = self._start("head", "--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false")
        wait("the head", 60, lambda: _answers(self.address))

    def add(self) -> Node:
        """One more node; an attempt at a candidate has its name as the machine's market."""
        self.added += 1
        name = f"node{self.added}"
        node = self._start(name, f"--address={self.address}", "--num-cpus=1", f"--labels={MARKET}={name}")
        self.nodes.append(node)
        wait("a raylet", 60, lambda: any(process.name() == "raylet" for process in node.processes()))
        return node

    def take(self, node: Node) -> None:
        """Kill a node, which is no more one of `nodes`."""
        self.nodes.remove(node)
        node.kill()

    def at_work(self) -> list[psutil.Process]:
        """Actors of the job on the nodes; small ones of Ray's own outlive it, and take nothing."""
        return [process for node in self.nodes for process in node.processes() if _is_at_work(process)]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Have the workers of all nodes stand still during the block, in the middle of what they do."""
        held = self.at_work()
        for process in held:
            process.suspend()
        try:
            yield
        finally:
            for process in held:
                with suppress(psutil.NoSuchProcess):  # its node was taken
                    process.resume()

    def _start(self, name: str, *words: str) -> Node:
        folder = f"{self.folder}/{name}"
        ports = [f"--dashboard-agent-listen-port={_a_free_port()}"]  # another Ray of the machine has the usual one
        where = [f"--temp-dir={folder}", "--object-store-memory=200000000", "--num-gpus=0"]
        environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"} | NOTICED_SOON
        with Path(f"{folder}.txt").open("w") as log:
            process = subprocess.Popen([*RAY, *words, *ports, *where], env=environment, stdout=log, stderr=log)
        return Node(name, folder, process)


@contextmanager
def running(nodes: int) -> Iterator[Cluster]:
    """A cluster with so many nodes beside the head."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:  # sockets want short names
        cluster = Cluster(folder)
        try:
            for _ in range(nodes):
                cluster.add()
            yield cluster
        finally:
            for node in [*cluster.nodes, cluster.head]:
                node.kill()


def wait(what: str, seconds: float, condition: Callable[[], Any]) -> Any:
    """Wait until a condition gives something, which is returned."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"after {seconds} s: {what} was waited for in vain")


def _is_at_work(process: psutil.Process) -> bool:
    try:
        title = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return title.startswith("ray::") and any(actor in title for actor in ACTORS)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def _a_free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
