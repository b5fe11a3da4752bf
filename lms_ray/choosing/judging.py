"""A finished experiment as the judge of checkpoints that were not in its pool: what it knows, and what they must read.

    judge = read(job)
    texts = texts_of(job, standard)
    judge.score("new", all_encoded(model, job.task, texts, job.experiment.encode))

The judge of a search (`sweep.objective: recommended`) is the same with the one number that the search maximises.
"""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from lms_ray import tasks
from lms_ray.choosing import newcomers, transfer
from lms_ray.choosing.evidence import Known
from lms_ray.choosing.gathering import gather, know
from lms_ray.choosing.grid import targets_by_pivots
from lms_ray.choosing.newcomers import Said, Weights
from lms_ray.choosing.recommended import RECOMMENDED
from lms_ray.choosing.taught import LMS, TAUGHT
from lms_ray.choosing.transfer import Saved
from lms_ray.data import roles
from lms_ray.data.corpora import Corpus, Text
from lms_ray.models import brought, folders, shards
from lms_ray.models.candidates import Recipe
from lms_ray.models.job import Job
from lms_ray.models.pretrain import materialise
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.errors import ConfigError, MissingError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash
from lms_ray.store import deployment, encodings, identity, lineage, pool, rankings, redrawn
from lms_ray.store.encodings import Encoding
from lms_ray.store.files import Store
from lms_ray.tasks.base import Task
from lms_ray.tasks.windows import Windows

log = logging.getLogger(__name__)

DIVERGED = -10.0
"""What a search is told of a candidate that diverged, or that no rule could score: far below any pool, in its standard
deviations."""
VERSION = 1
"""Of the objective: a candidate that was judged by an older one is judged again."""


@dataclass(frozen=True)
class Judge:
    """What a finished experiment knows of its pool, and by which rankers and weights it picks."""

    experiment: Experiment
    known: Known
    rankers: tuple[Saved, ...]
    weights: Mapping[tuple[str, ...], Weights]
    """Of the rules in the recommended one, by pivots."""
    picked: dict[str, dict[str, str]]
    """By target and rule the candidate that is picked for use now."""
    followed: dict[str, str]
    """By target the rule to follow."""
    settings: dict[tuple[float, int, int], int]
    """Numbers of the pool's settings (learning rate, epochs, batch size)."""
    origin: dict[str, Any]
    """What its rankings were made from."""

    def score(
        self, name: str, of_corpora: Mapping[str, Encoding], targets: Sequence[str], made_as: Candidate | None = None
    ) -> dict[str, Said] | None:
        """What every rule says of a checkpoint beside the pool, by target; None where its features are not finite.

        Args:
            name: of the checkpoint.
            of_corpora: its encodings of all that the pool's rankings are made from.
            targets: to pick for.
            made_as: how it was fine-tuned, where that is known: with a setting of the pool it stands among its seeds.
        """
        key = made_as and (made_as.learning_rate, made_as.epochs, made_as.batch_size)
        setting = self.settings.get(key) if key else None
        newcomer = newcomers.described(name, of_corpora, self.experiment, self.known, setting)
        pivots_of = {target: self.experiment.pivots_for(target) for target in targets}
        if not newcomer.is_finite:
            return None
        return newcomers.score(self.known, newcomer, pivots_of, self.rankers, self.weights)

    def require_targets(self, targets: Sequence[str], key: str) -> None:
        """Refuse languages that the experiment does not pick for.

        Raises:
            ConfigError: names the first one.
        """
        if unknown := [target for target in targets if target not in self.experiment.picked_for]:
            raise ConfigError(
                f"{key}: found {unknown[0]}; accepted are targets of {self.experiment.name}: "
                f"{', '.join(self.experiment.picked_for)}"
            )


def read(job: Job) -> Judge:
    """What an experiment's folder knows.

    Raises:
        MissingError: a stage up to the ranking has not done its part, or did it for other settings.
    """
    experiment, store = job.experiment, job.store
    lineage.require_encoded(experiment, store)
    material = gather(experiment, store)
    corpora = roles.ranked_from(experiment, tasks.get(experiment.task).example)
    origin = lineage.origin(experiment, lineage.RANKING, store, material.candidates, corpora)
    rankings.require(store, origin)
    redrawn.require(store, origin)
    if folder := experiment.ranker.transfer_from:
        unseen = [name for name, part in zip(material.candidates, material.part_C, strict=True) if part == "test"]
        rankers = transfer.read(folder, experiment, unseen)
    else:
        rankers = transfer.kept(store)
    said = redrawn.read_recommended(store, origin)
    weights = {
        pivots: dict(rows[["rule", "weight"]].itertuples(index=False, name=None))
        for pivots in targets_by_pivots(experiment)
        if len(rows := said[said["pivots"] == ",".join(pivots)])
    }
    picked: dict[str, dict[str, str]] = {}
    followed: dict[str, str] = {}
    for row in deployment.read(store, origin).itertuples():
        picked.setdefault(str(row.target), {})[str(row.rule)] = str(row.candidate)
        if row.followed:
            followed[str(row.target)] = str(row.rule)
    known = know(experiment, store, material)
    table = pool.read(store).set_index("id").loc[list(material.candidates)]
    columns = (table[axis] for axis in ("learning_rate", "epochs", "batch_size"))
    settings = dict(zip(zip(*columns, strict=True), known.setting_C.tolist(), strict=True))
    return Judge(experiment, known, tuple(rankers), weights, picked, followed, settings, origin)


def not_saved(weights: Weights) -> dict[str, float]:
    """The rules that count in the recommended one, and learn from candidates, and were not saved."""
    return {rule: weight for rule, weight in weights.items() if rule in TAUGHT and rule != LMS and weight}


def texts_of(job: Job, tokenizer: Any) -> tuple[dict[str, str], list[Corpus | Text]]:
    """All that a checkpoint must read to be held against the pool, and the hash of each corpus.

    Args:
        job: the experiment of the pool.
        tokenizer: of its candidates.

    Raises:
        ConfigError, DataError: the data cannot be read.
        MissingError: they are others than those that the pool has encoded.
    """
    experiment = job.experiment
    names = roles.ranked_from(experiment, tasks.get(experiment.task).example)
    wanted = [corpus for corpus in job.corpora.encoded if corpus.name in names]
    found, known = shards.digests(wanted, tokenizer, experiment), encodings.digests(job.store)
    if changed := [name for name in found if found[name] != known.get(name)]:
        raise MissingError(
            f"{', '.join(changed)}: not what the candidates of {job.store.where()} have encoded, whether in its "
            "sentences or in how they are read; accepted are the same data, or run `python -m lms_ray.features` first"
        )
    return found, wanted


@dataclass(frozen=True)
class Objective:
    """What a search maximises: the recommended score of a candidate beside the pool of another experiment."""

    judge: Judge
    task: Task
    texts: dict[str, list[Windows]]
    targets: tuple[str, ...]
    digest: str
    """Hash of all that decides what it says."""

    def __call__(self, model: PreTrainedModel, candidate: Candidate) -> dict[str, float]:
        """The recommended score by target, in standard deviations of the pool."""
        of_corpora = shards.all_encoded(model, self.task, self.texts, self.judge.experiment.encode)
        said = self.judge.score("candidate", of_corpora, self.targets, candidate)
        if said is None:
            return dict.fromkeys(self.targets, DIVERGED)
        found = {target: of_target.scores.get(RECOMMENDED) for target, of_target in said.items()}
        return {target: DIVERGED if score_J is None else float(score_J[-1]) for target, score_J in found.items()}


def objective(recipe: Recipe) -> Objective:
    """The objective of a search, from the folder that `sweep.judged_by` names.

    Args:
        recipe: of the search's candidates.

    Raises:
        ConfigError: the experiment there is of another task, encoder or labels, or has not these targets.
        MissingError: it has no rankings, or none that are of use.
        DataError: its data cannot be read.
    """
    here, key = recipe.experiment, "sweep.judged_by"
    store = Store(here.sweep.judged_by or "", key)
    where = f"{key}: {store.where()}"
    if store.root == recipe.store.root:
        raise ConfigError(f"{where} is this experiment itself; accepted is the folder of another one")
    there = identity.in_place(store)
    if there.task != here.task:
        raise ConfigError(f"{where} is on {there.task}, this experiment on {here.task}; accepted is the same task")
    job = Job(materialise(_with_data_of(here, there)), store)
    try:
        judge = read(job)
    except MissingError as error:
        raise MissingError(f"{where}: {error}") from error
    if job.experiment.encoder != here.encoder:
        identity.warn_of_another_encoder(store, here)
    with brought.folder_of(judge.known.material.candidates[0], store, there) as folder:
        config, tokenizer = folders.load_config(folder), folders.load_tokenizer(folder)
    if difference := brought.differing(recipe.encoder.config, config):
        raise ConfigError(f"{where} has candidates of another encoder: {difference}")
    if _as_saved(recipe) != tokenizer.backend_tokenizer.to_str():
        raise ConfigError(f"{where} has candidates of another encoder: its tokenizer differs")
    if recipe.task.labels != job.task.labels:
        raise ConfigError(
            f"{where} has candidates with labels {', '.join(job.task.labels)}, this experiment has "
            f"{', '.join(recipe.task.labels)}; accepted are the same in the same order"
        )
    targets = here.sweep.judged_for or judge.experiment.picked_for
    judge.require_targets(targets, "sweep.judged_for")
    for pivots in dict.fromkeys(map(judge.experiment.pivots_for, targets)):
        _refuse_or_say(where, pivots, judge.weights[pivots])
    digests, wanted = texts_of(job, tokenizer)
    return Objective(
        judge=judge,
        task=job.task,
        texts=shards.all_tokenised(wanted, job.task, tokenizer, job.experiment),
        targets=tuple(targets),
        digest=content_hash(
            VERSION, judge.origin, digests, sorted(targets), {",".join(p): w for p, w in judge.weights.items()}
        ),
    )


def _with_data_of(here: Experiment, there: Experiment) -> Experiment:
    """The judging experiment, its data where ours are if they are the same."""
    keys = ("data",)
    if there.data.format == "toy" or lineage.differing(lineage.settings(there, keys), lineage.settings(here, keys)):
        return there
    return there.model_copy(update={"data": here.data})


def _as_saved(recipe: Recipe) -> str:
    """The tokenizer as a candidate's folder will have it."""
    with tempfile.TemporaryDirectory(prefix="lms-ray-") as folder:
        recipe.encoder.config.save_pretrained(folder)
        recipe.encoder.tokenizer.save_pretrained(folder)
        return folders.load_tokenizer(Path(folder)).backend_tokenizer.to_str()


def _refuse_or_say(where: str, pivots: Sequence[str], weights: Weights) -> None:
    """Refuse weights that lie on rules alone which were not saved; say which are left out otherwise."""
    absent = not_saved(weights)
    shown = ", ".join(f"{rule} ({100 * weight:.0f} %)" for rule, weight in absent.items())
    if set(absent) == {rule for rule, weight in weights.items() if weight}:
        raise MissingError(
            f"{where}: its recommended score for pivots {', '.join(pivots)} rests on {shown} alone, which learn from "
            "candidates and were not saved; accepted is an experiment in which other rules count"
        )
    if absent:
        log.info("%s: %s count for pivots %s; they learn from candidates and were not saved, and are left out",
                 where, shown, ", ".join(pivots))  # fmt: skip
