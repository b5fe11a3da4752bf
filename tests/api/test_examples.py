"""Every public name has an example in its docstring, and it runs as it stands beside the quickstart's folder."""

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import lms_ray
from lms_ray.api import experiment, ranker, reasons

EXAMPLES = {
    example.name: example
    for module in (experiment, ranker, reasons)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module)
    if example.examples
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_says_what_it_shows(name: str, beside_runs: Path):
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(EXAMPLES[name], out=said.append)
    assert not said, "".join(said)


def public_names() -> Iterator[str]:
    """Functions and classes of the API with their methods and properties; errors need no example."""
    for name in lms_ray.__all__:
        value = getattr(lms_ray, name)
        is_error = inspect.isclass(value) and issubclass(value, Exception)
        if is_error or not getattr(value, "__module__", "").startswith("lms_ray.api."):
            continue
        yield f"{value.__module__}.{name}"
        if inspect.isclass(value):
            for member, found in vars(value).items():
                if not member.startswith("_") and (inspect.isfunction(found) or isinstance(found, property)):
                    yield f"{value.__module__}.{name}.{member}"


def test_every_public_name_has_an_example():
    names = list(public_names())
    assert len(names) > 20
    assert not set(names) - set(EXAMPLES)
