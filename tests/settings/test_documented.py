"""The configuration that is printed with its documentation is the one that would run."""

from pathlib import Path

import pytest

from lms_ray.settings.base import Model
from lms_ray.settings.documented import documented
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load

JOBS = sorted((Path(__file__).parents[2] / "jobs").glob("*.yaml"))
ROOT = "data.root=/data"
CASES = [
    (None, []),
    (None, ["sweep={search: optuna, candidates: 9, epochs: {low: 1, high: 3}}"]),
    (
        None,
        ["name='5e-5'", "storage=' a: #b'", "data.labels={'*': 'no', 'a # b': \"c\\n\\nd\", x: 'null', '1:30': 010}"],
    ),
    (None, ["allow_pickled=['{a}', '[b]', \"it's\"]", f"sweep.checkpoints={'long words ' * 20}"]),
    *((str(job), [] if "format: hub" in job.read_text() else [ROOT]) for job in JOBS),
]


@pytest.mark.parametrize(("config", "overrides"), CASES)
def test_what_is_printed_reads_back_as_the_same(tmp_path: Path, config: str | None, overrides: list[str]):
    experiment = load(config, overrides)
    path = tmp_path / "printed.yaml"
    path.write_text(documented(experiment), encoding="utf-8")
    assert load(str(path)) == experiment


def parts(model: type[Model] = Model) -> list[type[Model]]:
    return [model, *(part for child in model.__subclasses__() for part in parts(child))]


def test_every_key_has_its_documentation():
    unexplained = [
        f"{part.__name__}.{key}"
        for part in parts()
        for key, field in part.model_fields.items()
        if not field.description
    ]
    assert unexplained == []


def test_every_key_stands_below_its_documentation():
    lines = documented(load(None, ["data.limit.dev=7"])).splitlines()
    assert max(map(len, lines)) <= 120
    for key, line in [(key, line) for line in lines if (key := line.split(":")[0].strip()) and "#" not in key]:
        above = lines[lines.index(line) - 1]
        assert above.lstrip().startswith("# "), key
    assert lines[lines.index("    dev: 7") - 1] == "    # Of every language's dev set."
    assert {line.split(":")[0] for line in lines if line and line[0] not in " #"} == set(Experiment.model_fields)


def test_layouts_of_several_languages_are_documented_once():
    job = next(job for job in JOBS if job.name == "ner-conll.yaml")
    text = documented(load(str(job), [ROOT]))
    assert text.count("scheme: iob1") == 2
    assert text.count("# Column of the tag.") == 1
