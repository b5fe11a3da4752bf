"""What a user reads of an experiment: what is done, what failed, what it cost, and how to go on."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import made_folders as made
from lms_ray import cli
from lms_ray.pages.cost import took
from lms_ray.pages.status import show_status
from lms_ray.pages.watch import watch
from lms_ray.settings.loading import load
from lms_ray.store import lock, missing
from lms_ray.store.attempts import Use
from lms_ray.store.files import Store
from lms_ray.store.missing import Missing

SHOW = """
import sys
from lms_ray.pages.cost import took
from lms_ray.pages.status import show_status
show_status(sys.argv[1])
print(sorted({"ray", "torch"} & set(sys.modules)))
"""
PRICES = "cluster.prices={spot: 0.5, on-demand: 1.2}"
ON_GPUS = "sweep.resources.gpus=1"


def shown(store: Store, capsys: pytest.CaptureFixture, all_candidates: bool = False) -> list[str]:
    show_status(store.root, all_candidates)
    return capsys.readouterr().out.splitlines()


def test_an_experiment_at_work(local: Store, capsys: pytest.CaptureFixture):
    experiment = made.configured(local)
    done, training, lost, failed, *_ = made.ids(experiment)
    made.finished(local, done, dev_score=0.75)
    made.tried(local, done, outcome="done")
    made.tried(local, training, epochs=1)
    made.tried(local, failed, outcome="failed", machine=made.ON_DEMAND)
    made.failed(local, failed, "ValueError: no words")
    with lock.hold(local):
        lines = shown(local, capsys)
    assert lines[:5] == [
        "· sweep      1/8 candidates: 1 done, 1 training, 1 failed, 5 waiting",
        "· features   0/8 candidates",
        "· ranking    0/12 rankers",
        "· selection",
        "· report",
    ]
    assert re.fullmatch(rf"driver: process {os.getpid()} on \S+, last heard of \d s ago", lines[5])
    table = [re.split(r"\s{2,}", line) for line in lines[7:16]]
    assert table[0] == ["candidate", "state", "attempts", "device", "market", "time", "dev score"]
    assert table[1] == [done, "done", "1", "NVIDIA A10G", "spot", "5 min", "0.7500"]
    assert table[2] == [training, "training epoch 2 of 2, for 10 min", "1", "NVIDIA A10G", "spot", "5 min", "-"]
    assert table[3] == [lost.rpartition("-")[0], "waiting", "-", "-", "-", "-", "-"]
    assert table[4] == [failed, "failed: ValueError: no words", "1", "NVIDIA A10G", "on-demand", "5 min", "-"]
    assert lines[-2] == "missing: sweep, features, ranking, selection, report"
    assert re.fullmatch(rf"process {os.getpid()} on \S+ is at work on it", lines[-1])


def test_many_candidates_are_listed_if_they_are_asked_for(local: Store, capsys: pytest.CaptureFixture):
    experiment = made.configured(local, "sweep.seeds=20")
    made.tried(local, made.ids(experiment)[0], outcome="failed")
    made.failed(local, made.ids(experiment)[0], "ValueError: no words")
    assert f"1 failed, among them {made.ids(experiment)[0]}: ValueError: no words" in shown(local, capsys)
    lines = shown(local, capsys, all_candidates=True)
    assert sum(line.startswith("lr0.0001-") for line in lines) == 40


def test_cost_so_far_and_what_was_in_vain(local: Store, capsys: pytest.CaptureFixture):
    """Two hours and a half on spot, of which half an hour lost; 1 h 30 min on demand, of which 15 min failed."""
    experiment = made.configured(local, PRICES, ON_GPUS)
    first, second, third, *_ = made.ids(experiment)
    made.tried(local, first, ago=9000, seconds=7200, outcome="done")
    made.tried(local, second, ago=9000, seconds=1800)
    made.tried(local, third, seconds=1800, saved=900, outcome="failed", machine=made.ON_DEMAND)
    made.encoded(local, first, [Use(machine=made.ON_DEMAND, seconds=3600)])
    on_cores = made.SPOT.model_copy(update={"gpus": 0.0, "cpus": 4.0})
    made.fitted(local, "hash", "point", [Use(machine=on_cores, seconds=900)])
    lines = shown(local, capsys)
    start = next(number for number, line in enumerate(lines) if line.startswith("cost so far"))
    assert [re.split(r"\s{2,}", line) for line in lines[start : start + 5]] == [
        ["cost so far", "market", "time", "of it lost", "failed", "price"],
        ["sweep", "on-demand", "0.50 GPU-hours", "0", "0.25 GPU-hours", "0.60"],
        ["sweep", "spot", "2.50 GPU-hours", "0.50 GPU-hours", "0", "1.25"],
        ["features", "on-demand", "1.00 GPU-hours", "0", "0", "1.20"],
        ["ranking", "spot", "1.00 core-hours", "0", "0", "-"],
    ]
    assert lines[start + 5] == "in all 3.05: 0.25 for work that was lost, 0.30 for work that failed"
    assert lines[start + 6] == "without a price: core-hours on spot"


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (1234.5, "1,234 GPU-hours"),
        (2.5, "2.50 GPU-hours"),
        (0.1, "0.10 GPU-hours"),
        (0.05, "3.0 GPU-minutes"),
        (0.0005, "1.8 GPU-seconds"),
        (2.1e-5, "0.076 GPU-seconds"),
        (0, "0"),
    ],
)
def test_little_is_told_in_smaller_units(hours: float, said: str):
    assert took(hours, "GPU") == said


def test_a_price_is_not_invented(local: Store, capsys: pytest.CaptureFixture):
    made.tried(local, made.ids(made.configured(local))[0], outcome="done")
    lines = shown(local, capsys)
    assert "no price: set cluster.prices, such as 'cluster.prices={spot: 0.4, on-demand: 1.2}'" in lines


def test_the_command_that_goes_on_goes_on(local: Store, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """From the folder in which the job was started, from another, and after the experiment was moved and renamed."""
    monkeypatch.chdir(Path(local.root).parents[1])
    made.configured(local, "storage=runs")

    def goes_on_in(root: str) -> list[str]:
        command = shlex.split(shown(Store(root), capsys)[-1].removeprefix("to go on: "))
        assert command[:3] == ["python", "-m", "lms_ray.sweep"]
        assert str(Path(load(command[3], command[4:]).folder).absolute()) == root
        return command[4:]

    assert goes_on_in(local.root) == []
    monkeypatch.chdir("/")
    assert goes_on_in(local.root) == [f"storage={Path(local.root).parent}"]
    moved = Path(local.root).parents[1] / "else where" / "other"
    moved.parent.mkdir()
    Path(local.root).rename(moved)
    assert goes_on_in(str(moved)) == [f"storage={moved.parent}", "name=other"]


@pytest.mark.parametrize("job", sorted((Path(__file__).parents[2] / "jobs").glob("*.yaml")), ids=lambda path: path.stem)
def test_what_a_job_writes_of_its_configuration_is_read_as_the_same(job: Path, tmp_path: Path):
    from lms_ray.settings.loading import to_yaml

    experiment = load(str(job), [] if "format: hub" in job.read_text() else ["data.root=/data"]).absolute()
    stored = tmp_path / "experiment.yaml"
    stored.write_text(to_yaml(experiment), encoding="utf-8")
    assert load(str(stored)).absolute() == experiment


def test_a_watch_ends_when_all_is_done(local: Store, capsys: pytest.CaptureFixture):
    experiment = made.configured(local)

    def work() -> None:
        time.sleep(0.2)
        for name in made.swept(local, experiment):
            made.encoded(local, name, [])
        local.commit("rankers", {}, {})
        for path in ("corpora.parquet", "picks.parquet"):
            made.table(local, path)
        local.write_bytes("report/report.html", b"")

    worker = threading.Thread(target=work)
    worker.start()
    watch(local.root, every=0.05)
    worker.join()
    text = capsys.readouterr().out
    assert "\x1b" not in text  # a log
    blocks = [block for block in text.split(f"{local.where()} at ") if block]
    assert len(blocks) > 2
    assert "· sweep      0/8" in blocks[0] and "\ndone\nto use a pick: lms-ray export" in blocks[-1]


def test_ctrl_c_ends_a_watch_quietly(local: Store, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    made.configured(local)
    local.write_bytes("candidates.parquet", b"")

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    monkeypatch.setattr(sys, "argv", ["lms-ray", "status", local.root, "--watch", "3"])
    cli.main()
    captured = capsys.readouterr()
    assert captured.err == "" and "candidates.parquet: broken" in captured.out


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_watch_wants_seconds(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, seconds: str):
    monkeypatch.setattr(sys, "argv", ["lms-ray", "status", "x", f"--watch={seconds}"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "accepted is a number of seconds above 0" in capsys.readouterr().err


def test_a_folder_of_version_0_1_0_is_shown(local: Store, capsys: pytest.CaptureFixture):
    local.write_json("candidates/one/DONE.json", {"id": "one", "files": [["config.json", 3, 4]]})
    local.write_bytes("experiment.yaml", b"name: old\nremoved_key: 1\n")
    lines = shown(local, capsys)
    assert lines[0] == f"{local.where('experiment.yaml')}: broken; it is no experiment of this version"
    assert lines[1] == "· sweep      1/? candidates"
    assert lines[-1] == "to go on, give the command again with which it was begun: its experiment.yaml is broken"


def test_status_needs_neither_ray_nor_torch_nor_a_terminal_that_knows_its_signs(tmp_path: Path):
    store = Store(str(tmp_path / "läufe" / "pos"))
    made.configured(store)
    process = subprocess.run(
        [sys.executable, "-c", SHOW, store.root],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert process.returncode == 0, process.stderr.decode()
    lines = process.stdout.decode("ascii").splitlines()
    assert lines[0].startswith("- sweep      0/")
    assert "l\\xe4ufe/pos/experiment.yaml" in process.stdout.decode("ascii")
    assert json.loads(lines[-1]) == []


def test_a_report_is_named_once_it_is_there(local: Store, capsys: pytest.CaptureFixture):
    experiment = made.configured(local)
    made.swept(local, experiment)
    assert shown(local, capsys)[4] == "· report"
    local.write_bytes("report/report.html", b"")
    where = local.where("report/report.html")
    assert shown(local, capsys)[4] == f"· report     {where}, which is older than what is missing"


def test_a_candidate_that_diverged_has_no_score_and_one_that_was_cut_was_stopped(
    local: Store, capsys: pytest.CaptureFixture
):
    experiment = made.configured(local)
    diverged, cut, *_ = made.ids(experiment)
    made.finished(local, diverged, dev_score=0.25, diverged=True)
    made.tried(local, diverged, outcome="done")
    made.tried(local, cut, epochs=1)
    lines = shown(local, capsys)
    assert lines[0] == "· sweep      1/8 candidates: 1 diverged, 1 stopped, 6 waiting"
    rows = {row[0]: row for row in (re.split(r"\s{2,}", line) for line in lines)}
    assert rows[diverged][1:] == ["diverged", "1", "NVIDIA A10G", "spot", "5 min", "-"]
    assert rows[cut][1] == "stopped in epoch 2 of 2, 5 min ago"


def test_what_befell_candidates_and_what_to_do_with_those_that_are_missing(local: Store, capsys: pytest.CaptureFixture):
    experiment = made.configured(local)
    lost, preempted, failed, done, unseen, *_ = made.ids(experiment)
    for number in (1, 2):
        made.tried(local, lost, ago=600 * (3 - number), number=number, outcome="lost", epochs=1)
    made.tried(local, preempted, number=1, outcome="preempted")
    made.tried(local, failed, number=1, outcome="failed")
    made.failed(local, failed, "lms_ray.settings.errors.FullError: disk full: /runs/x (no space left on device)")
    made.tried(local, done, ago=900, number=1, outcome="preempted")
    made.tried(local, done, number=2, outcome="done")
    made.finished(local, done)
    local.write_bytes(f"candidates/{unseen}/ERROR.txt", b"its worker has died")
    missing.write(local, [Missing(failed, "failed", 4, 0, 0, "disk full"), Missing(unseen, "lost", 0, 11, 0, "lost")])
    lines = shown(local, capsys)
    assert lines[0] == "· sweep      1/8 candidates: 1 done, 1 failed, 2 lost, 1 preempted, 3 waiting"
    states = {row[0]: row[1] for row in (re.split(r"\s{2,}", line) for line in lines) if len(row) > 1}
    assert states[lost] == "lost in epoch 2 of 2, 5 min ago, 2 times so far"
    assert states[preempted] == "preempted in epoch 1 of 2, 5 min ago"
    assert states[failed] == "failed: disk full: /runs/x (no space left on device)"
    assert states[done] == "done, preempted once"
    assert states[unseen] == "lost before anything was recorded"
    assert lines[-2] == (
        "2 candidates were given up; they are tried again, or the job goes on without them with sweep.max_missing=2"
    )
    made.configured(local, "sweep.seeds=20")
    assert f"2 lost, among them {lost}: in epoch 2 of 2, 5 min ago, 2 times so far" in shown(local, capsys)
