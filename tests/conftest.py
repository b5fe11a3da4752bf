"""Shared by all tests: a tiny real encoder, sentences that can be learned, and the folder of real data."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest
import torch
import yaml
from transformers import BertConfig, BertModel

import small
from lms_ray.data import toy
from lms_ray.data.examples import TaggedSentence
from lms_ray.models import encoder as encoders
from lms_ray.models import pretrain
from lms_ray.models.encoder import Encoder
from lms_ray.models.pretrain import train_tokenizer
from lms_ray.store.files import Store
from lms_ray.tasks.pos import PartOfSpeech
from object_storage import S3, Roots, gcs_server, s3_server

torch.set_num_threads(1)

QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
"""Switches of Chromium, so that it runs for root, and asks for what is tested only."""
LEXICON = {
    "DET": ["the", "a"],
    "ADJ": ["small", "green", "quick"],
    "NOUN": ["dog", "cats", "garden", "houseboat"],
    "VERB": ["sees", "walked", "runs"],
    "PUNCT": [".", "?"],
}


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data."""
    folder = Path(os.environ.get("LMS_RAY_SHARED") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is no folder; LMS_RAY_SHARED names it")
    return folder


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A real S3 server: `s3()` is the URI of an empty folder, another one at each call."""
    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def gcs() -> Iterator[Roots]:
    """A server of Google Cloud Storage: `gcs()` is the URI of an empty folder, another one at each call."""
    with gcs_server() as root:
        yield root


@pytest.fixture(scope="module")  # it leaves an event loop running as long as it is there
def chromium() -> Iterator[Any]:
    """The system's Chromium, which looks for nothing by itself."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this system")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def local(tmp_path: Path) -> Store:
    """An experiment's folder on the disk."""
    return Store(str(tmp_path / "runs" / "pos"))


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a file for a reader: `written("one\\tO\\n")`."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "xx-dev.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights, and a cased WordPiece tokenizer."""
    folder = tmp_path_factory.mktemp("encoder")
    words = [word for forms in LEXICON.values() for word in forms]
    tokenizer = train_tokenizer([" ".join(words)] * 3, vocabulary=120)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
        initializer_range=0.3,  # so that what a word is and where it stands shows at [CLS]
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(encoder_folder: Path) -> Encoder:
    """The tiny encoder, loaded."""
    return encoders.load(str(encoder_folder))


@pytest.fixture(scope="session")
def task() -> PartOfSpeech:
    """Part-of-speech tagging."""
    return PartOfSpeech()


@pytest.fixture
def saved_model(encoder: Encoder, task, tmp_path: Path) -> Path:
    """The folder of a fine-tuned model."""
    model = task.build(encoder.config)
    encoders.load_weights(model, encoder)
    model.save_pretrained(tmp_path / "model")
    encoder.tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="session")
def sentences() -> Callable[..., list[TaggedSentence]]:
    """Sentences of 2 to `longest` words, in which a word has one tag only: `sentences(20, seed=1)`."""

    def make(count: int, seed: int = 0, longest: int = 9) -> list[TaggedSentence]:
        rng = random.Random(seed)
        made = []
        for _ in range(count):
            tags = rng.choices(list(LEXICON), k=rng.randint(2, longest))
            made.append(TaggedSentence(tuple(rng.choice(LEXICON[tag]) for tag in tags), tuple(tags)))
        return made

    return make


@pytest.fixture(scope="session")
def languages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Treebanks of five small languages, and a barely trained encoder."""
    return pretrain.prepare(
        tmp_path_factory.mktemp("toy"),
        small.LANGUAGES,
        seed=1,
        sizes=toy.Sizes(train=300, dev=120, test=120, text=200),
        settings=pretrain.Settings(steps=60),
    )


@pytest.fixture(scope="session")
def job(languages: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job file for eight candidates, three pivots and two targets, one of them a pivot."""
    root, encoder = languages
    path = tmp_path_factory.mktemp("job") / "job.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "name": "small",
                "encoder": str(encoder),
                "pivots": ["de", "es", "nl"],
                "targets": ["nl", "tr"],
                "data": {"root": str(root), "files": toy.FILES},
                "sweep": {"learning_rate": [1e-3, 3e-3], "epochs": [2], "seeds": small.CANDIDATES // 2},
                "ranker": {"hidden": 32, "batch_size": [16, 64], "learning_rate": [1e-3]},
                "encode": {"shard_examples": 50},
                "cluster": {"cpus": 2},
            }
        )
    )
    return path


@pytest.fixture(scope="session")
def finished(job: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Storage with the whole job run by two workers."""
    storage = tmp_path_factory.mktemp("finished")
    (storage / "output.txt").write_text(small.run("sweep", job, storage))
    return storage
