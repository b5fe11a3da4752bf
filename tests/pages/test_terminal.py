"""Printing works on a terminal or into a log file of any encoding."""

import io
import os
import subprocess
import sys

import pytest

from lms_ray.pages.tables import score_table
from made_picks import HAND_MADE

SCRIPT = r"from lms_ray.pages.terminal import show; show('mean \u0394 \u2713 caf\u00e9 \u4e2d')"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "mean Δ ✓ café 中"),
        ("latin-1", r"mean delta + café \u4e2d"),
        ("ascii", r"mean delta + caf\xe9 \u4e2d"),
    ],
)
def test_what_stdout_cannot_show_has_a_stand_in(encoding: str, shown: str):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True, env=environment)
    assert done.stdout.decode(encoding) == f"{shown}{os.linesep}"


def test_columns_stay_aligned_with_stand_ins(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    lines = score_table(HAND_MADE).to_text().splitlines()
    assert any(line.startswith("mean delta to En-Dev  +0.0") for line in lines)
    start = lines[1].index("  ") + 2
    assert all(line[start - 2 : start] == "  " and line[start] != " " for line in lines)
