"""The job files that come with the package: a list of them, and copies to work with.

lms-ray jobs                            # what there is
lms-ray jobs pos-ud 'ner-*' --to jobs   # copies of these, and of the files that they build on
"""

from collections.abc import Iterator, Sequence
from fnmatch import filter as matching
from pathlib import Path
from textwrap import indent, wrap

from lms_ray.pages.terminal import show
from lms_ray.settings import plain_yaml
from lms_ray.settings.base import expanded, shown
from lms_ray.settings.errors import ConfigError

_PACKAGE = Path(__file__).parents[1]
FOLDER = next(folder for folder in (_PACKAGE / "jobs", _PACKAGE.parent / "jobs") if folder.is_dir())
"""Of an installed wheel, or of the source tree."""


def show_jobs() -> None:
    """Print the name of each job, and what it is."""
    for name, path in _jobs().items():
        show(name)
        show(indent("\n".join(wrap(_about(path), 100, break_on_hyphens=False)), "    "))


def copy_jobs(patterns: Sequence[str], to: str) -> None:
    """Copy jobs, with the files that they build on.

    Args:
        patterns: names, or patterns of names such as `ner-*`.
        to: a folder; files of the same name are left where they are the same.

    Raises:
        ConfigError: no job has such a name, or the folder has another file of this name.
    """
    jobs = _jobs()
    wanted: dict[str, bytes] = {}
    for pattern in patterns:
        found = matching(jobs, pattern.removesuffix(".yaml"))
        if not found:
            raise ConfigError(
                f"NAME: found {shown(pattern)}; accepted are {', '.join(jobs)}, or a pattern such as 'pos-*'"
            )
        for name in found:
            wanted |= {path.name: path.read_bytes() for path in _with_bases(jobs[name])}
    folder = Path(expanded(to))
    try:
        if other := [name for name, content in wanted.items() if _differs(folder / name, content)]:
            raise ConfigError(f"--to: found another {folder / other[0]}; accepted is a folder without it")
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in wanted.items():
            (folder / name).write_bytes(content)
            show(str(folder / name))
    except OSError as error:
        raise ConfigError(f"--to: {folder} cannot be written: {error.strerror}") from None


def _jobs() -> dict[str, Path]:
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"), key=lambda path: path.stem)}


def _about(path: Path) -> str:
    """The comment with which a file begins, up to its command."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if not line.startswith("#") or not text:
            break
        lines.append(text)
    return " ".join(lines)


def _with_bases(path: Path) -> Iterator[Path]:
    yield path
    preset = str(plain_yaml.load(path.read_text(encoding="utf-8")).get("preset", ""))
    if preset.endswith(".yaml"):
        yield from _with_bases(path.parent / preset)


def _differs(path: Path, content: bytes) -> bool:
    return path.exists() and (not path.is_file() or path.read_bytes() != content)
