"""The sweep beside plain PyTorch loops and `Trainer.hyperparameter_search`: the same candidates, the same machine.

    python benchmarks/sweep.py CONFIG [key=value ...] --candidates 2 --slots 1 2 16 --rounds 2

For each number of slots, every way fine-tunes `--candidates` candidates for each slot, one thread (or the configured
share of a GPU) to a slot:

- plain: a loop in one process for each slot, data prepared once, random batches padded to their longest, torch's AdamW
- plain, our batches: the same loop over batches of like length
- trainer: `transformers.Trainer.hyperparameter_search(backend="ray")`; wants the extra `bench`
- ours: `lms_ray.sweep` on Ray Tune

More slots than the machine has cores are pretended: the training is replaced by sleep, so that what is measured is
Tune, the actors and the storage. What is paid once (Ray, imports, Tune's end) is shown apart.
"""

import argparse
import importlib.util
import multiprocessing
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from transformers import get_linear_schedule_with_warmup

from lms_ray import sweep
from lms_ray.cluster.connecting import connect
from lms_ray.models import candidates
from lms_ray.models import encoder as encoders
from lms_ray.models.candidates import Recipe, Tell, Training
from lms_ray.models.encode import model_inputs
from lms_ray.models.job import Job
from lms_ray.models.pretrain import materialise
from lms_ray.settings.candidates import Candidate, grid
from lms_ray.settings.loading import load
from lms_ray.settings.resources import Cluster
from lms_ray.store import pool
from lms_ray.store.files import Store
from lms_ray.tasks.windows import Batch, Windows, pad, shuffled

ASLEEP = 20.0  # seconds of a candidate whose training is pretended


@dataclass(frozen=True)
class Span:
    """When one candidate was at work, in seconds since 1970, and in which process."""

    started: float
    ended: float
    slot: int
    cpu: float
    """Seconds of processor time of that process: what others take of the machine is not in it."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started


@dataclass(frozen=True)
class Measured:
    """One way's candidates, and how long the whole call took."""

    spans: list[Span]
    call: float

    @property
    def wall(self) -> float:
        """Seconds from the first candidate's begin to the last one's end."""
        return max(span.ended for span in self.spans) - min(span.started for span in self.spans)

    @property
    def gap(self) -> float:
        """Mean seconds between two candidates of one process; NaN where each had one."""
        of_slot = defaultdict(list)
        for span in sorted(self.spans, key=lambda span: span.started):
            of_slot[span.slot].append(span)
        gaps = [after.started - before.ended for spans in of_slot.values() for before, after in pairwise(spans)]
        return fmean(gaps) if gaps else float("nan")


# ---- a plain loop


def random_batches(windows: Windows, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """What a `DataLoader` with `shuffle=True` gives."""
    yield from np.split(order := rng.permutation(len(windows)), range(batch_size, len(order), batch_size))


def train_plainly(
    candidate: Candidate,
    recipe: Recipe,
    device: str,
    batches: Callable[[Windows, int, np.random.Generator], Iterator[np.ndarray]],
    folder: Path,
) -> float:
    """Fine-tune one candidate as a script would, save it in `folder`, and return its dev score."""
    task, settings, train = recipe.task, recipe.experiment.finetune, recipe.train
    torch.manual_seed(candidate.seed)
    rng = np.random.default_rng(candidate.seed)
    model: Any = new_model(recipe).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), candidate.learning_rate, weight_decay=settings.weight_decay)
    steps = candidate.epochs * -(-len(train) // candidate.batch_size)
    schedule = get_linear_schedule_with_warmup(optimizer, round(steps * settings.warmup), steps)
    for _ in range(candidate.epochs):
        model.train()
        for chosen_B in batches(train, candidate.batch_size, rng):
            batch = pad(train, chosen_B, recipe.encoder.tokenizer.pad_token_id)
            labels = {name: torch.from_numpy(array).to(device) for name, array in task.targets(batch).items()}
            with torch.autocast(device, torch.bfloat16, enabled=settings.precision == "bfloat16"):
                loss = model(**model_inputs(model, task, batch), **labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    model.save_pretrained(folder)
    return dev_score(model.eval(), recipe)


@torch.inference_mode()
def dev_score(model: Any, recipe: Recipe, batch_size: int = 32) -> float:
    """The dev set in its order."""
    dev, task = recipe.dev, recipe.task
    predicted_W = []
    for start in range(0, len(dev), batch_size):
        chosen_B = np.arange(start, min(start + batch_size, len(dev)))
        batch = pad(dev, chosen_B, recipe.encoder.tokenizer.pad_token_id)
        predicted_W += list(task.predict(model(**model_inputs(model, task, batch)), batch).cpu().numpy())
    return float(task.score(task.count(dev, predicted_W).sum(0)))


def new_model(recipe: Recipe) -> Any:
    """The encoder with a new head."""
    model = recipe.task.build(recipe.encoder.config)
    encoders.load_weights(model, recipe.encoder)
    return model


def in_processes(
    wanted: Sequence[Candidate],
    recipe: Recipe,
    slots: int,
    batches: Callable[[Windows, int, np.random.Generator], Iterator[np.ndarray]],
) -> Measured:
    """A plain loop over each slot's share of the candidates."""
    started = time.monotonic()
    shares = [wanted[slot::slots] for slot in range(slots)]
    with ProcessPoolExecutor(slots, multiprocessing.get_context("spawn")) as processes:
        barrier = multiprocessing.get_context("spawn").Manager().Barrier(slots)
        loops = [processes.submit(loop, share, recipe, batches, barrier) for share in shares]
        spans = [span for each in loops for span in each.result()]
    return Measured(spans, time.monotonic() - started)


def loop(share: Sequence[Candidate], recipe: Recipe, batches: Any, all_are_there: Any) -> list[Span]:
    """One slot's candidates, one after the other, from when every slot is there."""
    torch.set_num_threads(1)
    device = "cuda" if recipe.experiment.sweep.resources.gpus else "cpu"
    spans = []
    all_are_there.wait()
    for candidate in share:
        started, cpu = time.time(), time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            train_plainly(candidate, recipe, device, batches, Path(folder))
        spans.append(Span(started, time.time(), os.getpid(), time.process_time() - cpu))
    return spans


# ---- Trainer.hyperparameter_search


def in_trainer(wanted: Sequence[Candidate], recipe: Recipe, slots: int) -> Measured:
    """The search of transformers over the same settings, with its own loop and random batches."""
    from ray import tune
    from ray.tune.search import BasicVariantGenerator
    from transformers import Trainer, TrainerCallback, TrainingArguments

    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder, "times")
        times.mkdir()

        class Clock(TrainerCallback):
            def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                (times / f"{os.getpid()}-{args.seed}.begin").write_text(str(time.process_time()))

            def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                (times / f"{os.getpid()}-{args.seed}.end").write_text(str(time.process_time()))

        settings, sweep_settings = recipe.experiment.finetune, recipe.experiment.sweep
        task, pad_id = recipe.task, recipe.encoder.tokenizer.pad_token_id

        def collate(windows: Windows, chosen: Sequence[int]) -> dict[str, torch.Tensor]:
            batch: Batch = pad(windows, np.array(chosen), pad_id)
            arrays = {"input_ids": batch.input_ids_BL, "attention_mask": batch.attention_mask_BL, **task.inputs(batch)}
            return {name: torch.from_numpy(array) for name, array in (arrays | task.targets(batch)).items()}

        class OnOurWindows(Trainer):
            def get_eval_dataloader(self, *_: Any) -> Any:
                return torch.utils.data.DataLoader(range(len(recipe.dev)), 32, collate_fn=partial(collate, recipe.dev))

        trainer = OnOurWindows(
            model_init=lambda: new_model(recipe),
            args=TrainingArguments(
                output_dir=f"{folder}/out", use_cpu=not sweep_settings.resources.gpus, report_to=[], disable_tqdm=True,
                weight_decay=settings.weight_decay, max_grad_norm=settings.max_grad_norm, warmup_steps=settings.warmup,
                lr_scheduler_type="linear", save_strategy="no", remove_unused_columns=False,
                logging_strategy="no", bf16=settings.precision == "bfloat16",
            ),
            train_dataset=range(len(recipe.train)),
            eval_dataset=range(len(recipe.dev)),
            data_collator=partial(collate, recipe.train),
            callbacks=[Clock()],
        )  # fmt: skip
        points = [
            {
                "learning_rate": candidate.learning_rate,
                "num_train_epochs": candidate.epochs,
                "per_device_train_batch_size": candidate.batch_size,
                "seed": number,
            }
            for number, candidate in enumerate(wanted)
        ]
        started = time.monotonic()
        with connect(Cluster(cpus=slots)):
            trainer.hyperparameter_search(
                hp_space=lambda _: {key: tune.choice([point[key] for point in points]) for key in points[0]},
                search_alg=BasicVariantGenerator(points_to_evaluate=points),
                n_trials=len(points),
                backend="ray",
                direction="minimize",
                resources_per_trial={"cpu": 1, "gpu": sweep_settings.resources.gpus},
                storage_path=f"{folder}/tune",
                verbose=0,
            )
        call = time.monotonic() - started
        spans = []
        for begin in times.glob("*.begin"):
            end, slot = begin.with_suffix(".end"), int(begin.stem.split("-")[0])
            cpu = float(end.read_text()) - float(begin.read_text())
            spans.append(Span(begin.stat().st_mtime, end.stat().st_mtime, slot, cpu))
    return Measured(spans, call)


# ---- ours


class TimedTrial(sweep.Trial):
    """A trial that says in which process it ran, and the processor time it took."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Another candidate."""
        self.cpu = time.process_time()
        return super().reset_config(new_config)

    def step(self) -> dict[str, Any]:
        """An epoch, or the candidate's end."""
        result = super().step()
        if "record" in result:
            result["record"] |= {"slot": os.getpid(), "cpu": time.process_time() - self.cpu}
        return result


class Asleep(Recipe):
    """A recipe after which training is pretended."""

    def training(self, candidate: Candidate, device: str, tell: Tell) -> Training:
        """Sleep for as long."""
        return asleep(candidate, self, tell)


def asleep(candidate: Candidate, recipe: Recipe, tell: Tell) -> Training:
    """What `candidates.training` writes and says, around sleep; models are a few bytes."""
    store, unit = recipe.store, pool.unit(recipe.id(candidate))
    started = time.time()
    store.write_json(f"{unit}/{pool.SETTING}", asdict(candidate))
    tell("begun", 0)
    for epoch in range(1, candidate.epochs + 1):
        time.sleep(ASLEEP / candidate.epochs)
        tell("ended", epoch)
        store.write_bytes(f"{unit}/{pool.RESUME}", b"state")
        tell("saved", epoch)
        yield {"epoch": epoch, "loss": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.safetensors").write_bytes(b"weights")
        files = store.upload(Path(folder), unit)
    record = {"id": recipe.id(candidate), **asdict(candidate), "dev_score": 0.0, "started": started}
    record["seconds"] = time.time() - started
    store.commit(unit, record, files)
    store.delete(f"{unit}/{pool.RESUME}")
    return record


def in_our_sweep(wanted: Sequence[Candidate], recipe: Recipe, slots: int) -> Measured:
    """Stage 1, into an empty folder."""
    sweep.Trial = TimedTrial  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        with connect(Cluster(cpus=slots)):
            records = sweep.fine_tune_all(list(wanted), replace(recipe, store=Store(folder)))
        call = time.monotonic() - started
    spans = [
        Span(each["started"], each["started"] + each["seconds"], each["slot"], each["cpu"]) for each in records.values()
    ]
    return Measured(spans, call)


WAYS: dict[str, Callable[[Sequence[Candidate], Recipe, int], Measured]] = {
    "plain": partial(in_processes, batches=random_batches),
    "plain, our batches": partial(in_processes, batches=shuffled),
    "trainer": in_trainer,
    "ours": in_our_sweep,
}


# ---- the table


def main() -> None:
    """Measure every way in turn, several times, and print the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--candidates", type=int, default=2, help="for each slot")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2, 16])
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    experiment = materialise(load(arguments.config, arguments.overrides))
    recipe = candidates.prepare(Job(experiment, Store(experiment.storage)))
    ways = {name: way for name, way in WAYS.items() if name != "trainer" or importlib.util.find_spec("accelerate")}
    cores = len(os.sched_getaffinity(0))
    rows = []
    for slots in arguments.slots:
        wanted = grid(experiment.sweep)[: slots * arguments.candidates]
        if len(wanted) < slots * arguments.candidates:
            parser.error(f"the grid has {len(wanted)} candidates; wanted are {slots * arguments.candidates}")
        if slots > cores:
            rows.append(pretended(wanted, recipe, slots))
            continue
        rounds = [
            {name: measure(name, way, wanted, recipe, slots) for name, way in ways.items()}
            for _ in range(arguments.rounds)
        ]
        rows += [row(name, slots, [round[name] for round in rounds], rounds) for name in ways]
    headers = [
        "",
        "slots",
        "candidate, s",
        "its CPU, s",
        "between, s",
        "wall, s",
        "once, s",
        "plain",
        "plain, our batches",
    ]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))
    print("\nThe last two columns: a loop's candidate times, summed, over wall time x slots; medians over the rounds.")


def measure(
    name: str, way: Callable[..., Measured], wanted: Sequence[Candidate], recipe: Recipe, slots: int
) -> Measured:
    """One way, once; what it took is shown at once, as the table comes after a quarter of an hour."""
    measured = way(wanted, recipe, slots)
    seconds = ", ".join(f"{span.seconds:.1f}" for span in measured.spans)
    print(f"{name}, {slots} slots: {seconds} s; wall {measured.wall:.1f} s of {measured.call:.1f} s", file=sys.stderr)
    return measured


def row(name: str, slots: int, measured: list[Measured], rounds: list[dict[str, Measured]]) -> list[str]:
    """A line of the table."""
    shares = [
        median(sum(span.seconds for span in each[loop].spans) / (each[name].wall * slots) for each in rounds)
        for loop in ("plain", "plain, our batches")
    ]
    seconds = median(fmean(span.seconds for span in one.spans) for one in measured)
    cpu = median(fmean(span.cpu for span in one.spans) for one in measured)
    numbers = (median(one.gap for one in measured), median(one.wall for one in measured))
    once = median(one.call - one.wall for one in measured)
    return [name, str(slots), f"{seconds:.1f}", f"{cpu:.1f}", *(f"{number:.2f}" for number in numbers), f"{once:.1f}",
            *(f"{share:.3f}" for share in shares)]  # fmt: skip


def pretended(wanted: Sequence[Candidate], recipe: Recipe, slots: int) -> list[str]:
    """A line of the table for slots that only sleep; each counts from its first candidate to its last one."""
    sleeping = Asleep(**{field.name: getattr(recipe, field.name) for field in fields(Recipe)})
    measured = measure("pretended", in_our_sweep, wanted, sleeping, slots)
    seconds, gap = fmean(span.seconds for span in measured.spans), measured.gap
    return ["ours, training pretended", str(slots), f"{seconds:.1f}", "", f"{gap:.2f}", f"{measured.wall:.2f}",
            f"{measured.call - measured.wall:.1f}", f"{ASLEEP / (seconds + gap):.3f}", ""]  # fmt: skip


if __name__ == "__main__":
    main()
