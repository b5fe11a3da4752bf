"""Connecting to Ray."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ray

from lms_ray.cluster.head import answers
from lms_ray.cluster.resources import address_of, fitting_now
from lms_ray.pages.progress import waiting
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.resources import Cluster, Resources
from lms_ray.settings.uris import without_credentials
from lms_ray.tasks.pretrained import first_line

# Read in the driver's process when Ray's libraries start there.
ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # Tune needs the JSON file, not the CSV and TensorBoard ones
    "RAY_AIR_NEW_OUTPUT": "0",  # our own progress line instead of Tune's tables
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # what a search maximises is known at a trial's end only
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # each is said in one line, and its traceback lies beside the candidate
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is KeyboardInterrupt, in the sweep too
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines for each candidate
    # A tracking server that is gone must not hold the sweep for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # Workers of a local Ray keep the memory of tensors that are gone: to ask the system for it anew at every step takes
    # longer than the step of a small net.
    "MALLOC_MMAP_THRESHOLD_": str(2**25),  # the most that every glibc takes
    "MALLOC_TRIM_THRESHOLD_": str(2**28),
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
    with _environment():
        address = address_of(settings)
        what = "starting Ray" if address == "local" else f"connecting to Ray at {without_credentials(address)}"
        with waiting("cluster", what, in_log=True):
            _require_answer(address)
            _connect(address, settings)
        yield from _connected(address, stages)


def _connect(address: str, settings: Cluster) -> None:
    cpus = settings.cpus if address == "local" else None
    try:
        ray.init(
            address=address, num_cpus=cpus, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, first_line(error)) from error


def _connected(address: str, stages: Mapping[str, Resources]) -> Iterator[None]:
    try:
        if address == "local":
            for stage, resources in stages.items():
                if not fitting_now(resources):
                    have = ray.cluster_resources()
                    raise ConfigError(
                        f"{stage}.resources: found cpus={resources.cpus:g} gpus={resources.gpus:g}; accepted is what "
                        f"this machine has, {have.get('CPU', 0):g} CPUs and {have.get('GPU', 0):g} GPUs"
                    )
        yield
    finally:
        ray.shutdown()


@contextmanager
def _environment() -> Iterator[None]:
    """What is not set otherwise is set as Ray's libraries and processes are to find it, and afterwards is as before."""
    added = {key: value for key, value in ENVIRONMENT.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            os.environ.pop(key, None)


def _require_answer(address: str) -> None:
    """Ask in another process, which can be given up: `ray.init` itself waits for minutes and hears no Ctrl-C."""
    if address == "local":
        return
    if address.startswith("ray://"):
        try:
            answers(address.removeprefix("ray://"), ANSWER_WITHIN)
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
