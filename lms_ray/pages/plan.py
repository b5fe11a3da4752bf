"""What an experiment would do, counted before anything runs."""

import torch
from tabulate import tabulate

from lms_ray.data import corpora
from lms_ray.models import checkpoints, encoder
from lms_ray.settings.experiment import Experiment, grid


def show_plan(experiment: Experiment) -> None:
    """Print the amounts of work and storage; reads and checks all data.

    Raises:
        DataError: a file is missing, empty or broken.
    """
    task = checkpoints.task_of(experiment)
    count_of = corpora.check(experiment, task)
    brought = checkpoints.find(experiment.sweep.checkpoints) if experiment.sweep.checkpoints else []
    train = 0 if brought else sum(count_of[corpus.name] for corpus in corpora.training(experiment))
    labelled = [corpus for corpus in corpora.encoded(experiment) if corpus.split != corpora.UNLABELLED]
    examples = sum(count_of[corpus.name] for corpus in labelled)
    texts = [corpus for corpus in corpora.encoded(experiment) if corpus not in labelled]
    count = len(brought) or experiment.number_of_candidates
    epochs = [candidate.epochs for candidate in grid(experiment.sweep)]
    config = checkpoints.config_of(experiment) if brought else encoder.load_config(experiment.encoder)
    with torch.device("meta"):
        parameters = task.build(config).num_parameters()
    size = parameters * (2 if experiment.finetune.save_dtype == "bfloat16" else 4)
    ranker = experiment.ranker
    pivot_sets = len({experiment.pivots_for(target) for target in experiment.targets})
    rows = [
        ("candidates", f"{count:,}"),
        ("fine-tuning, examples", _passes(train, epochs)),
        ("encoding, examples", f"{count * examples:,} ({len(labelled)} corpora, {examples:,} examples each candidate)"),
        ("unlabelled text", f"{len(texts)} files for each candidate" if texts else "the dev sets' words"),
        ("rankers", f"{pivot_sets * len(ranker.batch_size) * len(ranker.learning_rate) * ranker.seeds:,}"),
        (
            "checkpoint",
            f"{size / 1e6:,.0f} MB ({parameters / 1e6:,.1f} M parameters, {experiment.finetune.save_dtype})",
        ),
        ("all checkpoints", f"{count * size / 1e9:,.1f} GB"),
        ("folder", experiment.folder),
    ]
    print(tabulate(rows, tablefmt="plain", disable_numparse=True))


def _passes(train: int, epochs: list[int]) -> str:
    if not train:
        return "none, checkpoints are brought"
    return f"{train * sum(epochs):,}" if epochs else f"{train:,} x epochs of each candidate"
