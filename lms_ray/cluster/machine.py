"""The machine on which a task of Ray runs, as it is recorded beside what it makes."""

import socket
from typing import Any

import ray
import torch

from lms_ray.settings.resources import Resources
from lms_ray.store.attempts import Machine

MARKET = "ray.io/market-type"  # label of a node: spot or on-demand


def this_machine(resources: Resources) -> Machine:
    """The machine of this process, and what it takes of it."""
    labels: Any = ray.get_runtime_context().get_node_labels()  # strings, whatever its annotation says
    return Machine(
        host=socket.gethostname(),
        market=labels.get(MARKET),
        accelerator=torch.cuda.get_device_name() if resources.gpus else None,
        cpus=resources.cpus,
        gpus=resources.gpus,
    )
