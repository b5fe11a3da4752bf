"""What the features stage costs beside the limits of the machine and beside other ways to write it.

    python benchmarks/features.py ENCODER DATA...                 # CoNLL-U files, one for each language
    python benchmarks/features.py ENCODER DATA... --shape mbert   # random weights of mBERT's shape, ENCODER's tokenizer
    python benchmarks/features.py ENCODER DATA... --precision bfloat16
    python benchmarks/features.py ENCODER DATA... --rounding CANDIDATE...   # bfloat16 and float32 against float64
    python benchmarks/features.py ENCODER DATA... --lines 2000000           # memory, for one corpus of so many lines

In one process and in turns, several rounds: the bare forward pass over batches that are built before (an upper
bound), `encode`, a plain loop (batches of 32 padded to 128, a language at a time, the model loaded again for each, as
published scripts do), and batches of 32 sorted by length, as sentence encoders make them. Tokenising is not counted,
which favours the others: the stage does it once, not for each checkpoint. On a CPU one thread computes, and seconds are
those of the processor. Then the whole stage on Ray, and beside it the bare forward pass in as many processes as the
stage has actors. Where there is a CUDA device, all run there.
"""

import argparse
import multiprocessing
import resource
import shutil
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import ray
import torch
from scipy.stats import kendalltau
from tabulate import tabulate
from torch import nn
from transformers import BertConfig, PreTrainedModel

from lms_ray import features
from lms_ray.cluster.connecting import connect
from lms_ray.data.corpora import Corpora, Corpus, Text
from lms_ray.data.readers import conllu
from lms_ray.models import encoder as encoders
from lms_ray.models.encode import BATCH_TOKENS, encode, last_hidden_state, model_inputs
from lms_ray.models.encoder import Encoder
from lms_ray.models.job import Job
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.settings.models import Encode
from lms_ray.store import encodings, lineage, pool
from lms_ray.store.files import Store
from lms_ray.tasks.pos import PartOfSpeech
from lms_ray.tasks.windows import Windows, by_length, pad

TASK = PartOfSpeech()
PEER_BATCH, PEER_LENGTH = 32, 128
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CLOCK = time.perf_counter if DEVICE == "cuda" else time.process_time
"""On a CPU, where all runs in one thread, the time of others is left out."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def main() -> None:
    """Time everything and print the tables."""
    arguments = _arguments()
    encoder = encoders.load(arguments.encoder)
    corpora = read(arguments.data, arguments.sentences)
    settings = Encode(precision=arguments.precision, batch_tokens=arguments.batch_tokens)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.rounding:
            show(rounding([Path(name) for name in arguments.rounding], corpora, encoder), "against float64")
            return
        if arguments.lines:
            show(memory(encoder, arguments.lines, Path(folder), arguments.store_mib), f"{arguments.lines} lines")
            return
        checkpoints = make_checkpoints(Path(folder), encoder, arguments.checkpoints, arguments.shape)
        windows = tokenise(corpora, encoder)
        show(in_turns(checkpoints[0], windows, settings, arguments.rounds), f"{DEVICE}, {arguments.precision}")
        show(whole_stage(checkpoints, corpora, windows, settings, Path(folder), arguments.workers), "the whole stage")


def read(paths: Sequence[str], sentences: int) -> tuple[Corpus, ...]:
    """The first sentences of each file, whose name begins with its language."""
    found = {Path(path).name.split("_")[0]: conllu.read(Path(path))[:sentences] for path in paths}
    return tuple(Corpus(name, "test", taken, [one.id for one in taken]) for name, taken in found.items())


def tokenise(corpora: Sequence[Corpus], encoder: Encoder) -> list[Windows]:
    """Each corpus as one shard."""
    return [TASK.windows(corpus.examples, encoder.tokenizer, PEER_LENGTH) for corpus in corpora]


def make_checkpoints(folder: Path, encoder: Encoder, count: int, shape: str) -> list[Path]:
    """Copies of one model with a head: what a checkpoint holds does not matter for its time.

    The encoder's own weights, or random ones of mBERT's or of a tiny shape.
    """
    config = {
        "encoder": encoder.config,
        "mbert": BertConfig(vocab_size=119_547),
        "tiny": BertConfig(
            vocab_size=len(encoder.tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
        ),
    }[shape]
    model = TASK.build(config)
    if shape == "encoder":
        encoders.load_weights(model, encoder)
    first = folder / "checkpoint-000"
    model.save_pretrained(first)
    encoder.tokenizer.save_pretrained(first)
    others = [folder / f"checkpoint-{number:03d}" for number in range(1, count)]
    for other in others:
        shutil.copytree(first, other)
    return [first, *others]


# In one process, in turns

BARE, OURS, PLAIN, SORTED = "bare forward", "encode", "plain loop, padded to 128", "sorted by length, batches of 32"
RELOADED = f"{PLAIN}, loaded for each language"


def in_turns(checkpoint: Path, shards: Sequence[Windows], settings: Encode, rounds: int) -> list[dict[str, Any]]:
    """What each way needs for one checkpoint: medians over rounds, and of ratios within a round."""
    model = TASK.load(checkpoint, DEVICE)
    batches = list(built(model, shards, settings))
    ways: dict[str, Callable[[], float]] = {
        BARE: partial(bare, model, batches, settings),
        OURS: partial(ours, model, shards, settings),
        PLAIN: partial(plain_loop, checkpoint, shards, settings),
        SORTED: partial(sorted_loop, model, shards, settings),
    }
    seconds: dict[str, list[float]] = defaultdict(list)
    rates, peaks = [], {}
    for _ in range(rounds):
        rates.append(matrix_rate(settings))
        for name, way in ways.items():
            started = CLOCK()
            loading = way()
            seconds[name].append(CLOCK() - started - loading)
            peaks[name] = memory_now()
            if loading:
                seconds[RELOADED].append(seconds[name][-1] + loading)
                peaks[RELOADED] = peaks[name]
    real = sum(len(windows.input_ids_T) for windows in shards)
    padded = dict.fromkeys([BARE, OURS], sum(batch["input_ids"].numel() for batch in batches))
    padded |= dict.fromkeys([PLAIN, RELOADED], sum(map(len, shards)) * PEER_LENGTH)
    padded[SORTED] = sum(pad(each, chosen_B, 0).input_ids_BL.size for each in shards for chosen_B in of_32(each, True))
    limit = "products alone, at the matrix rate"
    seconds[limit] = [real * 2 * matrix_weights(model) / rate for rate in rates]
    return [
        {
            "": name,
            "s": statistics.median(taken),
            "sub-words/s": real / statistics.median(taken),
            "speed / bare": statistics.median(b / a for a, b in zip(taken, seconds[BARE], strict=True)),
            "time / encode": statistics.median(a / b for a, b in zip(taken, seconds[OURS], strict=True)),
            "padded / real": padded.get(name, real) / real,
            "MiB": peaks.get(name),
        }
        for name, taken in seconds.items()
    ]


def built(model: PreTrainedModel, shards: Sequence[Windows], settings: Encode) -> Iterator[dict[str, torch.Tensor]]:
    """The batches of `encode`, on the device."""
    for windows in shards:
        for chosen_B in by_length(windows, settings.batch_tokens or BATCH_TOKENS[DEVICE]):
            yield model_inputs(model, TASK, pad(windows, chosen_B, model.config.pad_token_id or 0))


@torch.inference_mode()
def bare(model: PreTrainedModel, batches: Sequence[dict[str, torch.Tensor]], settings: Encode) -> float:
    """Only the forward passes."""
    with autocast(settings):
        for batch in batches:
            model(**batch)
    wait()
    return 0.0


def ours(model: PreTrainedModel, shards: Sequence[Windows], settings: Encode) -> float:
    """What an actor does with a checkpoint."""
    for windows in shards:
        encode(model, TASK, windows, settings)
    return 0.0


def plain_loop(checkpoint: Path, shards: Sequence[Windows], settings: Encode) -> float:
    """A language at a time, in its own order, everything padded to one length; the seconds of loading."""
    loading = 0.0
    for windows in shards:
        started = CLOCK()
        model = TASK.load(checkpoint, DEVICE)
        wait()
        loading += CLOCK() - started
        peer(model, windows, of_32(windows, by_length=False), settings, PEER_LENGTH)
    return loading


def sorted_loop(model: PreTrainedModel, shards: Sequence[Windows], settings: Encode) -> float:
    """Longest first, padded to the longest of each batch."""
    for windows in shards:
        peer(model, windows, of_32(windows, by_length=True), settings)
    return 0.0


def of_32(windows: Windows, by_length: bool) -> list[np.ndarray]:
    """Batches of a fixed number of windows."""
    order_W = np.argsort(-windows.lengths_W, kind="stable") if by_length else np.arange(len(windows))
    return np.split(order_W, range(PEER_BATCH, len(order_W), PEER_BATCH))


@torch.inference_mode()
def peer(
    model: PreTrainedModel, windows: Windows, batches: Sequence[np.ndarray], settings: Encode, length: int = 0
) -> np.ndarray:
    """Mean [CLS] vector, every batch read back at once, as it is mostly written."""
    vectors = []
    with last_hidden_state(model) as hidden, autocast(settings):
        for chosen_B in batches:
            inputs = model_inputs(model, TASK, pad(windows, chosen_B, model.config.pad_token_id or 0))
            missing = max(0, length - inputs["input_ids"].shape[1])
            model(**{name: nn.functional.pad(tensor, (0, missing)) for name, tensor in inputs.items()})
            vectors.append(hidden.pop()[:, 0].float().cpu().numpy())
    return np.concatenate(vectors).mean(0)


def autocast(settings: Encode) -> torch.autocast:
    """The settings' arithmetic."""
    return torch.autocast(DEVICE, torch.bfloat16, enabled=settings.precision == "bfloat16")


def wait() -> None:
    """Until the device has done what it was given."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def matrix_weights(model: PreTrainedModel) -> int:
    """Weights that every sub-word is multiplied with."""
    return sum(part.weight.numel() for part in model.modules() if isinstance(part, nn.Linear))


def matrix_rate(settings: Encode, size: int = 1024, least: float = 0.3) -> float:
    """Floating point operations per second of a matrix product, in the settings' type."""
    size *= 4 if DEVICE == "cuda" else 1
    left, right = (torch.randn(size, size, device=DEVICE).to(DTYPES[settings.precision]) for _ in range(2))
    torch.mm(left, right)
    wait()
    started, count = CLOCK(), 0
    while CLOCK() - started < least:
        for _ in range(4):
            torch.mm(left, right)
        count += 4
        wait()
    return count * 2 * size**3 / (CLOCK() - started)


def memory_now() -> float:
    """MiB: the highest so far of this process, or what the CUDA device held at most since the last call."""
    if DEVICE == "cuda":
        held = torch.cuda.max_memory_allocated() / 2**20
        torch.cuda.reset_peak_memory_stats()
        return held
    return psutil.Process().memory_info().rss / 2**20


# The whole stage


def whole_stage(
    checkpoints: Sequence[Path],
    corpora: Sequence[Corpus],
    shards: Sequence[Windows],
    settings: Encode,
    folder: Path,
    workers: int | None,
) -> list[dict[str, Any]]:
    """The features stage on a local Ray, and the bare forward pass in as many processes, before it and after it."""
    overrides = [f"encode.resources.gpus={int(DEVICE == 'cuda')}", f"encode.resources.workers={workers or 'null'}"]
    job = make_job(folder, checkpoints, Corpora((), (), tuple(corpora), ()), settings, overrides)
    actors = workers or (torch.cuda.device_count() if DEVICE == "cuda" else psutil.cpu_count() or 1)
    repeats = -(-len(checkpoints) // (4 * actors))
    bare_before = side_by_side(checkpoints[0], shards, settings, actors, repeats)
    with connect(job.experiment.cluster):
        started = time.time()
        features.run(job)
        whole = time.time() - started
    bare_after = side_by_side(checkpoints[0], shards, settings, actors, repeats)
    units = [encodings.unit(path.name) for path in checkpoints]
    computing = sum(use["seconds"] for unit in units for use in (job.store.done(unit) or {})["uses"])
    encoded = len(units) * sum(len(windows.input_ids_T) for windows in shards)
    bare_rate = statistics.mean([bare_before, bare_after])
    return [
        {
            "checkpoints": len(units),
            "languages": len(corpora),
            "actors": actors,
            "whole, s": whole,
            "not computing, s": whole - computing / actors,
            "actors busy": computing / actors / whole,
            "sub-words/s while computing": actors * encoded / computing,
            "bare side by side": bare_rate,
            "computing / bare": actors * encoded / computing / bare_rate,
            "whole stage / bare": encoded / whole / bare_rate,
        }
    ]


def make_job(
    folder: Path, checkpoints: Sequence[Path], corpora: Corpora, settings: Encode, overrides: Sequence[str]
) -> Job:
    """An experiment whose sweep is done: it has these checkpoints, and these texts to encode."""
    given = [f"storage={folder / 'runs'}", f"encode.precision={settings.precision}"]
    given += [f"data.root={folder}", 'data.files="{lang}-{split}"']  # which nobody reads
    if settings.batch_tokens:
        given.append(f"encode.batch_tokens={settings.batch_tokens}")
    experiment: Experiment = load("paper", [*given, *overrides])
    job = Job(experiment, Store(experiment.folder))
    vars(job).update(corpora=corpora, task=TASK)  # in place of what it would read
    for path in checkpoints:
        unit = pool.unit(path.name)
        job.store.commit(unit, {"id": path.name}, job.store.upload(path, unit))
    origin = {"settings": lineage.settings(experiment, lineage.CANDIDATES)}
    pool.write(job.store, [{"id": path.name} for path in checkpoints], origin)
    return job


def side_by_side(checkpoint: Path, shards: Sequence[Windows], settings: Encode, count: int, repeats: int) -> float:
    """Sub-words per second of the bare forward pass in so many processes at once, one thread each."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count), context.Queue()
    arguments = (checkpoint, shards, settings, repeats, barrier, results)
    processes = [context.Process(target=_bare_alone, args=arguments) for _ in range(count)]
    for process in processes:
        process.start()
    seconds = [results.get() for _ in processes]
    for process in processes:
        process.join()
    return count * repeats * sum(len(windows.input_ids_T) for windows in shards) / max(seconds)


def _bare_alone(checkpoint: Path, shards: Any, settings: Encode, repeats: int, barrier: Any, results: Any) -> None:
    torch.set_num_threads(1)
    model = TASK.load(checkpoint, DEVICE)
    batches = list(built(model, shards, settings))
    bare(model, batches[-8:], settings)
    barrier.wait()
    started = time.perf_counter()
    for _ in range(repeats):
        bare(model, batches, settings)
    results.put(time.perf_counter() - started)


# Memory, and rounding


def memory(encoder: Encoder, lines: int, folder: Path, store_mib: int) -> list[dict[str, Any]]:
    """The most memory that driver and workers take for one corpus, with an object store that must spill."""
    path = folder / "de.txt"
    words = [word for word in encoder.tokenizer.get_vocab() if word.isalpha()]
    rng = np.random.default_rng(0)
    with path.open("w") as stream:
        for _ in range(0, lines, 1000):
            chosen = rng.choice(words, (1000, 6))
            stream.writelines(f"{' '.join(line)}\n" for line in chosen)
    checkpoints = make_checkpoints(folder, encoder, 1, "tiny")
    job = make_job(folder, checkpoints, Corpora((), (), (), (Text("de", path),)), Encode(), [])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ray.init(address="local", include_dashboard=False, log_to_driver=False, object_store_memory=store_mib * 2**20)
    started = time.monotonic()
    with watched() as peaks:
        features.run(job)
    took = time.monotonic() - started
    print(ray._private.internal_api.memory_summary(ray.get_runtime_context().gcs_address, stats_only=True))
    ray.shutdown()
    return [
        {"": "text, MiB", "peak": path.stat().st_size / 2**20},
        {"": "seconds", "peak": took},
        {"": "driver before the stage, MiB", "peak": before},
        {"": "driver, MiB", "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024},
        *({"": f"{name}, without the object store, MiB", "peak": peak} for name, peak in sorted(peaks.items())),
    ]


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Highest memory of each kind of Ray worker, MiB, looked at twice a second."""
    peaks: dict[str, float] = {}
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.5):
            for process in psutil.process_iter(["cmdline", "memory_info"]):
                name = (process.info["cmdline"] or [""])[0]
                if name.startswith("ray::") and process.info["memory_info"]:
                    held = (process.info["memory_info"].rss - process.info["memory_info"].shared) / 2**20
                    peaks[name] = max(peaks.get(name, 0.0), held)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        stop.set()
        thread.join()


def rounding(candidates: Sequence[Path], corpora: Sequence[Corpus], encoder: Encoder) -> list[dict[str, Any]]:
    """Features in float32 and bfloat16 against those in float64, and the order that a linear score gives.

    The score of each language is the ridge regression of the candidates' accuracies on their float64 features, applied
    to all three.
    """
    shards = tokenise(corpora, encoder)
    feature: dict[str, list[list[np.ndarray]]] = {name: [] for name in ("float64", "float32", "bfloat16")}
    accuracies = []
    for path in candidates:
        model = TASK.load(path, DEVICE)
        for name, of_type in feature.items():
            settings = Encode(precision="bfloat16" if name == "bfloat16" else "float32")
            used = model.double() if name == "float64" else model.float()
            encoded = [encode(used, TASK, windows, settings) for windows in shards]
            of_type.append([one.cls_sum_H / one.examples for one in encoded])
            if name == "float64":
                accuracies.append([TASK.score(one.statistics_ES.sum(0)) for one in encoded])
    feature_CPH = {name: np.asarray(of_type) for name, of_type in feature.items()}
    exact_CPH, accuracy_CP = feature_CPH["float64"], np.asarray(accuracies)
    spread = np.linalg.norm(exact_CPH - exact_CPH.mean(0), axis=-1).mean()
    pairs = list(combinations(range(len(candidates)), 2))
    rows = []
    for name in ("float32", "bfloat16"):
        error_CP = np.linalg.norm(feature_CPH[name] - exact_CPH, axis=-1)
        relative_CP = error_CP / np.linalg.norm(exact_CPH, axis=-1)
        taus, gaps = [], []
        for pivot in range(len(corpora)):
            weight_H = ridge(exact_CPH[:, pivot], accuracy_CP[:, pivot])
            wanted_C, found_C = exact_CPH[:, pivot] @ weight_H, feature_CPH[name][:, pivot] @ weight_H
            taus.append(kendalltau(wanted_C, found_C).statistic)
            for one, other in pairs:
                if (wanted_C[one] - wanted_C[other]) * (found_C[one] - found_C[other]) < 0:
                    gaps.append(abs(accuracy_CP[one, pivot] - accuracy_CP[other, pivot]))
        rows.append(
            {
                "": name,
                "relative error, median": float(np.median(relative_CP)),
                "highest": float(relative_CP.max()),
                "error / distance between candidates": float(error_CP.mean() / spread),
                "Kendall's tau, mean": float(np.mean(taus)),
                "pairs that change order": f"{len(gaps)} of {len(corpora) * len(pairs)}",
                "their largest difference in accuracy": max(gaps, default=0.0),
            }
        )
    return rows


def ridge(feature_CH: np.ndarray, target_C: np.ndarray) -> np.ndarray:
    """Weights of a linear fit, with a penalty of a hundredth of the features' variance."""
    centred_CH = feature_CH - feature_CH.mean(0)
    kernel_CC = centred_CH @ centred_CH.T
    penalty = 0.01 * np.trace(kernel_CC) / len(kernel_CC)
    return centred_CH.T @ np.linalg.solve(kernel_CC + penalty * np.eye(len(kernel_CC)), target_C - target_C.mean())


def show(rows: list[dict[str, Any]], title: str) -> None:
    """Print a table."""
    print(f"\n{title}\n\n{tabulate(rows, headers='keys', tablefmt='github', floatfmt='.4g')}\n", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("encoder", help="folder or name of an encoder")
    parser.add_argument("data", nargs="+", help="CoNLL-U files, whose names begin with the language")
    parser.add_argument("--checkpoints", type=int, default=20)
    parser.add_argument("--sentences", type=int, default=200, help="of each language")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, help="actors of the stage; as many as fit if left out")
    parser.add_argument("--shape", choices=("encoder", "mbert"), default="encoder")
    parser.add_argument("--precision", choices=tuple(DTYPES), default="float32")
    parser.add_argument("--batch-tokens", type=int)
    parser.add_argument("--rounding", nargs="+", metavar="CANDIDATE", help="folders of fine-tuned candidates")
    parser.add_argument("--lines", type=int, default=0)
    parser.add_argument("--store-mib", type=int, default=100, help="of Ray's object store, with --lines")
    return parser.parse_args()


if __name__ == "__main__":
    main()
