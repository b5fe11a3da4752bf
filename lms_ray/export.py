"""The model to use for a target, as a folder that other tools know: an extra that no other stage needs.

    lms-ray export PATH --target LANG [--selector RULE] --to FOLDER [--onnx]

Copies the pick for use with its tokenizer, and writes a model card: what it is, how it was chosen and among how many,
how sure that is, and every score that was measured. What it copies is what was scored, byte by byte.
"""

import difflib
import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from lms_ray import tasks
from lms_ray.data import roles
from lms_ray.models import brought, folders, onnx, pipelines
from lms_ray.pages import certainty
from lms_ray.pages.card import Exported, Facts, Measured, model_card
from lms_ray.pages.progress import say, telling, waiting
from lms_ray.settings.base import shown
from lms_ray.settings.candidates import AXES
from lms_ray.settings.errors import AbsentError, ConfigError, MissingError
from lms_ray.settings.experiment import Experiment
from lms_ray.store import deployment, encodings, identity, picks, pool, redrawn
from lms_ray.store.files import Store
from lms_ray.store.folder import Folder

log = logging.getLogger(__name__)

NAME = "export"
CARD = "README.md"


def run(path: str, target: str, selector: str | None, to: str, as_onnx: bool = False) -> None:
    """Write the folder of a pick.

    Args:
        path: the experiment's folder, local path or URI.
        target: one of its targets, whether it has labels or not.
        selector: a rule; None is the one that the report says to use.
        to: an empty folder or a new one, local path or URI.
        as_onnx: write the model as ONNX too.

    Raises:
        ConfigError: the language is no target, the rule picks nothing, the folder holds something, or a package that
            ONNX needs is missing.
        MissingError: nothing was picked for use yet, or the weights of the pick were not kept.
    """
    if as_onnx:
        onnx.require()
    store, sink = Store(path, "PATH"), Folder(to, "--to")
    if found := sorted(sink.sizes("", recursive=True)):
        raise ConfigError(f"--to: found {sink.where(found[0])}; accepted is a new folder or an empty one")
    experiment = identity.in_place(store)
    if target not in experiment.picked_for:
        raise ConfigError(f"--target: found {target}; accepted are {', '.join(experiment.picked_for)}")
    with telling():
        facts = _facts(store, experiment, target, selector)
        pool.require_weights(store, [facts.candidate], f"{facts.candidate} was picked for {target}", instead="")
        with brought.folder_of(facts.candidate, store, experiment) as folder, tempfile.TemporaryDirectory() as made:
            files = {name: folder / name for name in folders.of_model(folder)}
            labels = () if experiment.task == "qa" else folders.labels(files["config.json"].read_bytes())
            exported = Exported(Path(sink.root).name, labels, as_onnx)
            if as_onnx:
                with waiting(NAME, "writing the model as ONNX, and comparing the two", in_log=True):
                    onnx.write(tasks.get(experiment.task).model_class, folder, Path(made, onnx.FILE))
                files |= {str(path.relative_to(made)): path for path in Path(made).rglob("*") if path.is_file()}
            for name, file in files.items():
                sink.write_file(name, file)
        sink.write_json(pipelines.ABOUT, _about(experiment, facts))
        sink.write_bytes(CARD, model_card(experiment, facts, exported).encode())
        if not facts.is_told:
            log.warning("%s", facts.use)
    say(NAME, f"{facts.candidate}, the pick of {facts.rule} for {target}, is in {sink.where()}")


def _about(experiment: Experiment, facts: Facts) -> dict[str, Any]:
    """What `models.pipelines` wants to know, and where the model comes from."""
    windows = {name: getattr(experiment.finetune, name) for name in ("max_length", "stride")}
    return {
        "task": experiment.task,
        **windows,
        "source": experiment.source,
        "target": facts.target,
        "experiment": experiment.name,
        "candidate": facts.candidate,
        "rule": facts.rule,
    }


def _facts(store: Store, experiment: Experiment, target: str, selector: str | None) -> Facts:
    """What is known of the pick."""
    origin = deployment.origin(store)
    picked = deployment.read(store, origin).query("target == @target")
    if picked.empty:
        raise MissingError(f"nothing is picked for {target} yet; run `python -m lms_ray.ranking` first")
    of_rule = {row["rule"]: row for row in picked.to_dict("records")}
    if selector in picks.ORACLES:
        raise ConfigError(
            f"--selector: found {selector}, an oracle, which sees labels of the target; {_accepted(of_rule)}"
        )
    if selector is not None and selector not in of_rule:
        close = [rule for rule in of_rule if rule.lower() == selector.lower()]
        close += difflib.get_close_matches(selector, of_rule, n=1)
        hint = f"; did you mean {shown(close[0])}?" if close else ""
        raise ConfigError(f"--selector: found {shown(selector)}; {_accepted(of_rule)}{hint}")
    rule = selector or next(rule for rule, row in of_rule.items() if row["followed"])
    candidates = redrawn.candidates(store, origin)
    candidate = of_rule[rule]["candidate"]
    setting = pool.read(store).set_index("id").loc[candidate].dropna().to_dict()
    return Facts(
        target=target,
        candidate=candidate,
        rule=rule,
        is_followed=of_rule[rule]["followed"],
        is_told=not certainty.is_untold(of_rule[rule]),
        use=certainty.in_words(picked, deployment.read_worth(store, origin), len(candidates))[target],
        candidates=len(candidates),
        setting={name: setting[name] for name in (*AXES, "seed") if name in setting},
        measured=_measured(store, experiment, candidate, target),
        provenance=_provenance(store),
        digests={name: written.sha256 for name, written in store.files_of(pool.unit(candidate)).items()},
    )


def _accepted(rules: Iterable[str]) -> str:
    return "accepted are " + fill(", ".join(sorted(rules)), 110, break_on_hyphens=False)


def _measured(store: Store, experiment: Experiment, candidate: str, target: str) -> list[Measured]:
    """The candidate's score on each labelled set of source and pivots, and on the target's test set if it has one."""
    task = tasks.get(experiment.task)
    of_corpus = {roles.source(experiment): "of the source; no candidate was trained on them"}
    for pivot, corpus in zip(experiment.pivots, roles.held_out(experiment), strict=True):
        seen = pivot in experiment.pivots_for(target)
        of_corpus[corpus] = (
            "of a pivot; rules have seen them" if seen else "of the target; for it, no rule has seen them"
        )
    if target in experiment.targets:
        of_corpus |= {f"{target}-test": "of the target; no rule has seen them"}
    sums_NS = encodings.sums(store, [candidate], list(of_corpus), task.statistics)[0]
    score_N = np.atleast_1d(task.score(sums_NS))
    return [
        Measured(corpus.rpartition("-")[0], corpus.rpartition("-")[2], what, float(score))
        for (corpus, what), score in zip(of_corpus.items(), score_N, strict=True)
    ]


def _provenance(store: Store) -> dict[str, Any]:
    try:
        return store.read_json(identity.PROVENANCE)
    except AbsentError:
        return {}
