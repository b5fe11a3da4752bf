"""How the picks for use did, by labels that came after them: an extra that no other stage needs.

    lms-ray verify PATH --target LANG --labels FILE

Passes a labelled file of a target through the candidates, here and not on Ray, and holds every rule's pick against the
others. What a candidate makes of the labels is kept: a run that was stopped goes on, and nothing is done twice.
"""

import logging
from collections.abc import Sequence
from textwrap import fill

import torch

from lms_ray import tasks
from lms_ray.choosing.gathering import recall
from lms_ray.choosing.verifying import verify
from lms_ray.data import corpora
from lms_ray.data.corpora import Corpus
from lms_ray.models import brought, folders, shards
from lms_ray.models.loading import Candidates
from lms_ray.models.pretrain import materialise
from lms_ray.pages.progress import Progress, say, telling
from lms_ray.pages.terminal import show
from lms_ray.pages.verification import verification_caption, verification_table
from lms_ray.settings.errors import ConfigError, MissingError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash
from lms_ray.store import deployment, identity, pool, redrawn, verified
from lms_ray.store.files import Store
from lms_ray.store.lock import hold

log = logging.getLogger(__name__)

NAME = "verify"


def run(path: str, target: str, labels: str) -> None:
    """Write `verified/<language>-<digest>/`, and print how good the pick of every rule is.

    Args:
        path: the experiment's folder, local path or URI.
        target: one of its targets, whether it had labels or not.
        labels: a labelled file of that language in the experiment's format; a folder for `ace` and `hub`.

    Raises:
        ConfigError: the language is no target.
        DataError: the file is not there, is broken, or has a label that the candidates do not know.
        MissingError: nothing was picked for use yet, or the weights of what was picked are gone.
    """
    store = Store(path, "PATH")
    experiment = materialise(identity.experiment(store), make=False)
    if target not in experiment.picked_for:
        raise ConfigError(f"--target: found {target}; accepted are {', '.join(experiment.picked_for)}")
    with hold(store), telling():
        _verify(experiment, store, target, labels)


def folder(corpus: Corpus, experiment: Experiment) -> str:
    """Where a verification is kept: other labels, or settings by which they are read, have another folder."""
    settings = experiment.finetune
    read_as = (settings.max_length, settings.stride, experiment.encode.precision)
    return verified.folder(corpus.language, content_hash(corpus.digest, read_as))


def _verify(experiment: Experiment, store: Store, target: str, labels: str) -> None:
    task = tasks.get(experiment.task)
    corpus = corpora.of_file(experiment, task.example, target, labels)
    origin = deployment.origin(store)
    everyone = redrawn.candidates(store, origin)
    picked = deployment.picked_for(store, origin, target)
    within = folder(corpus, experiment)
    done = [candidate for candidate in everyone if store.done(verified.unit(within, candidate))]
    gone = set(pool.without_weights(store, everyone)) - set(done)
    candidates = [candidate for candidate in everyone if candidate not in gone]
    for rule, candidate in picked.items():
        if candidate in gone:
            _without(rule, candidate, target)
    progress = Progress(NAME, "candidates", len(candidates), done=len(done))
    _encode(
        [candidate for candidate in candidates if candidate not in done], corpus, experiment, store, within, progress
    )
    statistics_CES = verified.read_statistics(store, within, candidates, task.statistics)
    said = recall(store, origin, everyone).overall[target]
    kept_C = [everyone.index(candidate) for candidate in candidates]
    rows = verify(
        target,
        candidates,
        {rule: candidates.index(candidate) for rule, candidate in picked.items() if candidate not in gone},
        {rule: score_C[kept_C] for rule, score_C in said.items()},
        statistics_CES,
        corpus.groups,
        task.score,
        experiment.selection,
        experiment.seed,
        deployment.stated(store, origin, target),
    )
    score_of = dict(zip(candidates, task.score(statistics_CES.sum(1)).tolist(), strict=True))
    made_from = {"picks": origin, "examples": len(corpus), "selection": experiment.selection.model_dump(mode="json")}
    verified.write(store, within, rows, score_of, made_from)
    caption = verification_caption(target, task.metric, len(corpus), len(candidates), sorted(gone))
    table = verification_table(rows, deployment.FOR_USE)
    show("\n".join(["", table.to_text(), "", fill(caption, 110, break_on_hyphens=False), ""]))
    say(NAME, store.where(f"{within}/{verified.VERIFICATION}"))


def _without(rule: str, candidate: str, target: str) -> None:
    """Go without the pick of a rule, if it is not one of those that are meant to be used.

    Raises:
        MissingError: it is.
    """
    if rule in deployment.FOR_USE:
        raise MissingError(
            f"the weights of {candidate}, which {rule} picks for {target}, were not kept (sweep.keep_weights), so "
            "nobody can say how good it is; accepted are experiments that have the weights of their picks"
        )
    log.warning("%s is left out: the weights of its pick %s were not kept", rule, candidate)


def _encode(
    missing: Sequence[str], corpus: Corpus, experiment: Experiment, store: Store, within: str, progress: Progress
) -> None:
    """Pass the labelled examples through candidates, and keep what each makes of them.

    Raises:
        DataError: an example has a label that the candidates do not have.
        BrokenError: the weights of a candidate are not what was written.
    """
    if not missing:
        return
    with brought.folder_of(missing[0], store, experiment) as model_folder:
        config = (model_folder / "config.json").read_bytes()
        task = tasks.get(experiment.task, folders.labels(config) if corpus.examples[0].labelled else ())
        tokenizer = folders.load_tokenizer(model_folder)
    task.check(corpus.examples)
    windows = shards.all_tokenised([corpus], task, tokenizer, experiment)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    before = progress.done
    for count, candidate in enumerate(missing, 1):
        model = Candidates(task, experiment, store).load(candidate, device)
        statistics_ES = shards.all_encoded(model, task, windows, experiment.encode)[corpus.name].statistics_ES
        verified.write_statistics(store, within, candidate, task.statistics, statistics_ES)
        progress.show(before + count)
