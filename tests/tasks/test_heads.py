"""A checkpoint is scored by what its outputs mean, and refused where they mean something else."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from encoders import ARCHITECTURES
from lms_ray import tasks
from lms_ray.data.examples import Answer, EntitySentence, Pair, Question, TaggedSentence
from lms_ray.models import encoder as encoders
from lms_ray.models.encode import encode
from lms_ray.settings.models import Encode
from lms_ray.tasks.base import Task
from lms_ray.tasks.pairs import MARKERS

ENTITIES = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
LABELS = {"pos": (), "ner": ENTITIES, "re": ("O", "born-in", "lives-in", "owns"), "arl": ("O", "A0", "A1")}


@pytest.fixture(scope="module")
def marked(encoder_folder: Path) -> encoders.Encoder:
    return encoders.load(str(encoder_folder), MARKERS)


@pytest.fixture(scope="module")
def examples(sentences) -> dict[str, list]:
    """Thirty examples of each task, their labels random."""
    rng = random.Random(0)
    tagged = sentences(30)
    return {
        "pos": tagged,
        "ner": [EntitySentence(one.words, tuple(rng.choices(ENTITIES, k=len(one.words)))) for one in tagged],
        "qa": [
            Question("the dog ?", " ".join(one.words), (Answer(one.words[0], 0),), "en", number)
            for number, one in enumerate(tagged)
        ],
        **{name: [between(one, LABELS[name][1:], rng) for one in tagged] for name in ("re", "arl")},
    }


def between(sentence: TaggedSentence, labels: Sequence[str], rng: random.Random) -> Pair:
    """Two words of a sentence, and a label."""
    first, second = rng.sample(range(len(sentence.words)), 2)
    return Pair(sentence.words, (first, first + 1), (second, second + 1), (rng.choice(labels),), None, 0)


def built(task: Task, encoder: encoders.Encoder) -> PreTrainedModel:
    """A model whose random head makes differing predictions."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        model = task.build(encoder.config)
        encoders.load_weights(model, encoder)
        for name, parameter in model.named_parameters():
            if name.startswith("classifier"):
                torch.nn.init.normal_(parameter)
    return model.eval()


def save(model: PreTrainedModel, folder: Path, order: Sequence[int]) -> Path:
    """The model with the outputs of its head in another order."""
    names = [model.config.id2label[number] for number in range(len(order))]
    rows = [parameter.detach().clone() for parameter in model.classifier.parameters()]
    with torch.no_grad():
        for parameter, row in zip(model.classifier.parameters(), rows, strict=True):
            parameter.copy_(row[list(order)])
        model.config.id2label = {number: names[at] for number, at in enumerate(order)}
        model.config.label2id = {names[at]: number for number, at in enumerate(order)}
        model.save_pretrained(folder)
        for parameter, row in zip(model.classifier.parameters(), rows, strict=True):
            parameter.copy_(row)
    model.config.id2label = dict(enumerate(names))
    return folder


@pytest.mark.parametrize("name", list(LABELS))
@pytest.mark.parametrize("how", ["as it is", "reversed", "shuffled"])
def test_the_order_of_the_outputs_does_not_matter(name: str, how: str, marked, examples, tmp_path: Path):
    task = tasks.get(name, LABELS[name])
    model = built(task, marked)
    count = len(task.labels)
    shuffled = np.random.default_rng(1).permutation(count)  # of more than two, not its own inverse
    order = {"as it is": range(count), "reversed": range(count)[::-1], "shuffled": shuffled}[how]
    loaded = task.load(save(model, tmp_path, order), "cpu")
    assert [loaded.config.id2label[number] for number in range(count)] == list(task.labels)
    windows = task.windows(examples[name], marked.tokenizer, 32)
    one, other = (encode(of, task, windows, Encode()) for of in (model, loaded))
    np.testing.assert_array_equal(one.statistics_ES, other.statistics_ES)
    np.testing.assert_array_equal(one.cls_sum_H, other.cls_sum_H)
    assert 0 < task.score(one.statistics_ES.sum(0)) < 1
    assert not loaded.training


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
@pytest.mark.parametrize("name", ["ner", "re"])
def test_the_head_of_every_architecture_is_put_in_order(architecture: str, name: str, tmp_path: Path):
    task = tasks.get(name, LABELS[name])
    model = task.build(ARCHITECTURES[architecture][0](50, 0)).eval()
    loaded = task.load(save(model, tmp_path, range(len(task.labels))[::-1]), "cpu")
    inputs = {"input_ids": torch.arange(1, 13)[None], "attention_mask": torch.ones(1, 12, dtype=torch.long)}
    inputs |= {"entity_starts": torch.tensor([[2, 5]])} if name == "re" else {}
    with torch.no_grad():
        torch.testing.assert_close(loaded(**inputs).logits, model(**inputs).logits)


DIFFERENCES = [
    (("O", "B-LOC", "I-LOC"), "its labels differ: it lacks B-PER, I-PER, and has besides none"),
    ((*ENTITIES, "B-ORG", "I-ORG"), "its labels differ: it lacks none, and has besides B-ORG, I-ORG"),
    (("O", "B-LOC", "I-LOC", "B-per", "I-per"),
     "its labels differ: it lacks B-PER, I-PER, and has besides B-per, I-per"),
    (tuple(f"LABEL_{number}" for number in range(5)),  # a head that nobody named
     "its labels differ: it lacks B-LOC, B-PER, I-LOC, I-PER, O, "
     "and has besides LABEL_0, LABEL_1, LABEL_2, LABEL_3, LABEL_4"),
]  # fmt: skip


@pytest.mark.parametrize(("labels", "message"), DIFFERENCES, ids=["fewer", "more", "others", "unnamed"])
def test_other_labels_are_refused_with_the_difference(labels, message: str, marked, tmp_path: Path):
    built(tasks.get("ner", labels), marked).save_pretrained(tmp_path)
    with pytest.raises(ValueError) as refused:
        tasks.get("ner", ENTITIES).load(tmp_path, "cpu")
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pos", "it lacks classifier.bias, classifier.weight of BertForTokenClassification"),
        ("ner", "it lacks classifier.bias, classifier.weight of BertForTokenClassification"),
        ("qa", "it lacks qa_outputs.bias, qa_outputs.weight of BertForQuestionAnswering"),
        ("re", "it lacks classifier.bias, classifier.weight of EntityPairClassifier"),
    ],
)
def test_an_encoder_without_a_head_is_refused(name: str, message: str, encoder_folder: Path):
    with pytest.raises(ValueError) as refused:
        tasks.get(name, LABELS.get(name, ())).load(encoder_folder, "cpu")
    assert str(refused.value) == message


def test_the_head_of_another_task_is_refused(marked, tmp_path: Path):
    """A tagger with as many outputs as there are relations."""
    tagger = tasks.get("ner", LABELS["re"])
    built(tagger, marked).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="classifier"):
        tasks.get("re", LABELS["re"]).load(tmp_path, "cpu")


def test_a_spans_outputs_have_no_names_only_a_number(marked, examples, tmp_path: Path):
    task = tasks.get("qa")
    model = built(task, marked)
    windows = task.windows(examples["qa"], marked.tokenizer, 32)
    wanted = encode(model, task, windows, Encode()).statistics_ES
    model.config.id2label = {0: "LABEL_0", 1: "LABEL_1"}
    model.save_pretrained(tmp_path / "unnamed")
    found = encode(task.load(tmp_path / "unnamed", "cpu"), task, windows, Encode()).statistics_ES
    np.testing.assert_array_equal(found, wanted)

    class Three(type(task)):
        @classmethod
        def outputs(cls, names):
            return ("start", "end", "impossible")

    Three().build(marked.config).save_pretrained(tmp_path / "three")
    with pytest.raises(ValueError, match=r"^its head has 3 outputs, a span's has 2$"):
        task.load(tmp_path / "three", "cpu")


def test_pickled_weights_are_the_same_checkpoint(marked, examples, tmp_path: Path):
    task = tasks.get("ner", ENTITIES)
    model = built(task, marked)
    model.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="safetensors"):
        task.load(tmp_path, "cpu")
    windows = task.windows(examples["ner"], marked.tokenizer, 32)
    one, other = (encode(of, task, windows, Encode()) for of in (model, task.load(tmp_path, "cpu", safetensors=False)))
    np.testing.assert_array_equal(one.statistics_ES, other.statistics_ES)


def test_the_encoders_configuration_is_left_alone(marked):
    before = marked.config.to_dict()
    for name, labels in LABELS.items():
        tasks.get(name, labels).build(marked.config)
    assert marked.config.to_dict() == before
