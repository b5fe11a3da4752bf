"""How far an experiment is can be read from a folder in any state."""

import logging
import os
import time
from pathlib import Path

import pytest

import made_folders as made
from lms_ray.models.pretrain import materialise
from lms_ray.settings.loading import ConfigError
from lms_ray.store import lineage, lock, missing, pool, status
from lms_ray.store.attempts import Use
from lms_ray.store.files import Store
from lms_ray.store.folder import Folder
from lms_ray.store.missing import Missing


def state_of(store: Store, candidate: str) -> status.Candidate:
    return next(one for one in status.read(store).candidates if one.id == candidate)


def test_every_candidate_has_a_state(store: Store):
    experiment = made.configured(store)
    done, diverged, training, failed, retried, ended, *rest = made.ids(experiment)
    made.finished(store, done, dev_score=0.75)
    made.finished(store, diverged, diverged=True)
    made.a_driver_elsewhere(store)
    made.tried(store, done, outcome="done")
    made.tried(store, training, epochs=1)
    made.tried(store, failed, outcome="failed")
    made.failed(store, failed, "ValueError: no words")
    made.tried(store, retried, ago=900, outcome="failed")
    made.failed(store, retried, "OSError: full")
    made.tried(store, retried)
    made.failed(store, ended, "MemoryError")
    found = status.read(store)
    assert [(one.state, len(one.attempts), one.dev_score, one.reason) for one in found.candidates] == [
        ("done", 1, 0.75, ""),
        ("diverged", 0, 0.5, ""),
        ("training", 1, None, ""),
        ("failed", 1, None, "ValueError: no words"),
        ("training", 2, None, ""),
        ("failed", 0, None, "MemoryError"),
        ("waiting", 0, None, ""),
        ("waiting", 0, None, ""),
    ]
    assert [one.id for one in found.candidates[:6]] == made.ids(experiment)[:6]
    assert [one.id for one in found.candidates[6:]] == [name.rpartition("-")[0] for name in rest]
    assert (found.tuned, found.wanted, found.to_encode) == (2, 8, 7)
    assert found.driver and found.driver.pid == 7
    assert found.missing == status.STAGES


def test_an_attempt_that_is_not_heard_of_is_lost(local: Store):
    """Its driver is gone; or works on, but the attempt's file was not renewed: its machine is gone."""
    experiment = made.configured(local)
    name = made.ids(experiment)[0]
    made.tried(local, name)
    made.a_driver_elsewhere(local)
    (claim,) = Path(local.root).glob("drivers/*.json")
    os.utime(claim, (time.time() - 2 * lock.STALE_AFTER,) * 2)
    assert (state_of(local, name).state, state_of(local, name).losses) == ("lost", 1)
    assert [use.lost for use in status.read(local).uses["sweep"]] == [300]
    made.a_driver_elsewhere(local)
    assert state_of(local, name).state == "training"
    assert [use.lost for use in status.read(local).uses["sweep"]] == [0]
    (path,) = Path(local.root).glob("candidates/*/attempts/*.json")
    os.utime(path, (time.time() - 2 * status.LOST_AFTER,) * 2)
    assert state_of(local, name).state == "lost"


def test_an_attempt_whose_driver_ended_in_order_is_stopped(local: Store):
    """A driver that ends, by Ctrl-C too, gives up its claim; what it had running is nobody's fault."""
    name = made.ids(made.configured(local))[0]
    made.tried(local, name, epochs=1)
    assert (state_of(local, name).state, state_of(local, name).losses) == ("stopped", 0)
    with lock.hold(local):
        assert state_of(local, name).state == "training"
    made.tried(local, name, ago=100, number=2, outcome="lost")
    assert (state_of(local, name).state, state_of(local, name).losses) == ("lost", 1), "what was stopped is no loss"


def test_stages_are_done_in_their_order(local: Store):
    experiment = made.configured(local)
    names = made.swept(local, experiment)
    assert status.read(local).missing == ("features", "ranking", "selection", "report")
    for name in names:
        made.encoded(local, name, [])
    made.table(local, "corpora.parquet")
    made.fitted(local, "old", "point", [])
    made.fitted(local, "new", "point", [])
    made.fitted(local, "new", "other", [])
    assert status.read(local).rankers == 2
    local.commit(
        "rankers", {}, {"new/other/scores.parquet": local.write_bytes("rankers/new/other/scores.parquet", b"12")}
    )
    made.table(local, "picks.parquet")
    assert status.read(local).missing == ("report",)
    local.write_bytes("report/report.html", b"")
    assert status.read(local).missing == ()
    other = lineage.settings(made.configured(local, "meta_split.draw=1"), lineage.SELECTION)
    made.table(local, "picks.parquet", other)
    made.configured(local)
    assert status.read(local).missing == ("selection", "report"), "these picks are of another draw"
    made.configured(local, "sweep.seeds=5")  # a larger grid: all that follows is done again
    assert status.read(local).missing == status.STAGES


def test_toy_languages_are_recorded_as_files_and_known_again(local: Store):
    configured = made.configured(local, "data.format=toy")
    recorded = materialise(configured, make=False)
    made.table(local, "picks.parquet", lineage.settings(recorded, lineage.SELECTION))
    assert recorded.data.format != configured.data.format
    assert status.read(local).picked


def test_of_candidates_of_one_setting_the_latest_counts(local: Store):
    """The data have changed: what was made from others stays in the folder, and its cost was paid."""
    experiment = made.configured(local)
    old, new = (made.ids(experiment, config_hash)[0] for config_hash in ("old", "new"))
    for name in (old, new):
        made.finished(local, name)
        made.tried(local, name, outcome="done")
    found = status.read(local)
    assert (found.candidates[0].id, found.tuned) == (new, 1)
    assert sum(use.seconds for use in found.uses["sweep"]) == 600


def test_brought_checkpoints_and_a_search_are_counted_as_far_as_they_are_known(local: Store):
    experiment = made.configured(local, "sweep.checkpoints=/models/*")
    assert status.read(local).wanted is None
    made.swept(local, experiment)
    assert status.read(local).missing[0] == "features"
    made.configured(local, "sweep.search=optuna", "sweep.candidates=10")
    found = status.read(local)
    assert (found.tuned, found.wanted, found.missing[0]) == (8, 10, "sweep")


def test_all_uses_of_machines_are_found(store: Store):
    experiment = made.configured(store)
    first, second, *_ = made.ids(experiment)
    attempt = made.tried(store, first, outcome="done")
    encoded, averaged = (Use(machine=made.SPOT, seconds=seconds) for seconds in (7, 3))
    ranked = Use(machine=made.ON_DEMAND, seconds=5)
    made.encoded(store, second, [encoded])
    made.encoded(store, "002-of-both", [averaged], folder="soups")
    made.fitted(store, "hash", "point", [ranked])
    assert status.read(store).uses == {
        "sweep": [attempt.use],
        "features": [encoded],
        "ranking": [ranked],
        "soups": [averaged],
    }


@pytest.mark.parametrize(
    "name",
    [
        "experiment.yaml",
        "candidates.parquet",
        "drivers/1.json",
        "candidates/{}/DONE.json",
        "candidates/{}/attempts/1.json",
    ],
)
@pytest.mark.parametrize("content", [b"{[", b"[" * 10**5, b"\xff\0", b"[1]", b""])
def test_a_broken_file_is_named_and_the_rest_is_read(
    local: Store, caplog: pytest.LogCaptureFixture, name: str, content: bytes
):
    first, second, *_ = made.swept(local, made.configured(local))
    path = name.format(second)
    local.write_bytes(path, content)
    found = status.read(local)
    assert f"{local.where(path)}: broken" in caplog.text or [claim.driver for claim in found.drivers] == [None]
    assert state_of(local, first).state == "done"


def test_a_file_that_was_cut_is_named(local: Store, caplog: pytest.LogCaptureFixture):
    first, *_ = made.swept(local, made.configured(local))
    local.write_bytes(f"candidates/{first}/model.safetensors", b"1")
    found = status.read(local)
    assert (found.tuned, found.missing[0]) == (7, "sweep")
    assert "model.safetensors: broken (1 bytes instead of 4 bytes)" in caplog.text


@pytest.mark.parametrize("uses", [3, [{"machine": "x"}], [{"seconds": "?"}]])
def test_costs_that_cannot_be_read_are_not_counted(local: Store, caplog: pytest.LogCaptureFixture, uses):
    first, *_ = made.swept(local, made.configured(local))
    local.commit(f"encodings/{first}", {"uses": uses}, {})
    with caplog.at_level(logging.WARNING):
        assert status.read(local).uses["features"] == []
    assert f"encodings/{first}: what it took is not readable" in caplog.text


def test_the_folder_is_listed_as_often_however_many_candidates_there_are(local: Store, monkeypatch: pytest.MonkeyPatch):
    """A list for each of a thousand would take minutes on an object store."""
    lists: list[str] = []
    ask = Folder._list
    monkeypatch.setattr(Folder, "_list", lambda *of: lists.append(of[1]) or ask(*of))
    asked = []
    for seeds in (4, 20):
        names = made.swept(local, made.configured(local, f"sweep.seeds={seeds}"))
        for name in names:
            made.tried(local, name, outcome="done")
        lists.clear()
        assert status.read(local).count("done") == len(names) == 2 * seeds
        asked.append(list(lists))
    assert asked[0] == asked[1]


def test_a_folder_without_an_experiment_is_refused(local: Store):
    with pytest.raises(ConfigError, match=r"found no experiment.yaml"):
        status.read(local)


def test_lost_and_preempted_candidates_are_told_apart_and_counted(local: Store):
    """By the driver's word and the attempts' numbers: the clock of the machine of the last one is an hour behind."""
    experiment = made.configured(local)
    lost, preempted, failed, again, unseen, *_ = made.ids(experiment)
    made.tried(local, lost, ago=900, number=1, outcome="preempted")
    made.tried(local, lost, ago=800, number=2, outcome="lost")
    made.tried(local, lost, ago=4000, number=3, outcome="lost")
    made.tried(local, preempted, ago=300, number=1, outcome="failed")
    made.tried(local, preempted, ago=4000, number=2, outcome="preempted")
    made.failed(local, preempted, "ValueError: of the first attempt")
    made.tried(local, failed, number=1, outcome="failed")
    made.failed(local, failed, "lms_ray.settings.errors.FullError: disk full: /runs/x (no space left on device)")
    made.tried(local, again, ago=900, number=1, outcome="lost")
    made.tried(local, again, number=2, outcome="done")
    made.finished(local, again)
    local.write_bytes(f"candidates/{unseen}/ERROR.txt", b"its worker has died")
    missing.write(
        local, [Missing(unseen, "lost", 0, 11, 0, "lost 11 times"), Missing(again, "lost", 0, 9, 0, "before")]
    )
    found = {one.id: one for one in status.read(local).candidates}
    assert [(found[name].state, found[name].losses, found[name].preemptions) for name in (lost, preempted, again)] == [
        ("lost", 2, 1),
        ("preempted", 0, 1),
        ("done", 1, 0),
    ]
    assert (found[failed].state, found[failed].reason) == ("failed", "disk full: /runs/x (no space left on device)")
    assert found[preempted].reason == ""
    assert found[unseen].state == "lost", "its workers died before they could record anything"
    assert [hole.id for hole in status.read(local).holes] == [unseen], "the other one is done since"
    assert sum(use.lost for use in status.read(local).uses["sweep"]) == 300 * 5


def test_a_pool_may_have_as_many_holes_as_it_is_told(local: Store):
    experiment = made.configured(local)
    *names, absent = made.ids(experiment)
    for name in names:
        made.finished(local, name)
    pool.write(local, [{"id": name, "dev_score": 0.5} for name in names], {})
    assert status.read(local).missing[0] == "sweep"
    missing.write(local, [Missing(absent, "failed", 4, 0, 0, "ValueError")])
    assert status.read(local).missing[0] == "sweep"
    made.configured(local, "sweep.max_missing=1")
    found = status.read(local)
    assert (found.missing[0], found.to_encode) == ("features", 7)
