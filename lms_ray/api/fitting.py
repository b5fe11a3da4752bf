"""How a ranker is fitted from its parameters: a thin face over `choosing.grid`.

Shape suffixes: C candidates, D feature, V language vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import ArrayLike
from pydantic import ValidationError

from lms_ray.api import saving
from lms_ray.api.saving import Tensors
from lms_ray.choosing import grid
from lms_ray.choosing.grid import Fitted, Point
from lms_ray.choosing.material import Material
from lms_ray.choosing.ranker import Ranking, ranks
from lms_ray.settings.base import shown
from lms_ray.settings.choosing import Fit, Ranker
from lms_ray.settings.hashing import seed_for
from lms_ray.settings.loading import explain


def settings(parameters: Mapping[str, Any]) -> Ranker:
    """Parameters of a `PairwiseRanker` as the configuration has them, checked.

    Raises:
        ValueError: names the parameter, what was found and what is accepted.
    """
    form, state, share = (parameters[name] for name in ("form", "random_state", "dev_share"))
    if form not in ("fast", "paper"):
        raise ValueError(f"form: found {shown(form)}; accepted are 'fast' and 'paper'")
    if isinstance(state, bool) or not isinstance(state, int | np.integer):
        raise ValueError(f"random_state: found {shown(state)}; accepted is a whole number")
    if not isinstance(share, float | int) or not 0 <= share < 1:
        raise ValueError(f"dev_share: found {shown(share)}; accepted is a share from 0 to below 1")
    values = {name: saving.plain(value) for name, value in parameters.items() if name in Ranker.model_fields}
    for axis in ("l2", "batch_size", "learning_rate"):
        values[axis] = np.atleast_1d(values[axis]).tolist()
    try:
        return Ranker.model_validate({"fit": form, **values})
    except ValidationError as error:
        raise ValueError(explain(error)) from None


def divide(count: int, dev: ArrayLike | None, share: float, seed: int, settings: Ranker) -> np.ndarray:
    """Which candidates teach, and which are held out to choose the grid point: `train` or `dev`, shape (C,).

    Args:
        count: number of candidates.
        dev: those that are held out, as a mask or as row numbers; None draws a share of them.
        share: of the candidates.
        seed: of the draw.
        settings: say whether there is a choice.

    Raises:
        ValueError: `dev` is neither, or too few teach or are held out.
    """
    is_dev_C = np.zeros(count, bool)
    if dev is None:
        order = np.random.default_rng(seed_for(seed, "dev")).permutation(count)
        is_dev_C[order[: round(count * share)]] = True
    else:
        chosen = np.asarray(dev)
        is_mask = chosen.dtype == bool and chosen.shape == (count,)
        are_rows = chosen.dtype.kind in "iu" and chosen.ndim == 1 and ((chosen >= 0) & (chosen < count)).all()
        if not (is_mask or are_rows):
            raise ValueError(f"dev: found {shown(dev)}; accepted are a mask of {count} candidates or row numbers")
        is_dev_C[chosen] = True
    held_out = int(is_dev_C.sum())
    has_choice = any(len(getattr(settings, axis)) > 1 for axis in settings.axes)
    has_choice |= settings.fit == "paper" and settings.checkpoint == "best"
    if count - held_out < 2 or held_out < (2 if has_choice or held_out else 0):
        raise ValueError(
            f"X: found {count} candidates, {count - held_out} to teach and {held_out} held out to choose a grid point; "
            "accepted are two or more of each (or dev_share=0, with one value for each parameter)"
        )
    return np.where(is_dev_C, "dev", "train").astype(object)


def fit(material: Material, device: str) -> tuple[list[dict[str, Any]], list[dict[str, np.ndarray]]]:
    """Fit every grid point on all pivots of some material, and choose.

    Returns:
        What became of each grid point, and the tensors of those that are kept: one, or one for each seed.

    Raises:
        ValueError: no two candidates differ in score on any pivot.
    """
    fitted = _fit_all(material, device)
    kept = grid.choose({point: float(of_point.record["kendall_tau"]) for point, of_point in fitted.items()})
    axes = list(material.settings.axes)
    if material.settings.fit == "paper" and material.settings.seeds > 1:
        axes.append("seed")
    rows = [
        {axis: asdict(point)[axis] for axis in axes}
        | {"kendall_tau": saving.number(of_point.record["kendall_tau"]), "chosen": point in kept}
        for point, of_point in fitted.items()
    ]
    return rows, [safetensors.numpy.load(fitted[point].weights) for point in kept]


def _fit_all(material: Material, device: str) -> dict[Point, Fitted]:
    if material.settings.fit == "fast":
        return grid.fit_fast(material, {material.pivots: []}, device)
    every = grid.points(material.settings, [material.pivots])
    return {point: grid.fit_point(point, [], material, device) for point in every}


@dataclass(frozen=True)
class Together:
    """Rankers of several seeds; candidates are ordered by their mean rank (`ranker.seeds`)."""

    rankers: Sequence[Ranking]

    @property
    def width(self) -> int:
        """Of the feature that they take."""
        return self.rankers[0].width

    def score(self, feature_CD: np.ndarray, language_V: np.ndarray | None) -> np.ndarray:
        """Minus the mean rank among these candidates, shape (C,)."""
        return -np.mean([ranks(ranker.score(feature_CD, language_V)) for ranker in self.rankers], axis=0)


def ranking(form: Fit, of_rankers: Tensors) -> Ranking:
    """The ranker of these weights, or those of several seeds as one.

    Raises:
        KeyError, RuntimeError: they are not those of such rankers.
    """
    rankers = [grid.of_tensors(form, tensors) for tensors in of_rankers]
    return rankers[0] if len(rankers) == 1 else Together(rankers)
