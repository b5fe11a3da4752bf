"""Pass corpora through many models with Ray Data, in one execution.

A row of the dataset is a model and some shards of tokenised text; an actor gets the model once for all of them, while
it still computes on the one before. Shards are tokenised once, into the object store, which spills to disk what does
not fit. Actors return sums and example statistics; a model's encodings are whole when its last shard has come back.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import ray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.cluster.resources import room, set_up, workers_for
from lms_ray.data.corpora import Corpus, Text
from lms_ray.models import shards
from lms_ray.models.encode import Encoded, encode
from lms_ray.models.job import Job
from lms_ray.pages.progress import Notes, noting
from lms_ray.settings.errors import BrokenError, JobError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.models import Encode, FineTune
from lms_ray.store import pool
from lms_ray.store.attempts import Use
from lms_ray.store.encodings import Encoding
from lms_ray.tasks.base import Task
from lms_ray.tasks.windows import Windows

log = logging.getLogger(__name__)

IN_DRIVER = 10_000  # examples that are tokenised here before a worker process could start
AHEAD = 64  # shards that may wait to be tokenised
ARRAYS = [field.name for field in fields(Encoded)]  # they travel flat


class Models(Protocol):
    """Where models come from, by their names; it travels to the actors."""

    def load(self, name: str, device: str) -> PreTrainedModel:
        """A model in float32, for inference."""

    def read_for(self, name: str) -> Sequence[str]:
        """Ids of the candidates whose weights are read for it."""


@dataclass(frozen=True)
class Read:
    """What one model made of all that it was to read."""

    name: str
    encodings: dict[str, Encoding]
    """By corpus."""
    uses: list[Use]


@dataclass(frozen=True)
class Shard:
    """A piece of a corpus in the object store."""

    corpus: str
    windows: ray.ObjectRef


@dataclass(frozen=True)
class Result:
    """What one model made of one shard."""

    model: str
    shard: int
    encoded: Encoded
    use: Use


def encode_all(
    job: Job, tokenizer: PreTrainedTokenizerBase, wanted: Mapping[str, Collection[str]], models: Models
) -> Generator[Read]:
    """Each model with what it made of its corpora, in the order in which they are finished; to be closed.

    Args:
        job: the experiment.
        tokenizer: of all models.
        wanted: by the model's name the corpora that it is to read.
        models: gives the actors a model for a name.

    Raises:
        BrokenError: a candidate whose weights are wanted is not whole.
        StorageError: an actor could not read them.
    """
    experiment, task = job.experiment, job.task
    needed = {name for names in wanted.values() for name in names}
    texts = _tokenise([corpus for corpus in job.corpora.encoded if corpus.name in needed], task, experiment, tokenizer)
    work = {
        model: [index for index, shard in enumerate(texts) if shard.corpus in names] for model, names in wanted.items()
    }
    arrived: dict[str, dict[int, Result]] = defaultdict(dict)
    with closing(_stream(work, texts, job, models)) as results:
        for result in results:
            arrived[result.model][result.shard] = result
            if len(arrived[result.model]) < len(work[result.model]):
                continue
            of_shard = arrived.pop(result.model)
            parts: dict[str, list[Encoded]] = defaultdict(list)
            for index in work[result.model]:
                parts[texts[index].corpus].append(of_shard[index].encoded)
            whole = {name: shards.whole(of_corpus, task, experiment.encode) for name, of_corpus in parts.items()}
            yield Read(result.model, whole, [part.use for part in of_shard.values()])


def _tokenise(
    wanted: Sequence[Corpus | Text], task: Task, experiment: Experiment, tokenizer: PreTrainedTokenizerBase
) -> list[Shard]:
    """Shards of all corpora in the object store; much text is tokenised in parallel."""
    pieces = ((corpus.name, piece) for corpus in wanted for piece in shards.pieces(corpus, experiment.encode))
    if sum(map(len, wanted)) <= IN_DRIVER:
        made = [(name, *_windows(name, piece, task, tokenizer, experiment.finetune)) for name, piece in pieces]
        texts = [Shard(name, ray.put(windows)) for name, windows, _ in made]
        noted = [notes for _, _, notes in made]
    else:
        remote: Any = ray.remote(num_cpus=1, num_returns=2, max_retries=-1)(_windows)  # nodes may go at any time
        shared = [ray.put(value) for value in (task, tokenizer)]
        pending = []
        for name, piece in pieces:
            pending.append((name, *remote.remote(name, piece, *shared, experiment.finetune)))
            if len(pending) > AHEAD:  # text may be larger than memory: read on when some of it is tokenised
                ray.wait([pending[-AHEAD][1]])
        texts = [Shard(name, windows) for name, windows, _ in pending]
        noted = ray.get([notes for _, _, notes in pending])
    for line in dict.fromkeys(chain.from_iterable(noted)):
        log.info("%s", line)
    return texts


def _windows(
    corpus: str, items: Sequence[Any], task: Task, tokenizer: PreTrainedTokenizerBase, settings: FineTune
) -> tuple[Windows, list[str]]:
    """A shard of examples or sentences tokenised, and what was noted of it."""
    with noting(Notes(corpus)) as notes:
        windows = shards.tokenised(items, task, tokenizer, settings)
    return windows, notes.lines


def _stream(work: dict[str, list[int]], texts: list[Shard], job: Job, models: Models) -> Generator[Result]:
    """Results in the order in which they are finished."""
    settings, cluster = job.experiment.encode, job.experiment.cluster
    resources = settings.resources
    parts = -(-2 * room(resources, cluster) // len(work))  # few models: share each between actors
    rows = []
    for model, numbers in work.items():
        for part in np.array_split(numbers, min(parts, len(numbers))):
            rows.append({"model": model, "shards": part.tolist()})
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.raise_original_map_exception = True  # what an actor raises, else it is only in the text of a traceback
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it reports each execution; errors are raised as well
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        EncodingActor,
        batch_size=1,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(
            size=workers_for(resources, cluster, len(rows)),
            max_tasks_in_flight_per_actor=2,
            max_concurrent_calls_per_actor=2,
            enable_true_multi_threading=True,
        ),
        num_cpus=resources.cpus,
        num_gpus=resources.gpus,
        fn_constructor_kwargs={
            "task": job.task,
            "settings": settings,
            "models": models,
            "windows": [shard.windows for shard in texts],
        },
    )
    batches: Any = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    try:
        with closing(batches):  # else Ray Data's threads work on while Ray is shut down, which ends the process at once
            for batch in batches:
                for index, row in enumerate(batch.drop_columns(ARRAYS).to_pylist()):
                    arrays = {name: batch[name][index].values.to_numpy() for name in ARRAYS}
                    arrays["statistics_ES"] = arrays["statistics_ES"].reshape(row["examples"], -1)
                    encoded = Encoded(**arrays)
                    yield Result(row["model"], row["shard"], encoded, Use.model_validate_json(row["use"]))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, JobError) and not isinstance(error.cause, BrokenError):
            raise error.cause from None
        for candidate in dict.fromkeys(chain.from_iterable(map(models.read_for, work))):
            if job.store.done(pool.unit(candidate)) is None:  # an actor found it broken
                raise BrokenError(f"{job.store.where(pool.unit(candidate))}: broken; run the sweep again") from None
        raise


class EncodingActor:
    """Gets models and passes shards through them; two calls overlap, one loading and one computing."""

    def __init__(self, task: Task, settings: Encode, models: Models, windows: list[ray.ObjectRef]):
        self.task, self.settings, self.source, self.windows = task, settings, models, windows
        self.loading, self.computing = threading.Lock(), threading.Lock()
        self.models: dict[str, PreTrainedModel] = {}

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Encode one row: a model's name and the numbers of its shards."""
        made = []
        (row,) = batch.to_pylist()
        device, machine = set_up(self.settings.resources)
        model = self._model(row["model"], device)
        for shard in row["shards"]:
            windows = ray.get(self.windows[shard])
            with self.computing:
                started = time.monotonic()
                encoded = encode(model, self.task, windows, self.settings)
                took = Use(machine=machine, seconds=time.monotonic() - started, work=encoded.examples)
            made.append(
                {
                    "model": row["model"],
                    "shard": shard,
                    "use": took.model_dump_json(),
                    "examples": encoded.examples,
                    **{name: getattr(encoded, name).ravel() for name in ARRAYS},
                }
            )
        return pa.Table.from_pylist(made)

    def _model(self, name: str, device: str) -> PreTrainedModel:
        with self.loading:
            if name not in self.models:
                while len(self.models) >= 2:  # the one that computes, and the next
                    self.models.pop(next(iter(self.models)))
                self.models[name] = self.source.load(name, device)
            return self.models[name]
