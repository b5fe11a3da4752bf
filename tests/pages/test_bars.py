"""What a job shows while it runs: bars in a terminal that redraws, the same lines as ever elsewhere."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import made_folders as made
import pseudo_terminal as terminal
from lms_ray.pages.bars import Screen
from lms_ray.pages.counting import Count, span, speed
from lms_ray.store import lock
from lms_ray.store.files import Store

JOB = """
import logging, os, sys, time
from lms_ray.pages.progress import Progress, say, telling, waiting
log = logging.getLogger("lms_ray.anywhere")
try:
    with telling():
        with waiting("cluster", "starting Ray", in_log=True):
            time.sleep(0.3)
        with waiting("sweep", "at work"):
            progress = Progress("sweep", "candidates", 4, done=1, every=0.0)
            for done in (2, 3, 4):
                time.sleep(0.7)
                progress.show(done, running=1, failed=0)
                log.info("now %d are done", done)
                print(f"a library says {done}", file=sys.stderr)
                os.write(2, f"past everybody {done}\\n".encode())
                time.sleep(0.3)  # until it is drawn anew
        say("sweep", "finished in 2.1 s")
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(130)
print("rich" in sys.modules)
"""
BAR = "━"
LAST = r"sweep     4/4 done, 1 running, 0 failed, \d+ candidates/h, 0 s left"


def bars(lines: list[str]) -> list[str]:
    """A line that went past everybody covers the begin of a bar, whose end may stay to be seen."""
    return [line for line in lines if BAR in line and not line.startswith("past")]


def in_terminal(**settings) -> terminal.Session:
    return terminal.run(["-c", JOB], **settings)


def test_a_bar_is_drawn_in_place_and_all_else_stands_above():
    ended = in_terminal()
    assert ended.status == 0
    lines = [re.sub("(past everybody .).*", r"\1", line) for line in ended.screen.shown]
    said = [
        [f"note      now {done} are done", f"a library says {done}", f"past everybody {done}"] for done in (2, 3, 4)
    ]
    assert [lines[:3], lines[3:6], lines[7:10]] == said
    assert re.fullmatch(LAST, lines[6]) and lines[10:] == ["sweep     finished in 2.1 s", "True", ""]
    assert ended.screen.column == 0 and "\x1b[?25l" not in ended.raw, "the cursor is never hidden"
    assert ended.drawn(r"^cluster   \S starting Ray, for 0 s$")
    assert ended.drawn(rf"^sweep     {BAR}+. *{BAR}* +2/4 candidates, 1 running, \d+/h, for \d s, \d+ s left$")
    assert max(len(bars(frame)) for frame in ended.frames) == 1, "there is one of it, or none"


@pytest.mark.slow
@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"CI": "true"}, {"TERM": ""}, None], ids=str)
def test_elsewhere_there_are_lines_without_codes(env: dict[str, str] | None):
    if env is None:  # no terminal at all
        done = subprocess.run([sys.executable, "-c", JOB], capture_output=True, text=True, check=True)
        lines = done.stdout.splitlines()
    else:
        ended = in_terminal(**env)
        assert "\x1b" not in ended.raw
        lines = [line for line in ended.screen.shown if not line.startswith(("a library", "past"))]
    assert lines[:2] == ["cluster   starting Ray ...", "sweep     4 candidates, 1 of them done before"]
    assert re.fullmatch(r"sweep     2/4 done, 1 running, 0 failed, \d+ candidates/h, \d+ s left", lines[2])
    assert lines[3] == "note      now 2 are done"
    assert re.fullmatch(LAST, lines[6])
    assert lines[8:10] == ["sweep     finished in 2.1 s", "False"], "nobody waits for rich to be imported"


@pytest.mark.slow
def test_colours_can_be_turned_off():
    assert re.search(r"\x1b\[[0-9;]*3[0-9]", in_terminal().raw)
    plain = in_terminal(NO_COLOR="1")
    assert plain.drawn(BAR) and not re.search(r"\x1b\[[0-9;]*3[0-9]", plain.raw)


@pytest.mark.slow
def test_a_terminal_that_knows_ascii_only_has_bars_of_ascii():
    ended = in_terminal(PYTHONIOENCODING="ascii")
    assert ended.raw.isascii()
    assert ended.drawn(r"^sweep     -+ *-* +2/4 candidates, 1 running") and ended.drawn(r"^cluster   [|/\\-] starting")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 30, 12])
def test_a_narrow_terminal_has_one_line_still(columns: int):
    ended = in_terminal(columns=columns)
    assert max(map(len, ended.drawn("^sweep .*2/4|^sweep {4}"))) <= columns
    assert max(len(bars(frame)) for frame in ended.frames) == (columns >= 30)
    assert ended.drawn(r"^sweep     ━+. *━* +2/4, 1 running, \d+/h, \d+ s left$" if columns == 60 else "^sweep")
    assert not bars(ended.screen.shown), "nothing of it is left"


def test_ctrl_c_leaves_the_last_state_and_a_whole_terminal():
    ended = in_terminal(keys=[("3/4", terminal.CTRL_C)])
    assert ended.status == 130
    *_, last, interrupted, end = ended.screen.shown
    assert not bars(ended.screen.shown)
    assert re.fullmatch(r"sweep     3/4 done, 1 running, 0 failed, \d+ candidates/h, \d+ s left", last)
    assert (interrupted, end, ended.screen.column) == ("interrupted", "", 0)


def test_a_process_that_ends_at_once_gives_the_terminal_back():
    job = """
import os, sys, time
from lms_ray.pages.progress import Progress, end_bars, telling
with telling():
    Progress("sweep", "candidates", 4)
    time.sleep(0.5)
    end_bars()
    print("error: the head is lost", file=sys.stderr, flush=True)
    os._exit(1)
"""
    ended = terminal.run(["-c", job])
    assert ended.status == 1 and ended.drawn(rf"^sweep     {BAR}+ +0/4 candidates, for 0 s$")
    assert ended.screen.shown == ["error: the head is lost", ""]


def test_a_stage_that_counts_anew_has_one_bar(capsys: pytest.CaptureFixture):
    screen, first, anew, other = Screen(), *(Count(stage, "units", 4, 1) for stage in ("sweep", "sweep", "ranking"))
    with screen.keeping(first, other):
        screen.add(anew)
        assert screen.rows == [other, anew]
    lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", capsys.readouterr().out).splitlines()
    assert not screen.rows and [line for line in lines if line.endswith("1/4 done")] == [
        "ranking   1/4 done", "sweep     1/4 done",
    ]  # fmt: skip


def test_what_stands_beside_a_bar_gives_way_to_its_width():
    count = Count("sweep", "candidates", total=10, done=2)
    count.tell(4, running=2, failed=1, lost=1, given_up=2)
    widths = [len(words) for words in count.words]
    assert widths == sorted(widths, reverse=True)
    assert re.fullmatch(r"4/10 candidates, 2 running, 1 failed, 1 lost, \d+/s, for 0 s, 0 s left", count.words[0])
    assert count.words[-1] == "4/10, 1 failed, 1 lost"
    assert (count.left, count.share) == (4, pytest.approx(0.6))


def test_a_speed_and_a_time_are_numbers_to_read():
    speeds = [speed(per_hour / 3600, "rankers") for per_hour in (0.42, 9.5, 428, 9_999, 12_400, 639_963)]
    assert speeds == [
        "0.4 rankers/h",
        "9.5 rankers/h",
        "428 rankers/h",
        "9999 rankers/h",
        "207 rankers/min",
        "178 rankers/s",
    ]
    assert [span(seconds) for seconds in (3, 89, 90, 5399, 5400, 259_200)] == [
        "3 s", "89 s", "2 min", "90 min", "1.5 h", "3.0 days",
    ]  # fmt: skip


def watched(store: Store, **settings) -> terminal.Session:
    return terminal.run(["-m", "lms_ray", "status", store.root, "--watch", "0.3"], **settings)


def test_a_watch_draws_bars_of_what_is_at_work_and_ends_with_it(local: Store):
    experiment = made.configured(local)
    names = made.ids(experiment)
    made.finished(local, names[0])
    made.tried(local, names[1], epochs=1)
    made.failed(local, names[2], "ValueError: no words")

    def sweep_and_encode() -> None:
        for name in made.swept(local, experiment):
            made.encoded(local, name, [])
        made.table(local, "corpora.parquet")

    def end() -> None:
        local.commit("rankers", {}, {})
        made.table(local, "picks.parquet")
        local.write_bytes("report/report.html", b"")

    with lock.hold(local):
        ended = watched(local, keys=[("> sweep .*1/8", sweep_and_encode), ("> ranking .*0/12", end)])
    assert ended.status == 0
    assert ended.drawn(rf"^> sweep      {BAR}+.*1/8 candidates, 1 running, 1 failed$")
    assert ended.drawn(rf"^{names[1]} +training epoch 2 of 2, for 10 min")
    assert ended.drawn(r"^1 failed, among them ") and ended.drawn("^· features   0/8 candidates")
    assert ended.drawn(rf"^> ranking    {BAR}+.*0/12 rankers") and ended.drawn("^✓ features   8/8 candidates")
    assert "done" in ended.screen.shown and not any(BAR in line for line in ended.screen.shown)
    assert sum(" sweep  " in line for line in ended.screen.shown) == 1, "the last look alone stays"


def test_ctrl_c_ends_a_watch_with_the_last_look(local: Store):
    made.configured(local)
    with lock.hold(local):
        ended = watched(local, keys=[("> sweep ", terminal.CTRL_C)], columns=60)
    assert ended.status == 0 and ended.screen.column == 0
    assert "· sweep      0/8 candidates: 8 waiting" in ended.screen.shown
    looks = [line for frame in ended.frames if "> sweep" in "".join(frame) for line in frame]
    assert looks and max(map(len, looks)) < 60


def test_a_watch_waits_for_an_experiment_to_begin(local: Store):
    ended = watched(local, keys=[("nothing yet", terminal.CTRL_C)], columns=400)
    assert ended.status == 0 and ended.drawn("nothing yet; its data are being read, or no job has begun")


@pytest.mark.ray  # for what it goes on from; it starts no Ray itself
def test_a_stage_of_a_real_job_in_a_terminal(finished: Path, job: Path, tmp_path: Path):
    shutil.copytree(finished / "small", tmp_path / "small")
    command = ["-m", "lms_ray.ranking", str(job), f"storage={tmp_path}", "ranker.fit=fast", "meta_split.draws=40"]
    stopped = terminal.run(command, keys=[(r"[2-9]/40 draws", terminal.CTRL_C)])
    assert stopped.status == 130 and stopped.screen.column == 0
    assert stopped.screen.shown[-2] == "interrupted; the same command goes on from here"
    assert re.fullmatch(r"ranking   \d+/40 done, .* left", stopped.screen.shown[-3])
    ended = terminal.run(command)
    assert ended.status == 0, ended.raw
    assert ended.drawn(rf"^ranking   {BAR}.* +\d+/40 draws, ")
    assert re.fullmatch(r"ranking   finished in \d+\.\d s", ended.screen.shown[-2])
    again = [sys.executable, *command, "meta_split.draw=1"]
    plain = subprocess.run(again, capture_output=True, text=True, check=True).stdout
    assert plain.startswith("ranking   40 draws, 0 of them done before\nranking   1/40 done, ") and "\x1b" not in plain
