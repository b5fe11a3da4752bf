"""Tasks: examples -> windows -> head -> example statistics; which tasks there are is what the modules here say."""

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache

from lms_ray.settings.errors import ConfigError
from lms_ray.tasks.base import Task


def get(name: str, labels: Sequence[str] = ()) -> Task:
    """The task of that name, as in `experiment.task`, with a head for these labels.

    Raises:
        ConfigError: there is none; names those that there are.
    """
    known = _known()
    if name not in known:
        raise ConfigError(f"task: found {name!r}; accepted are {', '.join(sorted(known))}")
    return known[name](labels)


def names() -> list[str]:
    """Names of all tasks, sorted."""
    return sorted(_known())


@cache
def _known() -> dict[str, type[Task]]:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    known: dict[str, type[Task]] = {}
    found: list[type[Task]] = [Task]  # type: ignore[type-abstract]
    while found:
        task = found.pop()
        found += task.__subclasses__()
        if "name" in vars(task):
            known[task.name] = task
    return known
