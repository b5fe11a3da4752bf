"""What soups are worth, made by hand: two targets, two rules with their single picks, and what is not chosen."""

from lms_ray.store.soups import Kind, Scored


def scored(
    kind: Kind, selector: str | None, members: int, *of_targets: tuple[float, float, float | None]
) -> list[Scored]:
    return [
        Scored(kind, selector, None, target, members, score, delta, to_pick, "id", ("a",) * members)
        for target, (score, delta, to_pick) in zip(("fa", "tr"), of_targets, strict=True)
    ]


ROWS = [
    *scored("single", "LMS", 1, (0.51, 0.01, None), (0.41, 0.01, None)),
    *scored("single", "En-Dev", 1, (0.50, 0.0, None), (0.40, 0.0, None)),
    *scored("top", "LMS", 1, (0.51, 0.01, 0.0), (0.41, 0.01, 0.0)),
    *scored("top", "LMS", 3, (0.53, 0.03, 0.02), (0.40, 0.00, -0.01)),
    *scored("top", "En-Dev", 3, (0.55, 0.05, 0.05), (0.45, 0.05, 0.05)),
    *scored("all", None, 24, (0.56, 0.06, None), (0.46, 0.06, None)),
    *scored("first", None, 2, (0.50, 0.0, None), (0.46, 0.06, None)),
    *scored("first", None, 24, (0.56, 0.06, None), (0.46, 0.06, None)),
    *scored("oracle", "All-Target", 1, (0.60, 0.10, None), (0.50, 0.10, None)),
    *scored("oracle", "Best", 1, (0.62, 0.12, None), (0.52, 0.12, None)),
]
SETTINGS = [
    *scored("setting", None, 4, (0.50, 0.0, None), (0.40, 0.0, None)),
    *scored("setting", None, 3, (0.54, 0.04, None), (0.44, 0.04, None)),
    *scored("best setting", "All-Pivot z", 3, (0.54, 0.04, 0.01), (0.44, 0.04, -0.01)),
]
