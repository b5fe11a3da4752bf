"""Tasks: examples -> windows -> head -> example statistics. A new task is one module and one line in `TASKS`."""

from lms_ray.tasks.base import Task
from lms_ray.tasks.tagging import PartOfSpeech

TASKS: dict[str, type[Task]] = {"pos": PartOfSpeech}


def get(name: str) -> Task:
    """The task of that name, as in `experiment.task`."""
    return TASKS[name]()
