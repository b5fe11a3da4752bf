"""Nodes that vanish or are drained, and a head that dies, under the main job on a cluster of several nodes.

A head without CPUs and two nodes of one CPU: so at any time every node has an actor, and its loss is felt.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import local_nodes
import metadata
from lms_ray.store import attempts
from local_nodes import Cluster, Node, wait
from metadata import EC2, ComputeEngine
from small import CANDIDATES, done_files, picks, start

pytestmark = [pytest.mark.ray, pytest.mark.chaos]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with local_nodes.running(2) as cluster:
        yield cluster


def begin(cluster: Cluster, job: Path, storage: Path) -> subprocess.Popen:
    return start("sweep", job, storage, f"cluster.address={cluster.address}")


def log_of(storage: Path) -> str:
    return (storage / "log.txt").read_text()


def when(driver: subprocess.Popen, storage: Path, folder: str, enough: int) -> dict[str, int]:
    """Wait until so many units are done, while others are at work."""
    while len(found := done_files(storage, folder)) < enough:
        assert driver.poll() is None, log_of(storage)
        time.sleep(0.01)
    assert len(found) < CANDIDATES
    return found


def check(
    driver: subprocess.Popen, storage: Path, done: dict[str, dict[str, int]], finished: Path, cluster: Cluster
) -> None:
    """The job ends well, with the picks of the undisturbed one; nothing was done twice, and nothing of it runs on."""
    assert driver.wait(timeout=300) == 0, log_of(storage)
    for folder, before in done.items():
        assert before.items() <= done_files(storage, folder).items()
    pd.testing.assert_frame_equal(picks(storage), picks(finished))
    assert not list((storage / "small" / "drivers").glob("*"))
    wait("the end of its workers", 30, lambda: not cluster.at_work())


def tried(storage: Path) -> list[attempts.Attempt]:
    """Every attempt at a candidate."""
    files = (storage / "small" / "candidates").glob("*/attempts/*.json")
    return [attempts.parse(path.read_bytes(), str(path)) for path in files]


def on(node: Node, storage: Path) -> int:
    """How many candidates were begun on a node."""
    return sum(attempt.machine.market == node.name for attempt in tried(storage))


def watcher(node: Node, url: str) -> subprocess.Popen:
    """The real one, which asks a service of this machine."""
    command = [sys.executable, "-m", "lms_ray.cluster.spot", "--metadata", url, "--node-id", node.node_id]
    with Path(f"{node.folder}-spot.txt").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def drained(node: Node) -> None:
    """Wait until the watcher has done it."""
    log = Path(f"{node.folder}-spot.txt")
    wait("the drain", 30, lambda: "draining" in log.read_text())
    time.sleep(1)


def test_nodes_that_vanish_in_the_sweep_and_in_the_features(
    cluster: Cluster, job: Path, finished: Path, tmp_path: Path
) -> None:
    driver = begin(cluster, job, tmp_path)
    trained = when(driver, tmp_path, "candidates", 1)
    first, second = cluster.nodes
    cluster.take(first)
    assert not first.processes()
    cluster.add()
    encoded = when(driver, tmp_path, "encodings", 1)
    cluster.take(second)
    cluster.add()
    check(driver, tmp_path, {"candidates": trained, "encodings": encoded}, finished, cluster)
    assert [attempt.outcome for attempt in tried(tmp_path)].count("done") == CANDIDATES


def test_nodes_that_are_drained_before_they_go_lose_nothing_in_the_sweep_and_little_in_the_features(
    cluster: Cluster, job: Path, finished: Path, tmp_path: Path
) -> None:
    with metadata.serving(EC2) as ec2, metadata.serving(ComputeEngine) as engine:
        first, second = cluster.nodes
        of_first, of_second = watcher(first, ec2.url), watcher(second, engine.url)
        driver = begin(cluster, job, tmp_path)
        trained = when(driver, tmp_path, "candidates", 1)
        with cluster.paused():
            ec2.take(120)
            drained(first)
            of_the_drained = on(first, tmp_path)
        assert of_first.wait(timeout=100) == 0, (
            "its candidate ends, the next is refused, and the idle node goes by itself"
        )
        cluster.take(first)
        cluster.add()
        encoded = when(driver, tmp_path, "encodings", 1)
        with cluster.paused():
            engine.say("preempted", "TRUE")
            drained(second)
        cluster.add()
        cluster.take(second)
        assert of_second.wait(timeout=20) == 0
        check(driver, tmp_path, {"candidates": trained, "encodings": encoded}, finished, cluster)
    assert [attempt.outcome for attempt in tried(tmp_path)] == ["done"] * CANDIDATES, "none was lost"
    assert on(first, tmp_path) == of_the_drained, "none was begun there any more"


def test_a_driver_that_has_lost_the_head_says_so_and_a_new_cluster_goes_on(
    cluster: Cluster, job: Path, finished: Path, tmp_path: Path
) -> None:
    driver = begin(cluster, job, tmp_path)
    trained = when(driver, tmp_path, "candidates", 2)
    next(process for process in cluster.head.processes() if process.name() == "gcs_server").kill()
    with local_nodes.running(2) as another:
        assert driver.wait(timeout=60) == 1
        assert f"error: the head of the Ray cluster ({cluster.address}) is lost" in log_of(tmp_path)
        assert "the same command goes on from here" in log_of(tmp_path)
        assert "Traceback" not in log_of(tmp_path)
        assert not list((tmp_path / "small" / "drivers").glob("*")), "the next driver need not wait"
        trained |= done_files(tmp_path, "candidates")
        check(begin(another, job, tmp_path), tmp_path, {"candidates": trained}, finished, another)
