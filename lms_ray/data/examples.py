"""What readers give and tasks take: labelled examples, one class for each kind.

Every example knows where it was read (`where`, "file:line"), so that whoever finds a fault later can name the place,
and the `id` that the data gives it: where test sets of several languages share ids, they hold the same sentences.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, Self

NONE = "O"
"""Label of what carries none, in every task."""


class Example(Protocol):
    """What all kinds of examples have in common."""

    labelled: ClassVar[bool]
    """Whether there are labels that `data.labels` could read as others."""
    id: str
    where: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its labels, as `data.labels` knows them."""

    @property
    def unit(self) -> Hashable | None:
        """Examples of one unit are resampled together; None: alone."""

    def relabelled(self, mapping: Mapping[str, str]) -> Self:
        """The same with its label names mapped; what becomes `O` carries none."""


@dataclass(frozen=True)
class TaggedSentence:
    """Words of one sentence, each with its part of speech."""

    labelled: ClassVar[bool] = True

    words: tuple[str, ...]
    tags: tuple[str, ...]
    where: str = field(default="", compare=False)
    id: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The tags."""
        return self.tags

    @property
    def unit(self) -> None:
        """Each sentence is alone."""

    def relabelled(self, mapping: Mapping[str, str]) -> Self:
        """The sentence with its tags mapped."""
        return replace(self, tags=tuple(mapping.get(tag, tag) for tag in self.tags))


@dataclass(frozen=True)
class EntitySentence(TaggedSentence):
    """Words of one sentence, each with an IOB2 tag such as `B-PER`."""

    @property
    def names(self) -> tuple[str, ...]:
        """The types of its entities."""
        return tuple(tag[2:] for tag in self.tags if tag != NONE)

    def relabelled(self, mapping: Mapping[str, str]) -> Self:
        """The sentence with its entity types mapped; an entity whose type becomes `O` is none."""

        def mapped(tag: str) -> str:
            kind = mapping.get(tag[2:], tag[2:])
            return NONE if NONE in (tag, kind) else f"{tag[:2]}{kind}"

        return replace(self, tags=tuple(mapped(tag) for tag in self.tags))


@dataclass(frozen=True)
class Answer:
    """A right answer: a piece of the context."""

    text: str
    start: int
    """Character at which it begins in the context."""


@dataclass(frozen=True)
class Question:
    """A question about a paragraph, whose answers are pieces of it (SQuAD v1.1)."""

    labelled: ClassVar[bool] = False

    question: str
    context: str
    answers: tuple[Answer, ...]
    language: str
    """Language of the context: what counts as an article or a word depends on it."""
    paragraph: int
    """Number of the paragraph in its corpus."""
    where: str = field(default="", compare=False)
    id: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """None: answers are pieces of text."""
        return ()

    @property
    def unit(self) -> int:
        """Questions about one paragraph are resampled together."""
        return self.paragraph

    def relabelled(self, mapping: Mapping[str, str]) -> Self:
        """The question as it is."""
        return self


@dataclass(frozen=True)
class Pair:
    """Two spans of a sentence, between which something may hold."""

    labelled: ClassVar[bool] = True

    words: tuple[str, ...]
    first: tuple[int, int]
    """First word, and the word after the last: relation's head or argument 1, event's trigger."""
    second: tuple[int, int]
    labels: tuple[str, ...]
    """Relations that hold from the first to the second, or the argument's roles; empty where there is none."""
    types: tuple[str, str] | None
    """Types of the two spans, where the data names them."""
    sentence: int
    """Number of the sentence in its corpus."""
    where: str = field(default="", compare=False)
    id: str = ""
    """Of the sentence."""

    @property
    def names(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    @property
    def unit(self) -> int:
        """Pairs of one sentence are resampled together."""
        return self.sentence

    def relabelled(self, mapping: Mapping[str, str]) -> Self:
        """The pair with its labels mapped, each once; those that become `O` are none."""
        mapped = dict.fromkeys(mapping.get(label, label) for label in self.labels)
        labels = tuple(label for label in mapped if label != NONE)
        return self if labels == self.labels else replace(self, labels=labels)  # of pairs there are very many


@dataclass(frozen=True)
class Relation(Pair):
    """Two entities of a sentence, between which a relation may hold."""


@dataclass(frozen=True)
class Argument(Pair):
    """An event's trigger, and a span that may be its argument."""


@dataclass(frozen=True)
class LabelledText:
    """A text, or a pair of texts, that is of one class."""

    labelled: ClassVar[bool] = True

    text: str
    pair: str | None
    """The second text (a hypothesis, a paraphrase); None where there is one text only."""
    label: str
    where: str = field(default="", compare=False)
    id: str = ""

    @property
    def names(self) -> tuple[str]:
        """The label."""
        return (self.label,)

    @property
    def unit(self) -> None:
        """Each is alone."""

    def relabelled(self, mapping: Mapping[str, str]) -> Self:
        """The text with its label mapped; `O` is a class as any other, that of the rest."""
        return replace(self, label=mapping.get(self.label, self.label))
