"""YAML in which what is not plainly a number is a word.

Numbers are decimal (`5e-5` too); `no`, `1:30`, `010`, `0x1f`, `1_000` and `2026-11-24` are words, of which YAML 1.1
makes something else. Refused: a key that is given twice, tags, and text that grows without end by its aliases.
"""

import re
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from lms_ray.settings.base import shown

MOST_VALUES = 100_000  # aliases replaced by what they name
DEEPEST = 50  # values inside of values
FLOAT = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+|(?:0|[1-9][0-9]*)(?=[eE]))(?:[eE][-+]?[0-9]+)?$")


def load(text: str) -> Any:
    """The value that a text stands for.

    Raises:
        ValueError: with line, column, what was found there and what is accepted.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise ValueError(where + problem[:300]) from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def dump(values: Any, one_line: bool = False) -> str:
    """Values as text, which reads back as the same, with a reader of YAML 1.1 too.

    Args:
        values: made of mappings, lists, strings, numbers and None.
        one_line: lists and mappings without others in them are written on one line (`[de, nl]`).
    """
    style = None if one_line else False
    return yaml.dump(values, Dumper=_Dumper, default_flow_style=style, sort_keys=False, allow_unicode=True, width=100)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012 - add_implicit_resolver fills it

    def __init__(self, text: str):
        super().__init__(text)
        self.depth = 0
        self.sizes: dict[yaml.Node, int] = {}  # values in each node that is complete, aliases counted at each use

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        mark = event.start_mark
        if getattr(event, "tag", None):
            raise ComposerError(None, None, f"found the tag {shown(event.tag)}; accepted are values without", mark)
        self.depth += 1
        if self.depth > DEEPEST:
            raise ComposerError(None, None, f"nested more than {DEEPEST} deep", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if node not in self.sizes:
                raise ComposerError(None, None, f"the alias {shown(event.anchor)} is inside of what it names", mark)
        elif node is not None:
            self.sizes[node] = 1 + sum(self.sizes[child] for child in _children(node))
            if self.sizes[node] > MOST_VALUES:
                raise ComposerError(None, None, f"more than {MOST_VALUES} values, aliases counted at each use", mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise ConstructorError(None, None, f"the key {shown(key.value)} is given twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        digits = str(node.value)
        if len(digits) > 18:
            raise ConstructorError(
                None, None, f"found {shown(digits)}; accepted are at most 18 digits", node.start_mark
            )
        return int(digits)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


for _tag, _pattern, _first in (
    ("null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|false|True|False)$"), list("tTfF")),
    ("int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")),
    ("float", FLOAT, list("-+0123456789.")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)


class _Dumper(yaml.SafeDumper):
    """Quotes every word that either YAML 1.1 or `_Loader` takes for something else."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789."))
