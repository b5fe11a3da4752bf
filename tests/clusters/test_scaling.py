"""What Ray's own scheduler starts for each cluster: spot first, on demand where spot is not to be had."""

from ray._raylet import RAY_NODE_MARKET_TYPE_KEY
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import CloudResourceMonitor
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.instance_manager_pb2 import Instance, InstanceUpdateEvent

from lms_ray.settings.loading import load

GPUS = [f"{stage}.resources.gpus=1" for stage in ("sweep", "encode", "ranker")]


def started(scaled: AutoscalingConfig, workers: int, stage: str = "sweep", dry: tuple[str, ...] = ()) -> dict[str, int]:
    """Nodes of each type for so many workers of a stage, where the markets of some types are known to be dry."""
    resources = getattr(load("quickstart", GPUS), stage).resources
    wanted = ResourceRequestUtil.make({"CPU": resources.cpus, "GPU": resources.gpus})
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=scaled.get_node_type_configs(),
        max_num_nodes=scaled.get_max_num_nodes(),
        resource_requests=ResourceRequestUtil.group_by_count([wanted] * workers),
        recoverable_resource_availabilities=dict.fromkeys(dry, 0.0),
    )
    return {launch.instance_type: launch.count for launch in ResourceDemandScheduler().schedule(request).to_launch}


def of_market(scaled: AutoscalingConfig, market: str) -> tuple[str, ...]:
    types = scaled.get_node_type_configs()
    found = [name for name, node in types.items() if node.labels[RAY_NODE_MARKET_TYPE_KEY] == market]
    return tuple(name for name in found if name != scaled.get_head_node_type())


def test_nothing_runs_where_nothing_waits(scaled: AutoscalingConfig):
    assert started(scaled, 0) == {}
    assert scaled.get_idle_timeout_s() == 600


def test_spot_is_asked_first_and_in_the_order_of_the_file(scaled: AutoscalingConfig):
    types, spot = scaled.get_node_type_configs(), of_market(scaled, "spot")
    everything = sum(types[name].max_worker_nodes for name in spot)
    for stage in ("sweep", "encode", "ranker"):
        assert started(scaled, 1, stage) == {spot[0]: 1}
        assert started(scaled, everything, stage) == {name: types[name].max_worker_nodes for name in spot}


def test_on_demand_takes_what_is_above_the_spot_shares(scaled: AutoscalingConfig):
    types = scaled.get_node_type_configs()
    workers = {name: types[name].max_worker_nodes for name in types if name != scaled.get_head_node_type()}
    assert started(scaled, 1000) == workers
    assert of_market(scaled, "on-demand")
    assert sum(workers.values()) == scaled.get_max_num_worker_nodes()


def test_a_dry_spot_market_falls_back_to_on_demand(scaled: AutoscalingConfig):
    (on_demand,) = of_market(scaled, "on-demand")
    assert started(scaled, 2, dry=of_market(scaled, "spot")) == {on_demand: 2}


def test_ray_still_forgets_a_launch_that_was_refused():
    """The reason for shares in the launcher files; where this fails, the priorities alone will do."""
    monitor = CloudResourceMonitor()
    failed = InstanceUpdateEvent(instance_type="spot", new_instance_status=Instance.ALLOCATION_FAILED)
    late = InstanceUpdateEvent(instance_type="pending", new_instance_status=Instance.ALLOCATION_TIMEOUT)
    monitor.notify([failed, late])
    assert monitor.get_recoverable_resource_availabilities() == {"pending": 0.0}


def test_no_work_fits_the_head(scaled: AutoscalingConfig):
    head = scaled.get_node_type_configs()[scaled.get_head_node_type()]
    assert head.resources["CPU"] == 0
    assert head.resources.get("GPU", 0) == 0
    assert head.labels == {RAY_NODE_MARKET_TYPE_KEY: "on-demand"}
