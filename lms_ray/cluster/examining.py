"""Stage 1 without fine-tuning: examine and score the checkpoints that the user brought, each in a task of Ray."""

from typing import Any

import ray

from lms_ray.cluster.resources import set_up
from lms_ray.models import brought
from lms_ray.models.job import Job
from lms_ray.pages.progress import Progress
from lms_ray.settings.errors import ConfigError, SweepError
from lms_ray.settings.uris import without_credentials
from lms_ray.store import pool
from lms_ray.store.files import Store
from lms_ray.tasks.pretrained import first_line


def take_all(job: Job) -> list[dict[str, Any]]:
    """Examine and score every checkpoint that is not known yet.

    Returns:
        The record of each.

    Raises:
        ConfigError: some do not fit; names each with the difference.
        SweepError: some could not be examined.
    """
    store, standard = job.store, job.standard
    places = {without_credentials(folder): folder for folder in standard.folders}  # records and messages have no keys
    done = (store.done(pool.unit(name)) for name in store.names(pool.FOLDER))
    of_standard = [record for record in done if record and record.get("standard") == standard.digest]
    files_of = {place: Store(folder).signature() for place, folder in places.items()}
    records = {
        record["path"]: record
        for record in of_standard
        if record["path"] in files_of and record["signature"] == files_of[record["path"]]
    }
    progress = Progress("sweep", "checkpoints", len(places), done=len(records))
    resources = job.experiment.sweep.resources
    examine: Any = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_calls=1)(_examine)
    standard_ref = ray.put(standard)
    running = {examine.remote(folder, standard_ref): place for place, folder in places.items() if place not in records}
    misfits: list[str] = []
    failures: list[str] = []
    while running:
        (ready,), _ = ray.wait(list(running))
        place = running.pop(ready)
        try:
            record = ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            (misfits if isinstance(error.cause, ValueError) else failures).append(f"{place}: {error.cause}")
        except ray.exceptions.RayError as error:  # its worker was lost again and again
            failures.append(f"{place}: {first_line(error)}")
        else:
            store.commit(pool.unit(record["id"]), record, {})
            records[place] = record
        progress.show(len(records), len(running), len(misfits) + len(failures))
    if misfits:
        raise ConfigError("sweep.checkpoints: some do not fit\n" + "\n".join(sorted(misfits)))
    if failures:
        raise SweepError("some checkpoints could not be examined\n" + "\n".join(sorted(failures)))
    by_content: dict[str, str] = {}
    for place, record in records.items():
        other = by_content.setdefault(record["digest"], place)
        if other != place:
            raise ConfigError(f"sweep.checkpoints: {other} and {place} are the same checkpoint")
    return [records[place] for place in places]


def _examine(folder: str, standard: brought.Standard) -> dict[str, Any]:
    return brought.examine(folder, standard, set_up(standard.experiment.sweep.resources)[0])
