"""A candidate's training state, written while the next epoch trains."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from lms_ray.store.files import Store


class Saver:
    """Writes one file again and again in a thread of its own; leaving the block waits for the last write.

    One write at a time: the next state is made only when the one before is written. So memory holds one state beside
    the training's own (over 1 GB for mBERT with its moments), and twice that while it is taken from a GPU. Whoever has
    left the block can delete the file: nothing writes it again.

    Args:
        store: where to.
        path: of the file.
    """

    def __init__(self, store: Store, path: str):
        self._store, self._path = store, path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="saving")
        self._pending: Future[None] | None = None

    def save(self, state: Callable[[], bytes], written: Callable[[], None] = lambda: None) -> None:
        """Take the state now, write it later.

        Args:
            state: gives it.
            written: called once it is in the storage, from the thread that wrote it.

        Raises:
            StorageError: the write before this one failed.
        """
        self._wait()
        self._pending = self._thread.submit(self._write, state(), written)

    def _write(self, state: bytes, written: Callable[[], None]) -> None:
        self._store.write_bytes(self._path, state)
        written()

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._thread.shutdown()  # waits, also where the training failed: its last state is where the next try goes on
        if error is None:
            self._wait()
