"""How much work an experiment is: counted where it can be, and estimated in operations for what has not been measured.

A parameter outside of the embeddings costs 2 operations for each sub-word of a forward pass, and 6 with the backward
pass (Kaplan et al., 2020). Sub-words are counted in a sample of each set. Attention's products are left out: at 128
sub-words they add a few percent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from statistics import fmean

import torch
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.data.corpora import Corpus, Text
from lms_ray.models import brought, encoder, folders
from lms_ray.models.job import Job
from lms_ray.settings.candidates import Range, grid
from lms_ray.store.files import Store

FORWARD, TRAINING = 2, 6  # operations for each parameter and sub-word
SAMPLE = 50  # examples of each set
LOOKS = 50  # at all differences in score, until a convex ranker is fitted: 20 to 100 where this was counted


@dataclass(frozen=True)
class Stage:
    """What one stage does, for all candidates."""

    amount: float
    """Examples passed through a model, once for each epoch in training; or rankers."""
    operations: float


@dataclass(frozen=True)
class Work:
    """What an experiment does, for all candidates."""

    job: Job

    @cached_property
    def candidates(self) -> int:
        """How many there are."""
        experiment = self.job.experiment
        return len(self.job.standard.folders) if experiment.sweep.checkpoints else experiment.number_of_candidates

    @cached_property
    def epochs(self) -> list[float]:
        """Of each candidate that is fine-tuned; of one that a search will propose, the mean of what it may propose."""
        sweep = self.job.experiment.sweep
        if sweep.checkpoints:
            return []
        if sweep.search == "grid":
            return [candidate.epochs for candidate in grid(sweep)]
        ends = (sweep.epochs.low, sweep.epochs.high) if isinstance(sweep.epochs, Range) else sweep.epochs
        return [fmean(ends)] * self.candidates

    @cached_property
    def model(self) -> PreTrainedModel:
        """A candidate without its weights."""
        with torch.device("meta"):
            return self.job.task.build(self._config)

    @cached_property
    def sweep(self) -> Stage:
        """Fine-tuning, and a pass of the source's dev set through every candidate."""
        corpora = self.job.corpora
        trained = sum(len(corpus) for corpus in corpora.training) * sum(self.epochs)
        operations = TRAINING * self._subwords(corpora.training) * sum(self.epochs)
        operations += FORWARD * self._subwords([corpora.dev]) * self.candidates
        return Stage(trained or len(corpora.dev) * self.candidates, operations * self._parameters)

    @cached_property
    def features(self) -> Stage:
        """One pass of every set through every candidate."""
        encoded = self.job.corpora.encoded
        operations = FORWARD * self._subwords(encoded) * self.candidates * self._parameters
        return Stage(sum(len(corpus) for corpus in encoded) * self.candidates, operations)

    @cached_property
    def ranking(self) -> Stage:
        """The grid of rankers; the optimizer's own work is left out."""
        experiment = self.job.experiment
        train, _, _ = experiment.meta_split.sizes(self.candidates)
        pairs = train * (train - 1) // 2
        width, hidden = self._config.hidden_size, experiment.ranker.hidden
        parameters = hidden * (width + 2 * hidden)
        pivots = fmean(map(len, experiment.pivot_sets))
        rankers = experiment.number_of_rankers
        if experiment.ranker.fit == "fast":
            width *= len(experiment.ranker.features)  # which a net would sum
            looked_at = 2 * train * pivots * (2 * width + train)  # features there and back, and differences in score
            return Stage(rankers, LOOKS * looked_at * rankers)
        shown = 2 * pairs * pivots * experiment.ranker.epochs  # candidates to each ranker
        return Stage(rankers, TRAINING * parameters * shown * rankers)

    @property
    def _parameters(self) -> int:
        return self.model.num_parameters(exclude_embeddings=True)

    @cached_property
    def _config(self) -> PretrainedConfig:
        brought = self.job.experiment.sweep.checkpoints
        return self.job.standard.config if brought else encoder.load_config(self.job.experiment.encoder)

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        if self.job.experiment.sweep.checkpoints:
            with brought.local_copy(Store(self.job.standard.folders[0]), weights=False) as folder:
                return folders.load_tokenizer(folder)
        tokenizer = encoder.load_tokenizer(self.job.experiment.encoder)
        tokenizer.add_tokens(list(self.job.task.special_tokens), special_tokens=True)
        return tokenizer

    def _subwords(self, corpora: Iterable[Corpus | Text]) -> float:
        return sum(len(corpus) * self._subwords_of_one(corpus) for corpus in corpora)

    def _subwords_of_one(self, corpus: Corpus | Text) -> float:
        """Of one example, on the average over a sample."""
        task, settings = self.job.task, self.job.experiment.finetune
        if isinstance(corpus, Text):
            lines = list(islice(corpus.sentences(), SAMPLE))
            windows = task.text_windows(lines, self._tokenizer, settings.max_length)
        else:
            some = corpus.examples[:: max(1, len(corpus) // SAMPLE)][:SAMPLE]
            windows = task.windows(some, self._tokenizer, settings.max_length, settings.stride)
        return len(windows.input_ids_T) / windows.examples
