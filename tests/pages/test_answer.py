"""What to use for each target: sure or not, where it is, and a command that a shell takes as it stands."""

import shlex

import pandas as pd
import pytest

from lms_ray.pages.answer import answers, export_command
from lms_ray.store import deployment

TOLD = {
    "better_than_source": 0.81, "better_than_pivots": None, "better_than_average": 0.93,
    "gain": 0.05, "regret": 0.012, "rank": 3.4,
}  # fmt: skip
PICKS = pd.DataFrame(
    [
        {"target": "fr", "rule": "En-Dev", "candidate": "e", "followed": False},
        {"target": "fr", "rule": "Recommended", "candidate": "r", "followed": True, **TOLD},
        {
            "target": "acm",
            "rule": "All-Pivot z",
            "candidate": "p",
            "followed": True,
            **TOLD,
            "better_than_average": 0.5,
        },
        {"target": "zu", "rule": "En-Dev", "candidate": "e", "followed": True},
    ],
    columns=deployment.SCHEMA.names,
)
WEIGHTS = {"r": "/runs/pos/candidates/r", "p": None, "e": "/brought/e"}


def test_each_target_has_its_candidate_its_weights_and_its_command():
    told = answers(PICKS, WEIGHTS, "/runs/pos")
    assert told.table().header == [
        "Target", "Language", "Use", "Rule", "P > En-Dev's", "P > pivots'", "P > average", "Regret", "Rank", "Weights",
    ]  # fmt: skip
    assert told.table().groups == [
        [
            ["fr", "French", "r", "Recommended", "81%", "-", "93%", "1.2", "3", "/runs/pos/candidates/r"],
            ["acm", "Mesopotamian Arabic", "nothing can be told (else p)", "All-Pivot z", "81%", "-", "50%", "1.2", "3",
             "not kept"],
            ["zu", "Zulu", "e", "En-Dev", "-", "-", "-", "-", "-", "/brought/e"],
        ]
    ]  # fmt: skip
    assert told.commands == [f"lms-ray export /runs/pos --target {target} --to pos-{target}" for target in ("fr", "zu")]
    assert told.without_weights == ["p"]
    assert [len(row) for row in told.brief().groups[0]] == [9] * 3


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/my runs/pos", "pos-de"),
        ("s3://bucket/a$b/pos", "pos-de"),
        ("/runs/it's; rm -rf x/", "it's; rm -rf x-de"),
        ("/", "-de"),
    ],
)
def test_a_shell_reads_the_command_as_it_was_meant(path: str, folder: str):
    assert shlex.split(export_command(path, "de")) == ["lms-ray", "export", path, "--target", "de", "--to", folder]
