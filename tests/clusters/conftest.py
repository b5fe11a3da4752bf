"""The files of `clusters/`, as Ray's own autoscaler reads them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

ROOT = Path(__file__).parents[2]
CLUSTERS = ROOT / "clusters"


@pytest.fixture(scope="session")
def read() -> Callable[[str], Any]:
    """Read a file of `clusters/`: `read("aws.yaml")`."""
    return lambda name: yaml.safe_load((CLUSTERS / name).read_text())


@pytest.fixture(params=["aws.yaml", "gcp.yaml"])
def launcher(request: pytest.FixtureRequest, read: Callable[[str], Any]) -> dict[str, Any]:
    """A launcher file."""
    return read(request.param)


@pytest.fixture(params=["aws.yaml", "gcp.yaml", "kuberay-cluster.yaml"])
def scaled(request: pytest.FixtureRequest, read: Callable[[str], Any]) -> AutoscalingConfig:
    """A cluster as the autoscaler sees it: `ray up` reads a launcher file, the head's autoscaler a RayCluster."""
    config = read(request.param)
    if request.param == "kuberay-cluster.yaml":
        config["metadata"]["namespace"] = "default"  # which the API server fills in
        config = _derive_autoscaling_config_from_ray_cr(config)
    return AutoscalingConfig(config, skip_content_hash=True)
