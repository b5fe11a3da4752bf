"""What others named leads into no other folder, and is no markup of a page."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from html_tags import Tags
from lms_ray.pages.answer import answers
from lms_ray.pages.candidates import candidate_table, facts
from lms_ray.pages.draws import deployment_table
from lms_ray.pages.figures import draws_figure, pool_figure
from lms_ray.pages.page import Findings, Judged, to_html, to_markdown
from lms_ray.pages.rivals import Pivots, rivals
from lms_ray.pages.tables import Table, captions, detail_table, ranker_table, score_table
from lms_ray.settings.errors import BrokenError, ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.store import deployment, pool
from lms_ray.store.files import Store
from made_picks import HAND_MADE, experiment
from object_storage import Roots


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "/x", "a\0", "a\n", "", "~"])
def test_an_experiment_s_name_is_the_name_of_a_folder(name: str):
    with pytest.raises(ConfigError, match=r"^name: found "):
        load("quickstart", [f"name={json.dumps(name)}"])


@pytest.mark.parametrize("key", ["targets", "pivots", "source"])
@pytest.mark.parametrize("code", ["../../x", "/x", "{lang}", "de/../nl"])
def test_a_language_is_one_that_is_known(key: str, code: str):
    value = json.dumps(code if key == "source" else [code])
    with pytest.raises(ConfigError, match=rf"{key}: found .*is not a language"):
        load("quickstart", [f"{key}={value}"])


@pytest.mark.parametrize("name", ["../../x", "a/../../x", "/etc/x"])
def test_a_name_in_a_file_does_not_lead_out_of_the_experiment(tmp_path: Path, name: str):
    store, outside = Store(str(tmp_path / "runs" / "one")), tmp_path / "x"
    outside.mkdir()
    (outside / "DONE.json").write_text("{}")
    pool.write(store, [{"id": f"../{name}"}], {})
    (candidate,) = pool.candidates(store)
    for use in (
        lambda: store.commit(f"encodings/{candidate}", {}, {}),
        lambda: store.read_bytes(name),
        lambda: store.write_bytes(name, b""),
        lambda: store.delete(name),
        lambda: store.download("", [name], tmp_path / "copy"),
    ):
        with pytest.raises(BrokenError, match="leads out of its folder"):
            use()
    assert store.done(pool.unit(candidate)) is None
    store.commit("candidates/c", {}, {})
    record = {"files": {name: {"size": 2, "sha256": "0" * 64}}}
    store.write_json("candidates/c/DONE.json", record)
    with pytest.raises(BrokenError, match="no file instead of 2 bytes"), store.as_local("candidates/c"):
        pass
    assert (outside / "DONE.json").read_text() == "{}"


def test_an_object_s_name_does_not_lead_out_of_the_copy(s3: Roots, tmp_path: Path):
    store = Store(s3("runs"))
    store.file_system[0].create_dir(store.file_system[1])
    with store.file_system[0].open_output_stream(f"{store.file_system[1]}/c/../../x") as stream:
        stream.write(b"planted")
    for name in store.sizes("", recursive=True):
        with pytest.raises(BrokenError, match="leads out of its folder"):
            store.download("", [name], tmp_path / "copy")
    assert not list(tmp_path.rglob("x"))


MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&<!--"


def test_no_name_is_markup_in_the_report():
    settings = {"encoder": MARKUP.replace("/", ""), "sweep": {"checkpoints": MARKUP}}
    trusted, planted = (
        report_of(experiment(("sv", "hu"), **values), change)
        for values, change in (
            ({"sweep": {"checkpoints": "runs"}}, str),
            (settings, lambda name: MARKUP if name in ("c", "100-Target", "de", "sv") else name),
        )
    )
    assert Tags(planted[0]).found == Tags(trusted[0]).found
    fence = re.compile(r"^(```+)\n.*?^\1$", re.MULTILINE | re.DOTALL)
    assert len(fence.findall(planted[1])) == 1, "of the commands, which are shown as they are"
    assert not re.search(r"(?<!\\)<(script|img|!--)", fence.sub("", planted[1])), "GitHub shows it as text"


def report_of(shown: Experiment, change: Callable[[str], str]) -> tuple[str, str]:
    """HTML and Markdown of picks, with other names in them."""
    picks = [
        type(pick)(**{**vars(pick), "candidate": pick.candidate and change("c"), "pivot": pick.pivot and change("de")})
        for pick in HAND_MADE
    ]
    pool_scores = pd.DataFrame({change("sv"): [0.5, 0.9], change("hu"): [0.5, 0.9]}, index=[change("c"), "d"])
    renamed = [type(pick)(**{**vars(pick), "target": change(pick.target)}) for pick in picks]
    caption = [*captions(picks, shown, 8, 0, pool=2), change("c")]
    baseline = {change(target): 0.1 for target in ("sv", "hu")}
    validation = pd.DataFrame(
        [{"pivots": "de,zh", "batch_size": 16, "learning_rate": 1e-4, "kendall_tau": 0.1, "seed": 0, "chosen": True}]
    )
    picked = {"target": change("sv"), "rule": change("LMS"), "candidate": change("c"), "followed": True}
    for_use = pd.DataFrame([picked], columns=deployment.SCHEMA.names)
    use = answers(for_use, {change("c"): f"runs/{change('c')}"}, f"runs/{change('c')}")
    scores = pd.DataFrame([{**picked, "score": 0.1}, {**picked, "candidate": "d", "score": 0.0}])
    rows = [{"id": change("c"), "dev_score": 0.5, "diverged": False}, {"id": "d", "dev_score": None, "diverged": True}]
    candidates = pd.DataFrame(rows)
    found = Findings(
        answers=use,
        advice=change("c"),
        use={change("sv"): change("c")},
        followed=change("c"),
        why=rivals(for_use, scores),
        pivots=[Pivots([change("de")], [change("sv")], Table(["Rule", change("de")], [[[change("c")]]]), change("c"))],
        next_labels=change("c"),
        deployment=deployment_table(for_use, [change("LMS")]),
        candidates=candidate_table(candidates, use, pool_scores, "en"),
        facts=facts(candidates, use, pool_scores, "en"),
        judged=Judged(
            worth=Table(["Selector"], [[[change("c")]]]),
            draws=draws_figure(pd.DataFrame({change("c"): [0.1, 0.2]}), change("c")),
            calibration=Table(["Statement"], [[[change("c")]]]),
            came_true=change("c"),
            caption=caption,
            scores=score_table(renamed, {change("c"): baseline}),
            details=detail_table(renamed),
            figure=pool_figure(pool_scores, renamed, change("c"), {change("c"): 0, "d": 1}),
            pool=list(pool_scores.index),
        ),
    )
    split_sizes = {"train": 4, "dev": 2, "test": 2}
    return to_html(shown, found, ranker_table(validation, shown), split_sizes, 1), to_markdown(shown, found)
