"""Read an experiment from a preset, a YAML file and overrides.

    experiment = load("jobs/pos-ud.yaml", ["data.root=/data/ud", "sweep.seeds=2"])

Values come from the field defaults, then the preset, then the file, then `key.sub=value` overrides. Everything is
checked before any work starts; a `ConfigError` names the key, what was found and what is accepted.
"""

import difflib
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from lms_ray.settings.experiment import ALTERNATIVES, Experiment

PRESETS = Path(__file__).parent / "presets"


class ConfigError(ValueError):
    """The configuration is wrong; the message says which key, what was found and what is accepted."""


def presets() -> list[str]:
    """Names of the presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load(config: str | None = None, overrides: list[str] | None = None) -> Experiment:
    """Read and check a configuration.

    Args:
        config: a YAML file, or the name of a preset; None is the preset `quickstart`.
        overrides: `key.sub=value`, the value read as YAML.

    Raises:
        ConfigError: with one line for everything that is wrong.
    """
    values, folder = _read(config or "quickstart")
    for override in overrides or []:
        values = _merge(values, _parse_override(override))
    values = _on_its_preset(values, folder)
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def to_yaml(experiment: Experiment) -> str:
    """The resolved configuration; reading it back gives the same experiment."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read(config: str) -> tuple[dict[str, Any], Path]:
    """Values, and the folder in which the files that they name are looked for."""
    if config in presets():
        return {"preset": config}, Path()
    path = Path(config)
    if not path.is_file():
        raise ConfigError(
            f"CONFIG: found no file {config!r}; accepted are a YAML file or one of {', '.join(presets())}"
        )
    return _read_mapping(path), path.parent


def _on_its_preset(values: dict[str, Any], folder: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Values merged over their preset's, which may be another file with a preset of its own."""
    name = values.get("preset")
    if name is None:
        return values
    if name in presets():
        return _merge(_read_mapping(PRESETS / f"{name}.yaml"), values)
    path = (folder / str(name)).resolve()
    if not path.is_file() or path in above:
        raise ConfigError(f"preset: found {name!r}; accepted are {', '.join(presets())}, or a file beside this one")
    base = _on_its_preset(_read_mapping(path), path.parent, (*above, path))
    return _merge(base, {**values, "preset": base.get("preset")})


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: found {type(values).__name__}; accepted is a mapping of keys to values")
    return values


class _Loader(yaml.SafeLoader):
    """YAML 1.2 in the two places where 1.1 surprises: 5e-5 is a number, and `no` (Norwegian) is a word."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, regexp) for tag, regexp in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false|True|False)$"), list("tTfF"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?$"),
    list("-+0123456789."),
)


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"override: found {text!r}; accepted is key.sub=value, such as sweep.seeds=2")
    try:
        nested: Any = yaml.load(value, _Loader)
    except yaml.YAMLError:
        raise ConfigError(f"{key}: found {value!r}; accepted is a YAML value, such as 3, [de, nl] or null") from None
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return nested


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _explain(error: ValidationError) -> str:
    """One line for each key that is wrong."""
    lines: dict[str, str] = {}
    for problem in error.errors():
        path = [str(part) for part in problem["loc"] if part not in ALTERNATIVES]
        key = ".".join(path)
        lines[key] = f"{key}: {_complaint(problem, path)}" if key else _complaint(problem, path)
    return "\n".join(lines.values())


def _complaint(problem: Any, path: list[str]) -> str:
    if problem["type"] == "extra_forbidden":
        return f"no such key{_suggestion(path)}"
    if problem["type"] == "missing":
        return "not set; it is needed"
    message = problem["msg"].removeprefix("Value error, ")
    found = problem["input"]
    if found is None or isinstance(found, str | int | float | list | tuple):
        return f"found {found!r}; {message[0].lower()}{message[1:]}"
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
