"""A pick as others get it: the folder runs in `transformers.pipeline`, and its card says what is known of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from onnxruntime import InferenceSession
from transformers import pipeline

from lms_ray import export, ranking
from lms_ray.data.readers import conllu
from lms_ray.models import folders
from lms_ray.models.job import Job
from lms_ray.settings.errors import ConfigError, MissingError
from lms_ray.store import deployment, encodings, identity, pool
from made_encodings import MODEL_FILES, encoded, with_models


@pytest.fixture
def made(tmp_path: Path) -> Job:
    """An experiment of 24 candidates with picks, whose weights are a few bytes."""
    overrides = ("unlabelled_targets=[da]", "selection.bootstrap=200", "meta_split.draws=4")
    made = encoded(tmp_path, "job", *overrides, splits=("dev", "test"))
    with_models(made)
    ranking.run(made)
    made.store.write_json(identity.PROVENANCE, {"lms_ray": "1.2.3", "packages": {"torch": "2", "transformers": "5"}})
    return made


def followed(made: Job, target: str) -> tuple[str, str]:
    picks = deployment.read(made.store, deployment.origin(made.store))
    (row,) = picks[(picks["target"] == target) & picks["followed"]].to_dict("records")
    return row["rule"], row["candidate"]


def test_the_card_says_how_it_was_chosen_how_sure_and_what_was_measured(made: Job, tmp_path: Path):
    rule, candidate = followed(made, "nl")
    export.run(made.store.root, "nl", None, str(tmp_path / "out"))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted(["README.md", "lms_ray.json", *MODEL_FILES])
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.language == ["en", "nl"] and card.data.pipeline_tag == "token-classification"
    assert {f"{result.dataset_config}-{result.dataset_split}" for result in card.data.eval_results} == {
        "en-dev", "ar-dev", "de-dev", "es-dev", "nl-test"
    }  # fmt: skip
    statistics_NS = encodings.sums(made.store, [candidate], ["de-dev"], ("correct", "total"))[0]
    (of_german,) = [result for result in card.data.eval_results if result.dataset_config == "de"]
    assert of_german.metric_value == pytest.approx(statistics_NS[0, 0] / statistics_NS[0, 1], abs=1e-4)
    text = card.text
    for part in (
        f"among {len(pool.candidates(made.store))} models",
        f"{candidate} ({rule})",
        "1.2.3",
        "3e-05",
        "# Part-of-speech tags in artificial Dutch, fine-tuned in artificial English",
        "`NOUN`, `VERB`",
        "windows of at most 64 sub-words",
        "sha256",
    ):
        assert part in text, part


def test_another_rules_pick_is_named_as_such_and_a_target_needs_no_labels(made: Job, tmp_path: Path):
    picks = deployment.read(made.store, deployment.origin(made.store)).query("target == 'da'")
    other = next(row for row in picks.to_dict("records") if not row["followed"])
    export.run(made.store.root, "da", other["rule"], str(tmp_path / "out"))
    text = ModelCard.load(tmp_path / "out" / "README.md").text
    assert f"This folder holds the pick of **{other['rule']}**. It is not what is advised" in text
    assert other["candidate"] in text


@pytest.mark.parametrize(
    ("target", "selector", "message"),
    [
        ("fr", None, r"--target: found fr; accepted are nl, pt, de"),
        ("nl", "Worst", r"--selector: found 'Worst'; accepted are .*En-Dev"),
        ("nl", "en-dev", r"--selector: found 'en-dev'; (.|\n)*; did you mean 'En-Dev'\?"),
        ("nl", "Best", r"--selector: found Best, an oracle, which sees labels of the target; accepted are .*En-Dev"),
    ],
)
def test_what_cannot_be_is_refused(made: Job, tmp_path: Path, target: str, selector: str | None, message: str):
    with pytest.raises(ConfigError, match=message):
        export.run(made.store.root, target, selector, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over(made: Job, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"--to: found .*config\.json; accepted is a new folder or an empty one"):
        export.run(made.store.root, "nl", None, str(tmp_path / "out"))


def test_weights_that_were_not_kept_are_missed(made: Job, tmp_path: Path):
    pool.tidy(made.store, set())
    with pytest.raises(MissingError, match="not kept"):
        export.run(made.store.root, "nl", None, str(tmp_path / "out"))


def test_files_of_the_training_are_none_of_the_models(tmp_path: Path):
    own = {"config.json", "model.safetensors", "tokenizer.json", "vocab.txt"}
    for name in own | {
        "optimizer.pt",
        "optimizer.bin",
        "trainer_state.json",
        "training_args.bin",
        "DONE.json",
        "ERROR.txt",
        "x.md",
    }:
        (tmp_path / name).write_text("")
    assert set(folders.of_model(tmp_path)) == own


@pytest.mark.ray
def test_the_pipeline_tags_as_the_candidate_was_scored(finished: Path, languages: tuple[Path, Path], tmp_path: Path):
    """Of every test sentence of a target, tagged by `transformers.pipeline` from nothing but the exported folder."""
    export.run(str(finished / "small"), "tr", None, str(tmp_path), as_onnx=True)
    tag = pipeline("token-classification", str(tmp_path))
    right = total = 0
    (path,) = (languages[0] / "UD_Toy-tr").glob("*test.conllu")
    for sentence in conllu.read(path):
        of_start = {sub_word["start"]: sub_word["entity"] for sub_word in tag(" ".join(sentence.words))}
        starts = np.cumsum([0, *(len(word) + 1 for word in sentence.words[:-1])])
        right += sum(of_start[start] == gold for start, gold in zip(starts, sentence.tags, strict=True))
        total += len(sentence.words)
    card = ModelCard.load(tmp_path / "README.md")
    (measured,) = [result.metric_value for result in card.data.eval_results if result.dataset_split == "test"]
    assert right / total == pytest.approx(measured, abs=1e-3)
    given = tag.tokenizer(" ".join(sentence.words), return_tensors="np")
    session = InferenceSession(tmp_path / "onnx" / "model.onnx")
    (logits_1LK,) = session.run(None, {name: given[name] for name in ("input_ids", "attention_mask", "token_type_ids")})
    with torch.inference_mode():
        wanted = tag.model(**{name: torch.from_numpy(array) for name, array in given.items()}).logits
    np.testing.assert_allclose(logits_1LK, wanted.numpy(), atol=1e-3)
