"""Connecting to Ray, and how much of it a stage may use."""

import logging
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
import torch

from lms_ray.settings.errors import ConfigError
from lms_ray.settings.resources import Cluster, Resources
from lms_ray.tasks.pretrained import first_line

# Read in the driver's process when Ray's libraries start there.
ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # Tune needs the JSON file, not the CSV and TensorBoard ones
    "RAY_AIR_NEW_OUTPUT": "0",  # our own progress line instead of Tune's tables
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is KeyboardInterrupt, in the sweep too
}
ANSWER_WITHIN = 30.0  # seconds


@contextmanager
def connect(settings: Cluster, **stages: Resources) -> Iterator[None]:
    """Be connected to a Ray cluster for the length of the block; a local one is started where none is named.

    Args:
        settings: which cluster.
        stages: what one trial, actor or worker of each stage takes (`sweep=...`).

    Raises:
        ConfigError: nobody answers at the address, or a local Ray can never run them. (A cluster may still grow.)
    """
    os.environ.update({key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()})
    address = _address(settings)
    _require_answer(address)
    cpus = settings.cpus if address == "local" else None
    try:
        ray.init(
            address=address, num_cpus=cpus, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, first_line(error)) from error
    try:
        if address == "local":
            for stage, resources in stages.items():
                if not _fitting_now(resources):
                    have = ray.cluster_resources()
                    raise ConfigError(
                        f"{stage}.resources: found cpus={resources.cpus:g} gpus={resources.gpus:g}; accepted is what "
                        f"this machine has, {have.get('CPU', 0):g} CPUs and {have.get('GPU', 0):g} GPUs"
                    )
        yield
    finally:
        ray.shutdown()


def is_local(settings: Cluster) -> bool:
    """Whether Ray is started on this machine for the job alone, and ends with it."""
    return _address(settings) == "local"


def _address(settings: Cluster) -> str:
    return settings.address or os.environ.get("RAY_ADDRESS") or "local"


def _require_answer(address: str) -> None:
    """Ask in another process, which can be given up: `ray.init` itself waits for minutes and hears no Ctrl-C."""
    if address == "local":
        return
    if address.startswith("ray://"):
        host, _, port = address.removeprefix("ray://").rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_WITHIN).close()
        except (OSError, ValueError, OverflowError) as error:
            raise _no_cluster(address, str(error)) from None
        return
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_WITHIN, check=False)
    except subprocess.TimeoutExpired:
        raise _no_cluster(address, f"no answer within {ANSWER_WITHIN:.0f} s") from None
    if asked.returncode:
        lines = (asked.stderr or asked.stdout).strip().splitlines() or ["the health check failed"]
        raise _no_cluster(address, lines[-1])


def _no_cluster(address: str, reason: str) -> ConfigError:
    return ConfigError(
        f"cluster.address: found {address!r}, where no Ray answers ({reason}); accepted are host:port of a running "
        "cluster's head, ray://host:port, auto, or null for a local Ray (RAY_ADDRESS is used where it is set)"
    )


def fitting(resources: Resources) -> int:
    """How many trials, actors or workers of this size fit the cluster as it is now, at least one."""
    fits = _fitting_now(resources)
    return max(1, min(fits, resources.workers or fits))


def asked(resources: Resources, settings: Cluster, work: int) -> int:
    """How many trials, actors or workers of this size a stage asks for, at least one.

    On a local Ray as many as fit. On a cluster as many as there is work for, whatever it has at this moment: those for
    which there is no place wait, are what its autoscaler sees and scales up for, and start on the nodes that join.

    Args:
        resources: what each takes, and how many there may be.
        settings: which cluster.
        work: pieces of work, of which each takes one at a time.
    """
    return max(1, min(work, fitting(resources) if is_local(settings) else resources.workers or work))


@contextmanager
def calling(resources: Resources, settings: Cluster, count: int) -> Iterator[None]:
    """Have a cluster make room for up to so many workers, for the length of the block.

    Ray Train asks for all of its workers at once, and an autoscaler that may not have as many nodes then starts none.
    Tasks that do nothing but wait for a place are each asked for alone.
    """
    waiting: Any = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus)(_nothing)
    calls = [] if is_local(settings) else [waiting.remote() for _ in range(count)]
    try:
        yield
    finally:
        for call in calls:
            ray.cancel(call)


def _nothing() -> None:
    """What a task does that only wants a place."""


def _fitting_now(resources: Resources) -> int:
    total = 0
    for node in ray.nodes():
        if node["Alive"]:
            fits = math.floor(node["Resources"].get("CPU", 0) / resources.cpus + 1e-9)
            if resources.gpus:
                fits = min(fits, math.floor(node["Resources"].get("GPU", 0) / resources.gpus + 1e-9))
            total += fits
    return total


def use(resources: Resources) -> str:
    """Set this process up for its share: torch threads, and the device that is returned.

    Raises:
        RuntimeError: GPUs are configured and this process sees none.
    """
    torch.set_num_threads(max(1, int(resources.cpus)))
    if not resources.gpus:
        return "cpu"
    if not torch.cuda.is_available():
        raise RuntimeError("resources.gpus is set, but torch sees no CUDA device here; accepted is gpus=0")
    return "cuda"
