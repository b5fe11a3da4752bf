"""A model's folder, checked before it is used: configuration, tokenizer, and which weights are read.

Left to itself `transformers` makes up what a folder lacks (a tokenizer of five special tokens, an architecture guessed
from the folder's name) and takes a base model without the adapter beside it; a broken file ends in whatever error its
parser has. Here each is a ValueError of one line that names the file. The folder itself is named by who asks.
"""

import json
import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from tokenizers import pre_tokenizers
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.settings.base import shown
from lms_ray.settings.uris import split, without_credentials
from lms_ray.tasks.pretrained import first_line

READ = (".json", ".txt", ".model", ".safetensors", ".bin")
"""What a model's files end in."""
BESIDE = (
    "candidate.json",
    "DONE.json",
    "ERROR.txt",
    "resume.",
    "optimizer.",
    "scheduler.",
    "trainer_state.",
    "training_args.",
)
"""What the names of files begin with that lie beside a model, and are none of its own."""
SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
ATTENTION = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
"""Settings that may name a repository, whose code would be downloaded and run."""
POINTER = b"version https://git-lfs"


def parse_config(content: bytes) -> dict[str, Any]:
    """The settings in a `config.json`.

    Raises:
        ValueError: it is none.
    """
    if content.startswith(POINTER):
        raise ValueError("config.json is a pointer of Git LFS; accepted is the file itself (`git lfs pull`)")
    try:
        settings = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"config.json is broken: {first_line(error)}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"config.json holds a {type(settings).__name__}; accepted is an object of settings")
    if not isinstance(settings.get("model_type"), str):
        raise ValueError("config.json has no model_type; accepted is the name of an architecture of transformers")
    if "transformers_weights" in settings:  # it may name a pickled file
        raise ValueError(f"config.json has transformers_weights; accepted are weights in {SAFE}")
    for key in ATTENTION:
        if "/" in str(settings.get(key)):
            raise ValueError(f"config.json has {key} {shown(settings[key])}; accepted is one that transformers has")
    return settings


def labels(content: bytes) -> list[str]:
    """The names of the head's outputs in a `config.json`, in their order.

    Raises:
        ValueError: it does not name them, or is broken.
    """
    names = parse_config(content).get("id2label")
    found: list[Any] = [names.get(str(index)) for index in range(len(names))] if isinstance(names, dict) else []
    if not found or not all(isinstance(name, str) for name in found) or len(set(found)) < len(found):
        raise ValueError(
            f"config.json has id2label {names}; accepted is the name of each of the head's outputs, all different, "
            'as in {"0": "O", "1": "B-LOC"}'
        )
    return found


def load_config(folder: Path) -> PretrainedConfig:
    """A model's configuration.

    Raises:
        ValueError: there is none, it is broken, or the folder holds an adapter or a file that is not there in full.
    """
    check_files(folder)
    parse_config(_content(folder / "config.json"))
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # any kind, depending on the setting that is wrong
        raise ValueError(f"config.json is not accepted: {first_line(error)}") from error


def check_files(folder: Path) -> None:
    """Refuse an adapter, and pointers of Git LFS in place of files.

    Raises:
        ValueError: names the file.
    """
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from error
    found = [name for name in ADAPTERS if name in names]
    if found:
        raise ValueError(
            f"it holds an adapter ({found[0]}), which would be left out; accepted is a model that the adapter has been "
            "merged into (merge_and_unload of peft)"
        )
    for name in sorted(names):
        if name.endswith(READ) and (folder / name).is_file() and _content(folder / name, 64).startswith(POINTER):
            raise ValueError(f"{name} is a pointer of Git LFS; accepted is the file itself (`git lfs pull`)")


def of_model(folder: Path) -> list[str]:
    """Sorted names of the files in a folder that belong to a model or its tokenizer."""
    names = (path.name for path in folder.iterdir() if path.is_file())
    return sorted(name for name in names if name.endswith(READ) and not name.startswith(BESIDE))


def _content(path: Path, size: int = -1) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except FileNotFoundError:
        raise ValueError(f"it has no {path.name}") from None
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from error


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """A model's tokenizer.

    Raises:
        ValueError: there is none or it is broken, it does not say which sub-word belongs to which word, or it has no
            [CLS].
    """
    check_files(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # that of `tokenizers` for a broken file is a plain Exception
        raise ValueError(f"its tokenizer cannot be read: {first_line(error)}") from error
    _require_vocabulary(folder, tokenizer)
    if not tokenizer.is_fast:
        raise ValueError("it has no fast tokenizer, which knows which sub-word belongs to which word")
    if tokenizer.cls_token_id is None or tokenizer.cls_token_id not in tokenizer("a")["input_ids"]:
        raise ValueError("its tokenizer puts no [CLS] (or <s>) into a text, which is the feature")
    if tokenizer.pad_token_id is None:
        raise ValueError("its tokenizer has no padding token")
    _begin_words_with_a_space(tokenizer)
    words, together = ["So", "Ada", "lives"], "So Ada lives"
    if tokenizer(words, is_split_into_words=True)["input_ids"] != tokenizer(together)["input_ids"]:
        raise ValueError("its tokenizer reads a sentence's words otherwise than the sentence")
    return tokenizer


def _require_vocabulary(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that was made up from the configuration, because its files are not there."""
    names = dict(tokenizer.vocab_files_names)
    whole = names.pop("tokenizer_file", "tokenizer.json")
    if not (folder / whole).is_file() and not all((folder / name).is_file() for name in names.values()):
        raise ValueError(f"it has no tokenizer: looked for {whole}, and for {' and '.join(names.values())}")
    if set(tokenizer.vocab) <= set(tokenizer.all_special_tokens):
        raise ValueError(f"its tokenizer knows special tokens only ({len(tokenizer.vocab)})")


def _begin_words_with_a_space(tokenizer: PreTrainedTokenizerBase) -> None:
    """Byte-level tokenizers (ModernBERT, RoBERTa) mark a word's beginning by the space before it.

    Given word by word it would be missing, and each word would look like the inside of another one.
    """
    parts: Any = tokenizer.backend_tokenizer.pre_tokenizer
    for part in list(parts) if hasattr(parts, "__getitem__") else [parts]:  # a sequence of several
        if isinstance(part, pre_tokenizers.ByteLevel):
            part.add_prefix_space = True


def vocabulary_size(tokenizer: PreTrainedTokenizerBase) -> int:
    """Rows that the embeddings must have."""
    return 1 + max(tokenizer.vocab.values())


def require_embeddings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that is larger than a model's embeddings: sub-words would have random vectors, or none.

    Raises:
        ValueError: names both sizes.
    """
    rows, size = cast(nn.Embedding, model.get_input_embeddings()).num_embeddings, vocabulary_size(tokenizer)
    if size > rows:
        raise ValueError(f"its tokenizer numbers {size} sub-words, and its embeddings have {rows} rows")


def uses_safetensors(folder: Path, may_be_pickled: bool) -> bool:
    """Whether weights are read from safetensors: always, but where they may be pickled and are only so there.

    `transformers` reads pickled files with `weights_only`, which runs no code of theirs.

    Raises:
        ValueError: there are no weights that may be read.
    """
    has_safe, has_pickled = (
        (folder / name).is_file() or (folder / f"{name}.index.json").is_file() for name in (SAFE, PICKLED)
    )
    if not has_safe and not has_pickled:
        raise ValueError(f"it has no weights: looked for {SAFE} and {PICKLED}, whole or in parts")
    if not has_safe and not may_be_pickled:
        raise ValueError("it has no safetensors, and allow_pickled does not name it")
    _check_parts(folder, SAFE if has_safe else PICKLED)
    return has_safe


def _check_parts(folder: Path, weights: str) -> None:
    """Refuse an index that names files elsewhere, or pickled ones as parts of safetensors."""
    index = folder / f"{weights}.index.json"
    if (folder / weights).is_file() or not index.is_file():
        return
    try:
        parts = {str(name) for name in json.loads(_content(index))["weight_map"].values()}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{index.name} is broken: {first_line(error)}") from error
    for name in sorted(parts):
        if "/" in name or Path(name).suffix != Path(weights).suffix:
            raise ValueError(f"{index.name} names {shown(name)}; accepted are {Path(weights).suffix} files beside it")


def absolute(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns of folders as they stand, and as seen from the root (what works in another working directory).

    URIs without keys and options, in which they do not differ from one another.
    """
    return tuple(dict.fromkeys(spelling for pattern in patterns for spelling in (pattern, _from_root(pattern))))


def is_named(name: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern names a model: its hub name, or its folder, relative or absolute, with or without options."""
    return any(
        spelling == pattern or fnmatchcase(spelling, pattern)
        for pattern in absolute(patterns)
        for spelling in absolute([name])
    )


def _from_root(path: str) -> str:
    if "://" in path:
        return without_credentials(split(path)[0])
    return os.path.abspath(path)  # noqa: PTH100  # Path.absolute keeps `..`
