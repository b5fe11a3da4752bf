"""Nodes that are drained: they take no new work, and go when they are idle, or when their machine is taken.

Ray itself gives a drained node no new actor or task, Ray Data hands no more work to its actors, and Ray Train starts
its workers elsewhere. Tune would go on handing candidates to an actor that is already there: that actor has to leave.

What an actor is at work on goes on: each epoch that is still saved before the machine goes is one less to be done on
another. To stop earlier would lose nothing either, but leaves a machine idle that is paid for.
"""

import ray
from ray.exceptions import RayActorError


class DrainedError(RayActorError):
    """An actor leaves a drained node before it has begun; Ray counts it as preempted, and so for no failure."""

    def __init__(self) -> None:
        node = ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
        super().__init__(
            error_msg=f"node {node} is drained; what was to be done there is done elsewhere", preempted=True
        )


def drained() -> set[str]:
    """Ids of nodes that were drained, gone ones among them; none are seen by a driver that is connected by `ray://`."""
    if ray.util.client.ray.is_connected():
        return set()
    return set(ray._private.state.state.get_draining_nodes())  # there is no public way


def leave_if_drained() -> None:
    """Have this actor's work done elsewhere if its node is drained; a millisecond.

    Raises:
        DrainedError: it is.
    """
    if ray.get_runtime_context().get_node_id() in drained():
        raise DrainedError
