"""Tiny encoders of many architectures, each with the kind of tokenizer that it really has."""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModel as Auto
from transformers import (
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
)

from lms_ray.models import encoder as encoders
from lms_ray.models.pretrain import train_tokenizer
from lms_ray.tasks.base import Task

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def word_pieces(lines: Iterable[str]) -> PreTrainedTokenizerBase:
    """BERT's: [CLS] and [SEP], `##` inside of words."""
    return train_tokenizer(list(lines), vocabulary=300)


def sentence_pieces(lines: Iterable[str]) -> PreTrainedTokenizerBase:
    """XLM-R's: a Unigram model, `<s>` and `</s>`, `▁` where a word begins."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False, n_sub_iterations=1
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
        unk_token="<unk>", pad_token="<pad>", mask_token="<mask>", model_max_length=128,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def byte_pairs(lines: Iterable[str]) -> PreTrainedTokenizerBase:
    """ModernBERT's: byte-level BPE with BERT's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]", pad_token="[PAD]",
        mask_token="[MASK]", model_max_length=128, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def _bert(vocabulary: int, pad: int) -> PretrainedConfig:
    return BertConfig(vocab_size=vocabulary, max_position_embeddings=128, pad_token_id=pad, **SIZES)


def _distilbert(vocabulary: int, pad: int) -> PretrainedConfig:
    sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    return DistilBertConfig(vocab_size=vocabulary, max_position_embeddings=128, pad_token_id=pad, **sizes)


def _xlm_roberta(vocabulary: int, pad: int) -> PretrainedConfig:
    return XLMRobertaConfig(
        vocab_size=vocabulary, max_position_embeddings=130, pad_token_id=pad, type_vocab_size=1, **SIZES
    )


def _deberta(vocabulary: int, pad: int) -> PretrainedConfig:
    return DebertaV2Config(
        vocab_size=vocabulary,
        max_position_embeddings=128,
        pad_token_id=pad,
        type_vocab_size=0,
        relative_attention=True,
        position_biased_input=False,
        pos_att_type=["p2c", "c2p"],
        share_att_key=True,
        norm_rel_ebd="layer_norm",
        position_buckets=16,
        **SIZES,
    )


def _electra(vocabulary: int, pad: int) -> PretrainedConfig:
    return ElectraConfig(
        vocab_size=vocabulary, embedding_size=8, max_position_embeddings=128, pad_token_id=pad, **SIZES
    )


def _modernbert(vocabulary: int, pad: int) -> PretrainedConfig:
    return ModernBertConfig(
        vocab_size=vocabulary, max_position_embeddings=128, pad_token_id=pad, local_attention=16,
        cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2, **SIZES,
    )  # fmt: skip


ARCHITECTURES: dict[str, tuple[Callable, Callable]] = {
    "bert": (_bert, word_pieces),
    "distilbert": (_distilbert, word_pieces),
    "xlm-roberta": (_xlm_roberta, sentence_pieces),
    "deberta-v2": (_deberta, sentence_pieces),
    "electra": (_electra, word_pieces),
    "modernbert": (_modernbert, byte_pairs),
}


def make(architecture: str, folder: Path, lines: list[str]) -> Path:
    """A random encoder of two layers in `folder`, its tokenizer trained on `lines`."""
    configure, train = ARCHITECTURES[architecture]
    tokenizer = train(lines)
    config = configure(len(tokenizer), tokenizer.pad_token_id)
    config.initializer_range = 0.3  # so that what a word is and where it stands shows at [CLS]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Auto.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_model(task: Task, architecture: str, folder: Path, lines: list[str]) -> Path:
    """A model of a task with random weights in `folder`/model, on an encoder as `make` gives it."""
    encoder = encoders.load(str(make(architecture, folder / "encoder", lines)), task.special_tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = task.build(encoder.config)
    encoders.load_weights(model, encoder)
    model.save_pretrained(folder / "model")
    encoder.tokenizer.save_pretrained(folder / "model")
    return folder / "model"
