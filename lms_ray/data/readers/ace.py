"""Relations and event arguments from ACE 2005 as the LDC distributes it: `x.sgm` and, beside it, `x.apf.xml`.

Prepared as in Chen & Ritter (EMNLP 2021), Appendix A.1: a language's documents, shuffled by a seed, are split 80/10/10.
A span is a mention's head, or its extent where it has none. Sentences are those of `lms_ray.data.sentences`; SGML tags
end them too, and none ends inside of an entity mention or a trigger. What lies outside of `<TEXT>` is left out.

Offsets count the characters of the .sgm file without its tags: line ends too, and `&amp;` as the five that are written.
Each one is checked against the words that the .apf.xml quotes; only the kind of white space may differ.
"""

import hashlib
import logging
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from reprlib import repr as short
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from lms_ray.data import DataError, sentences
from lms_ray.data.examples import Argument, Pair, Relation
from lms_ray.data.files import File, fetch, relative
from lms_ray.data.readers import Place, Records, reader
from lms_ray.data.sentences import Span, Words, unescape
from lms_ray.data.text import whole

log = logging.getLogger(__name__)

_TAG = re.compile(r"<[^<>]+>")
_SPACES = re.compile(r"\s+")


def files(folder: File, split: str, seed: int) -> list[File]:
    """The .sgm and the .apf.xml of each document of a split, `train`, `dev` (a tenth, rounded) or `test` (as many).

    Where documents lie in folders named `adj`, only those are taken. A hash of seed and document name makes the order.

    Raises:
        DataError: no document, half of one, one of a name twice, or none for this split.
    """
    documents = _documents(folder)
    names = sorted(documents, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    tenth = round(len(names) / 10)
    parts = {"train": names[2 * tenth :], "dev": names[:tenth], "test": names[tenth : 2 * tenth]}
    if split not in parts:
        raise DataError(f"{folder}: found the split {split!r}; accepted are {', '.join(parts)}")
    if not parts[split]:
        raise DataError(f"{folder}: found {len(names)} documents, none of them for {split}; accepted are 10 or more")
    return [path for name in parts[split] for path in documents[name]]


@reader("ace", gives=Relation)
def _(place: Place) -> Records:
    return read_relations(place.path, place.split, place.data.split_seed)


@reader("ace", gives=Argument)
def _(place: Place) -> Records:
    return read_arguments(place.path, place.split, place.data.split_seed)


def read_relations(folder: File, split: str, seed: int) -> Records:
    """Every ordered pair of entity mentions in a sentence, with the relations (`PHYS.Located`) from first to second.

    Raises:
        DataError: the files are not as `files` needs them, one is broken, an offset does not fit, or there is no pair.
    """
    return _read(folder, split, seed, _related)


def read_arguments(folder: File, split: str, seed: int) -> Records:
    """Every event mention's trigger with every entity mention in its sentence, and the mention's roles in the event.

    Raises:
        DataError: the files are not as `files` needs them, one is broken, an offset does not fit, or there is no pair.
    """
    return _read(folder, split, seed, _arguments)


@dataclass(frozen=True)
class _Mention:
    identifier: str
    type: str
    span: Span


@dataclass(frozen=True)
class _Event:
    identifier: str
    type: str
    trigger: Span
    arguments: list[tuple[str, str]]
    """Mention and role."""


@dataclass(frozen=True)
class _Document:
    path: File
    sentences: list[Span]
    words: list[Words]
    plain: list[tuple[str, ...]]
    """Words of the sentences as they would be without any annotation, which joins sentences and cuts words."""
    first: list[int]
    """For each sentence, which of the plain ones it begins."""
    mentions: dict[str, _Mention]
    relations: list[tuple[str, str, str]]
    """Label, first mention, second mention."""
    events: list[_Event]

    def sentence(self, span: Span) -> int | None:
        """Number of the sentence that holds a span."""
        number = bisect_right(self.sentences, span[0], key=lambda sentence: sentence[0]) - 1
        return number if number >= 0 and span[1] <= self.sentences[number][1] else None


def _documents(folder: File) -> dict[str, tuple[File, File]]:
    try:
        if not folder.is_dir():
            raise DataError(f"{folder}: found no such folder; accepted is a language's folder of ACE 2005")
        found = {path for path in folder.rglob("*") if path.name.endswith((".sgm", ".apf.xml"))}
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from None
    taken = {path for path in found if "adj" in relative(path, folder).parent.parts} or found
    if left_out := sum(path.name.endswith(".apf.xml") for path in found - taken):
        log.info("%s: left out %d .apf.xml outside of folders named adj", folder, left_out)
    documents: dict[str, tuple[File, File]] = {}
    for path in sorted(taken, key=str):
        name = path.name.removesuffix(".sgm").removesuffix(".apf.xml")
        both = path.with_name(f"{name}.sgm"), path.with_name(f"{name}.apf.xml")
        if missing := [other for other in both if other not in taken]:
            raise DataError(f"{path}: found no {missing[0].name} beside it; accepted are both or neither")
        if documents.setdefault(name, both) != both:
            raise DataError(f"{path}: found the document also as {documents[name][0]}; accepted is one of a name")
    if not documents:
        raise DataError(f"{folder}: found no document; accepted are .sgm and .apf.xml files in any folder below")
    return documents


def _read(
    folder: File, split: str, seed: int, pairs: Callable[[_Document, int, Counter[str]], Iterator[Pair]]
) -> Records:
    paths = files(folder, split, seed)
    fetch(paths)
    left_out: Counter[str] = Counter()
    examples: list[Pair] = []
    plain: list[tuple[str, ...]] = []
    for sgm, apf in zip(paths[::2], paths[1::2], strict=True):
        document = _parse(sgm, apf)
        outside = sum(document.sentence(mention.span) is None for mention in document.mentions.values())
        left_out["entity mentions outside of <TEXT>"] += outside
        examples += pairs(document, len(plain), left_out)
        plain += document.plain
    if not examples:
        raise DataError(f"{folder}: found no pair in the {len(paths) // 2} documents of {split}")
    counts = "; ".join(f"{count} {what}" for what, count in left_out.items() if count) or "nothing"
    log.info("%s: %d pairs in %d documents of %s; left out: %s", folder, len(examples), len(paths) // 2, split, counts)
    return Records(examples, plain)


def _related(document: _Document, before: int, left_out: Counter[str]) -> Iterator[Pair]:
    labels: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for label, *ends in document.relations:
        homes = {document.sentence(document.mentions[end].span) for end in ends if end in document.mentions}
        if not all(end in document.mentions for end in ends):
            left_out["relation mentions with a value or a time as an argument"] += 1
        elif ends[0] == ends[1]:
            left_out["relation mentions from a mention to itself"] += 1
        elif None in homes:
            left_out["relation mentions outside of <TEXT>"] += 1
        elif len(homes) > 1:
            left_out["relation mentions across sentences"] += 1
        else:
            labels[ends[0], ends[1]][label] = None
    for number, mentions in sorted(_by_sentence(document).items()):
        for first, second in permutations(mentions, 2):
            words, (one, other) = document.words[number].around(first.span, second.span)
            yield Relation(
                words=words,
                first=one,
                second=other,
                labels=tuple(labels.get((first.identifier, second.identifier), ())),
                types=(first.type, second.type),
                sentence=before + document.first[number],
                where=f"{document.path}:{first.identifier}",
            )


def _arguments(document: _Document, before: int, left_out: Counter[str]) -> Iterator[Pair]:
    mentions = _by_sentence(document)
    events: dict[int, list[_Event]] = defaultdict(list)
    for event in document.events:
        home = document.sentence(event.trigger)
        if home is None:
            left_out["event mentions outside of <TEXT>"] += 1
        else:
            events[home].append(event)
    for number in sorted(events):
        for event in events[number]:
            roles: dict[str, dict[str, None]] = defaultdict(dict)
            for argument, role in event.arguments:
                if argument not in document.mentions:
                    left_out["arguments that are values or times"] += 1
                elif document.sentence(document.mentions[argument].span) != number:
                    left_out["arguments outside of their trigger's sentence"] += 1
                else:
                    roles[argument][role] = None
            for mention in mentions[number]:
                words, (trigger, other) = document.words[number].around(event.trigger, mention.span)
                yield Argument(
                    words=words,
                    first=trigger,
                    second=other,
                    labels=tuple(roles.get(mention.identifier, ())),
                    types=(event.type, mention.type),
                    sentence=before + document.first[number],
                    where=f"{document.path}:{event.identifier}",
                )


def _by_sentence(document: _Document) -> dict[int, list[_Mention]]:
    mentions: dict[int, list[_Mention]] = defaultdict(list)
    for mention in document.mentions.values():
        if (number := document.sentence(mention.span)) is not None:
            mentions[number].append(mention)
    return mentions


def _parse(sgm: File, apf: File) -> _Document:
    source = _Source(sgm)
    try:
        root = ElementTree.fromstring(_without_entities(apf))
    except ElementTree.ParseError as error:
        raise DataError(f"{apf}:{error.position[0]}: not XML: {error}") from None
    if root.find("document") is None:
        raise DataError(f"{apf}: found <{root.tag}> without <document>; accepted is <source_file> with one")
    mentions: dict[str, _Mention] = {}
    keep: list[Span] = []
    for entity in root.iter("entity"):
        for element in entity.iter("entity_mention"):
            where = f"{apf}:{_attribute(element, 'ID', apf)}"
            extent = _span(element, "extent", source, where)
            span = extent if element.find("head") is None else _span(element, "head", source, where)
            keep += [extent, span]
            mention = _Mention(element.attrib["ID"], _attribute(entity, "TYPE", where), span)
            if mentions.setdefault(mention.identifier, mention) is not mention:
                raise DataError(f"{where}: found this ID twice; accepted is each once")
    others = {_attribute(element, "ID", apf) for tag in ("value", "timex2") for element in root.iter(f"{tag}_mention")}
    relations: list[tuple[str, str, str]] = []
    for relation in root.iter("relation"):
        for element in relation.iter("relation_mention"):
            where = f"{apf}:{_attribute(element, 'ID', apf)}"
            arguments = _referred(element, mentions.keys() | others, where)
            ends = sorted((role, end) for end, role in arguments if role in ("Arg-1", "Arg-2"))
            if [role for role, _ in ends] != ["Arg-1", "Arg-2"]:
                raise DataError(f"{where}: found roles {[role for _, role in arguments]}; accepted are Arg-1 and Arg-2")
            relations.append((_label(relation, where), ends[0][1], ends[1][1]))
    events: list[_Event] = []
    for event in root.iter("event"):
        for element in event.iter("event_mention"):
            where = f"{apf}:{_attribute(element, 'ID', apf)}"
            trigger = _span(element, "anchor", source, where)
            arguments = _referred(element, mentions.keys() | others, where)
            events.append(_Event(element.attrib["ID"], _label(event, where), trigger, arguments))
    keep += [event.trigger for event in events]
    found = sentences.split(source.text, source.body, source.tags, keep)
    plain = sentences.split(source.text, source.body, source.tags, ())
    number_of = {start: number for number, (start, _) in enumerate(plain)}
    return _Document(
        path=apf,
        sentences=found,
        words=[Words(source.text, sentence) for sentence in found],
        plain=[Words(source.text, sentence).around()[0] for sentence in plain],
        first=[number_of[start] for start, _ in found],
        mentions=mentions,
        relations=relations,
        events=events,
    )


class _Source:
    """The text of an .sgm file without its tags, where they were, and the part of it that is in <TEXT>."""

    def __init__(self, path: File):
        raw = whole(path)
        self.path = path
        self.text = _TAG.sub("", raw)
        self.tags: list[int] = []
        bounds: dict[str, list[int]] = {"<TEXT>": [], "</TEXT>": []}
        length = 0  # of the tags before
        for tag in _TAG.finditer(raw):
            self.tags.append(tag.start() - length)
            length += len(tag[0])
            if tag[0] in bounds:
                bounds[tag[0]].append(self.tags[-1])
        if [len(found) for found in bounds.values()] != [1, 1]:
            found = " and ".join(f"{len(positions)} {tag}" for tag, positions in bounds.items())
            raise DataError(f"{path}: found {found}; accepted is one of each")
        self.body: Span = bounds["<TEXT>"][0], bounds["</TEXT>"][0]


def _span(element: Element, part: str, source: _Source, where: str) -> Span:
    """Characters of an element's <head>, <extent> or <anchor>, without white space around them."""
    charseq = element.find(f"{part}/charseq")
    if charseq is None:
        raise DataError(f"{where}: found no <charseq> in a <{part}>; accepted is one")
    offsets = _attribute(charseq, "START", where), _attribute(charseq, "END", where)
    if not all(offset.isdecimal() and len(offset) < 10 for offset in offsets) or int(offsets[0]) > int(offsets[1]):
        raise DataError(
            f"{where}: found START and END {short(offsets)}; accepted are characters' numbers from 0, in order"
        )
    start, end = int(offsets[0]), int(offsets[1]) + 1
    quoted = charseq.text or ""
    written = source.text[start:end]
    if _spaced(quoted) not in (_spaced(written), _spaced(unescape(written))):
        place = f"{source.path.name} has {written!r} at {start}-{end - 1} of its {len(source.text)} characters"
        raise DataError(f"{where}: found {quoted!r} in a <{part}>, but {place}; accepted is the same text")
    if not written.strip():
        raise DataError(f"{where}: found only white space in a <{part}>; accepted is text")
    return start + len(written) - len(written.lstrip()), start + len(written.rstrip())


def _spaced(text: str) -> str:
    return _SPACES.sub(" ", text)


def _referred(element: Element, known: set[str], where: str) -> list[tuple[str, str]]:
    """The mentions that are arguments of a relation or event mention, each with its role."""
    arguments = []
    for argument in element.iter(f"{element.tag}_argument"):
        reference = _attribute(argument, "REFID", where)
        if reference not in known:
            raise DataError(f"{where}: found REFID {reference!r}; accepted is a mention's ID of this file")
        arguments.append((reference, _attribute(argument, "ROLE", where)))
    return arguments


def _label(element: Element, where: str) -> str:
    kind = _attribute(element, "TYPE", where)
    return f"{kind}.{element.get('SUBTYPE')}" if element.get("SUBTYPE") else kind


def _without_entities(apf: File) -> str:
    """The text of a file that declares no entities of its own: a few of them can stand for gigabytes."""
    text = whole(apf)
    if "<!ENTITY" in text:
        line = text.count("\n", 0, text.index("<!ENTITY")) + 1
        raise DataError(f"{apf}:{line}: found <!ENTITY; accepted is a file that declares no entities")
    return text


def _attribute(element: Element, name: str, where: object) -> str:
    value = element.get(name)
    if not value:
        raise DataError(f"{where}: found <{element.tag}> without {name}")
    return value
