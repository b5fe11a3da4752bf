"""Many requests to a storage at once: on an object store each takes its time, however small what it asks for."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 32

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """A function of every item, in their order; of several that fail, the first one's error is raised."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(function, items))
