"""A Ray cluster that grows and shrinks: a head without CPUs, Ray's own autoscaler, and nodes on this machine.

The head has its job server, and token authentication is on, as on a real cluster.
"""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import ray._private.services as services
import yaml

ROOT = Path(__file__).parents[1]
RAY = str(Path(sys.executable).parent / "ray")
HEAD = "f" * 51 + "00000"
NODES = 3


class Cloud:
    """A running cluster, and the person at its command line."""

    def __init__(self, address: str, dashboard: str, token: str):
        self.address, self.dashboard = address, dashboard
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("RAY_")},
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token,
            "RAY_ADDRESS": dashboard,
        }

    def ray(self, *words: str, timeout: float = 300) -> subprocess.CompletedProcess:
        """One `ray` command."""
        return subprocess.run(
            [RAY, *words], env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
        )

    def submit(self, *words: str) -> str:
        """Run `python ...` as a job to its end, and give its output."""
        done = self._submit(["--", sys.executable, *words])
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *words: str) -> str:
        """Begin `python ...` as a job; its id."""
        done = self._submit(["--no-wait", "--", sys.executable, *words])
        assert done.returncode == 0, done.stdout + done.stderr
        return re.search(r"raysubmit_\w+", done.stdout)[0]

    def _submit(self, words: list[str]) -> subprocess.CompletedProcess:
        """Once the head can take a job: its job server answers before its agent does."""
        until = time.monotonic() + 120
        while True:
            done = self.ray("job", "submit", "--working-dir", ".", *words)
            is_early = any(said in done.stderr for said in ("No available agent", "Failed to connect"))
            if not is_early or time.monotonic() > until:
                return done
            time.sleep(1)

    def listed(self, what: str, **filters: str) -> list[dict[str, Any]]:
        """What Ray's state API lists of `nodes` or `actors`."""
        query = "".join(f"&filter_keys={key}&filter_predicates=%3D&filter_values={filters[key]}" for key in filters)
        request = urllib.request.Request(f"{self.dashboard}/api/v0/{what}?detail=1&limit=1000{query}")
        request.add_header("Authorization", f"Bearer {self.environment['RAY_AUTH_TOKEN']}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]["result"]["result"]

    def workers(self) -> list[str]:
        """Ids of the nodes that are alive, without the head."""
        return [node["node_id"] for node in self.listed("nodes", state="ALIVE") if not node["is_head_node"]]

    def take_back(self, node: str) -> None:
        """Preempt a node: it is drained, and a second later it is gone."""
        why = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "preempted"]
        deadline = ["--deadline-remaining-seconds", "1"]
        done = self.ray("drain-node", "--address", self.address, "--node-id", node, *why, *deadline)
        assert done.returncode == 0, done.stdout + done.stderr
        time.sleep(1)
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):  # an idle one ends by itself
                if process.info["name"] == "raylet" and process.environ().get("RAY_CLOUD_INSTANCE_ID") == node:
                    process.kill()

    def wait(self, what: str, seconds: float, condition: Any) -> Any:
        """Wait until a condition gives something, which is returned."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := condition():
                return found
            time.sleep(0.3)
        raise AssertionError(f"after {seconds} s: {what} was waited for in vain")

    @contextmanager
    def most_nodes(self) -> Iterator[list[int]]:
        """How many nodes there were at most during the block, as the only value of a list."""
        most, stop = [0], threading.Event()

        def look() -> None:
            while not stop.wait(0.5):
                most[0] = max(most[0], len(self.workers()))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield most
        finally:
            stop.set()
            thread.join()


@contextmanager
def running() -> Iterator[Cloud]:
    """A cluster without nodes, which has up to `NODES` of one CPU when there is work."""
    host, port, dashboard, token = services.get_node_ip_address(), a_free_port(), a_free_port(), secrets.token_hex(32)
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:  # sockets want short names
        configuration = Path(folder) / "autoscaling.yaml"
        configuration.write_text(yaml.safe_dump(_configuration(f"{host}:{port}", folder)))
        cloud = Cloud(f"{host}:{port}", f"http://127.0.0.1:{dashboard}", token)
        command = [RAY, "start", "--head", "--block", "--num-cpus=0", "--num-gpus=0", "--disable-usage-stats"]
        ports = [f"--port={port}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
        ports.append(f"--dashboard-agent-listen-port={a_free_port()}")  # another Ray of the machine has the usual one
        where = [f"--temp-dir={folder}", f"--autoscaling-config={configuration}", "--object-store-memory=300000000"]
        environment = {
            **{key: value for key, value in cloud.environment.items() if key != "RAY_ADDRESS"},
            "PYTHONPATH": str(Path(__file__).parent),  # where the autoscaler finds `fake_nodes`
            "RAY_FAKE_CLUSTER": "1",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD,
        }
        with (Path(folder) / "head.txt").open("w") as log:
            head = subprocess.Popen([*command, *ports, *where], env=environment, stdout=log, stderr=log)
        try:
            yield cloud
        finally:
            _end(folder)
            head.wait()


def a_free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _configuration(address: str, folder: str) -> dict[str, Any]:
    """Of the autoscaler."""
    empty = ("auth", "docker", "file_mounts")
    commands = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    return {
        "cluster_name": "fake",
        "max_workers": NODES,
        "idle_timeout_minutes": 0.3,  # Train looks for free nodes twice a minute, and must find them
        "provider": {
            "type": "external",
            "module": "fake_nodes.Provider",
            "folder": folder,
            "gcs_address": address,
            "head_node_id": HEAD,
            "disable_node_updaters": True,  # there is nothing to install
            "launch_multiple": True,
        },
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": {
                "resources": {"CPU": 1, "object_store_memory": 200_000_000},
                "labels": {"ray.io/market-type": "spot"},
                "node_config": {},
                "min_workers": 0,
                "max_workers": NODES,
            },
        },
        "head_node_type": "ray.head.default",
        **{key: {} for key in empty},
        **{f"{key}_commands": [] for key in commands},
        "cluster_synced_files": [],
    }


def _end(folder: str) -> None:
    """End the head and the nodes that its autoscaler started. (`ray stop` would end every Ray of the machine.)"""
    left = [
        process for process in psutil.process_iter(["cmdline"]) if folder in " ".join(process.info["cmdline"] or [])
    ]
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
