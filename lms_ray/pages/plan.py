"""What an experiment would do, counted before anything runs."""

import tempfile
from pathlib import Path

import torch
from tabulate import tabulate
from transformers import PretrainedConfig

from lms_ray.data import toy
from lms_ray.models import brought, encoder, pretrain
from lms_ray.models.job import Job
from lms_ray.settings.candidates import grid
from lms_ray.settings.experiment import Experiment
from lms_ray.store.files import Store


def show_plan(experiment: Experiment) -> None:
    """Print the amounts of work and storage, after every check that the job makes; writes nothing.

    Raises:
        ConfigError, DataError: a setting, a file, the encoder or a checkpoint is not what is accepted.
    """
    if experiment.data.format != "toy":
        job = Job(experiment.absolute(), Store(experiment.folder))
        job.check()
        _show(job, _config(job.experiment))
        return
    with tempfile.TemporaryDirectory(prefix="lms-ray-plan-") as folder:  # the encoder is not made, only counted
        toy.write_languages(Path(folder), experiment.languages, experiment.seed)
        settings = pretrain.Settings()
        job = Job(pretrain.on_toy_files(experiment, Path(folder), Path("toy")), Store(experiment.folder))
        _show(job, pretrain.configuration(settings, settings.vocabulary))


def _config(experiment: Experiment) -> PretrainedConfig:
    if experiment.sweep.checkpoints:
        return brought.config_of(experiment)
    return encoder.load_config(experiment.encoder)


def _show(job: Job, config: PretrainedConfig) -> None:
    experiment, corpora = job.experiment, job.corpora
    folders = brought.find(experiment.sweep.checkpoints) if experiment.sweep.checkpoints else []
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
        ("folder", experiment.folder),
    ]
    print(tabulate(rows, tablefmt="plain", disable_numparse=True))


def _passes(train: int, epochs: list[int]) -> str:
    if not train:
        return "none, checkpoints are brought"
    return f"{train * sum(epochs):,}" if epochs else f"{train:,} x epochs of each candidate"
