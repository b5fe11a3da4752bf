"""A question's answer is looked for in all of its context, and the best piece of it is scored as MLQA does."""

import logging
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerBase
from transformers.modeling_outputs import QuestionAnsweringModelOutput

from encoders import byte_pairs, sentence_pieces, word_pieces
from lms_ray.data.examples import Answer, Question
from lms_ray.models.encode import encode
from lms_ray.settings.models import Encode, FineTune
from lms_ray.tasks import answers
from lms_ray.tasks.qa import MAX_ANSWER, QuestionAnswering
from lms_ray.tasks.windows import Windows, pad

# ruff: noqa: RUF001


@pytest.fixture(scope="module")
def qa() -> QuestionAnswering:
    return QuestionAnswering()


def asked(context: str, answer: str, *more: str, question: str = "the dog ?", language: str = "en") -> Question:
    found = tuple(Answer(text, context.index(text)) for text in (answer, *more))
    return Question(question, context, found, language, 0)


@pytest.fixture(scope="module")
def questions(sentences) -> list[Question]:
    """Contexts of up to 180 words, answers of one to 60 characters anywhere in them, also inside of words."""
    rng = random.Random(0)
    made = []
    for number in range(60):
        words = [word for sentence in sentences(rng.choice((1, 3, 20)), seed=number) for word in sentence.words]
        context = " ".join(words)
        begin = rng.randrange(len(context))
        text = context[begin : begin + rng.choice((1, 4, 12, 60))].strip() or words[0]
        question = " ".join(rng.choices(words, k=rng.randint(1, 6)))
        made.append(Question(question, context, (Answer(text, context.index(text)),), "en", number // 3))
    return made


def pieces(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    tokens = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return tokens["input_ids"], tokens["offset_mapping"]


def of_window(windows: Windows, window: int) -> slice:
    return slice(windows.starts_W[window], windows.ends_W[window])


@pytest.mark.parametrize(("max_length", "stride"), [(32, 4), (32, 0), (48, None), (48, 24), (512, None)])
def test_windows_overlap_by_the_stride_and_cover_the_context(
    qa, encoder, questions, max_length: int, stride: int | None
):
    tokenizer = encoder.tokenizer
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    windows = qa.windows(questions, tokenizer, max_length, stride)
    window = 0
    for number, question in enumerate(questions):
        asked_ids = pieces(tokenizer, question.question)[0][: max_length // 3]
        ids, offsets = pieces(tokenizer, question.context)
        begin, end = question.answers[0].start, question.answers[0].start + len(question.answers[0].text)
        of_answer = [at for at, (first, after) in enumerate(offsets) if first < end and after > begin]
        room = max_length - len(asked_ids) - 3
        start = 0
        while True:
            piece = slice(start, start + room)
            where = of_window(windows, window)
            before = len(asked_ids) + 2
            assert windows.input_ids_T[where].tolist() == [cls, *asked_ids, sep, *ids[piece], sep]
            assert windows.types_T[where].tolist() == [0] * before + [1] * (len(ids[piece]) + 1)
            assert windows.offsets_T2[where].tolist() == [
                *[[-1, -1]] * before, *map(list, offsets[piece]), [-1, -1]
            ]  # fmt: skip
            whole = start <= of_answer[0] and of_answer[-1] < start + room
            span = [before + of_answer[0] - start, before + of_answer[-1] - start] if whole else [0, 0]
            assert windows.spans_W2[window].tolist() == span
            assert (windows.example_W[window], windows.cls_W[window]) == (number, 0)
            window += 1
            if start + room >= len(ids):
                break
            start += room - (max_length // 3 if stride is None else stride)
    assert window == len(windows)
    assert (len(windows) > len(questions)) == (max_length < 512)
    assert windows.examples == len(questions)
    assert (windows.spans_W2 > 0).any()


def test_a_window_is_trained_on_the_words_of_the_first_answer(qa, encoder):
    context = "the dog sees a small garden . the cats saw a houseboat ."
    question = asked(context, "a small garden", "cats")
    windows = qa.windows([question], encoder.tokenizer, 128)
    batch = pad(windows, np.array([0]), 0)
    targets = qa.targets(batch)
    first, last = targets["start_positions"][0], targets["end_positions"][0]
    begin, end = windows.offsets_T2[first, 0], windows.offsets_T2[last, 1]
    assert context[begin:end] == "a small garden"
    assert encoder.tokenizer.decode(windows.input_ids_T[first : last + 1]) == "a small garden"


def best_span(start: np.ndarray, end: np.ndarray, offsets: np.ndarray) -> tuple[int, int, float]:
    """All spans of a window, one after the other."""
    best = (0, 0, -np.inf)
    for first in range(len(start)):
        for last in range(first, min(len(start), first + MAX_ANSWER)):
            if offsets[first, 0] >= 0 and offsets[last, 0] >= 0 and start[first] + end[last] > best[2]:
                best = (first, last, start[first] + end[last])
    return best


@pytest.mark.parametrize("kind", ["random", "far apart", "backwards", "outside of the context"])
def test_the_best_valid_span_of_each_window_is_found(qa, encoder, questions, kind: str):
    windows = qa.windows(questions[:30], encoder.tokenizer, 64, 8)
    chosen_B = np.random.default_rng(0).permutation(len(windows))[:24]
    batch = pad(windows, chosen_B, 0)
    generator = torch.Generator().manual_seed(1)
    start_BL, end_BL = (torch.randn(batch.input_ids_BL.shape, generator=generator) for _ in range(2))
    position_L = torch.arange(start_BL.shape[1])
    if kind == "far apart":  # first and last sub-word of the context would be best
        start_BL, end_BL = start_BL - position_L, end_BL + position_L
    if kind == "backwards":
        start_BL, end_BL = start_BL + position_L, end_BL - position_L
    if kind == "outside of the context":
        outside_BL = torch.from_numpy(batch.offsets_BL2[..., 0] < 0)
        start_BL, end_BL = start_BL + 99 * outside_BL, end_BL + 99 * outside_BL
    output = QuestionAnsweringModelOutput(start_logits=start_BL, end_logits=end_BL)
    for row, found in enumerate(qa.predict(output, batch).numpy()):
        first, last, score = best_span(start_BL[row].numpy(), end_BL[row].numpy(), batch.offsets_BL2[row])
        assert found.tolist() == [first, last, pytest.approx(score, rel=1e-6)]
    assert (batch.attention_mask_BL == 0).any()


def test_the_answer_is_that_of_the_windows_best_span_over_all_windows(qa, encoder, questions):
    windows = qa.windows(questions, encoder.tokenizer, 32, 4)
    rng = np.random.default_rng(0)
    predicted_W = []
    for window in range(len(windows)):
        inside = np.flatnonzero(windows.offsets_T2[of_window(windows, window), 0] >= 0)
        first, last = np.sort(rng.choice(inside, 2))
        if rng.random() < 0.3 and windows.spans_W2[window, 0]:
            first, last = windows.spans_W2[window]
        predicted_W.append(np.array([first, last, rng.integers(4)], np.float32))  # some score the same
    counts = qa.count(windows, predicted_W)
    assert counts.dtype == np.float64
    assert counts[:, 1].tolist() == [1] * len(questions)
    for number, question in enumerate(questions):
        of_question = np.flatnonzero(windows.example_W == number)
        best = max(of_question, key=lambda window: predicted_W[window][2])  # of equal ones the first
        first, last, _ = predicted_W[best].astype(int)
        offsets = windows.offsets_T2[of_window(windows, best)]
        text = question.context[offsets[first, 0] : offsets[last, 1]]
        assert counts[number, 0] == answers.f1(text, [question.answers[0].text], "en")
    assert 0 < counts[:, 0].mean() < 1
    assert len(windows) > 2 * len(questions)


@pytest.mark.parametrize(
    ("language", "context", "predicted", "right", "score"),
    [
        ("en", "the dog sees the cats", "the cats", ["dog", "cats"], 1),  # any of the right answers
        ("de", "der Hund sieht die Katze", "die Katze", ["Katze"], 1),  # articles are the language's own
        ("es", "der Hund sieht die Katze", "die Katze", ["Katze"], 2 / 3),
        ("zh", "狗看见猫", "看见", ["看见猫"], 4 / 5),  # characters are words
        ("en", "狗看见猫", "看见", ["看见猫"], 0),
        ("en", "the dog sees the cats", "dog sees", ["sees the cats"], 1 / 2),
    ],
)
def test_an_answer_is_scored_in_its_language(qa, language: str, context: str, predicted: str, right, score: float):
    tokenizer = byte_pairs(["the dog"])  # other scripts are bytes to it: a span can begin and end anywhere
    windows = qa.windows([asked(context, *right, question="?", language=language)], tokenizer, 128)
    other = qa.windows([asked(context, predicted, question="?")], tokenizer, 128)
    span = np.array([*other.spans_W2[0], 1.0])
    assert qa.count(windows, [span])[0, 0] == pytest.approx(score)


CONTEXTS = {
    "ar": (
        "\u200fيعيش الكلب في \u202bالحديقة الصغيرة\u202c منذ عام 1998، ويرى القطط.\u200f",
        ["الحديقة الصغيرة", "1998"],
    ),
    "he": ("הכלב גר בָּגַן הקטן \u200f(משנת 1998) ורואה חתולים.", ["בָּגַן הקטן", "1998"]),
    "fr": ("Le chien e\u0301te\u0301 vit a\u0300 Besanc\u0327on depuis 1998.", ["e\u0301te\u0301", "Besanc\u0327on"]),
    "hi": ("कुत्ता १९९८ से छोटे बगीचे में रहता है।", ["छोटे बगीचे", "१९९८"]),
    "th": ("สุนัข อาศัยอยู่ ในสวนเล็ก ตั้งแต่ปี 1998", ["ในสวนเล็ก", "1998"]),
    "zh": ("狗自1998年起住在小花园里,看见猫。", ["小花园", "1998"]),
    "ja": ("犬は1998年から小さな庭に住んでいる。", ["小さな庭", "1998"]),
    "ko": ("개는 1998년부터 작은 정원에 산다.", ["작은 정원에", "산다"]),
    "en": ("👩‍👩‍👧 and 🇫🇷 saw 👍🏽 the 🐕‍🦺 dog\u2028in a\u0085 garden 🎉 .", ["dog", "garden", "🐕‍🦺 dog"]),
}


TOKENIZERS = {  # all of them able to part any two letters
    "word pieces": lambda context: word_pieces([context, " ".join(context)]),
    "sentence pieces": lambda context: sentence_pieces([context, " ".join(context)]),
    "byte pairs": lambda context: byte_pairs(["the dog"]),
}


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [(language, name) for language in CONTEXTS for name in TOKENIZERS],
)
def test_answers_are_found_where_they_stand_in_any_script(qa, tokenizer: str, language: str):
    context, right = CONTEXTS[language]
    tokenizer = TOKENIZERS[tokenizer](context)
    questions = [asked(context, text, question="?", language=language) for text in right]
    for max_length, stride in ((256, 0), (64, 30)):
        windows = qa.windows(questions, tokenizer, max_length, stride)
        held = windows.spans_W2[:, 0] != windows.cls_W
        assert set(windows.example_W[held]) == set(range(len(questions)))  # some window has it whole
        for window in np.flatnonzero(held):
            question = questions[windows.example_W[window]]
            offsets = windows.offsets_T2[of_window(windows, window)]
            first, last = windows.spans_W2[window]
            assert question.answers[0].text in context[offsets[first, 0] : offsets[last, 1]]
        predicted_W = [np.array([*span, float(whole)]) for span, whole in zip(windows.spans_W2, held, strict=True)]
        assert qa.count(windows, predicted_W).tolist() == [[1, 1]] * len(questions)


def test_a_long_question_is_cut_and_that_is_said(qa, encoder, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    tokenizer = encoder.tokenizer
    long = "houseboat " * 100
    context = "the dog sees a garden . " * 30
    short = asked(context, "garden")
    for max_length, kept in ((32, 10), (128, 42), (384, 64)):
        caplog.clear()
        windows = qa.windows([short, replace(short, question=long)], tokenizer, max_length, 8)
        assert f"1 of 2 questions are cut to {kept} sub-words" in caplog.text
        of_long = windows.input_ids_T[of_window(windows, int(np.argmax(windows.example_W == 1)))].tolist()
        assert of_long[1 : of_long.index(tokenizer.sep_token_id)] == pieces(tokenizer, long)[0][:kept]
        covered = {
            tuple(offset)
            for window in np.flatnonzero(windows.example_W == 1)
            for offset in windows.offsets_T2[of_window(windows, window)].tolist()
        }
        assert covered == {(-1, -1), *pieces(tokenizer, context)[1]}
    caplog.clear()
    just_fits = replace(short, question="houseboat " * 10)
    assert len(pieces(tokenizer, just_fits.question)[0]) == 10
    qa.windows([short, just_fits], tokenizer, 32, 8)
    assert not caplog.text


LENGTHS = [
    ("word pieces", 128, 64), ("word pieces", 24, 12), ("word pieces", 24, None), ("word pieces", 8, None),
    ("sentence pieces", 128, 64), ("sentence pieces", 24, None), ("sentence pieces", 8, 0),
    ("word pieces", 12, 6), ("word pieces", 8, 4),
    ("sentence pieces", 24, 12), ("sentence pieces", 12, None), ("sentence pieces", 8, None),
]  # fmt: skip


@pytest.mark.parametrize(("tokenizer", "max_length", "stride"), LENGTHS)
def test_every_length_and_stride_that_the_configuration_accepts_works(qa, tokenizer: str, max_length: int, stride):
    FineTune(max_length=max_length, stride=stride)
    context = "the dog sees a garden . " * 30
    question = asked(context, "garden", question="where is the dog ?" * 5)
    windows = qa.windows([question], TOKENIZERS[tokenizer](context + question.question), max_length, stride)
    assert len(windows) > 1
    assert windows.lengths_W.max() <= max_length


def test_logits_that_are_not_finite_answer_nothing(qa, encoder, questions):
    windows = qa.windows(questions[:9], encoder.tokenizer, 48, 8)
    batch = pad(windows, np.arange(len(windows)), 0)
    logits = torch.full(batch.input_ids_BL.shape, torch.nan)
    predicted_W = list(qa.predict(QuestionAnsweringModelOutput(start_logits=logits, end_logits=logits), batch).numpy())
    assert qa.count(windows, predicted_W).tolist() == [[0, 1]] * 9
    held = windows.spans_W2[:, 0] > 0
    mixed, worse = (
        [np.array([*span, -1.0]) if whole else other for span, whole in zip(windows.spans_W2, held, strict=True)]
        for other in (predicted_W[0], np.array([0, 0, -9.0]))
    )
    answered = np.unique(windows.example_W[held])
    assert len(answered) < len(held)
    counts = qa.count(windows, mixed)[answered]
    assert counts.tolist() == qa.count(windows, worse)[answered].tolist()  # as any span that is worse
    assert counts[:, 0].sum() > 3


def test_a_diverged_candidate_scores_nothing(qa, encoder, questions):
    model = qa.build(encoder.config).eval()
    with torch.no_grad():
        model.qa_outputs.weight.fill_(torch.nan)
    windows = qa.windows(questions[:9], encoder.tokenizer, 48, 8)
    encoded = encode(model, qa, windows, Encode())
    assert encoded.statistics_ES.tolist() == [[0, 1]] * 9
    assert qa.score(encoded.statistics_ES.sum(0)) == 0


def test_statistics_from_a_model_equal_a_brute_force(qa, encoder, questions):
    questions = questions[:30]
    torch.manual_seed(3)
    model = qa.build(encoder.config).eval()
    windows = qa.windows(questions, encoder.tokenizer, 48, 8)
    encoded = encode(model, qa, windows, Encode(batch_tokens=512))
    best: dict[int, tuple[float, str]] = {}
    for window, example in enumerate(windows.example_W.tolist()):
        where = of_window(windows, window)
        with torch.no_grad():
            output = model(
                input_ids=torch.from_numpy(windows.input_ids_T[None, where]).long(),
                token_type_ids=torch.from_numpy(windows.types_T[None, where]).long(),
            )
        offsets = windows.offsets_T2[where]
        first, last, score = best_span(output.start_logits[0].numpy(), output.end_logits[0].numpy(), offsets)
        text = questions[example].context[offsets[first, 0] : offsets[last, 1]]
        best[example] = max(best.get(example, (-np.inf, "")), (score, text), key=lambda found: found[0])
    wanted = [answers.f1(best[number][1], [q.answers[0].text], "en") for number, q in enumerate(questions)]
    assert encoded.statistics_ES.tolist() == [[score, 1] for score in wanted]
    assert 0 < sum(wanted) < len(wanted)


def test_a_context_of_which_the_tokenizer_leaves_nothing_is_answered_wrong(qa, encoder):
    empty = asked("\u200d", "\u200d")
    windows = qa.windows([empty, asked("the dog", "dog")], encoder.tokenizer, 32)
    encoded = encode(qa.build(encoder.config).eval(), qa, windows, Encode())
    assert windows.spans_W2[0].tolist() == [0, 0]
    assert encoded.statistics_ES[:, 1].tolist() == [1, 1]
    assert encoded.statistics_ES[0, 0] == 0


@pytest.mark.parametrize(
    ("context", "answer"),
    [("\u200fdog runs .", "\u200fdog"), ("the cats see a dog\u200f", "dog\u200f"), ("the cats see a dog ", "dog ")],
    ids=ascii,
)
def test_an_invisible_character_at_the_edge_of_an_answer_does_not_hide_it(qa, encoder, context: str, answer: str):
    other = asked("the cats see a dog", "dog")
    windows = qa.windows([other, asked(context, answer), other], encoder.tokenizer, 32)
    assert len(windows) == 3
    assert (windows.spans_W2[:, 0] > 0).all()


def test_text_without_questions_has_nothing_to_count(qa, encoder):
    windows = qa.text_windows(["the dog runs .", "dog"], encoder.tokenizer, 32)
    encoded = encode(qa.build(encoder.config).eval(), qa, windows, Encode())
    assert encoded.statistics_ES.tolist() == [[0, 0], [0, 0]]


def test_the_score_is_the_mean_over_questions(qa):
    assert qa.score(np.array([[1, 1], [0.5, 1], [0, 1]]).sum(0)) == 0.5
    assert qa.score(np.array([[1.5, 3], [0, 2]])).tolist() == [0.5, 0]
