"""What is made of corpora and their shards, before and after Ray."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lms_ray.cluster import encoding
from lms_ray.data.corpora import Corpus
from lms_ray.data.examples import TaggedSentence
from lms_ray.models import encoder as encoders
from lms_ray.models import shards
from lms_ray.models.encode import Encoded, encode
from lms_ray.pages.progress import ShownNotes, noting
from lms_ray.settings.loading import load
from lms_ray.settings.models import Encode

JOB = Path(__file__).parents[2] / "jobs" / "pos-small.yaml"


def test_how_large_a_batch_is_makes_no_text_new(encoder, task, sentences, tmp_path: Path):
    """A job that goes on with another device, whose batches are larger, encodes nothing again."""
    corpus = Corpus("de", "dev", sentences(9), ())
    one, same, other = (
        shards.digests([corpus], encoder.tokenizer, load(str(JOB), [f"data.root={tmp_path}", setting]))
        for setting in ("encode.batch_tokens=512", "encode.batch_tokens=8192", "encode.precision=bfloat16")
    )
    assert one == same != other


def test_a_corpus_is_the_sum_of_its_shards_and_of_its_first_sentences_the_labels_are_kept(encoder, task, sentences):
    examples = sentences(23)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = task.build(encoder.config).eval()
    encoders.load_weights(model, encoder)

    settings = Encode(predictions=9, beginnings=(3, 8), shard_examples=5)

    def passed(chosen: list[TaggedSentence]) -> Encoded:
        return encode(model, task, task.windows(chosen, encoder.tokenizer, 64), settings)

    pieces = list(shards.pieces(Corpus("de", "dev", examples, ()), settings))
    assert [len(piece) for piece in pieces] == [3, 5, 5, 5, 5]
    whole = shards.whole([passed(examples)], task, settings)
    of_shards = shards.whole([passed(piece) for piece in pieces], task, settings)
    assert whole.signals.keys() == of_shards.signals.keys()
    for name, value in whole.signals.items():
        np.testing.assert_allclose(of_shards.signals[name], value, rtol=1e-5, atol=1e-7)
    assert np.array_equal(whole.label_U, of_shards.label_U)
    assert len(whole.label_U) == sum(len(example.words) for example in examples[:9])
    assert whole.signals["units"] == sum(len(example.words) for example in examples)
    assert not len(shards.whole([passed(examples)], task, Encode(predictions=0)).label_U)
    assert not whole.beginnings  # one shard
    for count, found in zip((3, 8), of_shards.beginnings, strict=True):
        alone = shards.whole([passed(examples[:count])], task, settings)
        np.testing.assert_allclose(found.feature_H, alone.feature_H, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.signals["confidence"], alone.signals["confidence"], rtol=1e-5)
        assert (found.examples, found.labels) == (count, sum(len(example.words) for example in examples[:count]))


def test_little_text_is_tokenised_without_another_process(
    encoder, task, sentences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A worker process takes longer to import what it needs than a small job's text to be tokenised."""
    experiment = load(str(JOB), [f"data.root={tmp_path}", "finetune.max_length=8", "encode.shard_examples=5"])
    held = []
    monkeypatch.setattr(encoding.ray, "put", lambda value: held.append(value) or len(held) - 1)
    long = TaggedSentence(("garden",) * 60, ("NOUN",) * 60)
    corpora = [Corpus("de", "dev", [*sentences(6), long], ()), Corpus("nl", "dev", sentences(3), ())]
    with noting(ShownNotes()):
        texts = encoding._tokenise(corpora, task, experiment, encoder.tokenizer)
    assert [(shard.corpus, held[shard.windows].examples) for shard in texts] == [
        ("de-dev", 5),
        ("de-dev", 2),
        ("nl-dev", 3),
    ]
    assert "de-dev: 1 of 2 sentences are longer than 8 sub-words" in capsys.readouterr().out
