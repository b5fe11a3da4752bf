"""What files and code share is the same everywhere: image, versions, packages, paths."""

import fnmatch
import json
import re
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import pytest
from ray._raylet import RAY_NODE_MARKET_TYPE_KEY
from ray.autoscaler.tags import TAG_RAY_CLUSTER_NAME

import lms_ray
from lms_ray.settings.resources import Market

ROOT = Path(__file__).parents[2]
CLUSTERS = ROOT / "clusters"
IMAGE = f"registry.example.com/lms-ray:{lms_ray.__version__}"
DOCKERFILE = (CLUSTERS / "Dockerfile").read_text()
YAML = ["aws.yaml", "gcp.yaml", "kuberay-cluster.yaml", "kuberay-job.yaml"]


def pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==(\S+)$", path.read_text(), flags=re.M)
    return {name.lower().replace("_", "-"): pinned for name, pinned in found}


def values(tree: Any, key: str) -> list[Any]:
    """Every value of a key, however deep."""
    if isinstance(tree, list):
        return [found for part in tree for found in values(part, key)]
    if not isinstance(tree, dict):
        return []
    own = [tree[key]] if key in tree else []
    return own + [found for part in tree.values() for found in values(part, key)]


@pytest.mark.parametrize("name", YAML)
def test_every_node_runs_the_image_of_this_version(name: str, read: Callable[[str], Any]):
    assert set(values(read(name), "image")) == {f"{IMAGE}-cuda"}


def test_the_image_is_built_under_the_same_name():
    for path in (CLUSTERS / "Dockerfile", *(ROOT / "docs").glob("*.md")):
        named = set(re.findall(r"registry\.example\.com/lms-ray\S*", path.read_text()))
        assert named <= {f"{IMAGE}-cuda", f"{IMAGE}-cpu"}, path
    assert f"-t {IMAGE}-cuda ." in DOCKERFILE
    assert f"-t {IMAGE}-cpu --build-arg DEVICE=cpu" in DOCKERFILE


@pytest.mark.parametrize("name", YAML)
def test_nodes_are_labelled_as_the_cost_is_counted(name: str, read: Callable[[str], Any]):
    """A candidate's cost is looked up by the label of its node, in `cluster.prices`."""
    from lms_ray.cluster.resources import MARKET

    labels = values(read(name), "labels")
    assert {key for label in labels for key in label} == {MARKET} == {RAY_NODE_MARKET_TYPE_KEY}
    assert {label[MARKET] for label in labels} == set(get_args(Market))


@pytest.mark.parametrize("name", ["kuberay-cluster.yaml", "kuberay-job.yaml"])
def test_the_manifest_says_the_ray_of_the_image(name: str, read: Callable[[str], Any]):
    assert set(values(read(name), "rayVersion")) == {pins(ROOT / "constraints.txt")["ray"]} == {version("ray")}


def test_the_python_of_the_image_is_one_that_the_project_takes():
    (python,) = re.findall(r"^FROM python:3\.(\d+)-slim", DOCKERFILE, flags=re.M)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    least, below = re.findall(r"3\.(\d+)", wanted)
    assert int(least) <= int(python) < int(below)


def test_the_packages_of_the_launchers_are_pinned_and_agree_with_the_others():
    others = pins(ROOT / "constraints.txt")
    launchers = pins(CLUSTERS / "launchers.txt")
    assert {"boto3", "google-api-python-client", "google-auth-httplib2"} <= launchers.keys()
    assert {name: others.get(name, pinned) for name, pinned in launchers.items()} == launchers


def test_the_image_finds_what_it_copies():
    """`.dockerignore` keeps everything out but what it names; a new COPY needs a line there."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    let_in = [line[1:] for line in lines if line.startswith("!")]
    copied = [source for line in re.findall(r"^COPY (.+)$", DOCKERFILE, flags=re.M) for source in line.split()[:-1]]
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
        assert any(fnmatch.fnmatch(source, pattern) for pattern in let_in), source
    assert sorted(let_in) == sorted(set(copied)), "nothing else is sent to the builder"


def test_the_image_is_what_the_launcher_and_kuberay_expect():
    assert "ENV HOME=/home/ray" in DOCKERFILE, "the launcher reads it there; without it `~` is /root"
    assert re.findall(r"^USER (\d+)$", DOCKERFILE, flags=re.M) == ["1000"], "Kubernetes checks runAsNonRoot by number"
    assert "ENTRYPOINT" not in DOCKERFILE, "the launcher starts `bash`, KubeRay a shell of its own"


def test_the_head_may_hand_on_the_role_that_the_workers_have(read: Callable[[str], Any]):
    head = json.loads((CLUSTERS / "aws-iam" / "head.json").read_text())
    (passed,) = (part["Resource"] for part in head["Statement"] if part["Action"] == "iam:PassRole")
    launcher = read("aws.yaml")
    types = launcher["available_node_types"]
    profiles = {types[name]["node_config"]["IamInstanceProfile"]["Name"] for name in types.keys() - {"head"}}
    assert profiles == {passed.rpartition("/")[2]}
    (owned,) = (part["Condition"]["StringEquals"] for part in head["Statement"] if "Condition" in part)
    assert owned == {f"ec2:ResourceTag/{TAG_RAY_CLUSTER_NAME}": launcher["cluster_name"]}, "ends no one else's machines"
