"""The model card of an exported pick: the metadata block of the Hugging Face hub, and what a reader should know."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData, metadata_load, model_info

from lms_ray import tasks
from lms_ray.models.onnx import FILE as ONNX
from lms_ray.models.pipelines import HUB_TASKS
from lms_ray.pages.tables import Table
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.languages import name as called

LIBRARY = "transformers"
CALLED = {
    "pos": "part-of-speech tags",
    "ner": "named entities",
    "qa": "question answering",
    "re": "relations between entities",
    "arl": "roles of arguments in events",
    "classification": "classes of texts",
}
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


@dataclass(frozen=True)
class Exported:
    """The folder that the card is for."""

    name: str
    labels: Sequence[str]
    """What the model tells apart; nothing where it points at pieces of text."""
    has_onnx: bool


def model_card(experiment: Experiment, facts: Facts, exported: Exported) -> str:
    """The card as Markdown, its metadata block in front."""
    task = tasks.get(experiment.task)
    hub_task = HUB_TASKS.get(task.name)
    data = ModelCardData(
        language=[experiment.source, facts.target],
        license=licence_of(experiment.encoder),
        base_model=experiment.encoder if _of_hub(experiment.encoder) else None,
        library_name=LIBRARY if hub_task else "lms_ray",
        pipeline_tag=hub_task,
        tags=["cross-lingual-transfer", "model-selection", "lms_ray", *["onnx"] * exported.has_onnx],
        metrics=[task.metric.lower()],
        model_name=facts.candidate,
        eval_results=[
            EvalResult(
                task_type=hub_task or task.name,
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
    text = "\n".join(_text(experiment, facts, exported, task.metric))
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


def _text(experiment: Experiment, facts: Facts, exported: Exported, metric: str) -> Iterator[str]:
    is_toy = experiment.data.format == "toy"
    source, target = (("artificial " if is_toy else "") + called(code) for code in (experiment.source, facts.target))
    yield f"# {CALLED[experiment.task].capitalize()} in {target}, fine-tuned in {source}"
    yield ""
    yield (
        f"`{_name(experiment.encoder)}` fine-tuned on labelled text in {source}, and chosen for {target} among "
        f"{facts.candidates} models that were fine-tuned alike, without labels in {target}, by the rule {facts.rule} "
        f"of `lms_ray` {facts.provenance.get('lms_ray', '')} (after {METHOD})."
    )
    for one in facts.measured:
        if one.language == facts.target:
            yield f"On {target} it reaches {100 * one.score:.1f} % ({metric}, {one.split} set)."
    if is_toy:
        yield "Of real languages these have no more than the names."
    yield from ("", "## Use", "", *_use(experiment.task, exported.name))
    if exported.has_onnx:
        yield ""
        yield f"`{ONNX}` is the same model as an ONNX graph, with the same names of inputs and outputs."
    if exported.labels:
        yield ""
        yield f"Labels: {', '.join(f'`{label}`' for label in exported.labels)}."
    yield from ("", "## How it was chosen, and how sure that is", "")
    if facts.is_followed:
        yield facts.use
    else:
        yield f"This folder holds the pick of **{facts.rule}**. It is not what is advised, which is:"
        yield from ("", f"> {facts.use}")
    pivots = ", ".join(called(pivot) for pivot in experiment.pivots_for(facts.target))
    yield from ("", f"Pivots, whose labels rules may look at: {pivots}. Candidate: `{facts.candidate}`.")
    yield from ("", "## Scores", "")
    header = ["Language", "Set", f"{metric}, %", "What its labels were"]
    rows = [[called(one.language), one.split, f"{100 * one.score:.1f}", one.what] for one in facts.measured]
    yield Table(header, [rows]).to_markdown()
    yield from ("", "## Limits", "", *_limits(experiment, facts, source, target))
    if facts.setting:
        yield from ("", "## Fine-tuning", "", *_fine_tuning(experiment, facts.setting))
    yield from ("", "## Provenance", "")
    yield f"- experiment `{experiment.name}`, seed {experiment.seed}"
    yield from (f"- {name}: {value}" for name, value in _made_with(facts.provenance))
    yield from (f"- `{name}`: sha256 {digest}" for name, digest in sorted(facts.digests.items()))


def _use(task: str, folder: str) -> Iterator[str]:
    load, call, after = _CALLS[task]
    code = call.format(folder=json.dumps(folder, ensure_ascii=False))
    yield from ("```python", load, "", code, "```", *(("", after) if after else ()))


_OF_LMS_RAY = "from lms_ray import pipeline"
_OF_TRANSFORMERS = "from transformers import pipeline"
_PAIR = """classify = pipeline({folder})
classify({{"words": ["Ada", "Lovelace", "lives", "in", "London", "."], "first": (0, 2), "second": (4, 5)}})"""
_AFTER_PAIR = "A span is its first word and the word after its last. `O` means that {0}."
_CALLS = {
    "pos": (
        _OF_TRANSFORMERS,
        'tag = pipeline("token-classification", {folder})\ntag("Ada lives in London .")',
        "The tag of a word is that of its first sub-word.",
    ),
    "ner": (
        _OF_TRANSFORMERS,
        'find = pipeline("token-classification", {folder}, aggregation_strategy="first")\n'
        'find("Ada lives in London .")',
        "Words and punctuation are best separated by spaces, as in the labelled text.",
    ),
    "classification": (
        _OF_TRANSFORMERS,
        'classify = pipeline("text-classification", {folder})\nclassify("Ada lives in London .")',
        "",
    ),
    "qa": (
        _OF_LMS_RAY + "  # transformers has none for questions since version 5",
        "answer = pipeline({folder})\n"
        'answer({{"question": "Where does Ada live?", "context": "Ada lives in London."}})',
        "",
    ),
    "re": (_OF_LMS_RAY, _PAIR, _AFTER_PAIR.format("no relation leads from the first to the second")),
    "arl": (_OF_LMS_RAY, _PAIR, _AFTER_PAIR.format("the second is no argument of the first, an event's trigger")),
}
"""By the task what is imported, what is called, and what should be known of its answer."""


def _limits(experiment: Experiment, facts: Facts, source: str, target: str) -> Iterator[str]:
    if not any(one.language == facts.target for one in facts.measured):
        yield f"- Its quality in {target} was not measured."
    yield f"- Labels are those of the {source} training data; what {target} marks otherwise is not told apart."
    if experiment.task in ("pos", "ner"):
        yield "- `transformers` tags what fits one window; `lms_ray.pipeline` gives a tag for each word of any text."
    if facts.setting:
        yield (
            f"- It was trained and scored on windows of at most {experiment.finetune.max_length} sub-words, and on "
            "text of the kind that its training data holds; on other text nothing was measured."
        )
    yield "- It was examined for bias or harm in no way beyond these scores; what its base model has of them, it has."


def _fine_tuning(experiment: Experiment, setting: Mapping[str, Any]) -> Iterator[str]:
    made = experiment.finetune
    yield from (f"- {name.replace('_', ' ')}: {value:g}" for name, value in setting.items())
    yield f"- AdamW, betas {made.adam_betas[0]:g} and {made.adam_betas[1]:g}, weight decay {made.weight_decay:g}"
    yield f"- schedule: {made.schedule}, warm-up over {100 * made.warmup:g} % of the steps"
    yield f"- gradients clipped to a norm of {made.max_grad_norm:g}"
    yield f"- windows of {made.max_length} sub-words"
    yield f"- arithmetic in {made.precision}, weights saved in {made.save_dtype}"


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
