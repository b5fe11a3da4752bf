"""Real trackers beside a sweep: a server of MLflow, Weights & Biases' offline runs, TensorBoard's event files."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import small
from lms_ray.cluster import trackers
from lms_ray.cluster.trackers import Told
from lms_ray.settings import trackers as of_settings
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.loading import load
from lms_ray.settings.trackers import Trackers


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a tracking server."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "-m",
        "mlflow",
        "server",
        f"--port={port}",
        "--workers=1",
        f"--backend-store-uri=sqlite:///{folder}/ml.db",
    ]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log)
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 120
        while not answers(f"{address}/health"):
            assert server.poll() is None and time.monotonic() < deadline, (folder / "log.txt").read_text()
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False


@pytest.mark.ray
def test_each_tracker_is_told_settings_losses_and_scores(
    mlflow: str, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    told = f"{{mlflow: '{mlflow}', wandb: lms, tensorboard: events}}"
    small.run("sweep", job, tmp_path, f"trackers={told}", "--only")
    records = [json.loads(path.read_text()) for path in (tmp_path / "small" / "candidates").glob("*/DONE.json")]
    assert len(records) == small.CANDIDATES
    of_mlflow = in_mlflow(mlflow)
    for record in records:
        setting, losses, scores = of_mlflow[record["id"]]
        assert float(setting["candidate/learning_rate"]) == record["learning_rate"]
        assert int(setting["candidate/seed"]) == record["seed"]
        assert losses == pytest.approx(record["losses"])
        assert scores == pytest.approx([record["dev_score"]])
    events = {path.parent.name: path.read_bytes() for path in (tmp_path / "events").glob("*/events.out.*")}
    assert events.keys() == of_mlflow.keys()
    assert all(b"learning_rate" in content and b"dev_score" in content for content in events.values())
    assert len(list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))) == small.CANDIDATES


def in_mlflow(address: str) -> dict[str, tuple[dict[str, str], list[float], list[float]]]:
    """Parameters, losses by epoch and dev scores of each run, by its name."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("small")
    assert experiment
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    return {
        run.info.run_name: (
            run.data.params,
            *(
                [metric.value for metric in client.get_metric_history(run.info.run_id, name)]
                for name in ("loss", "dev_score")
            ),
        )
        for run in runs
    }


def test_a_tracker_whose_package_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_settings, "find_spec", lambda module: None if module == "wandb" else object())
    Trackers(mlflow="http://host:5000").require_packages()
    with pytest.raises(ConfigError, match=r"trackers\.wandb: found no package wandb; .*pip install 'lms-ray\[wandb\]'"):
        Trackers(wandb="project").require_packages()


def test_one_that_cannot_be_reached_ends_the_job_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    experiment = load("quickstart", ["trackers.mlflow=http://user:secret@127.0.0.1:9"])
    with caplog.at_level("INFO", "lms_ray"), pytest.raises(ConfigError) as refused:
        trackers.callbacks(experiment)
    assert "trackers.mlflow: reaching http://127.0.0.1:9" in caplog.text, "it may try for long"
    assert str(refused.value) == (
        "trackers.mlflow: found http://127.0.0.1:9, which does not answer (Connection refused); accepted is what this "
        "machine reaches, or null for none"
    )


def test_one_that_goes_away_is_told_no_more(caplog: pytest.LogCaptureFixture) -> None:
    class Gone:
        asked = 0

        def setup(self) -> None: ...

        def log_trial_start(self, trial: object) -> None:
            self.asked += 1
            raise ConnectionError("http://user:secret@host is gone")

    gone = Gone()
    told = Told("mlflow", gone, "http://host")  # type: ignore[arg-type]
    for _ in range(2):
        told.on_trial_start(0, [], None)
    assert gone.asked == 1
    assert "trackers.mlflow: http://host is gone; it is told no more, and the sweep goes on" in caplog.text


def test_an_epoch_is_told_by_its_number_also_of_a_candidate_that_goes_on() -> None:
    """Tune counts the results of each attempt."""
    told: list[dict[str, Any]] = []
    tracker = SimpleNamespace(setup=lambda: None, log_trial_result=lambda iteration, trial, result: told.append(result))
    result = {"epoch": 3, "loss": 0.5, "training_iteration": 1, "record": {}}
    Told("mlflow", tracker, "http://host").on_trial_result(9, [], None, result)  # type: ignore[arg-type]
    assert told == [{"epoch": 3, "loss": 0.5, "training_iteration": 3}]


def test_passwords_of_a_server_are_kept_nowhere() -> None:
    experiment = load("quickstart", ["trackers.mlflow=https://user:secret@host"])
    assert experiment.model_dump(mode="json")["trackers"]["mlflow"] == "https://host"
