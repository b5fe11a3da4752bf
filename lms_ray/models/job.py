"""An experiment at work: its folder, and its data, which are read once and when a stage first asks for them."""

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from lms_ray import tasks
from lms_ray.data import corpora
from lms_ray.data.corpora import Corpora
from lms_ray.models import brought, encoder
from lms_ray.models.brought import Standard
from lms_ray.models.encoder import Encoder
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.uris import without_credentials
from lms_ray.store.files import Store
from lms_ray.tasks.base import Task


@dataclass(frozen=True)
class Job:
    """What every stage is handed."""

    experiment: Experiment
    store: Store

    @cached_property
    def corpora(self) -> Corpora:
        """All sets that the experiment names.

        Raises:
            ConfigError: a setting does not fit the task.
            DataError: a file is missing, empty or broken, or two sets hold the same records.
        """
        return corpora.read(self.experiment, tasks.get(self.experiment.task).example)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that candidates start from, with the task's sub-words in its tokenizer.

        Raises:
            ConfigError: it cannot be loaded.
        """
        experiment = self.experiment
        return encoder.load(experiment.encoder, self.task.special_tokens, experiment.allow_pickled)

    @cached_property
    def task(self) -> Task:
        """The task, with a head for the labels of the training set, or of the checkpoints that were brought.

        Raises:
            ConfigError, DataError: as `corpora`; a set has a label that the head does not know.
        """
        name = self.experiment.task
        task = tasks.get(name)
        if not self.experiment.sweep.checkpoints:
            task = tasks.get(name, task.outputs(self.corpora.names))
        elif task.example.labelled:  # type: ignore[attr-defined]
            task = tasks.get(name, brought.labels(self.experiment))
        sets = [*self.corpora.training, *self.corpora.labelled]
        task.check(chain.from_iterable(corpus.examples for corpus in sets))
        return task

    @cached_property
    def standard(self) -> Standard:
        """What every checkpoint that was brought is held against.

        Raises:
            ConfigError, DataError: as `brought.standard`.
        """
        return brought.standard(self.experiment, self.task, self.corpora.dev)

    def check(self) -> None:
        """Make every check that needs no cluster: settings, data, labels, encoder or checkpoints.

        Raises:
            ConfigError, DataError: what is wrong, and what is accepted.
        """
        experiment = self.experiment
        self.task  # noqa: B018  # reads the data
        if experiment.sweep.checkpoints:
            try:
                place = without_credentials(experiment.sweep.checkpoints)
                experiment.meta_split.require(len(self.standard.folders), f"{place} holds")
            except ValueError as error:
                raise ConfigError(f"sweep.checkpoints: {error}") from None
            return
        experiment.trackers.require_packages()
        config, tokenizer = encoder.load_config(experiment.encoder), encoder.load_tokenizer(experiment.encoder)
        encoder.check_length(experiment.finetune.max_length, encoder.longest(config, tokenizer))
        if Path(experiment.encoder).is_dir():
            self.encoder  # noqa: B018  # weights of the hub are downloaded when the sweep wants them
