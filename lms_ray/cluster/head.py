"""The head of the cluster: a driver that has lost it ends with a word on how to go on.

Every call to Ray waits for the head, so there is nothing that could still be tidied up with it; after a minute Ray ends
the process, without a word of ours. Before that the driver gives up its claim to the experiment and ends.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import ray

from lms_ray.cluster.beside import beside
from lms_ray.pages.progress import end_bars

LOOK_EVERY = 2.0  # seconds
ANSWER_WITHIN = 5.0  # seconds
SILENT_FOR = 40.0  # seconds; at 60 Ray ends the process


@contextmanager
def watched(address: str, give_up: Callable[[], None]) -> Iterator[None]:
    """End this process with status 1 where the head falls silent during the block, however long the block would wait.

    Args:
        address: by which the driver is connected.
        give_up: called before the end, so that another driver may begin; any error of it is left at that.
    """
    asked = address.removeprefix("ray://") if address.startswith("ray://") else ray.get_runtime_context().gcs_address
    with beside(partial(_watch, asked, give_up), "head"):
        yield


def _watch(address: str, give_up: Callable[[], None], stop: threading.Event) -> None:
    heard = time.monotonic()
    while not stop.wait(LOOK_EVERY):
        try:
            answers(address, ANSWER_WITHIN)
            heard = time.monotonic()
        except OSError as error:  # the socket's, or that of a name which cannot be looked up
            if time.monotonic() - heard > SILENT_FOR and not stop.is_set():
                _end(f"the head of the Ray cluster ({address}) is lost: {error}, for {SILENT_FOR:.0f} s", give_up)


def answers(address: str, within: float) -> None:
    """Connect to `host:port`, and part.

    Raises:
        OSError: nobody is there, or does not answer within so many seconds.
        ValueError, OverflowError: it is no port.
    """
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=within).close()


def _end(why: str, give_up: Callable[[], None]) -> None:
    how = "what is done is kept, and the same command goes on from here, on a cluster as soon as it has a head again"
    try:
        end_bars()
        print(f"error: {why}; {how}", file=sys.stderr, flush=True)
    except OSError:  # the terminal is gone, too
        pass
    try:
        give_up()
    finally:
        sys.stdout.flush()
        os._exit(1)
