"""The nodes of a cluster: each is asked whether it can do the work, also one that joins later.

A node that cannot would fail one unit of work after the other. So it is asked first: whether it has the packages, in
the driver's versions, and whether what it writes to the storage is seen by the driver. The first that says no is named,
and the job stops; what is done is kept.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lms_ray.cluster.draining import drained
from lms_ray.cluster.resources import fitting_now
from lms_ray.pages.progress import say
from lms_ray.settings.errors import AbsentError, ClusterError
from lms_ray.settings.resources import Resources
from lms_ray.store.files import Store
from lms_ray.store.lock import LOST
from lms_ray.tasks.pretrained import first_line

FOLDER = "nodes"
LOOK_EVERY = 2.0  # seconds
ANSWER_WITHIN = 1200.0  # seconds: a runtime environment may have to be installed first
PAUSES = (5.0, 20.0, 60.0)  # seconds until it is asked again: one that has just started may not reach the storage
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "pyarrow", "numpy")  # that decide results or tables


@dataclass
class _Asked:
    """A node that has not said yes yet."""

    answer: ray.ObjectRef | None
    """None: it has said no, and is asked again."""
    host: str
    since: float
    """When it was asked, or said no."""
    tries: int


class Nodes:
    """The nodes that can run work, and what they have answered.

    Args:
        store: the experiment's folder, into which each node writes `nodes/<id>`; it is deleted when it was read.
        folders: what the workers will read beside the storage, on every node.
        stages: what a worker of each stage takes.
    """

    def __init__(self, store: Store, folders: Sequence[str] = (), stages: Mapping[str, Resources] | None = None):
        self.store, self.folders, self.stages = store, folders, stages or {}
        self.token = uuid.uuid4().hex
        self.asked: dict[str, _Asked] = {}
        self.fit: set[str] = set()
        self.said = ""

    def look(self) -> None:
        """Ask every node that is new, and hear who has answered.

        Raises:
            ClusterError: a node cannot do the work; names it and what it lacks.
        """
        leaving = drained()
        there = {node["NodeID"]: node for node in ray.nodes() if node["Alive"] and _works(node)}
        alive = {identity: node for identity, node in there.items() if identity not in leaving}
        for gone in (self.fit | self.asked.keys()) - alive.keys():
            self.fit.discard(gone)
            self.asked.pop(gone, None)
        for identity in alive.keys() - self.fit - self.asked.keys():
            self._ask(identity, alive[identity]["NodeManagerHostname"], tries=1)
        for identity, asked in list(self.asked.items()):
            if asked.answer is not None:
                self._hear(identity, asked, asked.answer)
            elif time.monotonic() - asked.since > PAUSES[asked.tries - 1]:
                self._ask(identity, asked.host, asked.tries + 1)
        if self.fit or not self.asked:
            self._say([alive[identity] for identity in self.fit])

    def _ask(self, identity: str, host: str, tries: int) -> None:
        remote: Any = ray.remote(num_cpus=0, max_retries=0)(_question())
        only_there = NodeAffinitySchedulingStrategy(identity, soft=False)
        packages = {name: metadata.version(name) for name in PACKAGES}
        answer = remote.options(scheduling_strategy=only_there).remote(
            self.store.root, f"{FOLDER}/{identity}", self.token, packages, list(self.folders)
        )
        self.asked[identity] = _Asked(answer, host, time.monotonic(), tries)

    def _hear(self, identity: str, asked: _Asked, answer: ray.ObjectRef) -> None:
        ready, _ = ray.wait([answer], timeout=0)
        if not ready:
            if time.monotonic() - asked.since > ANSWER_WITHIN:
                raise _unfit(identity, asked.host, f"gave no answer within {ANSWER_WITHIN / 60:.0f} minutes")
            return
        try:
            fault = ray.get(answer) or self._unseen(identity)
        except ray.exceptions.RayError as error:  # it may be going away
            fault = first_line(error)
        if not fault:
            del self.asked[identity]
            self.fit.add(identity)
        elif asked.tries <= len(PAUSES):
            self.asked[identity] = _Asked(None, asked.host, time.monotonic(), asked.tries)
        else:
            raise _unfit(identity, asked.host, fault)

    def _unseen(self, identity: str) -> str | None:
        """What is wrong if the node's file is not in the driver's own view of the storage."""
        path = f"{FOLDER}/{identity}"
        try:
            token = self.store.read_bytes(path).decode(errors="replace")
        except AbsentError:
            token = None
        self.store.delete(path)
        if token == self.token:
            return None
        return f"writes into a folder {self.store.where()} of its own; accepted is a storage that all nodes share"

    def _say(self, fit: Sequence[dict[str, Any]]) -> None:
        total = {key: sum(node["Resources"].get(key, 0) for node in fit) for key in ("CPU", "GPU")}
        line = f"{len(fit)} nodes at work, {total['CPU']:g} CPUs, {total['GPU']:g} GPUs"
        homeless = [
            f"{stage} (cpus={resources.cpus:g} gpus={resources.gpus:g})"
            for stage, resources in self.stages.items()
            if not fitting_now(resources)
        ]
        if homeless:
            line += f"; none has room for {', '.join(homeless)}, which wait"
        if line != self.said:
            self.said = line
            say("cluster", line)


@contextmanager
def watched(store: Store, folders: Sequence[str] = (), stages: Mapping[str, Resources] | None = None) -> Iterator[None]:
    """Have every node asked before the block begins, and each that joins while it lasts; for the main thread.

    Args:
        store: the experiment's folder, held by this driver.
        folders: what the workers will read beside the storage, on every node.
        stages: what a worker of each stage takes; it is said where no node has as much.

    Raises:
        ClusterError: a node cannot do the work; the block is interrupted.
    """
    nodes = Nodes(store, folders, stages)
    nodes.look()
    while nodes.asked:
        time.sleep(0.2)
        nodes.look()
    stop, faults = threading.Event(), []

    def watch() -> None:
        while not stop.wait(LOOK_EVERY):
            try:
                nodes.look()
            except ClusterError as error:
                faults.append(error)
                os.kill(os.getpid(), LOST)
                return
            except Exception as error:  # the head or the storage may come back; the work itself would fail otherwise
                say("cluster", f"cannot be looked at: {first_line(error)}")

    thread = threading.Thread(target=watch, daemon=True, name="nodes")
    thread.start()
    try:
        yield
    except BaseException:  # a library may answer the interrupt with an error of its own
        if faults:
            raise faults[0] from None
        raise
    finally:
        stop.set()
        thread.join()


def _works(node: dict[str, Any]) -> bool:
    """Whether a node may be given work; a head without CPUs is not."""
    return any(node["Resources"].get(key, 0) for key in ("CPU", "GPU"))


def _unfit(identity: str, host: str, fault: str) -> ClusterError:
    return ClusterError(f"cluster: node {identity[:8]} ({host}) {fault}")


def _question() -> Callable[..., str | None]:
    """A function that travels by value, since a function of this package cannot say that the package is missing."""

    def question(root: str, path: str, token: str, packages: dict[str, str], folders: list[str]) -> str | None:
        from importlib import metadata

        lacking = []
        for name, version in packages.items():
            try:
                found = metadata.version(name)
            except metadata.PackageNotFoundError:
                lacking.append(f"no {name}")
            else:
                if found.partition("+")[0] != version.partition("+")[0]:  # 2.13.0+cpu and 2.13.0+cu130 are one version
                    lacking.append(f"{name} {found} instead of {version}")
        if not lacking:  # else the import might fail for another reason than the one to tell
            try:
                from lms_ray.settings.errors import JobError
                from lms_ray.store.files import Store
            except ImportError as error:
                lacking.append(str(error))
        if lacking:
            return (
                f"has {', '.join(lacking)}; accepted are the driver's packages: from an image that has them, or by "
                "`ray job submit --working-dir . --runtime-env clusters/runtime-env.yaml`"
            )
        if folders:
            from lms_ray.models import brought

            if missing := brought.missing_here(folders):
                return f"has no folder {missing[0]}; accepted is one that all nodes share, or an object store"
        try:
            Store(root).write_bytes(path, token.encode())
        except JobError as error:
            return f"cannot write to the storage: {error}"
        return None

    return question
