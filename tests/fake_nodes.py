"""Nodes for Ray's autoscaler on this machine, each with a folder of its own, as machines have."""

from functools import partial
from typing import Any
from unittest import mock

from ray._private import parameter
from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider


class Provider(FakeMultiNodeProvider):
    """Ray's own, whose nodes share the head's folder: there, one that joins replaces the code in which jobs run."""

    def _create_node_with_resources_and_labels(self, *of_node: Any) -> None:
        folder = f"{self.provider_config['folder']}/{self._next_node_id}"
        with mock.patch.object(parameter, "RayParams", partial(parameter.RayParams, temp_dir=folder)):
            super()._create_node_with_resources_and_labels(*of_node)
