"""Read an experiment from a preset, a YAML file and overrides.

    experiment = load("jobs/pos-ud.yaml", ["data.root=/data/ud", "sweep.seeds=2"])

Values come from the field defaults, then the preset, then the file, then `key.sub=value` overrides. Everything is
checked before any work starts; a `ConfigError` names the key, what was found and what is accepted.
"""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from lms_ray.settings import plain_yaml
from lms_ray.settings.base import ALTERNATIVES, expanded, shown
from lms_ray.settings.data import EVERY
from lms_ray.settings.errors import ConfigError
from lms_ray.settings.experiment import Experiment

PRESETS = Path(__file__).parent / "presets"
MOST_MISTAKES = 20  # shown at once


def presets() -> list[str]:
    """Names of the presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load(config: str | None = None, overrides: list[str] | None = None) -> Experiment:
    """Read and check a configuration.

    Args:
        config: a YAML file (`~` is the home directory), or the name of a preset; None is the preset `quickstart`.
        overrides: `key.sub=value`, the value read as YAML.

    Raises:
        ConfigError: with one line for everything that is wrong.
    """
    values, folder = _read("quickstart" if config is None else config)
    for override in overrides or []:
        values = _merge(values, _parse_override(override))
    return _checked(_on_its_preset(values, folder))


def revised(values: dict[str, Any], overrides: Iterable[str]) -> Experiment:
    """A resolved configuration, as `to_yaml` writes it, with overrides.

    Raises:
        ConfigError: with one line for everything that is wrong.
    """
    for override in overrides:
        values = _merge(values, _parse_override(override))
    return _checked(values)


def _checked(values: dict[str, Any]) -> Experiment:
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


def to_yaml(experiment: Experiment) -> str:
    """The resolved configuration without credentials; reading it back gives the same experiment."""
    return plain_yaml.dump(experiment.model_dump(mode="json"))


def _read(config: str) -> tuple[dict[str, Any], Path]:
    """Values, and the folder in which the files that they name are looked for."""
    if config in presets():
        return {"preset": config}, Path()
    path = Path(expanded(config))
    accepted = f"accepted are a YAML file or one of {', '.join(presets())}; `lms-ray jobs` lists files to copy"
    return _read_mapping(path, f"CONFIG: found no file {shown(config)}; {accepted}"), path.parent


def _on_its_preset(values: dict[str, Any], folder: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Values merged over their preset's, which may be another file with a preset of its own."""
    name = values.get("preset")
    if name is None:
        return values
    missing = f"preset: found {shown(name)}; accepted are {', '.join(presets())}, or a file beside this one"
    if name in presets():
        return _merge(_on_its_preset(_read_mapping(PRESETS / f"{name}.yaml", missing), PRESETS), values)
    if not isinstance(name, str) or "\0" in name:
        raise ConfigError(missing)
    path = Path(os.path.realpath(folder / expanded(name)))
    if path in above:
        raise ConfigError(missing)
    base = _on_its_preset(_read_mapping(path, missing), path.parent, (*above, path))
    return _merge(base, {**values, "preset": base.get("preset")})


def _read_mapping(path: Path, missing: str) -> dict[str, Any]:
    """The values of a file; `missing` is what is said where there is none."""
    try:
        if not path.is_file():
            raise FileNotFoundError
        values = plain_yaml.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(missing) from None
    except OSError as error:  # forbidden, or a name that is too long
        raise ConfigError(f"{missing} ({error.strerror})") from None
    except ValueError as error:  # not UTF-8, or not YAML
        raise ConfigError(f"{path}: not a configuration: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: found {type(values).__name__}; accepted is a mapping of keys to values")
    return values


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    parts = key.split(".")
    if not equals or not all(parts) or len(parts) > plain_yaml.DEEPEST:
        raise ConfigError(f"override: found {shown(text)}; accepted is key.sub=value, such as sweep.seeds=2")
    try:
        nested: Any = plain_yaml.load(value)
    except ValueError as error:
        accepted = "accepted is a YAML value, such as 3, [de, nl] or null"
        raise ConfigError(f"{_joined(parts)}: found {shown(value)}; {accepted} ({error})") from None
    for part in reversed(parts):
        nested = {part: nested}
    return nested


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = base.get(key)
        if key == "text" and isinstance(below, str):
            below = {EVERY: below}  # `data.text.da=...` names one more, and takes nothing from the others
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]  # both are
    return merged


def explain(error: ValidationError) -> str:
    """One line for each key that is wrong."""
    lines: dict[str, str] = {}
    for problem in error.errors(include_url=False)[:MOST_MISTAKES]:
        path = [str(part) for part in problem["loc"] if part not in ALTERNATIVES]
        key = _joined(path)
        lines[key] = f"{key}: {_complaint(problem, path)}" if key else _complaint(problem, path)
    if error.error_count() > MOST_MISTAKES:
        lines["more"] = f"and {error.error_count() - MOST_MISTAKES} more"
    return "\n".join(lines.values())


def _joined(path: list[str]) -> str:
    return ".".join(part if len(part) <= 80 else f"{part[:77]}..." for part in path)


def _complaint(problem: Any, path: list[str]) -> str:
    if problem["type"] == "extra_forbidden":
        return f"no such key{_suggestion(path)}"
    if problem["type"] == "missing":
        return "not set; it is needed"
    message = problem["msg"].removeprefix("Value error, ")
    found = problem["input"]
    if problem["type"] == "tuple_type":
        message = "input should be a list, such as [a, b]"
    if problem["type"] == "string_type" and isinstance(found, bool | int | float):
        message += ", in quotes"
    if found is None or isinstance(found, str | int | float | list | tuple):
        return f"found {shown(found)}; {message[0].lower()}{message[1:]}"
    return message


def _suggestion(location: list[str]) -> str:
    model: Any = Experiment
    for part in location[:-1]:
        field = model.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return ""
        model = field.annotation
    known = list(model.model_fields)
    close = difflib.get_close_matches(location[-1], known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; accepted are {', '.join(known)}"
