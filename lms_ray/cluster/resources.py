"""What a stage takes of Ray: for how many workers it asks, and what each of them finds."""

import math
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
import torch

from lms_ray.cluster.draining import drained
from lms_ray.settings.resources import Cluster, Resources
from lms_ray.store.attempts import Machine

MARKET = "ray.io/market-type"  # label of a node: spot or on-demand
CALL_EVERY = 10.0  # seconds
GROWTH = 16  # workers for which a cluster that grows is thought to have room, as nobody knows


def is_local(settings: Cluster) -> bool:
    """Whether Ray is started on this machine for the job alone, and ends with it."""
    return address_of(settings) == "local"


def address_of(settings: Cluster) -> str:
    """Where Ray is, or `local`."""
    return settings.address or os.environ.get("RAY_ADDRESS") or "local"


def fitting(resources: Resources) -> int:
    """How many trials, actors or workers of this size fit the cluster as it is now, at least one."""
    fits = fitting_now(resources)
    return max(1, min(fits, resources.workers or fits))


def workers_for(resources: Resources, settings: Cluster, work: int) -> int:
    """How many trials, actors or workers of this size a stage asks for, at least one.

    On a local Ray as many as fit. On a cluster as many as there is work for, whatever it has at this moment: those for
    which there is no place wait, are what its autoscaler sees and scales up for, and start on the nodes that join.

    Args:
        resources: what each takes, and how many there may be.
        settings: which cluster.
        work: pieces of work, of which each takes one at a time.
    """
    return max(1, min(work, fitting(resources) if is_local(settings) else resources.workers or work))


def room(resources: Resources, settings: Cluster) -> int:
    """How many workers of this size there may be at once, for dividing work among them; on a cluster a guess."""
    fits = fitting(resources)
    return fits if is_local(settings) else resources.workers or max(fits, GROWTH)


@contextmanager
def making_room(resources: Resources, settings: Cluster, count: int) -> Iterator[None]:
    """Have a cluster make room for up to so many workers, for the length of the block.

    Ray Train asks for all of its workers at once, and an autoscaler that may not have as many nodes then starts none.
    Tasks that do nothing but wait for a place are each asked for alone. There are as many as places are lacking: they
    come back when a node is lost, and those that have found a free place are replaced.
    """
    waiting: Any = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus)(_nothing)
    stop, calls = threading.Event(), list[ray.ObjectRef]()

    def call() -> None:
        while not stop.is_set():
            lacking = max(0, count - fitting_now(resources))
            _, pending = ray.wait(calls, num_returns=len(calls), timeout=0) if calls else ([], [])
            for surplus in pending[lacking:]:
                ray.cancel(surplus)
            calls[:] = [*pending[:lacking], *(waiting.remote() for _ in range(lacking - len(pending)))]
            stop.wait(CALL_EVERY)

    thread = threading.Thread(target=call, daemon=True, name="making-room")
    if not is_local(settings):
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if thread.ident:
            thread.join()
        for left in calls:
            ray.cancel(left)


def _nothing() -> None:
    """What a task does that only wants a place."""


def fitting_now(resources: Resources) -> int:
    """How many of this size fit the nodes that are there to stay."""
    total, leaving = 0, drained()
    for node in ray.nodes():
        if node["Alive"] and node["NodeID"] not in leaving:
            fits = math.floor(node["Resources"].get("CPU", 0) / resources.cpus + 1e-9)
            if resources.gpus:
                fits = min(fits, math.floor(node["Resources"].get("GPU", 0) / resources.gpus + 1e-9))
            total += fits
    return total


def set_up(resources: Resources) -> tuple[str, Machine]:
    """Set this process up for its share of a machine.

    Returns:
        The device, `cpu` or `cuda`; and the machine, as it is recorded beside what is made on it.

    Raises:
        RuntimeError: GPUs are configured and this process sees none.
    """
    torch.set_num_threads(max(1, int(resources.cpus)))
    if resources.gpus and not torch.cuda.is_available():
        raise RuntimeError("resources.gpus is set, but torch sees no CUDA device here; accepted is gpus=0")
    labels: Any = ray.get_runtime_context().get_node_labels()  # strings, whatever its annotation says
    machine = Machine(
        host=socket.gethostname(),
        market=labels.get(MARKET),
        accelerator=torch.cuda.get_device_name() if resources.gpus else None,
        cpus=resources.cpus,
        gpus=resources.gpus,
    )
    return "cuda" if resources.gpus else "cpu", machine
