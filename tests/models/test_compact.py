"""A model trained on the sub-words that occur is the one trained on all of them."""

from copy import deepcopy
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from transformers import BertConfig, BertForMaskedLM

from encoders import ARCHITECTURES, make
from lms_ray.data.examples import TaggedSentence
from lms_ray.models import encoder as encoders
from lms_ray.models.compact import CompactEmbedding
from lms_ray.models.encode import model_inputs
from lms_ray.models.finetune import FineTuner
from lms_ray.settings.candidates import Candidate
from lms_ray.settings.hashing import seed_for
from lms_ray.settings.models import FineTune
from lms_ray.tasks.pos import PartOfSpeech
from lms_ray.tasks.windows import pad, shuffled

CANDIDATE = Candidate(1e-3, 2, 8, 0)
SETTINGS = FineTune(weight_decay=0.5, max_grad_norm=0.3, max_length=40)  # so that decay and clipping show
TEXT = "Ada lives in Paris , not here . Grace walked to Rome , quietly , and Barbara saw a green garden ."


def tuner_of(architecture: str, folder: Path) -> FineTuner:
    """Trained on the first half of the words that its tokenizer is made of."""
    encoder = encoders.load(str(make(architecture, folder, [TEXT] * 4)))
    words = TEXT.split()[:10]
    sentences = [TaggedSentence(tuple(words[: 3 + index % 8]), ("NOUN",) * (3 + index % 8)) for index in range(20)]
    task = PartOfSpeech()
    windows = task.windows(sentences, encoder.tokenizer, SETTINGS.max_length)
    return FineTuner(task, encoder, CANDIDATE, SETTINGS, windows, 0, "cpu")


def train_whole(tuner: FineTuner) -> torch.nn.Module:
    """What `tuner` is to do, done to all of a copy of its model."""
    model = deepcopy(tuner.model).train()
    groups = [
        {"params": [weight for weight in model.parameters() if weight.ndim > 1], "weight_decay": 0.5},
        {"params": [weight for weight in model.parameters() if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups)
    seeds = (0, asdict(CANDIDATE))
    rates = [1 / 2, *((6 - step) / 5 for step in range(1, 6))]  # three steps an epoch, one of warm-up
    for epoch in range(2):
        rng = np.random.default_rng(seed_for(*seeds, "order", epoch))
        torch.manual_seed(seed_for(*seeds, "dropout", epoch))
        for chosen in shuffled(tuner.train, 8, rng):
            batch = pad(tuner.train, chosen, tuner.tokenizer.pad_token_id)
            labels = torch.from_numpy(batch.labels_BL)
            model(**model_inputs(model, tuner.task, batch), labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.3)
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * rates[0]
            rates.pop(0)
            optimizer.step()
            optimizer.zero_grad()
    return model


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_weights_are_those_of_training_all_up_to_rounding(architecture: str, tmp_path: Path):
    tuner = tuner_of(architecture, tmp_path)
    start_VH = tuner.model.get_input_embeddings().weight.detach().clone()
    whole = train_whole(tuner)
    while not tuner.is_finished:
        tuner.train_epoch()
    wanted = whole.state_dict()
    assert tuner.model.state_dict().keys() == wanted.keys()
    for name, tensor in tuner.model.state_dict().items():
        if name.endswith(("key.bias", "k_lin.bias")):
            continue  # without effect on attention: its gradient is rounding alone, which Adam scales up to steps
        np.testing.assert_allclose(tensor, wanted[name], rtol=1e-4, atol=2e-6, err_msg=name)
    unused = sorted(set(range(len(start_VH))) - {*tuner.train.input_ids_T, tuner.tokenizer.pad_token_id})
    assert len(unused) > 10
    end_VH = tuner.model.get_input_embeddings().weight.detach()
    np.testing.assert_allclose(end_VH[unused], start_VH[unused] * (1 - 0.5e-3) ** 3.5, rtol=1e-4)  # 3.5: of the rates


def test_what_is_kept_for_going_on_has_the_trained_rows_alone_and_goes_on_to_the_same_model(tmp_path: Path):
    tuner = tuner_of("bert", tmp_path)
    tuner.train_epoch()
    state = tuner.state()
    used = len({*tuner.train.input_ids_T, tuner.tokenizer.pad_token_id})
    sizes = {name: tensor.shape for name, tensor in safetensors.torch.load(state).items() if "word_embed" in name}
    assert set(sizes.values()) == {(used, 16), ()}  # weights and moments, and the number of steps
    resumed = tuner_of("bert", tmp_path)
    resumed.load_state(state)
    assert tuner.model.state_dict().keys() == resumed.model.state_dict().keys()  # looked at, then trained further
    for one in (tuner, resumed):
        one.train_epoch()
    for name, tensor in tuner.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name])


def test_a_sub_word_that_training_lacks_cannot_be_looked_up_by_mistake(tmp_path: Path):
    tuner = tuner_of("bert", tmp_path)
    unused = max(set(range(len(tuner.tokenizer))) - set(tuner.train.input_ids_T.tolist()))
    ids = torch.tensor([[unused]])
    tuner.model(input_ids=ids)
    with pytest.raises(IndexError):
        tuner._compact()(input_ids=ids)


def test_an_embedding_that_is_shared_with_the_output_stays_whole():
    model = BertForMaskedLM(BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
    embedding = CompactEmbedding(model, np.array([1, 2, 3]), [0])
    assert model.get_input_embeddings().weight.shape == (50, 8)
    embedding.expand()
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
