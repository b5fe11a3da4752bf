"""A thread that works beside a block of the driver, and ends with it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(work: Callable[[threading.Event], None], name: str) -> Iterator[None]:
    """Have a function run in a thread of its own for the length of the block, whose end waits for it.

    Args:
        work: told by an event, once that is set, to return.
        name: of the thread.
    """
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), daemon=True, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
