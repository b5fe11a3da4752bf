"""Candidates keep their identity: a larger grid later finds the finished ones again."""

import re

import pytest

from lms_ray.settings.candidates import Candidate, Sweep, grid
from lms_ray.settings.hashing import content_hash, seed_for
from lms_ray.settings.loading import load

SMALL = Sweep(learning_rate=(3e-5, 5e-5), epochs=(3, 4), seeds=3)


def ids(sweep: Sweep, config_hash: str = "c0ffee") -> set[str]:
    return {candidate.id(config_hash) for candidate in grid(sweep)}


def test_an_id_never_changes_between_versions():
    # Another id here orphans every finished candidate of every user: let the change be worth that.
    assert Candidate(5e-5, 4, 32, 17).id("c0ffee") == "lr5e-05-ep4-bs32-seed017-a2805d00"
    assert seed_for(0, "meta-split") == 3571452940


def test_an_id_says_its_setting():
    assert re.fullmatch(r"lr3e-05-ep3-bs32-seed000-[0-9a-f]{8}", Candidate(3e-5, 3, 32, 0).id("c0ffee"))


def test_ids_are_distinct():
    sweep = Sweep(learning_rate=(3e-5, 3.0001e-5, 1e-3), epochs=(3, 4), batch_size=(16, 32), seeds=100)
    assert len(ids(sweep)) == len(grid(sweep)) == 1200
    assert not ids(sweep) & ids(sweep, "another encoder")


@pytest.mark.parametrize(
    "more", [{"seeds": 5}, {"learning_rate": (1e-5, 3e-5, 5e-5)}, {"epochs": (5, 4, 3)}, {"batch_size": (16, 32)}]
)
def test_a_larger_grid_keeps_the_finished_candidates(more: dict):
    assert ids(SMALL) < ids(SMALL.model_copy(update=more))


def test_a_sweep_that_stops_early_leaves_an_even_pool():
    begun = grid(SMALL)[:4]
    assert {(candidate.learning_rate, candidate.epochs) for candidate in begun} == {
        (3e-5, 3), (3e-5, 4), (5e-5, 3), (5e-5, 4),
    }  # fmt: skip
    assert {candidate.seed for candidate in begun} == {0}


@pytest.mark.parametrize(
    ("storage", "folder"),
    [
        ("s3://bucket/runs/?region=eu", "s3://bucket/runs/one?region=eu"),
        ("/tmp/why?/runs", "/tmp/why?/runs/one"),
    ],
)
def test_only_a_uri_has_options(storage: str, folder: str):
    experiment = load("quickstart", [f'storage="{storage}"', "name=one"])
    assert experiment.folder == folder


def test_a_hash_does_not_depend_on_the_order_of_keys():
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert content_hash("a", "b") != content_hash("ab")
