"""The Kubernetes manifests: accepted by the custom resources' own schemas, and by Ray where Ray reads them."""

import inspect
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray._raylet import RAY_NODE_MARKET_TYPE_KEY
from ray.autoscaler.v2.instance_manager import config

from lms_ray.cluster import spot

CLUSTERS = Path(__file__).parents[2] / "clusters"
SPOT = "cloud.google.com/gke-spot"


def strict(schema: Any) -> Any:
    """A schema that refuses unknown fields, as the API server does for `kubectl apply` and `create`."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.fixture(scope="module")
def check(shared: Path) -> Callable[[dict[str, Any]], None]:
    """Check a manifest as the API server would."""
    validators = {}
    for path in (shared / "schemas").glob("ray.io_*.yaml"):
        resource = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]
        (version,) = (version for version in resource["versions"] if version["name"] == "v1")
        schema = strict(version["schema"]["openAPIV3Schema"])
        validators[resource["names"]["kind"]] = jsonschema.Draft202012Validator(schema)
    return lambda manifest: validators[manifest["kind"]].validate(manifest)


@pytest.fixture
def cluster(read: Callable[[str], Any]) -> dict[str, Any]:
    return read("kuberay-cluster.yaml")


@pytest.fixture
def groups(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]


@pytest.mark.real
@pytest.mark.parametrize("name", ["kuberay-cluster.yaml", "kuberay-job.yaml"])
def test_the_schema_accepts_the_manifest(name: str, check: Callable, read: Callable[[str], Any]):
    manifest = read(name)
    assert manifest["apiVersion"] == "ray.io/v1"
    check(manifest)


@pytest.mark.real
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda spec: spec.update(authOption={}), "authOption"),
        (lambda spec: spec["authOptions"].update(mode="tokens"), "tokens"),
        (lambda spec: spec["workerGroupSpecs"][0].update(minReplicas="0"), "'0' is not of type"),
        (lambda spec: spec["headGroupSpec"]["template"]["spec"]["containers"][0].update(images="x"), "images"),
        (lambda spec: spec["headGroupSpec"].pop("template"), "template"),
    ],
)
def test_the_schema_refuses_a_spoiled_manifest(spoil: Callable, said: str, check: Callable, cluster: dict[str, Any]):
    spoil(cluster["spec"])
    with pytest.raises(jsonschema.ValidationError, match=said):
        check(cluster)


@pytest.mark.real
def test_the_manifest_with_kueue(check: Callable):
    """The lines that are commented out are taken in."""
    text, count = re.subn(
        r"^  # ((?:labels|annotations): \{kueue)", r"  \1", (CLUSTERS / "kuberay-job.yaml").read_text(), flags=re.M
    )
    assert count == 2
    job = yaml.safe_load(text)
    assert job["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "lms-ray"}
    assert job["metadata"]["annotations"] == {"kueue.x-k8s.io/elastic-job": "true"}
    check(job)


def test_the_job_runs_on_the_same_cluster_and_cleans_up(cluster: dict[str, Any], read: Callable[[str], Any]):
    job = read("kuberay-job.yaml")["spec"]
    assert job["rayClusterSpec"] == cluster["spec"]
    assert job["shutdownAfterJobFinishes"]
    assert job["backoffLimit"] > 0, "a lost head is followed by another"


def test_tokens_and_the_second_autoscaler(cluster: dict[str, Any]):
    spec = cluster["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["enableInTreeAutoscaling"]
    assert spec["autoscalerOptions"]["version"] == "v2"
    names = {entry["name"] for entry in spec["autoscalerOptions"]["env"]}
    assert all(f'"{name}"' in inspect.getsource(config) for name in names), "Ray reads it"


def test_a_group_runs_on_the_nodes_that_its_label_says(groups: list[dict[str, Any]]):
    """What a candidate costs is told by the label, and by nothing else."""
    for group in groups:
        pod = group["template"]["spec"]
        wants_spot = pod.get("nodeSelector", {}).get(SPOT) == "true"
        assert group["labels"] == {RAY_NODE_MARKET_TYPE_KEY: "spot" if wants_spot else "on-demand"}
        assert wants_spot == any(toleration["key"] == SPOT for toleration in pod.get("tolerations", []))
        if not wants_spot:
            (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
                "nodeSelectorTerms"
            ]
            assert term["matchExpressions"] == [{"key": SPOT, "operator": "DoesNotExist"}]


def test_pods_run_without_privileges_and_workers_without_the_api(groups: list[dict[str, Any]]):
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert container["securityContext"]["runAsNonRoot"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert pod["serviceAccountName"] == "lms-ray"
        assert pod.get("automountServiceAccountToken", True) == (group is groups[0])


def test_a_worker_gets_whole_gpus_and_room_for_two_checkpoints(groups: list[dict[str, Any]]):
    for group in groups[1:]:
        resources = group["template"]["spec"]["containers"][0]["resources"]
        limits, requests = resources["limits"], deepcopy(resources["requests"])
        storage = requests.pop("ephemeral-storage")
        assert requests == limits, "what is promised and what may be used are the same"
        assert limits["nvidia.com/gpu"] == "1"
        assert int(storage.removesuffix("Gi")) >= 10


def test_a_worker_that_goes_is_drained_first(groups: list[dict[str, Any]]):
    for group in groups[1:]:
        pod = group["template"]["spec"]
        command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        assert command[:3] == ["python", "-m", spot.__spec__.name]
        assert spot.parser().parse_args(command[3:]).now <= 15, "what GKE gives a spot node"
        assert spot.DRAIN_WITHIN < 15 < pod["terminationGracePeriodSeconds"]
