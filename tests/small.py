"""The main job at a small size, as a user starts it: eight candidates, three pivots, two targets."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

LANGUAGES = ("en", "de", "es", "nl", "tr")
CANDIDATES = 8
ONE_WORKER = [f"{stage}.resources.workers=1" for stage in ("sweep", "encode", "ranker")]


def start(stage: str, job: Path, storage: Path, *overrides: str) -> subprocess.Popen:
    # A relative path, as in the README: trials and workers run in other working directories than the driver.
    command = [sys.executable, "-m", f"lms_ray.{stage}", str(job), "storage=.", *overrides]
    log = (storage / "log.txt").open("a")
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=storage)


def run(stage: str, job: Path, storage: Path, *overrides: str) -> str:
    storage.mkdir(exist_ok=True)
    log = storage / "log.txt"
    before = log.stat().st_size if log.exists() else 0
    status = start(stage, job, storage, *overrides).wait()
    text = log.read_text()[before:]
    assert status == 0, text
    return text


def picks(storage: Path) -> pd.DataFrame:
    return pd.read_parquet(storage / "small" / "picks.parquet")


def rankings(storage: Path) -> pd.DataFrame:
    table = pd.read_parquet(storage / "small" / "rankers" / "scores.parquet")
    return table.sort_values(["target", "candidate", "seed"], ignore_index=True)


def done_files(storage: Path, folder: str) -> dict[str, int]:
    """Time of every finished unit's DONE.json, which a rerun must not touch."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (storage / "small" / folder).glob("*/DONE.json")}


def copy_of_candidates(finished: Path, storage: Path) -> Path:
    """A storage in which only the sweep has run."""
    (storage / "small").mkdir(parents=True)
    shutil.copytree(finished / "small" / "candidates", storage / "small" / "candidates")
    shutil.copy(finished / "small" / "candidates.parquet", storage / "small")
    return storage
