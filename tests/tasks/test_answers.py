"""A predicted answer gets the score that MLQA's rules give it by hand."""

# ruff: noqa: RUF001

from pathlib import Path

import pytest

from lms_ray.data.readers.squad import read
from lms_ray.tasks.answers import f1, tokens

# Prediction, answer, language; tokens they share, of the prediction, of the answer. F1 is 2 × shared / sum of these.
CASES = [
    ("The cat", "cat", "en", 1, 1, 1),
    ("AN apple", "a apple", "en", 1, 1, 1),
    ("New York City", "York", "en", 1, 3, 1),
    ("words order", "order the words", "en", 2, 2, 2),
    ("a rose is a rose", "rose", "en", 1, 3, 1),
    ("rose rose", "rose rose rose", "en", 2, 2, 3),
    ("black cat", "white dog", "en", 0, 2, 2),
    ("theatre", "atre", "en", 0, 1, 1),
    ("the", "cat", "en", 0, 0, 1),
    ("cat", "the", "en", 0, 1, 0),
    ("", "cat", "en", 0, 0, 1),
    ("U.S.A.", "USA", "en", 1, 1, 1),
    ("“cat”…", "cat", "en", 1, 1, 1),
    ("state-of-the-art", "state of the art", "en", 0, 1, 3),  # punctuation goes first, and the article is no word then
    ("$5 + 1", "5 1", "en", 2, 2, 2),  # ASCII's symbols are punctuation
    ("€5", "5", "en", 0, 1, 1),  # other symbols are not
    ("cat\t\u00a0\u2028 dog\n", "cat dog", "en", 2, 2, 2),
    ("cat 👍", "cat", "en", 1, 2, 1),
    ("the👍", "👍", "en", 1, 1, 1),
    ("👍the👎", "👍 👎", "en", 2, 2, 2),
    ("👩‍👩‍👧", "👩", "en", 0, 1, 1),
    ("北京大学", "北京", "en", 0, 1, 1),
    ("der Hund", "ein Hund", "de", 1, 1, 1),
    ("Des großen Hundes", "des Hundes", "de", 1, 2, 1),
    ("derselbe", "selbe", "de", 0, 1, 1),
    ("STRASSE", "Straße", "de", 0, 1, 1),
    ("the Beatles", "Beatles", "de", 1, 2, 1),
    ("„Faust“ – eine Tragödie", "Faust: Tragödie", "de", 2, 2, 2),
    ("El niño", "niño", "es", 1, 1, 1),
    ("¿QUÉ?", "qué", "es", 1, 1, 1),
    ("unas casas y la torre", "casas torre", "es", 2, 3, 2),
    ("él", "el", "es", 0, 1, 0),
    ("nin\u0303o", "niño", "es", 0, 1, 1),
    ("der Prado", "Prado", "es", 1, 2, 1),
    ("الكتاب", "كتاب", "ar", 1, 1, 1),
    ("الكتاب الجديد", "كتاب", "ar", 1, 2, 1),
    ("(الكتاب)؟", "كتاب", "ar", 1, 1, 1),
    ("الالتزام", "التزام", "ar", 1, 1, 1),
    ("والكتاب", "كتاب", "ar", 1, 2, 1),
    ("مال", "م", "ar", 1, 1, 1),
    ("م\u064eال", "م\u064e", "ar", 1, 1, 1),
    ("ال", "كتاب", "ar", 0, 0, 1),
    ("\u200fكتاب", "كتاب", "ar", 0, 1, 1),
    ("\u200fكتاب\u200f جديد", "\u200fكتاب\u200f", "ar", 1, 2, 1),
    ("भारत की राजधानी।", "राजधानी", "hi", 1, 3, 1),
    ("क्षि", "क", "hi", 0, 1, 1),
    ("a 2", "2", "hi", 1, 2, 1),
    ("của Việt Nam", "Việt Nam", "vi", 2, 2, 2),
    ("Việt Nam", "những Việt", "vi", 1, 2, 1),
    ("la\u0300", "là", "vi", 0, 1, 0),
    ("chiếc xe là cái xe", "xe", "vi", 1, 2, 1),
    ("北京大学", "北京", "zh", 2, 4, 2),
    ("在1998年", "1998年", "zh", 2, 3, 2),
    ("iPhone手机", "IPHONE", "zh", 1, 3, 1),
    ("New York市", "new york", "zh", 2, 3, 2),
    ("《红楼梦》，", "红楼梦", "zh", 3, 3, 3),
    ("人人", "人", "zh", 1, 2, 1),
    ("19-98", "1998", "zh", 1, 1, 1),
    ("１９９８", "1998", "zh", 0, 1, 1),
    ("𠀀𠀁", "𠀀", "zh", 1, 2, 1),
    ("the 人", "人", "zh", 1, 2, 1),
    ("東京タワー", "東京", "ja", 2, 5, 2),
    ("แมวดำ", "แมว", "th", 3, 5, 3),
    ("ปี 2020", "2020", "th", 1, 3, 1),
    ("๒๐๒๐", "๒", "th", 0, 1, 1),
    ("Facebook ไทย", "facebook", "th", 1, 4, 1),
    ("Helsingin kaupunki", "kaupunki", "fi", 1, 2, 1),
    ("ÄÄNI!", "ääni", "fi", 1, 1, 1),
    ("a talo", "talo", "fi", 1, 2, 1),
    ("A\u0308\u0308ni", "a\u0308\u0308ni", "fi", 1, 1, 1),
]


@pytest.mark.parametrize(("prediction", "answer", "language", "shared", "predicted", "right"), CASES, ids=ascii)
def test_f1_by_hand(prediction: str, answer: str, language: str, shared: int, predicted: int, right: int):
    assert (len(tokens(prediction, language)), len(tokens(answer, language))) == (predicted, right)
    expected = pytest.approx(2 * shared / (predicted + right), abs=1e-12)
    assert f1(prediction, [answer], language) == expected
    assert f1(answer, [prediction], language) == expected


@pytest.mark.parametrize(
    ("prediction", "answer", "language"),
    [
        ("", "", "en"),
        ("", "…", "zh"),
        ("an", "The", "en"),
        ("los", "las", "es"),
        ("ال", "ال", "ar"),
        ("là", "của", "vi"),
    ],
)
def test_an_answer_of_articles_alone_cannot_be_found(prediction: str, answer: str, language: str):
    assert f1(prediction, [answer], language) == 0.0


def test_the_nearest_right_answer_counts():
    assert f1("cat", ["dog", "the cat sat", "cats"], "en") == pytest.approx(2 / 3)
    assert f1("cat", iter(["dog", "Cat.", "the cat sat"]), "en") == 1.0
    with pytest.raises(ValueError):
        f1("cat", [], "en")


def test_one_text_has_the_articles_of_each_language():
    for _ in range(2):
        assert f1("casa", ["la casa"], "es") == 1.0
        assert f1("casa", ["la casa"], "en") == pytest.approx(2 / 3)


def test_tokens_keep_the_order_of_the_text():
    assert tokens("“The” Great 2. World-War", "en") == ("great", "2", "worldwar")
    assert tokens("第 2 次World War大战。", "zh") == ("第", "2", "次", "world", "war", "大", "战")


@pytest.mark.real
def test_a_published_answer_is_right(shared: Path):
    files = sorted((shared / "data" / "qa").glob("*/*.json"))
    if not files:
        pytest.skip("no question answering data")
    for path in files:
        language = path.name.split(".")[1]
        questions = read(path, language)
        for question in questions:
            texts = [answer.text for answer in question.answers]
            for text in texts:
                assert tokens(text, language), question.where
                assert f1(text, texts, language) == f1(f"«{text}!»", [text], language) == 1.0, question.where
        # A whole paragraph is hardly right.
        assert sum(f1(q.context, [q.answers[0].text], language) for q in questions[:50]) < 25, path
