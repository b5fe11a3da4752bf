"""The ranker: its two fits beside the recipe of published code, and whether the fast one picks as well as the paper's.

    python benchmarks/ranker.py speed
    python benchmarks/ranker.py memory
    python benchmarks/ranker.py quality planted --results planted.jsonl
    python benchmarks/ranker.py quality POOL --pivots ar,de,es,nl,zh --results pool.jsonl

`speed` runs all ways in turns, several times, on one core: published code a stated number of steps of each batch size,
from which a whole grid is counted, since it would take hours; the paper's fit the same steps of the same batches; the
fast fit the whole grid. `quality` divides a pool anew in each of many splits, fits both grids, chooses by Kendall's tau
on meta-dev, and judges on meta-test by the test scores of targets that are no pivots. The paper's grid takes minutes a
split (`--batch-size 128` leaves the quickest fifth of it): what is in the file of results is not fitted again. POOL is
a folder with the tables `candidates` (id), `features` (candidate, corpus, feature) and `statistics` (candidate, corpus,
correct, total) in Parquet, corpora named `de-dev` and `de-test`; `planted` makes one.

Shape suffixes: C candidates, P pivots, G languages, H feature, V language vector, B pairs of a batch, D splits, T
targets.
"""

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau
from tabulate import tabulate
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lms_ray.choosing import convex
from lms_ray.choosing.grid import choose, fit_fast, fit_point, points
from lms_ray.choosing.material import Material
from lms_ray.choosing.ranker import Lesson, ScoringNet, epochs, pairs, ranks
from lms_ray.choosing.split import divide
from lms_ray.settings import languages
from lms_ray.settings.choosing import MetaSplit, Ranker

WARM_UP = 3  # steps that are not timed: they allocate the optimiser's state
RESAMPLES = 10_000
PAPER, FAST = Ranker(), Ranker(fit="fast")


# Published code ------------------------------------------------------------------------------------------------------


class PublishedNet(nn.Module):
    """The paper's net with both branches for every candidate of a pair; weights are named as in `ScoringNet`."""

    def __init__(self, feature: int, language: int, hidden: int):
        super().__init__()
        self.model_branch = _branch(feature, hidden)
        self.language_branch = _branch(language, hidden)
        self.product = nn.Parameter(torch.empty(hidden, hidden))

    def forward(self, feature_BH: torch.Tensor, language_BV: torch.Tensor) -> torch.Tensor:
        """Scores of candidates, each with the vector of its language."""
        return ((self.model_branch(feature_BH) @ self.product) * self.language_branch(language_BV)).sum(-1)


def _branch(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())


def materialised(train: Lesson) -> TensorDataset:
    """Every pair with its two features, language vector and label."""
    first_N, second_N, pivot_N, wins_N = pairs(train.score_CP)
    feature_CPH = torch.from_numpy(train.feature_CPH.astype(np.float32))
    language_PV = torch.from_numpy(np.asarray(train.language_PV, np.float32))
    return TensorDataset(
        feature_CPH[first_N, pivot_N], feature_CPH[second_N, pivot_N], language_PV[pivot_N], torch.from_numpy(wins_N)
    )


def published_steps(
    net: PublishedNet, examples: TensorDataset, epochs: int, batch_size: int, learning_rate: float, seed: int
) -> Iterator[torch.Tensor]:
    """Train as published code does, on the batches of `ranker.epochs`; give each one's loss before its step."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
    for _ in range(epochs):
        order = rng.permutation(len(examples)).tolist()
        for first_BH, second_BH, language_BV, label_B in DataLoader(examples, batch_size, sampler=order):
            optimizer.zero_grad()
            difference_B = net(first_BH, language_BV) - net(second_BH, language_BV)
            loss = F.binary_cross_entropy_with_logits(difference_B, label_B)
            loss.backward()
            optimizer.step()
            yield loss.detach()


# Speed ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One training step of a batch size, in both ways."""

    batch_size: int
    published: float
    """Median CPU seconds."""
    ours: float
    difference: float
    """Largest difference in loss between the two."""


def time_steps(train: Lesson, batch_size: int, count: int, repeats: int, settings: Ranker = PAPER) -> Step:
    """Time the same steps in both ways in turns, each time from the same weights."""
    feature, language = train.feature_CPH.shape[-1], train.language_PV.shape[-1]
    learning_rate, seconds = max(settings.learning_rate), {"published": [], "ours": []}
    losses: dict[str, list[float]] = {}
    for seed in range(repeats):
        torch.manual_seed(seed)
        net, published = (
            ScoringNet(feature, language, settings.hidden),
            PublishedNet(feature, language, settings.hidden),
        )
        published.load_state_dict(net.state_dict())
        ways = {
            "published": published_steps(
                published, materialised(train), settings.epochs, batch_size, learning_rate, seed
            ),
            "ours": chain.from_iterable(epochs(net, [train], settings, batch_size, learning_rate, seed)),
        }
        for way, losses_of in ways.items():
            before = [float(loss) for loss in islice(losses_of, WARM_UP)]
            started = time.process_time()
            timed = [float(loss) for loss in islice(losses_of, count)]
            seconds[way].append((time.process_time() - started) / len(timed))
            losses.setdefault(way, []).extend(before + timed)
    difference = float(np.abs(np.subtract(losses["published"], losses["ours"])).max())
    return Step(batch_size, median(seconds["published"]), median(seconds["ours"]), difference)


def speed(candidates: int, count: int, repeats: int) -> str:
    """Seconds of a step, and of a whole grid for all pivots and for each set without one of them."""
    material, _ = planted(candidates, seed=0, width=256)
    material = replace(material, settings=FAST)
    sets = _all_and_without_one(material.pivots)
    train = material.lesson(material.pivots, "train")
    timed = [time_steps(train, batch_size, count, repeats) for batch_size in PAPER.batch_size]
    fast = []
    for _ in range(repeats):
        started = time.process_time()
        fit_fast(material, sets, "cpu")
        fast.append(time.process_time() - started)
    rows = [
        (f"step of {step.batch_size} pairs, ms", 1e3 * step.published, 1e3 * step.ours, None, step.difference)
        for step in timed
    ]
    published = grid_seconds(material, sets, {step.batch_size: step.published for step in timed})
    ours = grid_seconds(material, sets, {step.batch_size: step.ours for step in timed})
    rows.append((f"grid x {len(sets)} sets of pivots, s", published, ours, median(fast), None))
    table = [
        (
            what, f"{peer:.1f}", f"{paper:.1f}", f"{quick:.2f}" if quick else "",
            f"{peer / paper:.1f}", f"{peer / quick:,.0f}" if quick else "", f"{apart:.0e}" if apart else "",
        )
        for what, peer, paper, quick, apart in rows
    ]  # fmt: skip
    headers = ["CPU", "published", "paper", "fast", "published / paper", "published / fast", "loss apart by"]
    shape = f"{candidates} candidates ({train.score_CP.shape[0]} in meta-train), {len(material.pivots)} pivots"
    note = f"{shape}; steps: median of {repeats} x {count}; the grids of `published` and `paper` are counted from them"
    return f"{_markdown(table, headers)}\n\n{note}"


def grid_seconds(material: Material, sets: Sequence[tuple[str, ...]], step: dict[int, float]) -> float:
    """Seconds of the paper's whole grid from those of a step of each batch size."""
    total = 0.0
    for pivots in sets:
        count = len(pairs(material.lesson(pivots, "train").score_CP)[0])
        for batch_size in PAPER.batch_size:
            total += step[batch_size] * math.ceil(count / batch_size) * PAPER.epochs * len(PAPER.learning_rate)
    return total


def _all_and_without_one(pivots: tuple[str, ...]) -> dict[tuple[str, ...], list[str]]:
    return {pivots: []} | {tuple(other for other in pivots if other != pivot): [pivot] for pivot in pivots}


# Memory --------------------------------------------------------------------------------------------------------------


def memory(sizes: Sequence[tuple[int, int, int]]) -> str:
    """Peak memory of the fast fit of a whole grid for one set of pivots, each size in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        rows = [(*size, *pool.apply(_peak, size)) for size in sizes]
    headers = ["meta-train candidates", "pivots", "features", "before, GiB", "peak, GiB", "CPU s"]
    return _markdown([(f"{c:,}", p, h, *(f"{value:.2f}" for value in rest)) for c, p, h, *rest in rows], headers)


def _peak(candidates: int, pivots: int, width: int) -> tuple[float, float, float]:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    feature_CPH = rng.standard_normal((candidates, pivots, width), np.float32)
    score_CP = feature_CPH @ rng.standard_normal(width, np.float32)
    lesson = Lesson(feature_CPH, score_CP + 10 * rng.standard_normal(score_CP.shape), rng.normal(size=(pivots, 512)))
    before, started = _memory("VmHWM"), time.process_time()
    convex.fit(lesson, FAST.l2, "cpu")
    return before, _memory("VmHWM"), time.process_time() - started


def _memory(key: str) -> float:
    """GiB, as Linux counts it for this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 2**20


# Quality -------------------------------------------------------------------------------------------------------------


def planted(candidates: int, seed: int, width: int = 64) -> tuple[Material, np.ndarray]:
    """A pool whose scores follow from what its features show, in part in each language's own way; and test scores."""
    rng = np.random.default_rng(seed)
    pivots, targets = ("ar", "de", "es", "nl", "zh"), ("bg", "da", "fa", "hu", "it", "pt", "sk", "sv", "vi", "fr")
    spoken, traits = (*pivots, *targets), 8
    trait_CK = rng.normal(size=(candidates, traits))
    feature_CGH = (trait_CK @ rng.normal(size=(traits, width)))[:, None] / math.sqrt(traits)
    feature_CGH = feature_CGH + rng.normal(size=(candidates, len(spoken), width))
    vector_GV = np.stack([languages.vector(language, "learned") for language in spoken])
    own_GK = vector_GV @ rng.normal(size=(vector_GV.shape[1], traits)) / np.linalg.norm(vector_GV, axis=1)[:, None]
    true_CG = trait_CK @ (rng.normal(size=traits) + 0.5 * own_GK).T
    dev_CG, test_CG = (0.6 + 0.02 * (true_CG + rng.normal(size=true_CG.shape)) for _ in range(2))
    names, part_C = tuple(f"c{number:03}" for number in range(candidates)), divide(candidates, MetaSplit(), seed)
    material = Material(
        PAPER, seed, names, part_C, spoken, feature_CGH.astype(np.float32), vector_GV, pivots, dev_CG[:, : len(pivots)]
    )
    return material, test_CG[:, len(pivots) :]


def from_folder(folder: Path, pivots: tuple[str, ...], draw: int, seed: int = 11) -> tuple[Material, np.ndarray]:
    """A stored pool, divided anew by each draw; and the targets' test scores."""
    names = sorted(pd.read_parquet(folder / "candidates.parquet")["id"])
    statistics = pd.read_parquet(folder / "statistics.parquet", columns=["candidate", "corpus", "correct", "total"])
    sums = statistics.groupby(["candidate", "corpus"])[["correct", "total"]].sum()
    score = (sums["correct"] / sums["total"]).unstack("corpus").loc[names]
    features = pd.read_parquet(folder / "features.parquet").set_index(["candidate", "corpus"])["feature"]
    spoken = sorted(corpus.removesuffix("-test") for corpus in score.columns if corpus.endswith("-test"))
    targets = [language for language in spoken if language not in pivots]
    material = Material(
        settings=PAPER,
        seed=seed,
        candidates=tuple(names),
        part_C=divide(len(names), MetaSplit(draw=draw), seed),
        languages=tuple(spoken),
        feature_CGH=np.stack([[features[name, f"{language}-dev"] for language in spoken] for name in names]),
        vector_GV=np.stack([languages.vector(language, "learned") for language in spoken]),
        pivots=pivots,
        pivot_score_CP=score[[f"{pivot}-dev" for pivot in pivots]].to_numpy(),
    )
    return material, score[[f"{target}-test" for target in targets]].to_numpy()


def quality(pools: Sequence[tuple[Material, np.ndarray]], results: Path, paper: Ranker = PAPER) -> str:
    """Both grids on each of many splits, and the differences of what they choose.

    Args:
        pools: for each split what may be learned from, and the targets' test scores, shape (C, T).
        paper: the paper's grid, or a part of it.
        results: file that holds what the paper's grid came to in each split, a JSON object a line; what it lacks is
            fitted and added.
    """
    digests = {draw: replace(material, settings=paper).digest for draw, (material, _) in enumerate(pools)}
    rows = map(json.loads, results.read_text().splitlines() if results.exists() else ())
    stored = {row["draw"]: row for row in rows if row["material"] == digests.get(row["draw"])}
    judged: dict[str, list[np.ndarray]] = {}
    for draw, (material, test_CT) in enumerate(pools):
        if draw not in stored:
            stored[draw] = {"draw": draw, "material": digests[draw], **fit_grid(material, paper)}
            with results.open("a") as lines:
                lines.write(json.dumps(stored[draw]) + "\n")
        held_CT = test_CT[material.part_C == "test"]
        pivot_PC = material.pivot_score_CP[material.part_C == "test"].T
        ways = {
            "paper": _of_pool(stored[draw], material),
            "fast": _of_pool(fit_grid(material, FAST), material),
            "All-Pivot": np.repeat(-ranks(pivot_PC).mean(0)[:, None], held_CT.shape[1], axis=1),
        }
        for way, score_CT in ways.items():
            judged.setdefault(way, []).append(judge(score_CT, held_CT))
    of_way = {way: np.stack(splits, axis=1) for way, splits in judged.items()}  # tau and regret x D x T
    difference = of_way["fast"] - of_way["paper"]
    rows = [(way, *_shown(values.mean((1, 2)))) for way, values in of_way.items()]
    rows.append(("fast - paper", *_shown(difference.mean((1, 2)))))
    low, high = (_shown(end) for end in interval(difference))
    rows.append(("95 % interval of it", *(f"{one} to {other}" for one, other in zip(low, high, strict=True))))
    table = _markdown(rows, ["on meta-test", "Kendall's tau", "regret, points"])
    return f"{table}\n\n{len(pools)} splits x {difference.shape[2]} targets; interval: both resampled"


def fit_grid(material: Material, settings: Ranker) -> dict:
    """Fit one grid on all pivots, and score every candidate for every target by the chosen ranker."""
    material, pivots, started = replace(material, settings=settings), material.pivots, time.process_time()
    targets = [language for language in material.languages if language not in pivots]
    if settings.fit == "fast":
        fitted = fit_fast(material, {pivots: targets}, "cpu")
    else:
        grid = points(settings, [pivots])
        fitted = {point: fit_point(point, targets, material, "cpu") for point in grid}
    tau = {point: one.record["kendall_tau"] for point, one in fitted.items()}
    (chosen,) = choose(tau)
    return {
        "pivots": ",".join(pivots),
        "fit": settings.fit,
        "cpu_seconds": time.process_time() - started,
        "chosen": chosen.name,
        "tau": {point.name: value for point, value in tau.items()},
        "scores": {target: score_C.tolist() for target, score_C in fitted[chosen].scores.items()},
    }


def judge(score_CT: np.ndarray, test_CT: np.ndarray) -> np.ndarray:
    """Kendall's tau with the test scores, and regret of the best scored candidate in points, shape (2, T)."""
    tau_T = [kendalltau(score_C, test_C).statistic for score_C, test_C in zip(score_CT.T, test_CT.T, strict=True)]
    picked_T = test_CT[score_CT.argmax(0), np.arange(test_CT.shape[1])]
    return np.stack([np.nan_to_num(tau_T), 100 * (test_CT.max(0) - picked_T)])


def interval(difference_MDT: np.ndarray) -> np.ndarray:
    """95 % of the mean differences when splits and targets are both drawn anew, shape (2, M) for M measures."""
    rng = np.random.default_rng(0)
    _, splits, targets = difference_MDT.shape
    means_RM = [
        difference_MDT[:, rng.integers(splits, size=splits)][:, :, rng.integers(targets, size=targets)].mean((1, 2))
        for _ in range(RESAMPLES)
    ]
    return np.quantile(means_RM, [0.025, 0.975], axis=0)


def _of_pool(grid: dict, material: Material) -> np.ndarray:
    return np.asarray(list(grid["scores"].values())).T[material.part_C == "test"]


def _shown(measures: np.ndarray) -> tuple[str, str]:
    return f"{measures[0]:.3f}", f"{measures[1]:.2f}"


def _markdown(rows: list, headers: list[str]) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def main() -> None:
    """Run one part and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("speed")
    part.add_argument("--candidates", type=int, default=96)
    part.add_argument("--steps", type=int, default=20)
    part.add_argument("--repeats", type=int, default=5)
    parts.add_parser("memory")
    part = parts.add_parser("quality")
    part.add_argument("pool", help="a folder, or `planted`")
    part.add_argument("--pivots", type=lambda text: tuple(text.split(",")), default=("ar", "de", "es", "nl", "zh"))
    part.add_argument("--splits", type=int, default=20)
    part.add_argument("--batch-size", type=int, nargs="+", default=PAPER.batch_size, help="of the paper's grid")
    part.add_argument("--results", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.part == "speed":
        print(speed(given.candidates, given.steps, given.repeats))
    elif given.part == "memory":
        print(memory([(48, 5, 256), (250, 40, 768), (500, 40, 768), (1000, 40, 768)]))
    else:
        if given.pool == "planted":
            pools = [planted(48, seed) for seed in range(given.splits)]
        else:
            pools = [from_folder(Path(given.pool), given.pivots, draw) for draw in range(given.splits)]
        print(quality(pools, given.results, Ranker(batch_size=tuple(given.batch_size))))


if __name__ == "__main__":
    main()
