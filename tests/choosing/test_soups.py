"""Which candidates are averaged, from tables and scores made by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lms_ray.choosing.picking import Oracles
from lms_ray.choosing.soups import Judged, Soup, best_setting, of_runs, of_the_best, read_by, require_shared_head
from lms_ray.settings.candidates import Sweep, grid
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.loading import load

SWEEP = Sweep(learning_rate=(2e-3, 1e-3), epochs=(1, 2), seeds=3)


def table(sweep: Sweep) -> pd.DataFrame:
    """Candidates `a`, `b`, ... in the order of the grid, mixed up."""
    rows = [
        {
            "id": chr(ord("a") + number),
            "learning_rate": one.learning_rate,
            "epochs": one.epochs,
            "batch_size": one.batch_size,
            "seed": one.seed,
        }
        for number, one in enumerate(grid(sweep))
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=1)


def members(soups: list[Soup], kind: str) -> list[str]:
    return ["".join(soup.members) for soup in soups if soup.kind == kind]


def test_runs_add_up_in_the_order_of_the_grid_and_settings_hold_their_seeds():
    soups = of_runs(table(SWEEP), SWEEP)
    assert members(soups, "all") == ["abcdefghijkl"]
    assert members(soups, "first") == ["ab", "abcd", "abcdefgh", "abcdefghijkl"]
    named = {soup.setting: "".join(soup.members) for soup in soups if soup.kind == "setting"}
    assert named == {
        "lr0.002/ep1/bs32": "aei",
        "lr0.002/ep2/bs32": "bfj",
        "lr0.001/ep1/bs32": "cgk",
        "lr0.001/ep2/bs32": "dhl",
    }
    assert all(soup.target is None and soup.selector is None for soup in soups)


def test_a_candidate_that_diverged_is_in_no_soup_and_a_setting_with_one_seed_has_none():
    rows = table(SWEEP)
    soups = of_runs(rows[~rows["id"].isin(["b", "a", "e"])], SWEEP)
    assert members(soups, "first") == ["cd", "cdfg", "cdfghijk", "cdfghijkl"]
    assert members(soups, "setting") == ["cgk", "dhl", "fj"]
    one_seed = SWEEP.model_copy(update={"seeds": 1})
    assert members(of_runs(table(one_seed), one_seed), "setting") == []


def test_what_a_search_proposed_comes_in_the_order_of_its_seeds():
    search = Sweep(search="optuna", candidates=12, learning_rate=(2e-3, 1e-3), epochs=(1, 2))
    rows = table(SWEEP).assign(seed=lambda rows: rows["id"].map(lambda name: ord("z") - ord(name)))
    assert members(of_runs(rows, search), "first")[0] == "kl"


def test_the_best_of_a_rule_are_the_highest_scored_and_what_has_no_score_is_none_of_them():
    scores = {
        "tr": {"En-Dev": np.array([0.3, 0.5, 0.5, 0.1]), "LMS": np.array([np.nan, -1.0, 2.0, np.nan])},
        "de": {"En-Dev": np.array([0.3, 0.5, 0.5, 0.1])},
    }
    soups = of_the_best(scores, list("abcd"), ["LMS", "En-Dev", "Recommended"], [1, 2, 3])
    found = [(soup.target, soup.selector, "".join(soup.members)) for soup in soups]
    assert found == [
        ("tr", "LMS", "c"),
        ("tr", "LMS", "bc"),
        ("tr", "En-Dev", "b"),
        ("tr", "En-Dev", "bc"),
        ("tr", "En-Dev", "abc"),
        ("de", "En-Dev", "b"),
        ("de", "En-Dev", "bc"),
        ("de", "En-Dev", "abc"),
    ]
    assert soups[1].id == soups[3].id == soups[6].id, "the same members are one soup, whoever chose them"
    assert len({soup.id for soup in soups}) == 4


def test_a_soup_reads_what_judges_it_and_one_for_all_targets_what_chooses_among_soups():
    experiment = load("quickstart", ["pivots=[de,es]", "targets=[sv,de]"])
    one, same, whole = (
        Soup("top", ("a", "b"), "sv", "LMS"),
        Soup("top", ("a", "b"), "de", "En-Dev"),
        Soup("all", ("a", "b", "c")),
    )
    assert read_by([one], experiment) == {one.id: ["sv-test"]}
    assert read_by([one, same, whole], experiment) == {
        one.id: ["sv-test", "de-test"],
        whole.id: ["en-dev", "de-dev", "es-dev", "sv-test", "de-test"],
    }


def test_the_best_setting_is_that_of_the_highest_mean_z_score_not_of_the_highest_mean():
    pivot_SP = np.array([[0.90, 0.50], [0.70, 0.52], [0.50, 0.49]])
    assert pivot_SP.mean(1).argmax() == 0
    assert best_setting(pivot_SP) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((), r"finetune\.shared_head is false: .* accepted is true"),
        (("sweep.checkpoints=/models/*", "finetune.shared_head=true"), r"sweep\.checkpoints: .* that were brought"),
    ],
)
def test_candidates_that_share_no_head_are_refused(settings: tuple[str, ...], message: str):
    with pytest.raises(ConfigError, match=message):
        require_shared_head(load("quickstart", list(settings)))


def test_candidates_that_share_a_head_are_not_refused():
    require_shared_head(load("quickstart", ["finetune.shared_head=true"]))


def test_soups_are_held_against_en_dev_s_pick_and_that_of_the_same_rule():
    oracles = Oracles(
        few_C=np.zeros(3), few=1, dev_C=np.array([0.1, 0.2, 0.3]), dev=9, test_C=np.array([0.5, 0.7, 0.6])
    )
    top, other = Soup("top", ("a", "c"), "tr", "LMS"), Soup("top", ("a", "c"), "sv", "LMS")
    setting, whole = Soup("setting", ("a", "b"), setting="s"), Soup("all", ("a", "b", "c"))
    test = {top.id: 0.65, setting.id: 0.75, whole.id: 0.4}
    for_use = {"En-Dev": 0, "LMS": 2, "All-Pivot z": 1}
    judged = Judged("tr", list("abc"), oracles, for_use, test)
    rows = judged.rows([top, other, setting, whole], setting, ["LMS", "En-Dev", "Recommended"])
    said = [(row.kind, row.selector, row.members, round(row.delta, 6), row.delta_to_pick) for row in rows]
    assert said == [
        ("single", "LMS", 1, 0.1, None),
        ("single", "En-Dev", 1, 0.0, None),
        ("top", "LMS", 2, 0.15, pytest.approx(0.05)),
        ("setting", None, 2, 0.25, None),
        ("all", None, 3, -0.1, None),
        ("best setting", "All-Pivot z", 2, 0.25, pytest.approx(0.05)),
        ("oracle", "All-Target", 1, 0.1, None),
        ("oracle", "Best", 1, 0.2, None),
    ]
    assert [row.recipe for row in rows[1:4]] == [("a",), ("a", "c"), ("a", "b")]
    relabelled = replace(oracles, test_C=oracles.test_C[::-1], dev_C=oracles.dev_C[::-1])
    again = Judged("tr", list("abc"), relabelled, for_use, test).rows([top, setting, whole], setting, ["LMS"])
    assert [row.recipe for row in again if row.kind not in ("single", "oracle")] == [
        row.recipe for row in rows if row.kind not in ("single", "oracle")
    ]
