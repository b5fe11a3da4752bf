"""What a plan says of work, time and money is what can be computed by hand."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import made_folders as made
from lms_ray.data.examples import TaggedSentence
from lms_ray.models.job import Job
from lms_ray.models.work import Work
from lms_ray.pages.plan import show_plan
from lms_ray.settings.errors import SweepError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import ConfigError, load
from lms_ray.store import lineage
from lms_ray.store.attempts import Use
from lms_ray.store.files import Store

PRICES = "cluster.prices={spot: 0.5, on-demand: 1.2}"
FEW = ("pivots=[de]", "targets=[sv]")  # languages, which are made anew for every plan
SIZES = {"train": 40, "dev": 10, "test": 10}


def planned(experiment: Experiment, capsys: pytest.CaptureFixture, like: str | None = None) -> dict[str, list[str]]:
    """The cells of every line, by the first."""
    show_plan(experiment, like)
    lines = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    return {first: rest for first, *rest in lines}


def test_the_quickstart(tmp_path: Path, capsys: pytest.CaptureFixture):
    lines = planned(load("quickstart", [f"storage={tmp_path}"]), capsys)
    assert lines["candidates"] == ["24"]
    assert lines["epochs"] == ["84"]  # 4 seeds x 3 learning rates x (3 + 4)
    assert lines["fine-tuning, examples"] == ["100,800 (1,200 each epoch)"]
    assert lines["forward passes"] == ["91,200"]
    assert lines["rankers"] == ["30"]  # (5 pivots left out + 1) x 5 strengths
    size = re.fullmatch(r"(\d+) kB \(0\.2 M parameters, float32\)", *lines["checkpoint"])
    state = re.fullmatch(r"at most \d+ MB written \((\d+) of ([\d.]+) MB each\)", *lines["resume states"])
    assert size and state
    assert int(state[1]) == 60  # after all epochs but the last: 4 x 3 x (2 + 3)
    assert float(state[2]) == pytest.approx(3 * int(size[1]) / 1000, abs=0.01)  # weights and both moments
    assert lines["sweep"][-1] == lines["ranking"][-1] == "assumed: cluster.assumed_tflops=0.01 of one core"
    assert "no price: set cluster.prices, such as 'cluster.prices={spot: 0.4, on-demand: 1.2}'" in lines
    assert any(line.startswith("no wall time: set ") for line in lines)


def test_a_target_of_which_there_is_only_text(tmp_path: Path, capsys: pytest.CaptureFixture):
    languages = ["pivots=[de, es]", "targets=[de]", f"storage={tmp_path}"]
    alone = planned(load("quickstart", languages), capsys)
    lines = planned(load("quickstart", [*languages, "unlabelled_targets=[da]"]), capsys)
    assert alone["unlabelled sentences"] == ["the dev sets' words"]
    assert lines["unlabelled sentences"] == ["2,400 (1 texts)"]  # 24 candidates, 100 sentences
    assert lines["encoding, examples"] == alone["encoding, examples"]
    assert (alone["rankers"], lines["rankers"]) == (["5"], ["10"])  # without de, and of both pivots


def test_what_is_saved_and_what_stays(tmp_path: Path, capsys: pytest.CaptureFixture):
    settings = [*FEW, f"storage={tmp_path}", "sweep.save_every=2", "sweep.keep_weights=pool"]
    lines = planned(load("quickstart", settings), capsys)
    assert "(24 of " in lines["resume states"][0]  # after the second epoch of 3 and of 4
    assert re.fullmatch(r"[\d.]+ MB, [\d.]+ MB after the features", lines["all checkpoints"][0])
    never = planned(load("quickstart", [*settings, "sweep.save_every=0"]), capsys)
    assert never["resume states"] == ["none"]


def test_operations_are_those_of_the_parameters_and_subwords(
    encoder_folder: Path,
    sentences: Callable[..., list[TaggedSentence]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    for seed, (language, split) in enumerate((language, split) for language in ("en", "de", "nl") for split in SIZES):
        some = sentences(SIZES[split], seed=seed)
        (tmp_path / f"{language}-{split}.conllu").write_text("\n".join(map(_conllu, some)) + "\n")
    overrides = ["encoder=" + str(encoder_folder), "pivots=[de]", "targets=[nl]", "sweep.epochs=[3]", "sweep.seeds=4"]
    data = [f"data.root={tmp_path}", 'data.files="{lang}-{split}.conllu"', "ranker.language_vector=none"]
    experiment = load("paper", [*overrides, *data, "ranker.hidden=8", "ranker.epochs=2"])
    job = Job(experiment, Store(str(tmp_path / "runs")))
    work, tokenizer = Work(job), job.encoder.tokenizer

    def subwords(corpora) -> int:
        return sum(len(job.task.windows(corpus.examples, tokenizer, 128, None).input_ids_T) for corpus in corpora)

    layer = 4 * (16 * 16 + 16) + (16 * 32 + 32) + (32 * 16 + 16) + 2 * 2 * 16
    parameters = 2 * layer + 2 * 16 + (16 + 1) * len(job.task.labels)  # and the embeddings' norm, and the head
    training, dev, encoded = (
        subwords(corpora) for corpora in (job.corpora.training, [job.corpora.dev], job.corpora.encoded)
    )
    assert work.candidates == 12
    assert work.sweep.amount == 12 * 3 * 40
    assert work.sweep.operations == pytest.approx(12 * parameters * (3 * 6 * training + 2 * dev))
    assert work.features.amount == 12 * sum(len(corpus) for corpus in job.corpora.encoded)
    assert work.features.operations == pytest.approx(12 * 2 * parameters * encoded)
    # 6 candidates in meta-train, 15 pairs on one pivot, two candidates each; 20 grid points
    assert work.ranking.operations == pytest.approx(20 * 2 * 15 * 2 * 6 * (16 * 8 + 8 * 8 + 8 * 8))


def _conllu(sentence: TaggedSentence) -> str:
    rows = enumerate(zip(sentence.words, sentence.tags, strict=True), 1)
    return "".join(f"{number}\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\t_\n" for number, (word, tag) in rows)


def test_a_measured_rate_takes_the_place_of_the_assumption(local: Store, capsys: pytest.CaptureFixture):
    """300 s for two epochs of 1,000 examples on one GPU: 0.15 s each; half a GPU for 0.1 s: 0.05 s."""
    resources = ["sweep.resources.gpus=1", "sweep.resources.workers=4", "encode.resources.gpus=0.5"]
    experiment = made.configured(local, PRICES, *resources, "encode.resources.workers=2")
    first, second, third, fourth, *_ = made.ids(experiment)
    made.tried(local, first, epochs=2, outcome="done")
    made.tried(local, second, epochs=2, outcome="done")
    made.tried(local, third, epochs=1)  # lost
    slow = made.SPOT.model_copy(update={"gpus": 0.0, "accelerator": None})
    made.tried(local, fourth, seconds=30_000, epochs=2, outcome="done", machine=slow)
    half = made.SPOT.model_copy(update={"gpus": 0.5})
    made.encoded(local, first, [Use(machine=half, seconds=100, work=1000)])
    for number, seconds in enumerate((300, 3300)):
        made.fitted(local, "hash", f"point-{number}", [Use(machine=slow, seconds=seconds, work=1)])  # on 4 cores
    lines = planned(experiment, capsys)
    # 8 candidates, 12 epochs of 1,200 examples: 2,160 s; 8 times 1,400 examples: 560 s
    assert lines["sweep"] == [
        *(
            "14,400 examples",
            "0.60 GPU-hours",
            "9 min with 4 workers",
            "0.30",
            "0.72",
            "measured: median of 2 on NVIDIA A10G",
        ),
    ]
    assert lines["features"][1:] == [
        *("0.16 GPU-hours", "9 min with 2 workers", "0.08", "0.19", "measured: median of 1 on NVIDIA A10G"),
    ]
    # 3 sets of pivots, 2 batch sizes, 2 learning rates; cores have no price where GPUs have
    assert lines["ranking"] == ["12 rankers", "24.00 core-hours", "-", "-", "-", "measured: mean of 2 on CPU"]
    assert lines["in all"][2:] == ["0.38", "0.91"]


def test_times_may_be_taken_from_another_experiment(local: Store, tmp_path: Path, capsys: pytest.CaptureFixture):
    trial = made.configured(local, "sweep.resources.gpus=1")
    made.tried(local, made.ids(trial)[0], epochs=2, outcome="done")
    planned_one = load("quickstart", [*FEW, f"storage={tmp_path}", "sweep.resources.gpus=1"])
    assert planned(planned_one, capsys)["sweep"][-1].startswith("assumed: ")
    assert planned(planned_one, capsys, like=local.root)["sweep"][1] == "4.20 GPU-hours"  # 100,800 times 0.15 s
    with pytest.raises(ConfigError, match=r"^--like: found no experiment\.yaml"):
        show_plan(planned_one, like=str(tmp_path))


def test_a_search_is_planned_by_its_mean(tmp_path: Path, capsys: pytest.CaptureFixture):
    search = ["sweep.search=optuna", "sweep.candidates=10", "sweep.epochs={low: 2, high: 5}"]
    lines = planned(load("quickstart", [*FEW, *search, f"storage={tmp_path}", "cluster.assumed_tflops=0.5"]), capsys)
    assert lines["epochs"] == ["about 35"]
    assert lines["sweep"][-1] == "assumed: cluster.assumed_tflops=0.5 of one core"


def test_prices_and_assumptions_decide_no_result():
    priced = load("quickstart", [PRICES, "cluster.assumed_tflops=3"])
    assert lineage.settings(priced, lineage.SELECTION) == lineage.settings(load("quickstart"), lineage.SELECTION)


@pytest.mark.parametrize("value", ["{spto: 1}", "{spot: 0}", "{spot: free}", "0.5"])
def test_a_price_that_means_nothing_is_refused(value: str):
    with pytest.raises(ConfigError, match=r"^cluster\.prices"):
        load("quickstart", [f"cluster.prices={value}"])


def test_what_a_rerun_would_do_again(tmp_path: Path, capsys: pytest.CaptureFixture):
    store = Store(str(tmp_path / "pos"))
    experiment = made.configured(store)
    assert "a rerun fine-tunes" not in planned(experiment, capsys), "nothing is done yet"
    failed, lost, preempted, *others = made.ids(experiment)
    for name, outcome in ((failed, "failed"), (lost, "lost"), (preempted, "preempted")):
        made.tried(store, name, number=1, outcome=outcome)
    for name in others[1:]:
        made.finished(store, name)
    lines = planned(experiment, capsys)
    assert lines["a rerun fine-tunes"] == ["4 of 8 candidates (1 failed, 1 lost, 1 preempted, 1 not begun)"]
    for name in (failed, lost, preempted, others[0]):
        made.finished(store, name)
    assert "a rerun fine-tunes" not in planned(experiment, capsys), "all is done"


def test_what_diverged_is_said_and_if_the_sweep_would_end_for_it(tmp_path: Path, capsys: pytest.CaptureFixture):
    store = Store(str(tmp_path / "pos"))
    experiment = made.configured(store, "sweep.seeds=5")
    first, second, third, *others = made.ids(experiment)
    for name in (first, second):
        made.finished(store, name, diverged=True)
    for name in others:
        made.finished(store, name)
    lines = planned(experiment, capsys)
    assert lines["diverged"] == ["2 candidates, which are left out of the pool"]
    assert lines["a rerun fine-tunes"] == ["1 of 10 candidates (1 not begun)"]
    made.finished(store, third, diverged=True)
    with pytest.raises(SweepError, match=r"^without those that diverged there are 7 .* sweep\.seeds above 5 or "):
        show_plan(experiment)
    assert "diverged" in capsys.readouterr().out, "the plan itself is shown before"
    more = experiment.model_copy(update={"sweep": experiment.sweep.model_copy(update={"seeds": 6})})
    assert planned(more, capsys)["diverged"] == ["3 candidates, which are left out of the pool"]
    otherwise = experiment.model_copy(update={"finetune": experiment.finetune.model_copy(update={"warmup": 0.5})})
    assert "diverged" not in planned(otherwise, capsys), "these would be other candidates"
