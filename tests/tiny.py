"""Tiny data that a job file could name: every language and split that it needs, in its format and layout."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import ace_documents
from lms_ray.settings.experiment import Experiment

NAMES = ("Ada", "Grace", "Barbara", "Shafi")
PLACES = ("Paris", "Oslo", "Lima", "Kyoto")
SPLITS = {"train": 60, "dev": 24, "test": 24}


def write(experiment: Experiment, root: Path) -> dict[str, Any]:
    """Write all data below `root`; gives the overrides of `experiment.data` that find it."""
    for language in experiment.languages:
        if experiment.data.format == "ace":
            _ace(root / str(experiment.data.where(language, "train").pattern), language)
            continue
        for split, count in SPLITS.items():
            rng = random.Random(f"{language} {split}")
            people = [(rng.choice(NAMES), rng.choice(PLACES), rng.random() < 0.5) for _ in range(count)]
            if experiment.data.format == "hub":
                _parquet(root / language, experiment.data.data_set(language).splits[split], people)
                continue
            source = experiment.data.where(language, split)
            if source is None:
                continue
            if source.start or source.stop:  # dev and test are parts of one file, far into it
                people = people * 30
            path = root / source.pattern.replace("*", "x")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_content(experiment, language, people), encoding="utf-8")
    if experiment.data.format == "hub":
        return {"data.hub": f'{{"*": {{path: "{root}/{{lang}}", name: null}}}}'}
    return {"data.root": str(root)}


def _sentence(person: str, place: str, lives: bool) -> list[str]:
    return [person, "lives" if lives else "works", "in", place, "now", "."]


def _content(experiment: Experiment, language: str, people: list[tuple[str, str, bool]]) -> str:
    match experiment.data.format, experiment.task:
        case "conllu", _:
            return "\n".join("".join(_conllu(_sentence(*person))) for person in people) + "\n"
        case "iob", _:
            told = ([*_sentence(*person), str(number)] for number, person in enumerate(people))  # no two are the same
            return "\n".join("".join(_iob(experiment, language, words)) for words in told) + "\n"
        case "squad", _:
            return json.dumps({"data": [{"title": "T", "paragraphs": list(_paragraphs(people))}]})
        case "tsv", _:
            return "index_id\tcategory\ttext\n" + "".join(_topics(people))
        case _, "re":
            return "\n".join(json.dumps(record) for record in _relations(people)) + "\n"
        case _, _:
            return "\n".join(json.dumps(record) for record in _predicates(people)) + "\n"


def _conllu(words: list[str]) -> Iterator[str]:
    for number, (word, tag) in enumerate(zip(words, ("PROPN", "VERB", "ADP", "PROPN", "ADV", "PUNCT"), strict=True), 1):
        yield f"{number}\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\t_\n"


def _iob(experiment: Experiment, language: str, words: list[str]) -> Iterator[str]:
    begin = "I" if experiment.data.layout(language).scheme == "iob1" else "B"
    for word, tag in zip(words, (f"{begin}-PER", "O", "O", f"{begin}-LOC", "O", "O", "O"), strict=True):
        yield f"{word}\t{tag}\n"


def _paragraphs(people: list[tuple[str, str, bool]]) -> Iterator[dict[str, Any]]:
    for number, person in enumerate(people):
        context = " ".join(_sentence(*person)) + f" That is fact {number}."
        asked = [("Where is it?", person[1]), ("Who is it?", person[0])][: 1 + (number % 4 == 0)]
        qas = [
            {
                "id": f"q{number}-{part}",
                "question": question,
                "answers": [{"text": answer, "answer_start": context.index(answer)}],
            }
            for part, (question, answer) in enumerate(asked)
        ]
        yield {"context": context, "qas": qas}


def _topics(people: list[tuple[str, str, bool]]) -> Iterator[str]:
    for number, person in enumerate(people):
        yield f"{number}\t{'home' if person[2] else 'work'}\t{' '.join(_sentence(*person))}\n"


def _relations(people: list[tuple[str, str, bool]]) -> Iterator[dict[str, Any]]:
    for number, (person, place, lives) in enumerate(people):
        yield {
            "id": f"r{number}",
            "tokens": _sentence(person, place, lives),
            "entities": [[0, 0, "person"], [3, 3, "place"]],
            "relations": [[0, 0, 3, 3, "lives-in" if lives else "works-in"]],
        }


def _predicates(people: list[tuple[str, str, bool]]) -> Iterator[dict[str, Any]]:
    for number, (person, place, lives) in enumerate(people):
        predicate = {"trigger": 1, "frame": "f.01", "args": [[0, "ARG0"], [3, "ARG1" if lives else "ARG2"]]}
        yield {"id": f"p{number}", "tokens": _sentence(person, place, lives), "predicates": [predicate]}


def _parquet(folder: Path, split: str, people: list[tuple[str, str, bool]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokens = [_sentence(*person) for person in people]
    tags = [["B-PER", "O", "O", "B-LOC", "O", "O"]] * len(tokens)
    pq.write_table(pa.table({"tokens": tokens, "ner_tags": tags}), folder / f"{split}.parquet")


def _ace(folder: Path, language: str) -> None:
    for number in range(30):
        rng = random.Random(f"{language} {number}")
        person, place, lives = rng.choice(NAMES), rng.choice(PLACES), rng.random() < 0.5
        ace_documents.write(
            folder / "nw" / "adj",
            ace_documents.article(f"{{m1|{person}}} {{t1|moved}} to {{m2|{place}}} with {{m3|friends}}."),
            {"PER e1": "m1", "GPE e2": "m2", "PER e3": "m3"},
            (("PHYS.Located", "m1", "m2"),) if lives else (("PER-SOC.Friend", "m1", "m3"),),
            (("Movement.Transport", "t1", "Artifact:m1 Destination:m2" if lives else "Artifact:m1"),),
            name=f"doc{number:02d}",
        )
