"""The main job as it is meant to run: submitted with a token, on a cluster that grows from nothing, into a bucket."""

import io
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import psutil
import pytest

import clouds
import small
from clouds import Cloud
from lms_ray.store.files import Store
from object_storage import BUCKET, Roots

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

TRIAL, ENCODER, RANKER = "ResourceTrainable", "EncodingActor", "RayTrainWorker"
STORAGE, DATA = f"s3://{BUCKET}/runs", f"s3://{BUCKET}/ud"
SECRET = "of-the-bucket"


@pytest.fixture(scope="module")
def bucket(s3: Roots, languages: tuple[Path, Path]) -> Iterator[Store]:
    """The experiment's folder in a bucket that holds the data; its keys are in the environment, as of a role."""
    endpoint = s3().partition("endpoint_override=")[2]
    environment = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{endpoint}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        Store(f"s3://{BUCKET}").upload(languages[0], "ud")
        yield Store(f"{STORAGE}/small")


@pytest.fixture(scope="module")
def cloud(bucket: Store) -> Iterator[Cloud]:
    with clouds.running() as cloud:
        yield cloud


def stage(name: str, job: Path, *more: str) -> list[str]:
    return ["-m", f"lms_ray.{name}", str(job), f"data.root={DATA}", f"storage={STORAGE}", *more]


def test_a_stopped_job_leaves_nothing_running_and_is_submitted_again(cloud: Cloud, bucket: Store, job: Path):
    submitted = cloud.start(*stage("sweep", job, "--only"))
    cloud.wait(
        "a candidate", 180, lambda: any(bucket.done(f"candidates/{name}") for name in bucket.names("candidates"))
    )
    stopped = cloud.ray("job", "stop", submitted)
    assert "was stopped" in stopped.stdout, stopped.stdout + stopped.stderr
    assert not drivers(submitted)
    trials = actors(cloud, TRIAL)
    assert trials
    cloud.wait("the end of its trials", 30, lambda: all(actor["state"] == "DEAD" for actor in actors(cloud, TRIAL)))
    assert not bucket.names("drivers"), "its claim to the experiment is gone"
    logs = cloud.ray("job", "logs", submitted).stdout
    assert "the same command goes on from here" in logs, logs

    done = {name: bucket.read_bytes(f"candidates/{name}/DONE.json") for name in finished_units(bucket)}
    cloud.wait("the end of idle nodes", 60, lambda: not cloud.workers())
    with cloud.most_nodes() as most, ThreadPoolExecutor(1) as beside:
        preempted = beside.submit(take_back_a_node, cloud)
        output = cloud.submit(*stage("sweep", job, "--only"))
    assert f"{small.CANDIDATES} candidates, {len(done)} of them done before" in output
    assert most[0] >= clouds.NODES, "from none to all"
    assert {name: bucket.read_bytes(f"candidates/{name}/DONE.json") for name in done} == done
    assert len(nodes_of(cloud, TRIAL) - {actor["node_id"] for actor in trials} - {preempted.result()}) > 0


@pytest.mark.parametrize(("name", "kind", "least"), [("features", ENCODER, 2), ("ranking", RANKER, 1)])
def test_a_stage_grows_a_cluster_from_nothing(cloud: Cloud, job: Path, name: str, kind: str, least: int):
    cloud.wait("the end of idle nodes", 60, lambda: not cloud.workers())
    with cloud.most_nodes() as most:
        output = cloud.submit(*stage(name, job))
    assert "0 nodes at work" in output
    assert most[0] > 1
    assert len(nodes_of(cloud, kind)) >= least


def test_the_picks_are_those_of_a_local_run(cloud: Cloud, bucket: Store, job: Path, finished: Path):
    output = cloud.submit(*stage("sweep", job))
    assert "mean Δ to En-Dev" in output, "it is followed to the end"
    picks = pd.read_parquet(io.BytesIO(bucket.read_bytes("picks.parquet")))
    pd.testing.assert_frame_equal(picks, small.picks(finished))
    assert bucket.exists("report/report.html")
    assert SECRET not in output
    assert not [path for path in bucket.listed(recursive=True) if SECRET.encode() in bucket.read_bytes(path)]


def test_a_node_that_joins_and_cannot_do_the_work_is_named(cloud: Cloud, bucket: Store):
    cloud.wait("the end of idle nodes", 60, lambda: not cloud.workers())
    script = """
import ray
from lms_ray.cluster import nodes
from lms_ray.cluster.connecting import connect
from lms_ray.settings.resources import Cluster
from lms_ray.store.files import Store
from lms_ray.store.lock import hold
store = Store("STORAGE/unfit")
nodes.PAUSES = ()  # it is not asked again
with hold(store), connect(Cluster(address="auto")), nodes.watched(store, folders=["/of/the/head"]):
    ray.get(ray.remote(num_cpus=1)(lambda: __import__("time").sleep(600)).remote())
""".replace("STORAGE", STORAGE)
    done = cloud.ray("job", "submit", "--working-dir", ".", "--", sys.executable, "-c", script)
    assert done.returncode
    assert f"({os.uname().nodename}) has no folder /of/the/head; accepted is one that all nodes share" in done.stdout


def finished_units(bucket: Store) -> list[str]:
    return [name for name in bucket.names("candidates") if bucket.done(f"candidates/{name}")]


def drivers(submission: str) -> list[psutil.Process]:
    """The job's processes on this machine; each has its id in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAY_JOB_SUBMISSION_ID") == submission:
                found.append(process)
        except psutil.Error:
            continue
    return found


def take_back_a_node(cloud: Cloud) -> str:
    """Preempt the first node on which a trial is at work."""
    (trial, *_) = cloud.wait(
        "a trial at work", 120, lambda: [actor for actor in actors(cloud, TRIAL) if actor["state"] == "ALIVE"]
    )
    cloud.take_back(trial["node_id"])
    return trial["node_id"]


def actors(cloud: Cloud, kind: str) -> list[dict]:
    """All that the cluster has ever had of a kind, in whose class name this stands."""
    return [actor for actor in cloud.listed("actors") if kind in actor["class_name"]]


def nodes_of(cloud: Cloud, kind: str) -> set[str]:
    return {actor["node_id"] for actor in actors(cloud, kind) if actor["node_id"]}
