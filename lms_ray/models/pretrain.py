"""A tiny BERT for the toy languages: a WordPiece tokenizer, then masked language modelling on their unlabelled text.

    root, encoder = prepare(Path("cache"), ["en", "de", "tr"], seed=0)

Ten seconds on one core for ten languages; made once, then read from the cache.
"""

import logging
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

from lms_ray.data import toy
from lms_ray.models.threads import threads
from lms_ray.settings.base import shown
from lms_ray.settings.data import EVERY
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.hashing import content_hash

log = logging.getLogger(__name__)

VERSION = 1  # raise it whenever the same settings give another encoder: caches carry it in their names

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# Share of tokens to predict: BERT's 0.15 learns in more steps. 80% of them become [MASK], 10% a random token, 10% stay.
MASKED = 0.25
IGNORED = -100
SIZES = toy.Sizes()
LONGEST = 128
"""Sub-words that the encoder reads at once."""
SECONDS_BETWEEN_LOGS = 5.0


@dataclass(frozen=True)
class Settings:
    """Size of the encoder and length of its pre-training."""

    vocabulary: int = 800
    width: int = 64
    layers: int = 2
    heads: int = 2
    steps: int = 500  # three times as many gain a point of accuracy on the targets
    batch_size: int = 32
    learning_rate: float = 2e-3
    threads: int = 1  # two save little at this size, and crawl when another process holds a core


def prepare(
    cache: Path, languages: Sequence[str], seed: int, sizes: toy.Sizes = SIZES, settings: Settings = Settings()
) -> tuple[Path, Path]:
    """Toy languages and their encoder, made on first use.

    The folder appears under its final name once complete, so a kill leaves no half of it.

    Args:
        cache: folder that keeps them; the name below it is a hash of the other arguments.
        languages: codes that URIEL knows, in any order.
        seed: of the languages and the encoder.
        sizes: sentences of each language.
        settings: of the pre-training.

    Returns:
        The folder of the treebanks, with the unlabelled text in `text/<lang>.txt`, and the folder of the encoder.

    Raises:
        ValueError: URIEL does not know a language.
    """
    codes = sorted(set(languages))
    folder = _folder(cache, codes, seed, sizes, settings)
    if not folder.exists():
        unfinished = cache / f".{folder.name}-{secrets.token_hex(4)}"
        try:
            toy.write_languages(unfinished, codes, seed, sizes)
            texts = {code: unfinished / toy.TEXT.format(lang=code) for code in codes}
            pretrain(texts, unfinished / "encoder", seed, settings)
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was first, with the same content
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder, folder / "encoder"


def materialise(experiment: Experiment, make: bool = True) -> Experiment:
    """The experiment with absolute paths, which workers in other folders find too; toy languages become files.

    Args:
        experiment: as it was configured.
        make: whether toy languages and their encoder are made if they are not there; else only named.

    Raises:
        ConfigError: toy languages cannot be kept in an object store.
    """
    if experiment.data.format != "toy":
        return experiment.absolute()
    if "://" in experiment.storage:
        raise ConfigError(f"storage: found {shown(experiment.storage)}; accepted for toy languages is a local folder")
    cache = Path(experiment.storage).absolute()
    folder = _folder(cache, sorted(experiment.languages), experiment.seed, SIZES, Settings())
    if make and not folder.exists():
        log.info("toy languages and their encoder are made once, and kept in %s", folder)
        prepare(cache, experiment.languages, experiment.seed)
    return on_toy_files(experiment.absolute(), folder, folder / "encoder")


def _folder(cache: Path, codes: Sequence[str], seed: int, sizes: toy.Sizes, settings: Settings) -> Path:
    digest = content_hash(toy.VERSION, VERSION, codes, seed, asdict(sizes), asdict(settings))
    return cache / f"toy-{digest[:12]}"


def on_toy_files(experiment: Experiment, root: Path, encoder: Path) -> Experiment:
    """The experiment that reads toy languages from files."""
    made = {target: str(root / toy.TEXT.format(lang=target)) for target in experiment.unlabelled_targets}
    data = experiment.data.model_copy(
        update={"format": "conllu", "root": str(root), "files": {EVERY: toy.FILES}, "text": experiment.data.text | made}
    )
    return experiment.model_copy(update={"data": data, "encoder": str(encoder)})


def pretrain(text_files: Mapping[str, Path], folder: Path, seed: int, settings: Settings = Settings()) -> None:
    """Train a tokenizer and a BERT on unlabelled text; `AutoTokenizer` and `AutoModel` load them from `folder`.

    Args:
        text_files: a file of each language, one sentence a line.
        folder: where both are saved.
        seed: the same seed, text and settings give the same weights.
        settings: size and length.
    """
    lines = [line for code in sorted(text_files) for line in text_files[code].read_text("utf-8").splitlines()]
    tokenizer = train_tokenizer(lines, settings.vocabulary)
    config = configuration(settings, len(tokenizer))
    with threads(settings.threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertForMaskedLM(config)
        if settings.steps:
            _train(model, tokenizer, lines, settings)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def configuration(settings: Settings, vocabulary: int) -> BertConfig:
    """The encoder's configuration."""
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=settings.width,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=4 * settings.width,
        max_position_embeddings=LONGEST,
    )


def train_tokenizer(lines: Sequence[str], vocabulary: int) -> BertTokenizer:
    """A cased WordPiece tokenizer with at most `vocabulary` sub-words."""
    letters = sorted({letter for line in lines for letter in line if not letter.isspace()})
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # Left to itself the trainer numbers the ##letters, and breaks ties by number, in the order of a hash map that
    # differs between runs: naming them here makes the vocabulary repeatable.
    reserved = SPECIAL_TOKENS + [f"##{letter}" for letter in letters]
    trainer = trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=reserved, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    return BertTokenizer(
        vocab=tokenizer.get_vocab(), do_lower_case=False, strip_accents=False, model_max_length=LONGEST
    )


def _train(model: BertForMaskedLM, tokenizer: BertTokenizer, lines: list[str], settings: Settings) -> None:
    encoded = tokenizer(lines, truncation=True)["input_ids"]
    by_length = sorted(range(len(lines)), key=lambda index: len(encoded[index]))
    batches = [
        tokenizer.pad(
            {"input_ids": [encoded[index] for index in by_length[start : start + settings.batch_size]]},
            return_tensors="pt",
        )
        for start in range(0, len(lines), settings.batch_size)
    ]
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, settings.steps, pct_start=0.1)
    model.eval()  # without dropout, which a model this small learns too slowly with
    logged = time.monotonic()
    for step in range(1, settings.steps + 1):
        batch = batches[int(torch.randint(len(batches), ()))]
        input_BL, label_BL = _mask(batch["input_ids"], tokenizer)
        hidden_BLD = model.bert(input_BL, attention_mask=batch["attention_mask"]).last_hidden_state
        wanted_BL = label_BL != IGNORED  # the vocabulary is the widest layer: leave out what nobody predicts
        loss = F.cross_entropy(model.cls(hidden_BLD[wanted_BL]), label_BL[wanted_BL])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if time.monotonic() - logged > SECONDS_BETWEEN_LOGS or step == settings.steps:
            log.info("pre-training the toy encoder: step %d of %d, loss %.3f", step, settings.steps, loss.item())
            logged = time.monotonic()


def _mask(token_BL: torch.Tensor, tokenizer: BertTokenizer) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs with some tokens hidden, and labels that hold those tokens and `IGNORED` elsewhere."""
    draw_BL = torch.rand(token_BL.shape)
    special = torch.tensor(tokenizer.all_special_ids)
    wanted_BL = (draw_BL < MASKED) & ~torch.isin(token_BL, special)
    label_BL = token_BL.where(wanted_BL, IGNORED)
    input_BL = token_BL.where(~(wanted_BL & (draw_BL < 0.8 * MASKED)), tokenizer.mask_token_id)
    random_BL = torch.randint(len(SPECIAL_TOKENS), len(tokenizer), token_BL.shape)
    input_BL = input_BL.where(~(wanted_BL & (draw_BL >= 0.9 * MASKED)), random_BL)
    return input_BL, label_BL
