"""The resolved configuration with its documentation, as a file to read, to change and to run again."""

import textwrap
from collections.abc import Iterator
from typing import Any

from lms_ray.settings import plain_yaml
from lms_ray.settings.base import Model
from lms_ray.settings.experiment import Experiment

WIDTH = 110


def documented(experiment: Experiment) -> str:
    """YAML in which every key stands below its documentation; reading it back gives the same experiment."""
    lines = _section(experiment.without_credentials(), "", with_comments=True)
    return "".join(f"{line}\n" for line in lines).lstrip("\n")


def _section(part: Model, indent: str, with_comments: bool) -> Iterator[str]:
    for key, field in type(part).model_fields.items():
        value = getattr(part, key)
        if with_comments:
            if not indent or isinstance(value, Model):
                yield ""
            yield from _wrapped(field.description or "", indent)
        yield from _entry(key, value, indent, with_comments)


def _entry(key: str, value: Any, indent: str, with_comments: bool) -> Iterator[str]:
    deeper = indent + "  "
    if isinstance(value, Model):
        yield _opened(key, indent)
        yield from _section(value, deeper, with_comments)
    elif isinstance(value, dict) and any(isinstance(inner, Model) for inner in value.values()):
        yield _opened(key, indent)
        for place, (language, inner) in enumerate(value.items()):  # all of one kind: the first one is documented
            yield from _entry(language, inner, deeper, with_comments and place == 0)
    else:
        plain = list(value) if isinstance(value, tuple) else value
        text = plain_yaml.dump({key: plain}, one_line=isinstance(plain, dict | list))
        yield from textwrap.indent(text, indent).splitlines()


def _opened(key: str, indent: str) -> str:
    return indent + plain_yaml.dump({key: None}).removesuffix(" null\n")


def _wrapped(comment: str, indent: str) -> list[str]:
    start = f"{indent}# "
    words = " ".join(comment.split())
    return textwrap.wrap(words, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)
