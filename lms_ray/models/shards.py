"""Corpora in shards: what decides an encoding, how a shard becomes windows, and how a corpus is put together again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.data.corpora import Corpus, Text
from lms_ray.models.encode import Encoded, encode
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash
from lms_ray.settings.models import Encode, FineTune
from lms_ray.store import encodings
from lms_ray.store.encodings import Beginning, Encoding
from lms_ray.tasks.base import Task
from lms_ray.tasks.windows import Windows


def digests(
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


def pieces(corpus: Corpus | Text, settings: Encode) -> Iterator[list[Any]]:
    """The examples or sentences of a corpus in shards, cut also where a beginning ends."""
    rest: Iterator[Any] = iter(corpus.examples if isinstance(corpus, Corpus) else corpus.sentences())
    taken, size = 0, min(settings.shard_examples, *settings.beginnings)
    while piece := list(islice(rest, size)):
        yield piece
        taken += len(piece)
        size = min([settings.shard_examples, *(end - taken for end in settings.beginnings if end > taken)])


def tokenised(items: Sequence[Any], task: Task, tokenizer: PreTrainedTokenizerBase, settings: FineTune) -> Windows:
    """A shard of examples or sentences as windows."""
    if isinstance(items[0], str):
        return task.text_windows(list(items), tokenizer, settings.max_length)
    return task.windows(items, tokenizer, settings.max_length, settings.stride)


def whole(shards: Sequence[Encoded], task: Task, settings: Encode) -> Encoding:
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


def all_tokenised(
    wanted: Iterable[Corpus | Text], task: Task, tokenizer: PreTrainedTokenizerBase, experiment: Experiment
) -> dict[str, list[Windows]]:
    """The shards of each corpus as windows, in this process."""
    return {
        corpus.name: [
            tokenised(piece, task, tokenizer, experiment.finetune) for piece in pieces(corpus, experiment.encode)
        ]
        for corpus in wanted
    }


def all_encoded(
    model: PreTrainedModel, task: Task, windows: Mapping[str, Sequence[Windows]], settings: Encode
) -> dict[str, Encoding]:
    """What a model makes of each corpus, in this process."""
    return {
        name: whole([encode(model, task, shard, settings) for shard in shards], task, settings)
        for name, shards in windows.items()
    }
