"""A driver of the main job whose candidates meet real faults: `python tests/faulty_candidates.py JOB key=value ...`.

Of the candidates with the learning rate 1e-3, seed 0 raises after its first epoch and seed 1 kills its own worker, each
time that they are tried.
"""

import errno
import os
import signal
from typing import Any

from lms_ray import sweep
from lms_ray.settings.candidates import Candidate
from lms_ray.store.folder import Folder

RAISES = Candidate(1e-3, 2, 32, seed=0)
KILLS = Candidate(1e-3, 2, 32, seed=1)
FULL = Candidate(1e-3, 2, 32, seed=2)
"""Its folder is made a file system of its own, with little room; or NO_ROOM says that there is none for weights."""
NO_ROOM = "LMS_RAY_TEST_NO_ROOM"


class FaultyTrial(sweep.Trial):
    """A trial in which some candidates do what they should not."""

    def setup(self, *arguments: Any, **named: Any) -> None:
        super().setup(*arguments, **named)
        if NO_ROOM in os.environ:
            Folder._write = write_where_there_is_room

    def step(self):
        said = super().step()
        if self.candidate == RAISES:
            raise ArithmeticError("no words for it")
        if self.candidate == KILLS:
            os.kill(os.getpid(), signal.SIGKILL)
        return said


write = Folder._write


def write_where_there_is_room(folder: Folder, path: str, source: Any) -> Any:
    """Stands for a full disk where none can be made."""
    if FULL.id("").rpartition("-")[0] in path and path.endswith(".safetensors"):
        with folder._storage(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return write(folder, path, source)


if __name__ == "__main__":
    from lms_ray import cli

    sweep.Trial = FaultyTrial
    cli.main(stage="sweep")
