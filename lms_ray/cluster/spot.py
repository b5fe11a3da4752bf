"""A watcher beside a node's raylet: it hears from the cloud that the machine will be taken, and has Ray drain the node.

    python -m lms_ray.cluster.spot --detach    # right after `ray start`, on EC2 and Compute Engine
    python -m lms_ray.cluster.spot --now 10    # where something else gives the notice, as Kubernetes does by preStop:
                                               # drain now, the end is in 10 s; returns when the raylet has ended

A drained node gets no new work, and what its actors lose when it goes is no failure of theirs. Its raylet ends once the
node is idle. The watcher is a plain process, since an actor would keep the node from counting as idle; it ends with the
raylet, whose arguments tell it all that it must know. What the cloud answers, or that it does not, never ends it.

Sources: EC2 User Guide, "Spot Instance interruption notices" and "EC2 instance rebalance recommendations"; Compute
Engine documentation, "VM metadata" (waiting for changes), "Preemptible VM instances" and "Query the metadata server for
maintenance event notices".
"""

import argparse
import json
import logging
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from pathlib import Path
from typing import Protocol

import psutil
import ray
from ray.core.generated import autoscaler_pb2

log = logging.getLogger("spot")

METADATA = "http://169.254.169.254"  # of both clouds
LOOK_EVERY = 5.0  # seconds: what AWS recommends, and how long Google's answer is waited for
ANSWER_WITHIN = 2.0  # seconds
START_WITHIN = 60.0  # seconds: a raylet that is being started
DRAIN_WITHIN = 10.0  # seconds: Ray's answer
TOKEN_SECONDS = 21600  # the longest that AWS gives


@dataclass(frozen=True)
class Notice:
    """The cloud takes the machine."""

    reason: str
    ends: float
    """When, in seconds since 1970."""


class Cloud(Protocol):
    """What a watcher asks of a metadata service; any error may come of it."""

    name: str

    def is_here(self) -> bool:
        """Whether this machine is of this cloud."""

    def look(self) -> Notice | None:
        """Whether the machine is taken; may wait up to `LOOK_EVERY` seconds for it."""


@dataclass
class AWS:
    """EC2's metadata service, version 2: every question wants a token, which is renewed before it ends."""

    metadata: str = METADATA
    name: str = "AWS"
    _token: str = ""
    _renew_at: float = 0.0
    _recommended: str = ""

    def is_here(self) -> bool:
        """Whether the service gives a token."""
        self._renew_at = 0.0
        return bool(self._headers())

    def look(self) -> Notice | None:
        """The notice that a spot instance gets two minutes before it is taken (hibernation: at that moment)."""
        if (recommended := self._get("events/recommendations/rebalance") or "") != self._recommended:
            self._recommended = recommended
            log.info("AWS sees a higher risk of interruption: %s", recommended)
        if (found := self._get("spot/instance-action")) is None:
            return None
        notice = json.loads(found)
        return Notice(f"EC2 spot: {notice['action']}", datetime.fromisoformat(notice["time"]).timestamp())

    def _get(self, path: str) -> str | None:
        for is_last in (False, True):
            try:
                return _ask(f"{self.metadata}/latest/meta-data/{path}", self._headers())[0]
            except urllib.error.HTTPError as error:
                if error.code == 404:  # there is none
                    return None
                if error.code != 401 or is_last:
                    raise
                self._renew_at = 0.0  # the token ended early
        raise AssertionError

    def _headers(self) -> dict[str, str]:
        if time.monotonic() >= self._renew_at:
            asks = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
            self._token, _ = _ask(f"{self.metadata}/latest/api/token", asks, method="PUT")
            self._renew_at = time.monotonic() + TOKEN_SECONDS / 2
        return {"X-aws-ec2-metadata-token": self._token}


@dataclass
class Google:
    """Compute Engine's metadata service, which answers as soon as a value changes."""

    metadata: str = METADATA
    name: str = "Google Cloud"
    _etag: str = "0"  # another one than the service's, so that it answers the first question at once

    def is_here(self) -> bool:
        """Whether the service says that it is Google's."""
        _, headers = self._get("id")
        return headers.get("Metadata-Flavor") == "Google"

    def look(self) -> Notice | None:
        """Preemption, 30 seconds before; or maintenance that a machine with GPUs does not survive, at least 60."""
        if self._get("maintenance-event")[0] == "TERMINATE_ON_HOST_MAINTENANCE":
            return Notice("Compute Engine: host maintenance", time.time() + 60)
        wait = f"wait_for_change=true&timeout_sec={LOOK_EVERY:.0f}&last_etag={self._etag}"
        found, headers = self._get(f"preempted?{wait}", LOOK_EVERY + ANSWER_WITHIN)
        self._etag = headers.get("ETag", "0")
        return Notice("Compute Engine: preempted", time.time() + 30) if found == "TRUE" else None

    def _get(self, path: str, within: float | None = None) -> tuple[str, Message]:
        url = f"{self.metadata}/computeMetadata/v1/instance/{path}"
        return _ask(url, {"Metadata-Flavor": "Google"}, within=within)


CLOUDS: dict[str, type[AWS] | type[Google]] = {"aws": AWS, "gcp": Google}


@dataclass(frozen=True)
class Raylet:
    """The raylet of this node, and what its arguments say."""

    node_id: str
    """In hex."""
    gcs: str
    """Address of the head's GCS."""
    logs: Path
    """Folder of the node's logs."""
    process: psutil.Process = field(compare=False)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; a container may keep it as a zombie."""
        try:
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def drain(self, notice: Notice) -> None:
        """Tell Ray that the node goes.

        Raises:
            RuntimeError: Ray refuses.
            ray.exceptions.RpcError: Ray does not answer.
        """
        preempted = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")  # type: ignore[attr-defined]
        client = ray._raylet.GcsClient(address=self.gcs)  # type: ignore[attr-defined]  # it is compiled
        ends = int(notice.ends * 1000)
        accepted, why = client.drain_node(self.node_id, preempted, notice.reason, ends, timeout=DRAIN_WITHIN)
        if not accepted:
            raise RuntimeError(f"Ray does not drain the node: {why}")


def find(node_id: str | None = None, within: float = START_WITHIN) -> Raylet:
    """The raylet of this machine or container; `node_id` says which where there are several.

    Raises:
        LookupError: there is none within so many seconds, or several.
    """
    until = time.monotonic() + within
    while True:
        found = [raylet for raylet in _raylets() if node_id in (None, raylet.node_id)]
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            raise LookupError(f"--node-id: {len(found)} raylets run here; accepted are {', '.join(_ids(found))}")
        if time.monotonic() > until:
            named = f" of node {node_id}" if node_id else ""
            raise LookupError(f"no raylet{named} runs here after {within:.0f} s; accepted is a node of `ray start`")
        time.sleep(0.2)


def watch(raylet: Raylet, clouds: Sequence[Cloud], drain: Callable[[Notice], None], every: float = LOOK_EVERY) -> None:
    """Ask the cloud until the raylet has ended; drain the node at the first notice.

    Args:
        raylet: of this node.
        clouds: that this may be; the first that says so is asked from then on.
        drain: told the notice, once, and again where it fails.
        every: seconds between the beginnings of two looks.
    """
    here: Cloud | None = None
    drained, said = False, ""
    while raylet.is_alive:
        began = time.monotonic()
        try:
            if here is None and (here := _which(clouds)):
                log.info("node %s on %s: waiting for its notice", raylet.node_id, here.name)
            if here and not drained and (notice := here.look()):
                left = notice.ends - time.time()
                log.warning("%s, in %.0f s: draining node %s", notice.reason, left, raylet.node_id)
                drain(notice)
                drained = True
            error = "" if here else "no metadata service answers"
        except Exception as fault:  # of the service, of what it says or of Ray: the next answer may be another
            error = f"{type(fault).__name__}: {fault}"
        if error != said:
            said = error
            log.warning("%s; asking again every %.0f s", error, every) if error else log.info("it answers again")
        time.sleep(max(0.0, every - (time.monotonic() - began)))
    log.info("the raylet has ended")


def main() -> None:
    """Parse the command line and run; the exit status is 0 once the raylet has ended."""
    arguments = parser().parse_args()
    try:
        raylet = find(arguments.node_id, START_WITHIN if arguments.now is None else 0.0)
    except LookupError as error:
        sys.exit(f"error: {error}")
    if arguments.detach:
        words = [word for word in sys.argv[1:] if word != "--detach"]
        command = [sys.executable, "-m", "lms_ray.cluster.spot", *words, "--node-id", raylet.node_id]
        quiet = subprocess.DEVNULL
        subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
        return
    shown_by_the_dashboard = logging.FileHandler(raylet.logs / "spot.log")
    handlers: list[logging.Handler] = [logging.StreamHandler(), shown_by_the_dashboard]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", handlers=handlers)
    if arguments.now is not None:
        log.warning("told to: draining node %s", raylet.node_id)
        raylet.drain(Notice("told to", time.time() + arguments.now))
        while raylet.is_alive:
            time.sleep(0.2)
        return
    names = [arguments.cloud] if arguments.cloud else list(CLOUDS)
    watch(raylet, [CLOUDS[name](arguments.metadata) for name in names], raylet.drain)


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lms_ray.cluster.spot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cloud", choices=list(CLOUDS), help="which it is; it is found out otherwise")
    parser.add_argument("--metadata", default=METADATA, metavar="URL", help=f"its metadata service; {METADATA}")
    parser.add_argument("--node-id", metavar="HEX", help="of the node, where several are on one machine")
    parser.add_argument("--detach", action="store_true", help="go on in the background; the log is in Ray's folder")
    parser.add_argument("--now", type=float, metavar="SECONDS", help="drain now; the node's end is in so many seconds")
    return parser


def _which(clouds: Sequence[Cloud]) -> Cloud | None:
    for cloud in clouds:
        try:
            if cloud.is_here():
                return cloud
        except Exception as fault:  # most machines have none of the other's
            log.debug("not %s: %s", cloud.name, fault)
    return None


def _raylets() -> list[Raylet]:
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] != "raylet":
            continue
        try:
            pairs = [word.removeprefix("--").partition("=") for word in process.cmdline() if word.startswith("--")]
        except psutil.Error:
            continue
        said = {key: value for key, _, value in pairs}
        raylet = Raylet(said.get("node_id", ""), said.get("gcs-address", ""), Path(said.get("log_dir", "")), process)
        if raylet.node_id and raylet.is_alive:
            found.append(raylet)
    return found


def _ids(raylets: Sequence[Raylet]) -> list[str]:
    return [raylet.node_id for raylet in raylets]


def _ask(url: str, headers: dict[str, str], method: str = "GET", within: float | None = None) -> tuple[str, Message]:
    """What the metadata service answers (within `ANSWER_WITHIN` seconds unless said otherwise), and the headers.

    No proxy is asked: the service answers this machine only.

    Raises:
        OSError: it does not answer, or answers with an error (`urllib.error.HTTPError`).
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(
        urllib.request.Request(url, headers=headers, method=method), timeout=within or ANSWER_WITHIN
    ) as answer:
        return answer.read().decode(), answer.headers


if __name__ == "__main__":
    main()
