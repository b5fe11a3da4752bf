"""Small artificial languages for the quickstart and the tests.

    write_languages(Path("toy"), ["en", "de", "tr"], seed=0)

Word order follows each language's URIEL syntax vector. A word comes down the language's line of families: each family,
and last the language itself, keeps the form it inherits or invents its own. So sister languages share most words,
unrelated ones only loanwords and names. All choices are hashes of the seed and a name: a language's data does not
depend on which others are written.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from lms_ray.settings import languages
from lms_ray.settings.hashing import seed_for

VERSION = 1  # raise it whenever what is written changes: caches carry it in their names

Word = tuple[str, str]  # form, UPOS

# Words of each part of speech.
CONCEPTS = {
    "NOUN": 60, "VERB": 40, "ADJ": 30, "ADV": 12, "PROPN": 20, "ADP": 6, "DET": 4, "PRON": 6, "NUM": 8, "AUX": 3,
    "CCONJ": 2,
}  # fmt: skip
# Endings of each part of speech. The first is empty, so that a bare noun and a bare verb can look the same.
ENDINGS = {"NOUN": 2, "VERB": 3, "ADJ": 2, "ADV": 2}
ORDERS = ("SVO", "SOV", "VSO", "VOS", "OVS", "OSV")

LOANWORDS = 0.15  # share of nouns, verbs, adjectives and adverbs that are the same in all languages
REPLACED = 0.3  # chance that a language's second-widest family replaces the form of the widest
SETTLING = 0.75  # factor on that chance with each narrower family: lines of 2 and of 12 families drift about alike


@dataclass(frozen=True)
class Sizes:
    """Sentences of each language."""

    train: int = 1200
    dev: int = 200
    test: int = 200
    text: int = 2000


FILES = "UD_Toy-{lang}/{lang}_toy-ud-{split}.conllu"
"""Where a language's split is, as `data.files` names it."""
TEXT = "text/{lang}.txt"
"""Where its unlabelled text is."""


def write_languages(folder: Path, languages: Sequence[str], seed: int, sizes: Sizes = Sizes()) -> None:
    """Write `UD_Toy-<lang>/<lang>_toy-ud-{train,dev,test}.conllu` and `text/<lang>.txt` (one sentence a line).

    Args:
        folder: where to write; made if it is not there.
        languages: codes that URIEL knows.
        seed: another seed gives other lexicons and sentences.
        sizes: sentences of each file.

    Raises:
        ValueError: URIEL does not know a language.
    """
    (folder / "text").mkdir(parents=True, exist_ok=True)
    for code in languages:
        language = Language(code, seed)
        for split in ("train", "dev", "test"):
            sentences = language.sentences(split, getattr(sizes, split))
            blocks = [_conllu(f"{code}-{split}-{number}", words) for number, words in enumerate(sentences, start=1)]
            path = folder / FILES.format(lang=code, split=split)
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(blocks), encoding="utf-8")
        lines = [" ".join(form for form, _ in words) + "\n" for words in language.sentences("text", sizes.text)]
        (folder / TEXT.format(lang=code)).write_text("".join(lines), encoding="utf-8")


class Language:
    """One artificial language: its words, and a grammar that draws tagged sentences.

    Args:
        code: the real language that lends its word order and its relatives.
        seed: another seed gives other words.

    Attributes:
        lineage: families from the widest to the narrowest, then the language itself.
        forms: inflected forms of every word by part of speech, frequent words first.

    Raises:
        ValueError: URIEL does not know the code.
    """

    def __init__(self, code: str, seed: int) -> None:
        self.code = code
        self.seed = seed
        self.lineage = (*languages.families(code), code)
        self.forms = {tag: [self._forms(tag, rank) for rank in range(count)] for tag, count in CONCEPTS.items()}
        self._weights = {tag: list(accumulate(1 / (rank + 3) for rank in range(n))) for tag, n in CONCEPTS.items()}
        self._syntax = languages.syntax(code)
        self._orders = [order for order in ORDERS if self._syntax[f"S_{order}"]] or ["SVO"]
        self._det_rate = 0.6 if self._syntax["S_DEFINITE_WORD"] or self._syntax["S_INDEFINITE_WORD"] else 0.2
        self._drops_pronouns = bool(self._syntax["S_PROSUBJECT_AFFIX"])

    def sentences(self, split: str, count: int) -> list[list[Word]]:
        """The first sentences of a split; every split is a draw of its own."""
        rng = random.Random(seed_for("toy-sentences", self.seed, self.code, split))
        return [self._sentence(rng) for _ in range(count)]

    def _forms(self, tag: str, rank: int) -> list[str]:
        concept = _concept(tag, rank)
        loan = random.Random(seed_for("toy-loan", self.seed, concept))
        if tag == "PROPN":
            return [_root(loan, "names").capitalize()]
        if tag in ENDINGS and loan.random() < LOANWORDS:
            stem = _root(loan, "loans")
        else:
            stem = self._inherited(concept, _root if tag in ENDINGS else _function_word)
        endings = [self._inherited(f"{tag} ending {number}", _ending) for number in range(1, ENDINGS.get(tag, 1))]
        return [stem, *(stem + ending for ending in endings)]

    def _inherited(self, concept: str, invent: Callable[[random.Random, str], str]) -> str:
        form, replaced = "", 1.0
        for depth, node in enumerate(self.lineage):
            rng = random.Random(seed_for("toy-form", self.seed, node, concept))
            if rng.random() < replaced:
                form = invent(rng, self.lineage[0])
            replaced = REPLACED * SETTLING**depth
        return form

    def _sentence(self, rng: random.Random) -> list[Word]:
        words = self._clause(rng)
        if rng.random() < 0.25:
            words += [self._word("CCONJ", rng), *self._clause(rng)]
        return [*words, (rng.choice(".....?"), "PUNCT")]

    def _clause(self, rng: random.Random) -> list[Word]:
        order = rng.choice(self._orders)
        verb_before_object = order.index("V") < order.index("O")
        parts = {"S": self._noun_phrase(rng), "V": [self._word("VERB", rng)], "O": []}
        if parts["S"][0][1] == "PRON" and self._drops_pronouns and rng.random() < 0.7:
            parts["S"] = []
        if rng.random() < 0.3:
            parts["V"].insert(0 if verb_before_object else 1, self._word("AUX", rng))
        if rng.random() < 0.65:
            parts["O"] = self._noun_phrase(rng)
        if rng.random() < 0.4:  # an oblique stays on the object's side of the verb, outside of it
            oblique = self._beside(self._noun_phrase(rng), "ADP", "ADPOSITION", rng)
            parts["O"] = parts["O"] + oblique if verb_before_object else oblique + parts["O"]
        if rng.random() < 0.25:
            parts["V"].insert(0 if rng.random() < 0.5 else len(parts["V"]), self._word("ADV", rng))
        return [word for role in order for word in parts[role]]

    def _noun_phrase(self, rng: random.Random) -> list[Word]:
        kind = rng.random()
        if kind < 0.2:
            return [self._word("PRON", rng)]
        if kind < 0.35:
            return [self._word("PROPN", rng)]
        phrase = [self._word("NOUN", rng)]
        if rng.random() < 0.1:
            phrase.append(self._word("NOUN", rng))
        if rng.random() < 0.35:
            phrase = self._beside(phrase, "ADJ", "ADJECTIVE", rng)
        if rng.random() < 0.12:
            phrase = self._beside(phrase, "NUM", "NUMERAL", rng)
        if rng.random() < self._det_rate:
            phrase = self._beside(phrase, "DET", "DEMONSTRATIVE_WORD", rng)
        return phrase

    def _beside(self, phrase: list[Word], tag: str, feature: str, rng: random.Random) -> list[Word]:
        """The phrase with one more word on the side that URIEL gives, on either side where it gives both or none."""
        before, after = (self._syntax[f"S_{feature}_{side}_NOUN"] for side in ("BEFORE", "AFTER"))
        word = self._word(tag, rng)
        is_before = rng.random() < 0.5 if before == after else before
        return [word, *phrase] if is_before else [*phrase, word]

    def _word(self, tag: str, rng: random.Random) -> Word:
        if tag == "NUM" and rng.random() < 0.4:
            return str(rng.randint(2, 99)), tag
        forms = rng.choices(self.forms[tag], cum_weights=self._weights[tag])[0]
        return rng.choice(forms), tag


def _concept(tag: str, rank: int) -> str:
    """What a word means; some meanings, thus stems, serve two parts of speech, as `walk`, `that` and `over` do."""
    if tag == "VERB" and rank % 4 == 1:
        tag = "NOUN"
    elif tag == "ADJ" and rank % 5 == 2:
        tag, rank = "NOUN", rank + 1
    elif tag == "PRON" and rank == 2:
        tag, rank = "DET", 1
    elif tag == "ADV" and rank in (1, 4):
        tag = "ADP"
    return f"{tag} {rank}"


def _syllable(rng: random.Random, family: str) -> str:
    sounds = random.Random(seed_for("toy-sounds", family))
    consonants, vowels = sounds.sample("bcdfghjklmnprstvwz", 12), sounds.sample("aeiouy", 4)
    return rng.choice(consonants) + rng.choice(vowels)


def _root(rng: random.Random, family: str) -> str:
    return "".join(_syllable(rng, family) for _ in range(rng.choice((2, 2, 3)))) + rng.choice(("", "n", "s", "r", "l"))


def _function_word(rng: random.Random, family: str) -> str:
    return _syllable(rng, family) + rng.choice(("", "n", "s", "r", "l", "t"))


def _ending(rng: random.Random, family: str) -> str:
    """A short suffix from a small stock, so that strangers use the same one for different things."""
    return rng.choice(("a", "en", "er", "es", "i", "im", "ik", "on", "ta", "un", "is", "or"))


def _conllu(sentence_id: str, words: list[Word]) -> str:
    """A CoNLL-U block; the first word stands in for the root of a tree, which no one reads."""
    rows = [
        f"{number}\t{form}\t_\t{upos}\t_\t_\t{min(number - 1, 1)}\t{'root' if number == 1 else 'dep'}\t_\t_\n"
        for number, (form, upos) in enumerate(words, start=1)
    ]
    text = " ".join(form for form, _ in words)
    return f"# sent_id = {sentence_id}\n# text = {text}\n{''.join(rows)}\n"
