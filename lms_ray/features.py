"""Stage 2: pass every corpus through every checkpoint with Ray Data, in one execution.

    python -m lms_ray.features CONFIG [key=value ...]

A row of the dataset is a candidate and some shards of tokenised text; an actor loads the checkpoint once for all of
them, while it still computes on the one before. Shards are tokenised once, into the object store, which spills to
disk what does not fit. Actors return sums and example statistics; the driver commits a candidate when its last shard
has come back.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import chain, islice
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.choosing import keeping
from lms_ray.cluster.resources import room, set_up, workers_for
from lms_ray.data.corpora import Corpus, Text
from lms_ray.models import brought, folders
from lms_ray.models.encode import Encoded, encode
from lms_ray.models.job import Job
from lms_ray.pages.progress import Notes, Progress, noting
from lms_ray.settings.errors import BrokenError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash
from lms_ray.settings.models import Encode, FineTune
from lms_ray.store import encodings, lineage, pool
from lms_ray.store.attempts import Use
from lms_ray.store.encodings import Beginning, CorpusRow, Encoding
from lms_ray.store.files import Store
from lms_ray.tasks.base import Task
from lms_ray.tasks.pretrained import some
from lms_ray.tasks.windows import Windows

log = logging.getLogger(__name__)

IN_DRIVER = 10_000  # examples that are tokenised here before a worker process could start
AHEAD = 64  # shards that may wait to be tokenised
ARRAYS = [field.name for field in fields(Encoded)]  # they travel flat


@dataclass(frozen=True)
class Shard:
    """A piece of a corpus in the object store."""

    corpus: str
    windows: ray.ObjectRef


@dataclass(frozen=True)
class Result:
    """What one candidate made of one shard."""

    candidate: str
    shard: int
    encoded: Encoded
    use: Use


def run(job: Job) -> None:
    """Encode what is missing; then only the weights stay that are to be kept.

    Raises:
        MissingError: the sweep has not done its part, or weights that are needed were not kept.
    """
    _encode_missing(job)
    keeping.after_features(job.experiment, job.store)


def _encode_missing(job: Job) -> None:
    experiment, store, task = job.experiment, job.store, job.task
    lineage.require_candidates(experiment, store)
    candidates = pool.candidates(store)
    with brought.folder_of(candidates[0], store, experiment) as folder:
        tokenizer = folders.load_tokenizer(folder)
    wanted = job.corpora.encoded
    digests = _digests(wanted, tokenizer, experiment)
    rows = [_row(corpus, digests[corpus.name], job) for corpus in wanted]
    encodings.write_corpora(store, rows, {"settings": lineage.settings(experiment, lineage.ENCODING)})
    missing = {candidate: encodings.missing(store, candidate, digests) for candidate in candidates}
    missing = {candidate: names for candidate, names in missing.items() if names}
    done = len(candidates) - len(missing)
    progress = Progress("features", "candidates", len(candidates), done=done)
    if not missing:
        return
    pool.require_weights(store, missing, f"{some(next(iter(missing.values())))} was not encoded as it is now")
    needed = {name for names in missing.values() for name in names}
    shards = _tokenise([corpus for corpus in wanted if corpus.name in needed], task, experiment, tokenizer)
    work = {
        candidate: [index for index, shard in enumerate(shards) if shard.corpus in names]
        for candidate, names in missing.items()
    }
    arrived: dict[str, dict[int, Result]] = defaultdict(dict)
    for result in _stream(work, shards, task, experiment, store):
        arrived[result.candidate][result.shard] = result
        if len(arrived[result.candidate]) < len(work[result.candidate]):
            continue
        of_shard = arrived.pop(result.candidate)
        parts: dict[str, list[Encoded]] = defaultdict(list)
        for index in work[result.candidate]:
            parts[shards[index].corpus].append(of_shard[index].encoded)
        fresh = {name: _whole(of_corpus, task, experiment.encode) for name, of_corpus in parts.items()}
        uses = [part.use for part in of_shard.values()]
        encodings.write(store, result.candidate, fresh, task.statistics, digests, uses)
        done += 1
        progress.show(done)


def _row(corpus: Corpus | Text, digest: str, job: Job) -> CorpusRow:
    if isinstance(corpus, Text):
        return CorpusRow(corpus.name, len(corpus), digest, ())
    trained_on = chain.from_iterable(known.examples for known in job.corpora.training or [job.corpora.dev])
    baselines = job.task.baselines(trained_on, corpus.examples)
    sums = {name: sum_S.tolist() for name, sum_S in baselines.items()}
    # A target's labels are not looked at before picks are scored.
    is_open = corpus.language in (job.experiment.source, *job.experiment.pivots)
    gold_share = job.task.gold_share(corpus.examples).tolist() if is_open else []
    return CorpusRow(corpus.name, len(corpus), digest, tuple(corpus.groups), sums, gold_share)


def _digests(
    wanted: Sequence[Corpus | Text], tokenizer: PreTrainedTokenizerBase, experiment: Experiment
) -> dict[str, str]:
    """Hash of all that decides the encodings of each corpus, but the candidate."""
    settings = (
        encodings.VERSION,
        tokenizer.backend_tokenizer.to_str(),
        experiment.finetune.max_length,
        experiment.finetune.stride,
        experiment.encode.model_dump(
            exclude={"resources", "batch_tokens"}
        ),  # in float32 these change the last digits at most
    )
    return {corpus.name: content_hash(corpus.digest, settings) for corpus in wanted}


def _whole(shards: Sequence[Encoded], task: Task, settings: Encode) -> Encoding:
    """A corpus from its shards, in their order; of its first examples the labels are kept."""
    units_E = np.concatenate([shard.units_E for shard in shards])[: settings.predictions]
    beginnings = []
    for place, count in enumerate(np.cumsum([shard.examples for shard in shards]).tolist(), 1):
        if count in settings.beginnings and place < len(shards):
            beginnings.append(Beginning(count, *_means(shards[:place], task), int(units_E[:count].sum())))
    feature_H, signals = _means(shards, task)
    return Encoding(
        feature_H,
        np.concatenate([shard.statistics_ES for shard in shards]),
        signals,
        np.concatenate([shard.label_U for shard in shards])[: units_E.sum()],
        beginnings,
    )


def _means(shards: Sequence[Encoded], task: Task) -> tuple[np.ndarray, dict[str, Any]]:
    """Feature and signals of some shards together."""
    feature_H = np.sum([shard.cls_sum_H for shard in shards], axis=0) / sum(shard.examples for shard in shards)
    tally = np.sum([shard.tally for shard in shards], axis=0)
    return feature_H, task.means(tally) if len(tally) else {}


def _tokenise(
    wanted: Sequence[Corpus | Text], task: Task, experiment: Experiment, tokenizer: PreTrainedTokenizerBase
) -> list[Shard]:
    """Shards of all corpora in the object store; much text is tokenised in parallel."""
    pieces = (
        (corpus.name, piece)
        for corpus in wanted
        for piece in _chunks(corpus.examples if isinstance(corpus, Corpus) else corpus.sentences(), experiment.encode)
    )
    if sum(map(len, wanted)) <= IN_DRIVER:
        made = [(name, *_windows(name, piece, task, tokenizer, experiment.finetune)) for name, piece in pieces]
        shards = [Shard(name, ray.put(windows)) for name, windows, _ in made]
        noted = [notes for _, _, notes in made]
    else:
        remote: Any = ray.remote(num_cpus=1, num_returns=2, max_retries=-1)(_windows)  # nodes may go at any time
        shared = [ray.put(value) for value in (task, tokenizer)]
        pending = []
        for name, piece in pieces:
            pending.append((name, *remote.remote(name, piece, *shared, experiment.finetune)))
            if len(pending) > AHEAD:  # text may be larger than memory: read on when some of it is tokenised
                ray.wait([pending[-AHEAD][1]])
        shards = [Shard(name, windows) for name, windows, _ in pending]
        noted = ray.get([notes for _, _, notes in pending])
    for line in dict.fromkeys(chain.from_iterable(noted)):
        log.info("%s", line)
    return shards


def _windows(
    corpus: str, items: Sequence[Any], task: Task, tokenizer: PreTrainedTokenizerBase, settings: FineTune
) -> tuple[Windows, list[str]]:
    """A shard of examples or sentences tokenised, and what was noted of it."""
    with noting(Notes(corpus)) as notes:
        if isinstance(items[0], str):
            windows = task.text_windows(list(items), tokenizer, settings.max_length)
        else:
            windows = task.windows(items, tokenizer, settings.max_length, settings.stride)
    return windows, notes.lines


def _stream(
    work: dict[str, list[int]], shards: list[Shard], task: Task, experiment: Experiment, store: Store
) -> Iterator[Result]:
    """Results in the order in which they are finished."""
    resources = experiment.encode.resources
    parts = -(-2 * room(resources, experiment.cluster) // len(work))  # few candidates: share each between actors
    rows = []
    for candidate, numbers in work.items():
        for part in np.array_split(numbers, min(parts, len(numbers))):
            rows.append({"candidate": candidate, "shards": part.tolist()})
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it reports each execution; errors are raised as well
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        EncodingActor,
        batch_size=1,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(
            size=workers_for(resources, experiment.cluster, len(rows)),
            max_tasks_in_flight_per_actor=2,
            max_concurrent_calls_per_actor=2,
            enable_true_multi_threading=True,
        ),
        num_cpus=resources.cpus,
        num_gpus=resources.gpus,
        fn_constructor_kwargs={
            "task": task,
            "experiment": experiment,
            "store": store,
            "windows": [shard.windows for shard in shards],
        },
    )
    batches: Iterator[Any] = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    try:
        for batch in batches:
            for index, row in enumerate(batch.drop_columns(ARRAYS).to_pylist()):
                arrays = {name: batch[name][index].values.to_numpy() for name in ARRAYS}
                arrays["statistics_ES"] = arrays["statistics_ES"].reshape(row["examples"], -1)
                encoded = Encoded(**arrays)
                yield Result(row["candidate"], row["shard"], encoded, Use.model_validate_json(row["use"]))
    except ray.exceptions.RayTaskError:  # Ray Data hides what an actor raised
        for candidate in work:
            if store.done(pool.unit(candidate)) is None:  # an actor found it broken
                raise BrokenError(f"{store.where(pool.unit(candidate))}: broken; run the sweep again") from None
        raise


def _chunks(items: Iterable[Any], settings: Encode) -> Iterator[list[Any]]:
    """Shards, cut also where a beginning ends."""
    rest, taken, size = iter(items), 0, min(settings.shard_examples, *settings.beginnings)
    while chunk := list(islice(rest, size)):
        yield chunk
        taken += len(chunk)
        size = min([settings.shard_examples, *(end - taken for end in settings.beginnings if end > taken)])


class EncodingActor:
    """Loads checkpoints and passes shards through them; two calls overlap, one loading and one computing."""

    def __init__(self, task: Task, experiment: Experiment, store: Store, windows: list[ray.ObjectRef]):
        self.task, self.experiment, self.store, self.windows = task, experiment, store, windows
        self.loading, self.computing = threading.Lock(), threading.Lock()
        self.models: dict[str, PreTrainedModel] = {}

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Encode one row: a candidate and the numbers of its shards."""
        made = []
        (row,) = batch.to_pylist()
        device, machine = set_up(self.experiment.encode.resources)
        model = self._model(row["candidate"], device)
        for shard in row["shards"]:
            windows = ray.get(self.windows[shard])
            with self.computing:
                started = time.monotonic()
                encoded = encode(model, self.task, windows, self.experiment.encode)
                took = Use(machine=machine, seconds=time.monotonic() - started, work=encoded.examples)
            made.append(
                {
                    "candidate": row["candidate"],
                    "shard": shard,
                    "use": took.model_dump_json(),
                    "examples": encoded.examples,
                    **{name: getattr(encoded, name).ravel() for name in ARRAYS},
                }
            )
        return pa.Table.from_pylist(made)

    def _model(self, candidate: str, device: str) -> PreTrainedModel:
        with self.loading:
            if candidate not in self.models:
                while len(self.models) >= 2:  # the one that computes, and the next
                    self.models.pop(next(iter(self.models)))
                with brought.folder_of(candidate, self.store, self.experiment) as folder:
                    # The sweep refused a checkpoint whose weights are pickled without being allowed.
                    is_safe = folders.uses_safetensors(folder, may_be_pickled=True)
                    self.models[candidate] = self.task.load(folder, device, is_safe)
            return self.models[candidate]


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="features")
