"""A candidate learns, can be interrupted, and is the same on disk as in memory."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from lms_ray.data.examples import TaggedSentence
from lms_ray.data.readers.conllu import UPOS
from lms_ray.models.encode import encode
from lms_ray.models.finetune import FineTuner
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.models import Encode, FineTune

CANDIDATE = Candidate(learning_rate=3e-3, epochs=3, batch_size=8, seed=0)


@pytest.fixture(scope="module")
def train(task, encoder, sentences):
    return task.windows(sentences(60), encoder.tokenizer, 32)


@pytest.fixture(scope="module")
def start(task, encoder, train):
    """A fresh candidate: `start(candidate, seed=1, schedule="constant")`."""

    def make(candidate: Candidate = CANDIDATE, seed: int = 0, **settings) -> FineTuner:
        return FineTuner(task, encoder, candidate, FineTune(**settings), train, seed, "cpu")

    return make


def finish(tuner: FineTuner) -> list[float]:
    losses = []
    while not tuner.is_finished:
        losses.append(tuner.train_epoch())
    return losses


def test_an_interrupted_candidate_is_bit_for_bit_the_uninterrupted_one(start):
    whole = start()
    after_one, *losses = whole.train_epoch(), *finish(whole)
    interrupted = start()
    assert interrupted.train_epoch() == after_one
    state = interrupted.state()
    resumed_losses = []
    for epoch in (1, 2):  # a new process for every epoch
        torch.manual_seed(epoch)
        resumed = start()
        resumed.load_state(state)
        assert (resumed.epoch, resumed.is_finished) == (epoch, False)
        resumed_losses.append(resumed.train_epoch())
        state = resumed.state()
    assert resumed.is_finished
    assert resumed_losses == losses
    assert state == whole.state()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: b"", "no training state: "),
        (lambda state: state[: len(state) // 2], "no training state: .*incomplete"),
        (lambda state: b"version https://git-lfs" * 9, "no training state: "),
        (lambda state: with_whole_vocabulary(state), r"version, which differs in weight\.bert\.embeddings\.word_emb"),
        (lambda state: without(state, "losses"), "of another model or version, which differs in losses"),
        (lambda state: without(state, "weight.classifier.bias"), r"differs in weight\.classifier\.bias$"),
        (lambda state: with_more(state, "weight.pooler.dense.bias"), r"differs in weight\.pooler\.dense\.bias$"),
        (lambda state: with_more(state, "exp_avg.classifier.bias"), r"differs in exp_avg\.classifier\.bias$"),
    ],
)
def test_a_broken_state_is_refused_and_changes_nothing(start, spoil, message: str):
    tuner = start()
    tuner.train_epoch()
    state = tuner.state()
    fresh = start()
    untouched = fresh.state()
    with pytest.raises(ValueError, match=message):
        fresh.load_state(spoil(state))
    assert fresh.state() == untouched
    fresh.train_epoch()
    assert fresh.state() == state


def with_whole_vocabulary(state: bytes) -> bytes:
    """As it was saved when all rows of the embedding matrix were trained."""
    name = "weight.bert.embeddings.word_embeddings.weight"
    return safetensors.torch.save(safetensors.torch.load(state) | {name: torch.zeros(120, 16)})


def without(state: bytes, name: str) -> bytes:
    tensors = safetensors.torch.load(state)
    del tensors[name]
    return safetensors.torch.save(tensors)


def with_more(state: bytes, name: str) -> bytes:
    return safetensors.torch.save(safetensors.torch.load(state) | {name: torch.zeros(3)})


def test_a_batch_without_any_label_changes_nothing_but_the_schedule(task, encoder):
    """The windows inside of a word that is longer than one: their mean loss is 0 / 0."""
    long = TaggedSentence(("dog" * 30, "runs"), ("NOUN", "VERB"))
    train = task.windows([long] * 2, encoder.tokenizer, 12)
    assert len(train) > 8
    tuner = FineTuner(task, encoder, Candidate(3e-3, 2, 1, 0), FineTune(warmup=0), train, 0, "cpu")
    rates = []
    tuner.optimizer.register_step_pre_hook(
        lambda optimizer, _arguments, _keywords: rates.append(optimizer.param_groups[0]["lr"])
    )
    losses = finish(tuner)
    assert np.isfinite(losses).all()
    assert losses[1] < losses[0]
    assert not tuner.diverged
    labelled = 4  # a window of each sentence begins the word, another one holds "runs"
    assert len(rates) == 2 * labelled
    steps = 2 * len(train)
    assert {round(rate / 3e-3 * steps, 6) for rate in rates} <= set(range(1, steps + 1))
    assert min(rates[labelled - 1 :: labelled]) < 3e-3 / 2


def test_a_candidate_that_diverged_says_so(start):
    tuner = start(Candidate(1e38, 2, 8, 0))
    assert not tuner.diverged
    tuner.train_epoch()
    assert tuner.diverged
    resumed = start(Candidate(1e38, 2, 8, 0))
    resumed.load_state(tuner.state())
    assert resumed.diverged
    unlucky = start()
    unlucky.losses = [1.0, float("inf")]
    assert unlucky.diverged


def test_a_candidate_does_not_depend_on_what_ran_before_it(start):
    first = start()
    finish(first)
    other = start(Candidate(1e-3, 1, 16, 5))
    finish(other)
    torch.rand(7)
    again = start()
    finish(again)
    assert again.state() == first.state()


@pytest.mark.parametrize(
    ("candidate", "seed"), [(Candidate(3e-3, 3, 8, 1), 0), (Candidate(2e-3, 3, 8, 0), 0), (CANDIDATE, 1)]
)
def test_other_seeds_and_settings_share_neither_head_nor_data_order(start, candidate: Candidate, seed: int):
    one, other = start(), start(candidate, seed)
    assert not torch.equal(one.model.classifier.weight, other.model.classifier.weight)
    embeddings = [tuner.model.base_model.embeddings.word_embeddings.weight for tuner in (one, other)]
    assert torch.equal(*embeddings)  # the encoder is the same
    orders = []
    for tuner in (one, other):
        seen = []
        tuner.model.register_forward_pre_hook(
            lambda _module, _arguments, inputs, seen=seen: seen.append(inputs["input_ids"].tolist()), with_kwargs=True
        )
        tuner.train_epoch()
        orders.append(seen)
    assert orders[0] != orders[1]


@pytest.mark.parametrize("other", [Candidate(3e-3, 3, 8, 1), Candidate(2e-3, 1, 16, 0)])
def test_a_shared_head_starts_from_the_same_weights_in_every_candidate_of_an_experiment(start, other: Candidate):
    one, two, elsewhere = (
        start(candidate, seed, shared_head=True) for candidate, seed in ((CANDIDATE, 0), (other, 0), (other, 1))
    )
    before = {name: tensor.clone() for name, tensor in one.model.state_dict().items()}
    assert all(torch.equal(tensor, before[name]) for name, tensor in two.model.state_dict().items())
    assert not torch.equal(elsewhere.model.classifier.weight, before["classifier.weight"]), "another experiment's seed"
    assert not torch.equal(start(other).model.classifier.weight, before["classifier.weight"]), "heads of their own"
    one.train_epoch(), two.train_epoch()
    assert not torch.equal(one.model.classifier.weight, two.model.classifier.weight), "they go their own ways"


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_the_learning_rate_rises_then_follows_its_schedule(start, schedule: str):
    tuner = start(schedule=schedule, warmup=0.2)
    rates = []
    tuner.optimizer.register_step_pre_hook(
        lambda optimizer, _arguments, _keywords: rates.append([group["lr"] for group in optimizer.param_groups])
    )
    finish(tuner)
    steps, warmup = 24, 5  # 60 sentences in batches of 8 are 8 steps an epoch
    rise = [(step + 1) / (warmup + 1) for step in range(warmup)]
    fall = [(steps - step) / (steps - warmup) if schedule == "linear" else 1.0 for step in range(warmup, steps)]
    wanted = [CANDIDATE.learning_rate * share for share in rise + fall]
    np.testing.assert_allclose(rates, [[rate, rate] for rate in wanted], rtol=1e-12)
    assert max(wanted) == wanted[warmup] == CANDIDATE.learning_rate


def test_training_takes_the_configured_adam_and_decays_matrices_only(start):
    tuner = start(weight_decay=0.03, adam_betas=(0.8, 0.99))
    named = {id(parameter): name for name, parameter in tuner.model.named_parameters()}
    decayed, free = tuner.optimizer.param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.03, 0.0)
    assert decayed["betas"] == free["betas"] == (0.8, 0.99)
    assert len(decayed["params"]) + len(free["params"]) == len(named)
    names = {named[id(parameter)] for parameter in free["params"]}
    assert names == {name for name in named.values() if name.endswith("bias") or "LayerNorm" in name}


def test_a_tiny_task_is_learned(start, task, encoder, sentences):
    tuner = start(Candidate(1e-2, 12, 8, 0))
    losses = finish(tuner)
    assert losses[-1] < losses[0] / 3
    tuner.model.eval()
    unseen = task.windows(sentences(50, seed=9), encoder.tokenizer, 32)
    statistics = encode(tuner.model, task, unseen, Encode()).statistics_ES
    assert task.score(statistics.sum(0)) > 0.9


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_saved_model_is_the_one_in_memory(start, task, encoder, sentences, tmp_path: Path, dtype: str):
    tuner = start(Candidate(3e-3, 1, 8, 0), save_dtype=dtype)
    finish(tuner)
    before = {name: tensor.clone() for name, tensor in tuner.model.state_dict().items()}
    tuner.save_model(tmp_path)
    saved = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert {str(tensor.dtype) for tensor in saved.values()} == {f"torch.{dtype}"}
    loaded = task.load(tmp_path, "cpu")
    in_memory = tuner.model.state_dict()
    assert not tuner.model.training
    assert in_memory.keys() == loaded.state_dict().keys()
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == in_memory[name].dtype == torch.float32
        assert torch.equal(tensor, in_memory[name])
        assert torch.equal(tensor, before[name].to(getattr(torch, dtype)).float())
    windows = task.windows(sentences(20, seed=3), encoder.tokenizer, 32)
    one, other = (encode(model, task, windows, Encode()) for model in (tuner.model, loaded))
    np.testing.assert_array_equal(one.cls_sum_H, other.cls_sum_H)  # the dev score is the score of what is on disk
    np.testing.assert_array_equal(one.statistics_ES, other.statistics_ES)


def test_a_saved_folder_is_a_hugging_face_model(start, encoder, tmp_path: Path):
    tuner = start(Candidate(3e-3, 1, 8, 0))
    finish(tuner)
    tuner.save_model(tmp_path)
    model = AutoModelForTokenClassification.from_pretrained(tmp_path)
    assert [model.config.id2label[number] for number in range(len(UPOS))] == list(UPOS)
    assert "BertForTokenClassification" in json.loads((tmp_path / "config.json").read_text())["architectures"]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.is_fast
    words = "the houseboat runs ?"
    assert tokenizer(words)["input_ids"] == encoder.tokenizer(words)["input_ids"]
    assert model(**tokenizer(words, return_tensors="pt")).logits.shape[-1] == len(UPOS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_a_resumed_candidate_ends_where_the_uninterrupted_one_does(task, encoder, sentences):
    train = task.windows(sentences(40), encoder.tokenizer, 32)
    settings = FineTune(precision="bfloat16")
    candidate = Candidate(3e-3, 2, 8, 0)
    whole = FineTuner(task, encoder, candidate, settings, train, 0, "cuda")
    whole.train_epoch()
    resumed = FineTuner(task, encoder, candidate, settings, train, 0, "cuda")
    resumed.load_state(whole.state())
    for tuner in (whole, resumed):
        tuner.train_epoch()
        tuner.model.eval()
    scores = [encode(tuner.model, task, train, Encode()).statistics_ES.sum(0) for tuner in (whole, resumed)]
    assert task.score(scores[0]) == pytest.approx(task.score(scores[1]), abs=0.02)
