"""The study's command reads a finished experiment and has a table for each question."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

import small
from lms_ray.models.pretrain import materialise
from lms_ray.settings.loading import load
from lms_ray.store.files import Store

COMMAND = Path(__file__).parents[2] / "benchmarks" / "selection.py"


@pytest.mark.ray
def test_a_finished_experiment_answers_every_question(job: Path, finished: Path):
    for extra in ("ablation", "curves"):
        small.run(extra, job, finished)
    rows = pd.read_parquet(finished / "small" / "ablations.parquet")
    assert rows.groupby(["table", "variant"])[["draw", "target"]].nunique().to_numpy().tolist() == [[20, 2]] * 7
    experiment = materialise(load(str(job), [f"storage={finished}"]), make=False)
    sections = runpy.run_path(str(COMMAND))["sections"](experiment, Store(experiment.folder))
    assert list(sections) == [
        "One draw (Table 3)", "20 draws", "One selector beside another", "The ranker's inputs (Tables 5 and 6)",
        "What the evidence knows", "Did it come true?", "How much is needed", "What to annotate next",
    ]  # fmt: skip
    for selector in ("En-Dev", "LMS", "Recommended", "All-Target"):
        assert f"| {selector} " in sections["20 draws"]
        assert f" {selector} " in sections["One draw (Table 3)"].splitlines()[0]
    assert "| `ranker.features`        | fusion " in sections["The ranker's inputs (Tables 5 and 6)"]
    assert "| better than an average candidate " in sections["Did it come true?"]
    for curve in ("candidates", "pivots", "labelled examples of the target"):
        assert f"| {curve} " in sections["How much is needed"]
    assert "said to save" in sections["What to annotate next"]
    known = [line.split("|")[1].strip() for line in sections["What the evidence knows"].splitlines()[2:]]
    assert {"En-Dev", "All-Pivot", "Vote", "Label shares", "MaNo", "ATC"} <= set(known)
