"""The run of stages: as the only driver of an experiment's folder, connected to Ray where a stage needs it."""

import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from lms_ray.pages.progress import say, telling, waiting
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import to_yaml
from lms_ray.settings.resources import Resources
from lms_ray.store import identity, provenance
from lms_ray.store.files import Store
from lms_ray.store.lock import hold

if TYPE_CHECKING:
    from lms_ray.models.job import Job

log = logging.getLogger(__name__)

ON_RAY = {
    "sweep": "sweep",
    "features": "encode",
    "ranking": "ranker",
    "soups": "encode",
}  # and the key that says what a worker takes
READING = {"sweep", "features", "soups"}  # need the data
UPLOADED = "working_dir_files"  # Ray's folder of what `ray job submit --working-dir` sends


def run(experiment: Experiment, stages: tuple[str, ...]) -> None:
    """Run stages of an experiment in order, as the only driver of its folder."""
    store = Store(experiment.folder)
    _refuse_uploaded(store)
    if "soups" in stages:
        from lms_ray.choosing.soups import require_shared_head

        require_shared_head(experiment)  # before a folder is made, or Ray is started
    with hold(store) as claim, telling(), ExitStack() as stack:
        if experiment != experiment.without_credentials():
            log.warning(
                "a URI names keys, which Ray's dashboard and the list of processes show with the command; "
                "a role of the machines or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY there are not shown"
            )
        reads = not READING.isdisjoint(stages)
        with waiting("job", "reading data and encoder"):
            from lms_ray.models.job import Job
            from lms_ray.models.pretrain import materialise

            job = Job(materialise(experiment, make=reads), store)
            identity.require_same(experiment, store)
            if reads:
                job.check()
        on_ray = set(stages) - ({"ranking"} if experiment.ranker.fit == "fast" else set())
        resources = {key: getattr(experiment, key).resources for stage, key in ON_RAY.items() if stage in on_ray}
        if resources:
            places = job.standard.folders if reads and experiment.sweep.checkpoints else ()
            _connect(job, claim, resources, places, stack)
        if stages != ("report",):
            store.write_bytes(identity.CONFIGURATION, to_yaml(experiment.absolute()).encode())
        for stage in stages:
            started = time.monotonic()
            with waiting(stage, "at work"):
                _stage(stage)(job)
            say(stage, f"finished in {time.monotonic() - started:.1f} s")


def _connect(
    job: "Job", claim: str, resources: Mapping[str, Resources], folders: Sequence[str], stack: ExitStack
) -> None:
    """Be connected to Ray until the stack is left, with an eye on its head and its nodes; record where that is.

    Args:
        job: the experiment.
        claim: of this driver to it, which is given up where the head is lost.
        resources: what a worker of each stage takes.
        folders: what workers read beside the storage.
        stack: of what ends with the run.
    """
    with waiting("cluster", "loading Ray"):
        import ray

        from lms_ray.cluster import head
        from lms_ray.cluster.connecting import connect
        from lms_ray.cluster.nodes import watched
        from lms_ray.cluster.resources import address_of, is_local

    cluster, store, on_sigterm = job.experiment.cluster, job.store, signal.getsignal(signal.SIGTERM)
    stack.enter_context(connect(cluster, **resources))
    stack.enter_context(head.watched(address_of(cluster), partial(store.hasty().delete, claim)))
    signal.signal(signal.SIGTERM, on_sigterm)  # Ray has taken it over
    if not is_local(cluster):
        stack.enter_context(watched(store, folders, resources))
    store.write_json(identity.PROVENANCE, provenance.collect(ray.cluster_resources()))


def _refuse_uploaded(store: Store) -> None:
    """Refuse to keep an experiment beside a submitted job's code: other nodes do not see it, and Ray deletes it."""
    if store.is_local and UPLOADED in Path(store.root).parts:
        raise ConfigError(
            f"storage: found {store.where()}, in the uploaded code of the job; accepted is a bucket, such as "
            "storage=s3://bucket/runs, or the whole path of a folder that all nodes share"
        )


def _stage(name: str) -> "Callable[[Job], None]":
    return import_module(f"lms_ray.{name}").run
