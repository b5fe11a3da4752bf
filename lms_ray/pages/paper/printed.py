"""The paper's numbers, from a JSON file that the user names: none of them is part of this project.

A score is looked up by table, the paper's name of the task (`POS`, `NERCoNLL`), language and selector. Tables 8 and 10
have a row for each method in the file; here they are read like the others.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lms_ray.settings.base import expanded, shown
from lms_ray.settings.errors import ConfigError

COLUMN_OF = {
    "En-Dev": "en_dev",
    "Pivot-Dev": "pivot_dev",
    "LMS": "lms",
    "100-Target": "target100",
    "All-Target": "all_target",
}
"""The selectors of the paper's tables, and the file's names of their columns."""
VARIANTS_OF = {
    5: {"En-Dev": "en_dev", "[Eng]": "eng", "[Pivot]": "pivot", "[Target]": "target", "Fusion": "fusion"},
    6: {"En-Dev": "en_dev", "lang2vec": "lang2vec", "syntax": "syntax", "none": "none"},
    11: {"En-Dev": "en_dev", "LMS": "pivot_lang2vec", "multi-task": "multi_task"},
}
"""The columns of the tables that compare rankers, and the file's names of them."""
AVERAGE = "Avg"
TEST_OF = {3: "table3/4", 4: "table3/4", 9: "table9"}
"""The file's names of what the paper's stars mean."""

Number = Annotated[float, Field(allow_inf_nan=False)]


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Scores(_Row):
    task: str
    lang: str
    ref: Number | None
    en_dev: Number
    pivot_dev: Number
    pivot_lang: str
    pivot_sig: bool
    lms: Number
    lms_sig: bool
    target100: Number
    all_target: Number
    n_all_target: int
    en_dev_sd: Number | None = None
    pivot_dev_sd: Number | None = None
    lms_sd: Number | None = None
    target100_sd: Number | None = None
    all_target_sd: Number | None = None


class _Deltas(_Row):
    task: str
    en_dev: Number
    pivot_dev: Number
    lms: Number
    target100: Number
    all_target: Number


class _Method(_Row):
    method: str
    re_ar: Number
    re_zh: Number
    arl_ar: Number
    arl_zh: Number


class _Features(_Row):
    task: str
    en_dev: Number
    eng: Number
    pivot: Number
    target: Number
    fusion: Number


class _Vectors(_Row):
    task: str
    en_dev: Number
    lang2vec: Number
    syntax: Number
    none: Number


class _MultiTask(_Row):
    task: str
    en_dev: Number
    pivot_lang2vec: Number
    multi_task: Number


class _Recomputed(_Row):
    task: str | None = None
    col: str
    printed: Number
    recomputed: Number
    within_rounding: bool | None = None


class _OfTheText(_Row):
    text_lms_minus_en: Number
    recomputed: Number
    text_lms_minus_pivot: Number
    recomputed_lms_minus_pivot: Number


class _Consistency(_Row):
    table3: list[_Recomputed]
    table4: list[_Recomputed]
    table5: list[_Recomputed]
    table6: list[_Recomputed]
    table9: _OfTheText


class _Meta(_Row):
    significance: dict[str, str]


class _File(_Row):
    table3: list[_Scores]
    table3_avg_en_dev_delta: list[_Deltas]
    table4: list[_Scores]
    table4_avg_en_dev_delta: list[_Deltas]
    table5: list[_Features]
    table6: list[_Vectors]
    table8_extra: list[_Method]
    table9: list[_Scores]
    table10: list[_Method]
    table11: list[_MultiTask]
    meta: _Meta
    consistency: _Consistency
    anomalies: list[str]


@dataclass(frozen=True)
class Printed:
    """What the paper prints of one selector on one target, in percent."""

    score: float
    deviation: float | None = None
    """Standard deviation over meta-splits."""
    is_significant: bool = False
    pivot: str | None = None
    """That Pivot-Dev follows."""
    examples: int | None = None
    """That All-Target saw."""


Scores = dict[tuple[str, str], dict[str, Printed]]
"""By the paper's task and language, and by selector; other names are reference systems."""


@dataclass(frozen=True)
class Paper:
    """All that the file says."""

    scores: Mapping[int, Scores]
    """By number of the table."""
    deltas: Mapping[int, Mapping[str, Mapping[str, float]]]
    """Printed mean differences to En-Dev in points, by table, task and selector."""
    variants: Mapping[int, Mapping[str, Mapping[str, float]]]
    """By table, task and variant."""
    tests: Mapping[int, str]
    """What a star means, in the file's words."""
    footnotes: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Where the paper's numbers do not agree with each other, by table."""
    remarks: Sequence[str] = ()
    """The same of no table in particular."""

    def references(self, table: int) -> list[str]:
        """Names of the reference systems of a table."""
        names = (name for of_target in self.scores[table].values() for name in of_target)
        return [name for name in dict.fromkeys(names) if name not in COLUMN_OF]


def read(path: str) -> Paper:
    """Read a file in the layout of `_File`.

    Raises:
        ConfigError: there is no such file, or it is broken; says where, what was found and what is accepted.
    """
    try:
        content = Path(expanded(path)).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--paper: found no file {shown(path)} ({reason}); accepted is a JSON file") from None
    try:
        found = _File.model_validate_json(content)
    except ValidationError as error:
        raise ConfigError(f"--paper: {path}: {_explain(error)}") from None
    footnotes: dict[int, list[str]] = {}
    for table, note in (*_recomputed(found.consistency), *_anomalies(found.anomalies)):
        footnotes.setdefault(table, []).append(note)
    return Paper(
        scores={
            3: _of_targets(path, "table3", found.table3),
            4: _of_targets(path, "table4", found.table4),
            8: _of_methods(path, "table8_extra", found.table8_extra),
            9: _of_targets(path, "table9", found.table9),
            10: _of_methods(path, "table10", found.table10),
        },
        deltas={3: _deltas(found.table3_avg_en_dev_delta), 4: _deltas(found.table4_avg_en_dev_delta)},
        variants={
            table: {
                row.task: {name: getattr(row, column) for name, column in VARIANTS_OF[table].items()} for row in rows
            }
            for table, rows in ((5, found.table5), (6, found.table6), (11, found.table11))
        },
        tests={table: found.meta.significance[key] for table, key in TEST_OF.items() if key in found.meta.significance},
        footnotes=footnotes,
        remarks=[note for note in found.anomalies if not _tables_in(note)],
    )


def _explain(error: ValidationError) -> str:
    """The first thing that is wrong, and how many more there are."""
    first, more = error.errors(include_url=False)[0], error.error_count() - 1
    if first["type"] == "json_invalid":
        return f"no JSON ({first['ctx']['error']}); accepted is the layout of the paper's tables"
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    accepted = f"accepted is {first['msg'].removeprefix('Input should be ')}"
    if first["type"] == "missing":
        accepted = f"accepted are files that have it; the top level has {', '.join(_File.model_fields)}"
        said = f"{place}: not there"
    else:
        said = f"{place}: found {shown(first['input'])}" if place else f"found {shown(first['input'])}"
    return f"{said}; {accepted}" + (f" (and {more} more)" if more else "")


def _of_targets(path: str, key: str, rows: Iterable[_Scores]) -> Scores:
    scores: Scores = {}
    for row in rows:
        if (row.task, row.lang) in scores:
            raise ConfigError(
                f"--paper: {path}: {key}: found {row.task} {row.lang} twice; accepted is one row for each"
            )
        printed = {
            selector: Printed(
                getattr(row, column),
                getattr(row, f"{column}_sd"),
                is_significant={"Pivot-Dev": row.pivot_sig, "LMS": row.lms_sig}.get(selector, False),
                pivot=row.pivot_lang if selector == "Pivot-Dev" else None,
                examples=row.n_all_target if selector == "All-Target" else None,
            )
            for selector, column in COLUMN_OF.items()
        }
        scores[row.task, row.lang] = printed if row.ref is None else {"Reference": Printed(row.ref), **printed}
    return scores


def _of_methods(path: str, key: str, rows: Sequence[_Method]) -> Scores:
    scores: Scores = {}
    for row in rows:
        if [other.method for other in rows].count(row.method) > 1:
            raise ConfigError(f"--paper: {path}: {key}: found {row.method} twice; accepted is one row for each")
        for task, language in (("RE", "ar"), ("RE", "zh"), ("ARL", "ar"), ("ARL", "zh")):
            score = getattr(row, f"{task.lower()}_{language}")
            scores.setdefault((task, language), {})[row.method] = Printed(score)
    return scores


def _deltas(rows: Iterable[_Deltas]) -> dict[str, dict[str, float]]:
    return {row.task: {name: getattr(row, column) for name, column in COLUMN_OF.items()} for row in rows}


def _recomputed(found: _Consistency) -> Iterator[tuple[int, str]]:
    """Printed means that do not follow from the printed rows, rounding aside."""
    for table, rows in ((3, found.table3), (4, found.table4), (5, found.table5), (6, found.table6)):
        names = {column: name for name, column in (COLUMN_OF | VARIANTS_OF.get(table, {})).items()}
        for row in rows:
            is_close = row.within_rounding
            if is_close if is_close is not None else abs(row.printed - row.recomputed) <= 0.0051:
                continue  # two decimals are printed; both numbers are rounded
            of_task = f"{row.task}, " if row.task else ""
            yield (
                table,
                f"{of_task}{names.get(row.col, row.col)}: the printed mean is {row.printed:g}, the mean of the printed "
                f"rows {row.recomputed:g}.",
            )
    text = found.table9
    for of, printed, recomputed in (
        ("En-Dev", text.text_lms_minus_en, text.recomputed),
        ("Pivot-Dev", text.text_lms_minus_pivot, text.recomputed_lms_minus_pivot),
    ):
        if abs(printed - recomputed) > 0.0051:
            yield (
                9,
                f"LMS minus {of}: the text says {printed:g} on the mean, the mean of the printed rows is "
                f"{recomputed:g}.",
            )


def _anomalies(notes: Iterable[str]) -> Iterator[tuple[int, str]]:
    for note in notes:
        for table in _tables_in(note):
            yield table, note


def _tables_in(note: str) -> list[int]:
    return sorted({int(number) for number in re.findall(r"\bTable (\d+)\b", note)})
