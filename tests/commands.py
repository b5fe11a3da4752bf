"""The command line, run in this process."""

import sys

import pytest

from lms_ray import cli


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run `lms-ray` with these arguments; gives its exit status."""
    monkeypatch.setattr(sys, "argv", ["lms-ray", *arguments])
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0
