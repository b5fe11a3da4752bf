"""Tables 5, 6 and 11: variants of the ranker, from stored ablations or from experiments of one variant each."""

import json
from pathlib import Path

import pytest

from lms_ray.pages.paper import printed, studies, variants
from lms_ray.pages.paper.printed import Paper
from lms_ray.settings.errors import MissingError
from lms_ray.store import identity
from lms_ray.store.files import Store
from made_paper import paper_file
from made_picks import HAND_MADE, pick, with_means
from made_studies import ACE, MBERT, of_pairs, study, with_ablations

KIND = {kind.number: kind for kind in variants.TABLES}


def filled(number: int, *stores: Store, paper: Paper | None = None) -> tuple[list[dict[str, str]], str]:
    taken = KIND[number].taken(studies.read_all([store.root for store in stores]))
    table = variants.variant_table(KIND[number], taken, paper)
    rows = [dict(zip(table.header, row, strict=True)) for group in table.groups for row in group]
    return rows, "\n".join(variants.notes(KIND[number], taken, paper))


@pytest.fixture
def paper(tmp_path: Path) -> Paper:
    return printed.read(str(paper_file(tmp_path)))


@pytest.fixture
def ablated(tmp_path: Path) -> Store:
    store = study(tmp_path, name="ablated", encoder=MBERT)
    with_ablations(
        store,
        identity.experiment(store),
        {
            ("features", "source"): (0.51, 0.53),
            ("features", "target"): (0.55, 0.55),
            ("features", "fusion"): (0.57, 0.58),
            ("language_vector", "none"): (0.4, 0.4),
        },
    )
    return store


def test_ablations_are_means_over_targets_and_draws(ablated: Store, paper: Paper):
    (ours, average), notes = filled(5, ablated, paper=paper)
    assert (ours["[Eng] (ours)"], ours["[Eng] (paper)"]) == ("52.00 ± 1.41", "22.00")
    assert (ours["[Target] (ours)"], ours["[Target] (paper)"]) == ("55.00 ± 0.00", "24.00")
    assert (ours["[Pivot] (ours)"], ours["[Pivot] (paper)"]) == ("-", "23.00"), "not tried"
    assert ours["En-Dev (ours)"] == "50.00 ± 0.00"
    assert (average["Fusion (ours)"], average["Fusion (paper)"]) == ("-", "35.00"), "no mean of ours over other tasks"
    assert "Ablations over 2 draws" in notes and ablated.root in notes
    (ours,), _ = filled(6, ablated, paper=paper)
    assert (ours["none (ours)"], ours["none (paper)"], ours["lang2vec (ours)"]) == ("40.00 ± 0.00", "28.00", "-")


def test_experiments_of_one_variant_each_have_rows_of_their_own(tmp_path: Path):
    plain = study(tmp_path, name="plain")
    made = with_means([pick("En-Dev", "sv", 0.5, 1.0), pick("LMS", "sv", 0.6, 0.01)])
    english = study(tmp_path, made, name="english", ranker={"features": ["source"]})
    fused = study(tmp_path, name="fused", ranker={"features": ["source", "target"]})
    rows, notes = filled(5, plain, english, fused)
    assert [(row["Experiment"], row["[Eng]"], row["[Target]"], row["Fusion"]) for row in rows] == [
        ("plain", "-", "49.50", "-"),
        ("english", "60.00", "-", "-"),
        ("fused", "-", "-", "49.50"),
    ]
    assert "features source + target" in notes and "Its ranker: Fusion" in notes


def test_experiments_that_vary_nothing_are_no_table(tmp_path: Path, ablated: Store):
    found = studies.read_all([study(tmp_path, name="one").root, study(tmp_path, name="two").root])
    assert [kind.number for kind in variants.TABLES if kind.taken(found)] == []
    with_ablation = studies.read_all([study(tmp_path, name="one").root, ablated.root])
    assert [one.label for one in KIND[5].taken(with_ablation)] == ["ablated"]


def test_language_vectors_and_auxiliary_tasks_are_read_from_the_configuration(tmp_path: Path, paper: Paper):
    alone = study(tmp_path, name="alone", ranker={"language_vector": "none"})
    (ours,), _ = filled(6, alone)
    assert (ours["none"], ours["lang2vec"]) == ("49.50", "-")
    settings = {"task": "re", "data": ACE, "pivots": ("ar", "zh"), "encoder": MBERT}
    plain = study(tmp_path, of_pairs(0.6), name="re", **settings)
    taught = study(tmp_path, of_pairs(0.7), name="taught", ranker={"auxiliary": [str(tmp_path / "arl")]}, **settings)
    other_task = study(tmp_path, HAND_MADE, name="pos")
    rows, notes = filled(11, plain, taught, other_task, paper=paper)
    assert [(row["Experiment"], row["LMS (ours)"], row["multi-task (ours)"]) for row in rows] == [
        ("re", "60.00", "-"),
        ("taught", "-", "70.00"),
    ]
    assert {row["multi-task (paper)"] for row in rows} == {"23.50"}
    assert "auxiliary " in notes


def test_ablations_of_other_settings_are_refused(tmp_path: Path, ablated: Store):
    other = identity.experiment(ablated).model_copy(update={"seed": 7})
    with_ablations(ablated, other, {("features", "source"): (0.5,)})
    with pytest.raises(MissingError, match=r"ablations of \S+ablated were made otherwise: seed is 7 there and 0 here"):
        studies.read_all([ablated.root])


@pytest.mark.real
@pytest.mark.parametrize("number", [5, 6])
def test_the_paper_s_own_numbers(shared: Path, ablated: Store, number: int):
    path = shared / "paper_tables.json"
    raw = {row["task"]: row for row in json.loads(path.read_text())[f"table{number}"]}
    (ours, average), _ = filled(number, ablated, paper=printed.read(str(path)))
    for name, column in printed.VARIANTS_OF[number].items():
        assert float(ours[f"{name} (paper)"]) == raw["POS"][column]
        assert float(average[f"{name} (paper)"]) == raw["Avg"][column]


@pytest.mark.real
def test_the_paper_s_own_multi_task_ranker(tmp_path: Path, shared: Path):
    path = shared / "paper_tables.json"
    settings = {"task": "re", "data": ACE, "pivots": ("ar", "zh"), "ranker": {"auxiliary": [str(tmp_path / "arl")]}}
    (ours,), _ = filled(11, study(tmp_path, of_pairs(0.7), **settings), paper=printed.read(str(path)))
    (raw,) = (row for row in json.loads(path.read_text())["table11"] if row["task"] == "RE")
    assert float(ours["multi-task (paper)"]) == raw["multi_task"]
    assert float(ours["LMS (paper)"]) == raw["pivot_lang2vec"]
