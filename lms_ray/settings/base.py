"""What all parts of the configuration are made of."""

import os
import re
import reprlib
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, Strict

from lms_ray.settings.uris import without_credentials

T = TypeVar("T")
PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Several = Annotated[tuple[T, ...], Strict(False)]  # a list will do: YAML has no tuples

# pydantic adds these to the location of an error, though they are no keys.
ALTERNATIVES = ("(list)", "(range)", "(pattern)", "(splits)", "(name)", "(number)", "[key]")


class _Short(reprlib.Repr):
    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(without_credentials(x), level)  # before it is cut


_short = _Short()
_short.maxstring = _short.maxother = 120
_short.maxlong = 40


def shown(value: Any) -> str:
    """A value as it is shown in a message: at most a line, whatever was found, and no keys of a URI."""
    return _short.repr(value)


def expanded(path: str) -> str:
    """A path with `~` replaced by the home directory; any other path, name or URI as it is."""
    # Path.expanduser raises where there is no such user, and makes one slash of the two in s3://.
    return path if "\0" in path else os.path.expanduser(path)  # noqa: PTH111


def _path(path: str) -> str:
    path = expanded(path)
    too_long = len(path) > 2000 or any(len(os.fsencode(part)) > 255 for part in path.split("/"))
    if not path or "\0" in path or too_long:
        raise ValueError("accepted is a path: not empty, without NUL, at most 255 bytes for each name in it")
    return path


def _local_path(path: str) -> str:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path):
        raise ValueError("accepted is a local path, not a URI")
    return _path(path)


def _path_or_uri(path: str) -> str:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/(?!/.)", path):  # s3:/bucket would become a local folder of that name
        raise ValueError("accepted is a local path, or a URI with two slashes, such as s3://bucket/folder")
    return _path(path)


LocalPath = Annotated[str, AfterValidator(_local_path)]
# What is dumped as JSON (experiment.yaml, provenance, what results are compared by) has no keys.
Public = PlainSerializer(without_credentials, return_type=str, when_used="json")
PathOrUri = Annotated[str, AfterValidator(_path_or_uri), Public]


class Model(BaseModel):
    """A part of the configuration: frozen, documented below each field.

    Unknown keys are refused, and values of another type: `true` and `"3"` are no numbers.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
        hide_input_in_errors=True,
    )

    def __repr__(self) -> str:
        return without_credentials(super().__repr__())

    __str__ = __repr__


def each_once(values: Any) -> Any:
    """Validator of a list: at least one value, none of them twice."""
    if isinstance(values, tuple) and (not values or len(set(values)) < len(values)):
        raise ValueError("accepted is a list of at least one value, each named once")
    return values


def none_twice(values: Any) -> Any:
    """Validator of a list: none of its values twice; it may be empty."""
    return each_once(values) if values else values
