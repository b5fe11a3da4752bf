"""Drivers that are killed, stopped or starved, and what must be true of their storage and processes afterwards."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

import small

# Ray's own of each node, which touch nothing of an experiment; of a driver that is killed they end a minute later, when
# they have tried in vain to say so to its head.
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")

Units = dict[str, tuple[int, dict[str, Any]]]
"""What each finished unit of work has in its DONE.json, and when that was written."""


class Running:
    """A driver at work, whose experiment is the folder `small` of a local storage, or of another one."""

    def __init__(self, process: subprocess.Popen, storage: Path, log_start: int):
        self.process, self.storage, self._log_start = process, storage, log_start

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.storage / "log.txt").read_text()[self._log_start :]

    def until(self, condition: Callable[[], Any], within: float = 200) -> Any:
        """Wait until a condition gives something, which is returned; the driver must live so long."""
        end = time.monotonic() + within
        while not (found := condition()):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, f"waited in vain\n{self.log}"
            time.sleep(0.01)
        return found

    def until_said(self, text: str) -> None:
        """Wait until it has said something."""
        self.until(lambda: text in self.log)

    def workers(self, kind: str) -> list[psutil.Process]:
        """Its Ray's processes whose name has this in it, that of an actor's class or of what it does."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            title = _title(process)
            if title.startswith("ray::") and kind in title:
                found.append(process)
        return found

    def end(self, sent: signal.Signals, within: float = 60) -> int:
        """Send a signal; the exit status. Nothing that the driver has started may outlive it for long."""
        started = psutil.Process(self.process.pid).children(recursive=True)
        started = [process for process in started if not _title(process).startswith(AGENTS)]
        self.process.send_signal(sent)
        status = self.process.wait(timeout=within)
        left = psutil.wait_procs(started, timeout=20)[1]
        assert not left, f"its Ray ends with it, but {list(map(_title, left))}"
        nobody_is_in(self.storage, but=AGENTS)
        return status

    def kill(self) -> None:
        """As a machine that is lost."""
        assert self.end(signal.SIGKILL) == -signal.SIGKILL, "it had ended before"

    def stop(self) -> None:
        """As `ray job stop` and `kubectl delete`: it says how to go on, and leaves no claim."""
        assert self.end(signal.SIGTERM) == 143, self.log
        assert "interrupted; the same command goes on from here" in self.log
        assert "Traceback" not in self.log
        assert not claims(self.storage), "the next driver need not wait"


@contextmanager
def driver(stage: str, job: Path, storage: Path, *overrides: str) -> Iterator[Running]:
    """A driver that is started as a user does it; it does not outlive the block."""
    storage.mkdir(exist_ok=True)
    log = storage / "log.txt"
    before = len(log.read_text()) if log.exists() else 0
    process = small.start(stage, job, storage, *overrides)
    try:
        yield Running(process, storage, before)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def units(storage: Path, *folders: str) -> Units:
    """The finished units of work in some folders of the experiment; the files of a ranker may be fewer afterwards."""
    found = {}
    for folder in folders or ("candidates", "encodings", "rankers"):
        for path in (storage / "small" / folder).rglob("DONE.json"):
            name = path.parent.relative_to(storage / "small").as_posix()
            if name != "rankers":  # the stage itself, whose tables may be made again
                record = json.loads(path.read_text())
                files = record.pop("files")
                is_ranker = name.startswith("rankers/")  # weights that were not chosen are dropped
                found[name] = (0, record) if is_ranker else (path.stat().st_mtime_ns, record | {"files": files})
    return found


def claims(storage: Path) -> list[Path]:
    """Of drivers."""
    return list((storage / "small" / "drivers").glob("*"))


def nobody_is_in(folder: Path, within: float = 20, but: tuple[str, ...] = ()) -> None:
    """No process works in a folder or has a file of it open, after so many seconds at the latest."""
    end = time.monotonic() + within
    while (found := [title for title in _users(folder) if not title.startswith(but)]) and time.monotonic() < end:
        time.sleep(0.2)
    assert not found, f"{folder} is still used by {found}"


def _users(folder: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            used = [process.cwd(), *(file.path for file in process.open_files())]
        except psutil.Error:
            continue
        if any(Path(path).is_relative_to(folder) for path in used):
            found.append(_title(process))
    return found


def _title(process: psutil.Process) -> str:
    """Its name and command; Ray keeps the class of an actor in the one, and what it does in the other."""
    try:
        return f"{process.name()} {' '.join(process.cmdline()).strip()}"
    except psutil.Error:
        return ""
