"""`ray job submit` on a cluster that is already there: the job's features, rankings and picks come from its workers."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import small

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[1]
RAY = str(Path(sys.executable).parent / "ray")


def a_free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def dashboard() -> Iterator[str]:
    """Address of the job server of a cluster of one node."""
    port = a_free_port()
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:  # its sockets want short names
        command = [RAY, "start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats", f"--temp-dir={folder}"]
        ports = [f"--port={a_free_port()}", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"]
        ports.append(f"--dashboard-agent-listen-port={a_free_port()}")  # a second Ray on the machine has the usual one
        head = subprocess.Popen([*command, *ports], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            head.terminate()
            head.wait()


def test_a_job_is_submitted_and_runs_on_the_cluster(dashboard: str, job: Path, finished: Path, tmp_path: Path):
    storage = small.copy_of_candidates(finished, tmp_path)  # the sweep is done, the rest is to do
    submitted = submit(dashboard, [sys.executable, "-m", "lms_ray.sweep", str(job), f"storage={storage}"])
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    assert "mean Δ to En-Dev" in submitted.stdout, "its output is followed to the end"
    pd.testing.assert_frame_equal(small.picks(storage), small.picks(finished))


def submit(address: str, entrypoint: list[str]) -> subprocess.CompletedProcess:
    """Submit once the cluster is ready to take a job: its job server answers before its agents do."""
    command = [RAY, "job", "submit", "--address", address, "--working-dir", str(ROOT), "--", *entrypoint]
    until = time.monotonic() + 120
    while True:
        submitted = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
        is_early = any(said in submitted.stderr for said in ("No available agent", "Failed to connect"))
        if not is_early or time.monotonic() > until:
            return submitted
        time.sleep(1)
