"""The launcher files: what `ray up` makes of them, on a simulated cloud where there is one."""

import inspect
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
import ray.autoscaler
from moto import mock_aws
from ray._raylet import RAY_NODE_MARKET_TYPE_KEY
from ray.autoscaler._private import docker
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config
from ray.scripts.scripts import cli

from lms_ray.cluster import spot

LAPTOP = "203.0.113.7/32"  # its address, to which docs/aws.md opens SSH
SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())


def parsed(command: str) -> dict[str, Any]:
    """The options of a `ray VERB ...` that may follow other shell commands, by Ray's own parser."""
    words = shlex.split(command[command.index("ray ") :])
    return cli.commands[words[1]].make_context(words[1], words[2:]).params


def test_the_schema_accepts_the_file(launcher: dict[str, Any]):
    jsonschema.validate(launcher, SCHEMA)


def test_ray_starts_and_stays_on_loopback(launcher: dict[str, Any]):
    head, worker = (parsed(launcher[f"{kind}_start_ray_commands"][1]) for kind in ("head", "worker"))
    assert head["head"]
    assert head["dashboard_host"] == "127.0.0.1"
    assert head["autoscaling_config"] == "~/ray_bootstrap_config.yaml", "where the launcher puts its configuration"
    assert worker["address"] == f"$RAY_HEAD_IP:{head['port']}"
    for options in (head, worker):
        assert options["disable_usage_stats"]
        assert options["num_cpus"] is None, "the launcher hands the resources of the node type to Ray"


def test_workers_are_watched_once_ray_is_started_and_start_without_a_watcher_too(launcher: dict[str, Any]):
    assert len(launcher["head_start_ray_commands"]) == 2, "the head is on demand"
    command, otherwise = launcher["worker_start_ray_commands"][2].split(" || ")
    python, flag, module, *options = shlex.split(command)
    assert (python, flag, module) == ("python", "-m", spot.__spec__.name)
    assert spot.parser().parse_args(options).detach
    assert otherwise == "true"
    assert "--net=host" in inspect.getsource(docker.docker_start_cmds), "AWS does not answer beyond the first hop"


def test_every_node_wants_the_token(launcher: dict[str, Any]):
    assert launcher["docker"]["run_options"] == ["--env RAY_AUTH_MODE=token"]
    assert launcher["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}


def test_nothing_is_installed_at_the_start(launcher: dict[str, Any]):
    prepared = prepare_config(launcher)  # Ray's defaults install a development wheel of another Python
    assert prepared["head_setup_commands"] == prepared["worker_setup_commands"] == []


def test_the_label_says_the_market(launcher: dict[str, Any]):
    for node in launcher["available_node_types"].values():
        config = node["node_config"]
        markets = {config.get("InstanceMarketOptions", {}).get("MarketType")}
        markets |= {config.get("scheduling", {}).get("provisioningModel", "").lower()}
        assert node["labels"] == {RAY_NODE_MARKET_TYPE_KEY: "spot" if "spot" in markets else "on-demand"}


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[str], Any]) -> Iterator[None]:
    """An AWS account with the roles and the security group of docs/aws.md, simulated in this process."""
    monkeypatch.setenv("HOME", str(tmp_path))  # Ray puts the key that it makes into ~/.ssh
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "simulated")
    simulated = mock_aws()
    simulated.start(reset=False)  # other tests' S3 server is of the same process
    try:
        for name in ("lms-ray-head", "lms-ray-worker"):
            boto3.client("iam").create_instance_profile(InstanceProfileName=name)
        ec2 = boto3.resource("ec2", region_name=read("aws.yaml")["provider"]["region"])
        group = ec2.create_security_group(GroupName="ray-autoscaler-lms-ray", Description="lms-ray")
        inside = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group.id}]}
        ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": LAPTOP}]}
        group.authorize_ingress(IpPermissions=[inside, ssh])
        yield
    finally:
        simulated.stop(remove_data=False)


@pytest.mark.slow
@pytest.mark.usefixtures("account")
def test_ray_up_on_aws(read: Callable[[str], Any]):
    """Every node type is launched as its label says, in each zone; only SSH is open, and to the laptop only."""
    launcher = bootstrap_aws(prepare_config(read("aws.yaml")))
    zones = launcher["provider"]["availability_zone"].split(",")
    ec2 = boto3.resource("ec2", region_name=launcher["provider"]["region"])
    provider = AWSNodeProvider(launcher["provider"], launcher["cluster_name"])
    for name, node in launcher["available_node_types"].items():
        config = node["node_config"]
        tags = {"ray-node-type": "worker", "ray-user-node-type": name}
        (made,) = provider.create_node(config, tags, 1).values()
        assert (made.instance_lifecycle or "on-demand") == node["labels"][RAY_NODE_MARKET_TYPE_KEY]
        profile = "lms-ray-head" if name == launcher["head_node_type"] else "lms-ray-worker"
        assert made.iam_instance_profile["Arn"].endswith(profile)
        assert [ec2.Subnet(subnet).availability_zone for subnet in config["SubnetIds"]] == zones
        for group in config["SecurityGroupIds"]:
            from_outside = [rule for rule in ec2.SecurityGroup(group).ip_permissions if rule["IpRanges"]]
            assert [(rule["FromPort"], rule["ToPort"], rule["IpRanges"]) for rule in from_outside] == [
                (22, 22, [{"CidrIp": LAPTOP}])
            ]
