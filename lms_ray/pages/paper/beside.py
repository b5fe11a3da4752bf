"""Two columns for each name where the paper has numbers, ours and its own, so that no column mixes them; else one."""

from collections.abc import Iterable, Mapping

NONE = "-"


def heads(names: Iterable[str], with_paper: bool) -> list[str]:
    """Of the columns."""
    if not with_paper:
        return list(names)
    return [f"{name} ({whose})" for name in names for whose in ("ours", "paper")]


def cells(names: Iterable[str], ours: Mapping[str, str], printed: Mapping[str, str] | None) -> list[str]:
    """Of one row, by name.

    Args:
        names: of the columns.
        ours: our cells.
        printed: the paper's; None where no number of the paper is shown at all.
    """
    if printed is None:
        return [ours.get(name, NONE) for name in names]
    return [of.get(name, NONE) for name in names for of in (ours, printed)]
