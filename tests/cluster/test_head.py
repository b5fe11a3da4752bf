"""A driver whose head falls silent."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import pathlib, socket, sys, time
from lms_ray.cluster import head
head.LOOK_EVERY, head.SILENT_FOR = 0.05, 0.5
claim = pathlib.Path(sys.argv[1])
with socket.create_server(("127.0.0.1", 0)) as listening:
    with head.watched(f"ray://127.0.0.1:{listening.getsockname()[1]}", eval(sys.argv[2])):
        time.sleep(1)
        print("heard")
        if sys.argv[3] == "dies":
            listening.close()
            time.sleep(60)
    print("ended")
"""


def run(claim: Path, give_up: str, fate: str) -> subprocess.CompletedProcess:
    claim.write_text("held")
    command = [sys.executable, "-c", SCRIPT, str(claim), give_up, fate]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


@pytest.mark.parametrize("give_up", ["claim.unlink", "lambda: 1 / 0"])
def test_it_gives_up_its_claim_says_how_to_go_on_and_ends(tmp_path: Path, give_up: str):
    done = run(tmp_path / "claim", give_up, "dies")
    assert done.returncode == 1
    assert done.stdout == "heard\n", "what was printed before is not lost"
    said = done.stderr.splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: the head of the Ray cluster (127.0.0.1:")
    assert "the same command goes on from here" in said[0]
    assert (tmp_path / "claim").exists() == (give_up != "claim.unlink")


def test_one_that_answers_ends_nothing(tmp_path: Path):
    done = run(tmp_path / "claim", "claim.unlink", "lives")
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard\nended\n", "")
    assert (tmp_path / "claim").exists()
