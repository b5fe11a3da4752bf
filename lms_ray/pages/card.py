"""The model card of an exported pick: the metadata block of the Hugging Face hub, and what a reader should know."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData, metadata_load, model_info

from lms_ray import tasks
from lms_ray.pages.tables import Table
from lms_ray.settings.experiment import Experiment

LIBRARY = "transformers"
PIPELINES = {
    "pos": "token-classification",
    "ner": "token-classification",
    "qa": "question-answering",
    "classification": "text-classification",
}
"""What the hub calls a task; pairs of entities have no pipeline."""
METHOD = "Chen and Ritter, Model Selection for Cross-Lingual Transfer, EMNLP 2021"
ANSWER_WITHIN = 5.0  # seconds, of the hub


@dataclass(frozen=True)
class Measured:
    """A score of the pick."""

    language: str
    split: str
    what: str
    """What the labels were to the choice."""
    score: float
    """In [0, 1]."""


@dataclass(frozen=True)
class Facts:
    """What is known of an exported pick."""

    target: str
    candidate: str
    rule: str
    is_followed: bool
    """Whether it is the rule that the report says to use."""
    is_told: bool
    """Whether something can be told of the target."""
    use: str
    """The report's sentences on what to use for the target."""
    candidates: int
    """Among how many it was chosen."""
    setting: Mapping[str, Any]
    """How it was fine-tuned; nothing where it was brought."""
    measured: Sequence[Measured]
    provenance: Mapping[str, Any]
    digests: Mapping[str, str]
    """SHA-256 of each file, where it was fine-tuned here."""


def model_card(experiment: Experiment, facts: Facts) -> str:
    """The card as Markdown, its metadata block in front."""
    task = tasks.get(experiment.task)
    pipeline = PIPELINES.get(task.name)
    data = ModelCardData(
        language=[experiment.source, facts.target],
        license=licence_of(experiment.encoder),
        base_model=experiment.encoder if _of_hub(experiment.encoder) else None,
        library_name=LIBRARY if pipeline else "lms_ray",
        pipeline_tag=pipeline,
        tags=["cross-lingual-transfer", "model-selection", "lms_ray"],
        metrics=[task.metric.lower()],
        model_name=facts.candidate,
        eval_results=[
            EvalResult(
                task_type=pipeline or task.name,
                dataset_type=experiment.data.format,
                dataset_name=f"{one.language}-{one.split}",
                dataset_config=one.language,
                dataset_split=one.split,
                metric_type=task.metric.lower(),
                metric_value=round(one.score, 4),
            )
            for one in facts.measured
        ],
    )
    text = "\n".join(_text(experiment, facts, task.metric))
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}")) + "\n"


def licence_of(encoder: str) -> str | None:
    """The licence that the encoder's own card names, in its folder or on the hub; None where it is not known."""
    try:
        if _of_hub(encoder):
            card: Any = model_info(encoder, timeout=ANSWER_WITHIN).card_data
        else:
            card = metadata_load(Path(encoder, "README.md"))
        return (card or {}).get("license")
    except Exception:  # no card, no network, no such name: all mean that nothing is known
        return None


def _of_hub(encoder: str) -> bool:
    return encoder != "toy" and not Path(encoder).is_absolute()


def _name(encoder: str) -> str:
    """A local folder's path says nothing elsewhere."""
    return encoder if _of_hub(encoder) else Path(encoder).name


def _text(experiment: Experiment, facts: Facts, metric: str) -> Iterator[str]:
    yield f"# {experiment.task} for {facts.target}, fine-tuned in {experiment.source}"
    yield ""
    yield (
        f"`{_name(experiment.encoder)}` fine-tuned for `{experiment.task}` on labelled {experiment.source} text, and "
        f"chosen for {facts.target} among {facts.candidates} models that were fine-tuned alike, without labels of "
        f"{facts.target} (after {METHOD}), by `lms_ray` {facts.provenance.get('lms_ray', '')}."
    )
    yield from ("", "## Use", "", *_use(experiment))
    yield from ("", "## How it was chosen, and how sure that is", "", facts.use)
    if not facts.is_followed:
        yield f"This folder holds the pick of **{facts.rule}**, by which that advice does not go."
    yield from (
        "",
        f"Pivots: {', '.join(experiment.pivots_for(facts.target))}. Candidate: `{facts.candidate}`.",
        "",
        "## Scores",
        "",
    )
    header = ["Language", "Split", metric, "What its labels were"]
    rows = [[one.language, one.split, f"{100 * one.score:.1f}", one.what] for one in facts.measured]
    yield Table(header, [rows]).to_markdown()
    if facts.setting:
        yield from ("", "## Fine-tuning", "")
        yield from (f"- {name.replace('_', ' ')}: {value:g}" for name, value in facts.setting.items())
    yield from ("", "## Provenance", "")
    yield f"- experiment `{experiment.name}`, seed {experiment.seed}"
    yield from (f"- {name}: {value}" for name, value in _made_with(facts.provenance))
    yield from (f"- `{name}`: sha256 {digest}" for name, digest in sorted(facts.digests.items()))


def _use(experiment: Experiment) -> Iterator[str]:
    pipeline = PIPELINES.get(experiment.task)
    yield "```python"
    if experiment.task == "qa":  # transformers 5 has no pipeline for it any more
        yield "from transformers import AutoModelForQuestionAnswering, AutoTokenizer"
        yield ""
        yield 'model = AutoModelForQuestionAnswering.from_pretrained("FOLDER")'
        yield 'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'
    elif pipeline:
        grouped = ', aggregation_strategy="first"' if experiment.task == "ner" else ""
        yield "from transformers import pipeline"
        yield ""
        yield f'pipeline("{pipeline}", "FOLDER"{grouped})("...")'
    else:
        yield "from transformers import AutoTokenizer"
        yield ""
        yield "from lms_ray.tasks.pairs import EntityPairClassifier"
        yield ""
        yield 'model = EntityPairClassifier.from_pretrained("FOLDER")  # reads both spans at their markers'
        yield 'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'
    yield "```"
    if experiment.task == "pos":
        yield ""
        yield "The tag of a word is that of its first sub-word."


def _made_with(provenance: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ("time", "lms_ray", "commit", "python"):
        if provenance.get(name):
            yield name, provenance[name]
    packages = provenance.get("packages", {})
    if packages:
        yield (
            "packages",
            ", ".join(f"{name} {packages[name]}" for name in ("torch", "transformers") if name in packages),
        )
