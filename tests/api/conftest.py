"""A finished experiment without Ray: made by the store's own writers, ranked and judged by the stages."""

from pathlib import Path

import pytest

from lms_ray import ranking, selection
from lms_ray.models.job import Job
from made_encodings import FROM_FILES, encoded, with_models

QUICK = ("selection.bootstrap=200", "meta_split.draws=4")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """`runs/quickstart`: 24 candidates, three pivots, three targets with labels and one without. Read-only."""
    made = encoded(tmp_path_factory.mktemp("made") / "runs", "quickstart", *FROM_FILES, *QUICK, splits=("dev", "test"))
    with_models(made)
    ranking.run(made)
    selection.run(made)
    return made


@pytest.fixture
def beside_runs(made: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, empty but for `runs/quickstart`, as documentation has it."""
    (tmp_path / "runs").symlink_to(Path(made.store.root).parent)
    monkeypatch.chdir(tmp_path)
    return tmp_path
