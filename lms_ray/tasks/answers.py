"""How good a predicted answer is: token F1 after the normalisation of MLQA (Lewis et al., ACL 2020).

The steps and their order are MLQA's: lower case, punctuation out, the language's articles out, then words. As in MLQA,
characters stay as they are encoded: composed and decomposed accents differ, and a direction mark is part of its word.

Where this is not MLQA's official evaluation:

- Chinese characters are all of Unicode's, and kana. There they are U+4E00 to U+9FA5, the rest counts as other writing.
- Any language is accepted, without articles if MLQA has none for it. Japanese and Thai, which write no spaces either,
  are split into characters as Chinese is: our extension.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache


class _Punctuation(dict[int, int | None]):
    """What `str.translate` takes out. Filled as characters turn up: all of Unicode would take 0.3 s at import."""

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        is_punctuation = character in string.punctuation or unicodedata.category(character).startswith("P")
        self[code] = None if is_punctuation else code
        return self[code]


_PUNCTUATION = _Punctuation()
_ARTICLES = {
    "ar": re.compile("ال"),  # inside of words too, which it splits: published numbers are counted so
    "de": re.compile(r"\b(?:ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b"),
    "en": re.compile(r"\b(?:a|an|the)\b"),
    "es": re.compile(r"\b(?:un|una|unos|unas|el|la|los|las)\b"),
    "vi": re.compile(r"\b(?:của|là|cái|chiếc|những)\b"),
}
_WITHOUT_SPACES = {"ja", "th", "zh"}
_CHARACTERS = (
    r"\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese
    r"\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    r"\u0e01-\u0e3a\u0e40-\u0e4e"  # Thai letters and signs; its digits are a run like others
)
_CHARACTER_OR_RUN = re.compile(rf"[{_CHARACTERS}]|[^\s{_CHARACTERS}]+")


def f1(prediction: str, answers: Iterable[str], language: str) -> float:
    """The best token F1 of a prediction with one of the right answers, in [0, 1].

    Tokens are counted as in a bag, without their order. Where a side has no token the score is 0.

    Args:
        prediction: the predicted answer; may be empty.
        answers: the right answers, at least one.
        language: language of the answers, ISO 639-1.

    Raises:
        ValueError: there is no right answer.
    """
    predicted = tokens(prediction, language)
    return max(_f1(predicted, _right_tokens(answer, language)) for answer in answers)


def tokens(text: str, language: str) -> tuple[str, ...]:
    """The tokens by which answers are compared: words without case, punctuation and articles.

    In Chinese, Japanese and Thai each character of their scripts is a token of its own, a run of others is one.
    """
    text = text.lower().translate(_PUNCTUATION)
    if language in _ARTICLES:
        text = _ARTICLES[language].sub(" ", text)
    return tuple(_CHARACTER_OR_RUN.findall(text) if language in _WITHOUT_SPACES else text.split())


_right_tokens = lru_cache(maxsize=1 << 16)(tokens)  # the same right answers are asked for with every model


def _f1(predicted: tuple[str, ...], right: tuple[str, ...]) -> float:
    shared = sum((Counter(predicted) & Counter(right)).values())
    if not shared:
        return 0.0
    return 2 * shared / (len(predicted) + len(right))  # 2PR / (P + R), P and R being shared / length
