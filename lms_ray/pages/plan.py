"""What an experiment would do, counted before anything runs."""

import tempfile
from pathlib import Path

import torch
from tabulate import tabulate

from lms_ray.data import toy
from lms_ray.models import pretrain
from lms_ray.models.encoder import load_config
from lms_ray.models.job import Job
from lms_ray.settings.candidates import grid
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.uris import without_credentials
from lms_ray.store import identity
from lms_ray.store.files import Store


def show_plan(experiment: Experiment) -> None:
    """Print the amounts of work and storage, after every check of the job that needs no cluster; writes nothing.

    Raises:
        ConfigError, DataError: a setting, a file, the encoder or a checkpoint is not what is accepted.
    """
    store = Store(experiment.folder)
    identity.require_same(experiment, store)
    on_files = pretrain.materialise(experiment, make=False)
    if experiment.data.format != "toy":
        _show(Job(on_files, store))
        return
    sizes, untrained = toy.Sizes(text=100), pretrain.Settings(steps=0)
    with tempfile.TemporaryDirectory(prefix="lms-ray-plan-") as folder:  # the sets of the job; an encoder of its shape
        root, encoder = pretrain.prepare(Path(folder), experiment.languages, experiment.seed, sizes, untrained)
        _show(Job(pretrain.on_toy_files(on_files, root, encoder), store))


def _show(job: Job) -> None:
    job.check()
    experiment, corpora = job.experiment, job.corpora
    folders = job.standard.folders if experiment.sweep.checkpoints else ()
    config = job.standard.config if folders else load_config(experiment.encoder)
    count = len(folders) or experiment.number_of_candidates
    train = sum(len(corpus) for corpus in corpora.training)
    examples, lines = (sum(len(corpus) for corpus in some) for some in (corpora.labelled, corpora.texts))
    with torch.device("meta"):
        parameters = job.task.build(config).num_parameters()
    size = parameters * (2 if experiment.finetune.save_dtype == "bfloat16" else 4)
    ranker = experiment.ranker
    pivot_sets = len({experiment.pivots_for(target) for target in experiment.targets})
    rows = [
        ("candidates", f"{count:,}"),
        ("fine-tuning, examples", _passes(train, [candidate.epochs for candidate in grid(experiment.sweep)])),
        (
            "encoding, examples",
            f"{count * examples:,} ({len(corpora.labelled)} corpora, {examples:,} examples each candidate)",
        ),
        (
            "unlabelled sentences",
            f"{count * lines:,} ({len(corpora.texts)} texts)" if corpora.texts else "the dev sets' words",
        ),
        ("rankers", f"{pivot_sets * len(ranker.batch_size) * len(ranker.learning_rate) * ranker.seeds:,}"),
        (
            "checkpoint",
            f"{size / 1e6:,.0f} MB ({parameters / 1e6:,.1f} M parameters, {experiment.finetune.save_dtype})",
        ),
        ("all checkpoints", f"{count * size / 1e9:,.1f} GB" if not folders else "none, they stay where they are"),
        ("folder", without_credentials(experiment.folder)),
    ]
    print(tabulate(rows, tablefmt="plain", disable_numparse=True))


def _passes(train: int, epochs: list[int]) -> str:
    if not train:
        return "none, checkpoints are brought"
    return f"{train * sum(epochs):,}" if epochs else f"{train:,} x epochs of each candidate"
