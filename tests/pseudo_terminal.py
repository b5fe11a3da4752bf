"""A command in a real pseudo-terminal, and what a person would see of it."""

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\s\S]")
TAKE_TTY = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
CTRL_C = b"\x03"


@dataclass
class Screen:
    """Lines and cursor, as far as a line that is drawn anew needs it; what it does not know fails."""

    columns: int
    lines: list[list[str]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0

    def feed(self, text: str) -> None:
        for token in CONTROL.findall(text):
            if token.startswith("\x1b["):
                self._control(token[-1], token[2:-1])
            elif token == "\r":
                self.column = 0
            elif token == "\n":
                self._down()
            else:
                if self.column == self.columns:
                    self.column = 0
                    self._down()
                line = self.lines[self.row]
                line += [" "] * (self.column + 1 - len(line))
                line[self.column] = token
                self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append([])

    def _control(self, kind: str, numbers: str) -> None:
        if kind == "A":
            self.row -= int(numbers or 1)
            assert self.row >= 0, "above what was printed"
        elif kind == "K" and numbers == "2":
            self.lines[self.row] = []
        else:
            assert kind == "m", f"an unknown code: {kind} {numbers}"

    @property
    def shown(self) -> list[str]:
        return ["".join(line).rstrip() for line in self.lines]


@dataclass
class Session:
    """What became of a command."""

    status: int
    raw: str
    screen: Screen
    frames: list[list[str]]
    """The screen after each piece of output."""

    def drawn(self, pattern: str) -> list[str]:
        """Lines that were to be seen at some time."""
        return [line for frame in self.frames for line in frame if re.search(pattern, line)]


def run(
    arguments: Sequence[str],
    keys: Sequence[tuple[str, bytes | Callable[[], None]]] = (),
    columns: int = 100,
    within: float = 120,
    **env: str,
) -> Session:
    """Run Python with arguments in a terminal until it ends.

    Args:
        arguments: of Python.
        keys: typed, or what is called, as soon as a pattern is to be seen; one after the other.
        columns: of the terminal.
        within: seconds; later it is killed.
        env: what is set beside the environment.
    """
    outside, inside = os.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    quiet = termios.tcgetattr(inside)
    quiet[3] |= termios.NOFLSH  # Ctrl-C leaves what was printed before it is read
    termios.tcsetattr(inside, termios.TCSANOW, quiet)
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR", "COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_TTY, sys.executable, *arguments],
        stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
        env={**environment, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **env},
    )  # fmt: skip
    os.close(inside)
    screen, raw, frames, left, deadline = Screen(columns), "", [], list(keys), time.monotonic() + within
    try:
        while text := _read(outside, deadline):
            raw += text
            screen.feed(text)
            frames.append(screen.shown)
            if left and re.search(left[0][0], "\n".join(screen.shown)):
                _, then = left.pop(0)
                if callable(then):
                    then()
                else:
                    os.write(outside, then)
        return Session(process.wait(timeout=10), raw, screen, frames)
    finally:
        process.kill()
        process.wait()
        os.close(outside)


def _read(outside: int, deadline: float) -> str:
    """Whole characters and codes; empty at the end."""
    content = b""
    while True:
        ready, _, _ = select.select([outside], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, "it takes too long"
        try:
            piece = os.read(outside, 65536)
        except OSError:  # Linux says so when the other end is closed
            piece = b""
        content += piece
        if not piece or not re.search(rb"(\x1b[^A-Za-z]*|[\xc0-\xff][\x80-\xbf]{0,2})$", content):
            return content.decode(errors="replace")
