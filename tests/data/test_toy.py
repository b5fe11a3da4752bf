"""The toy languages behave like languages: word order from URIEL, shared words between relatives, repeatable."""

import logging
from itertools import pairwise
from pathlib import Path

import conllu
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from lms_ray.data import toy
from lms_ray.data.readers import conllu as treebanks
from lms_ray.models.pretrain import Settings, prepare, train_tokenizer

SMALL = toy.Sizes(train=30, dev=10, test=10, text=60)
QUICK = Settings(vocabulary=300, width=16, steps=3)


@pytest.fixture(scope="module")
def language():
    """Languages of seed 0, each made once."""
    made = {}
    return lambda code: made.setdefault(code, toy.Language(code, seed=0))


def tags(language: toy.Language) -> list[list[str]]:
    return [[tag for _, tag in words] for words in language.sentences("train", 300)]


def share_preceded(sentences: list[list[str]], tag: str, by: str) -> float:
    """Among neighbours of the two tags, the share in which `by` comes first."""
    pairs = [pair for words in sentences for pair in pairwise(words)]
    before, after = pairs.count((by, tag)), pairs.count((tag, by))
    return before / (before + after)


def test_turkish_is_verb_final_with_postpositions(language):
    sentences = [words for words in tags(language("tr")) if "CCONJ" not in words]
    assert all(set(words[words.index("VERB") + 1 :]) <= {"AUX", "ADV", "PUNCT"} for words in sentences)
    assert all(words[0] != "ADP" for words in sentences)
    assert share_preceded(sentences, "ADP", by="NOUN") > 0.5


def test_arabic_is_verb_initial_with_adjectives_after_nouns(language):
    sentences = tags(language("ar"))
    assert all(set(words[: words.index("VERB")]) <= {"AUX", "ADV"} for words in sentences)
    assert share_preceded(sentences, "ADJ", by="NOUN") > 0.8
    assert share_preceded(tags(language("en")), "ADJ", by="NOUN") < 0.2


def test_spanish_puts_adjectives_on_both_sides(language):
    assert 0.3 < share_preceded(tags(language("es")), "ADJ", by="NOUN") < 0.7


def test_relatives_share_more_words(language):
    def shared(one: str, other: str) -> float:
        first, second = (
            {form for words in language(code).forms.values() for forms in words for form in forms}
            for code in (one, other)
        )
        return len(first & second) / len(first)

    assert shared("de", "nl") > shared("de", "sv") > shared("de", "es") >= shared("de", "tr")
    assert shared("es", "pt") > 0.5
    assert shared("de", "tr") > 0.05  # names and loanwords


def test_some_words_have_two_tags(language):
    forms = {tag: {form for word in words for form in word} for tag, words in language("en").forms.items()}
    assert forms["NOUN"] & forms["VERB"]
    assert forms["DET"] & forms["PRON"]


def test_a_language_does_not_depend_on_the_others(tmp_path: Path):
    toy.write_languages(tmp_path / "alone", ["de"], seed=3, sizes=SMALL)
    toy.write_languages(tmp_path / "both", ["tr", "de"], seed=3, sizes=SMALL)
    toy.write_languages(tmp_path / "other", ["de"], seed=4, sizes=SMALL)
    written = sorted(path.relative_to(tmp_path / "alone") for path in (tmp_path / "alone").rglob("*.*"))
    assert len(written) == 4
    for path in written:
        assert (tmp_path / "alone" / path).read_bytes() == (tmp_path / "both" / path).read_bytes()
        assert (tmp_path / "alone" / path).read_bytes() != (tmp_path / "other" / path).read_bytes()


def test_files_are_valid_conllu(tmp_path: Path):
    toy.write_languages(tmp_path, ["en"], seed=0, sizes=SMALL)
    path = tmp_path / toy.FILES.format(lang="en", split="train")
    parsed = conllu.parse(path.read_text("utf-8"))
    assert len(parsed) == SMALL.train
    assert [sentence.metadata["sent_id"] for sentence in parsed[:2]] == ["en-train-1", "en-train-2"]
    assert all(sum(token["head"] == 0 for token in sentence) == 1 for sentence in parsed)
    read = treebanks.read(path)
    assert {tag for sentence in read for tag in sentence.tags} == {*toy.CONCEPTS, "PUNCT"}
    lines = (tmp_path / "text" / "en.txt").read_text("utf-8").splitlines()
    assert len(lines) == SMALL.text
    assert not {" ".join(sentence.words) for sentence in read} >= set(lines)


def test_unknown_language_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="'xx' is not a language"):
        prepare(tmp_path, ["en", "xx"], seed=0, sizes=SMALL, settings=QUICK)
    assert not list(tmp_path.iterdir())


def test_prepare_makes_an_encoder_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="lms_ray")
    random_state = torch.random.get_rng_state()
    root, encoder = prepare(tmp_path, ["en", "de"], seed=0, sizes=SMALL, settings=QUICK)
    assert "step 3 of 3" in caplog.text
    assert torch.equal(random_state, torch.random.get_rng_state())
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    assert tokenizer.is_fast
    words = treebanks.read(root / toy.FILES.format(lang="de", split="dev"))[0].words
    encoded = tokenizer(list(words), is_split_into_words=True, return_tensors="pt")
    assert {*range(len(words)), None} == set(encoded.word_ids())
    assert encoded["input_ids"][0, 0] == tokenizer.cls_token_id
    assert tokenizer.unk_token_id not in encoded["input_ids"]
    model = AutoModel.from_pretrained(encoder)
    assert model(**encoded).last_hidden_state.shape == (*encoded["input_ids"].shape, QUICK.width)

    written = (encoder / "model.safetensors").stat().st_mtime_ns
    assert prepare(tmp_path, ["de", "en", "de"], seed=0, sizes=SMALL, settings=QUICK) == (root, encoder)
    assert (encoder / "model.safetensors").stat().st_mtime_ns == written
    _, again = prepare(tmp_path / "elsewhere", ["de", "en"], seed=0, sizes=SMALL, settings=QUICK)
    assert (again / "model.safetensors").read_bytes() == (encoder / "model.safetensors").read_bytes()
    assert [path.name for path in tmp_path.glob("*toy-*")] == [root.name]  # nothing unfinished is left


def test_tokenizer_is_cased(language):
    lines = [" ".join(form for form, _ in words) for words in language("en").sentences("text", 60)]
    tokenizer = train_tokenizer(lines, 200)
    assert len(tokenizer) <= 200
    assert tokenizer.tokenize(lines[0].upper()) != tokenizer.tokenize(lines[0])
