"""Picks made by hand, and an experiment that they could be of."""

from statistics import fmean

from lms_ray.settings.data import Data
from lms_ray.settings.experiment import Experiment
from lms_ray.store.picks import AVERAGE, Pick, SplitPick


def experiment(targets: tuple[str, ...], **settings) -> Experiment:
    data = Data(root="none", files="none")
    return Experiment(name="small", pivots=("de", "zh"), targets=targets, data=data, **settings)


def with_means(picks: list[Pick]) -> list[Pick]:
    """The picks, and behind them each selector's means over its targets."""
    means = []
    for selector in dict.fromkeys(pick.selector for pick in picks):
        own = [pick for pick in picks if pick.selector == selector]
        score, delta, regret, rank = (
            fmean(getattr(pick, name) for pick in own) for name in ("score", "delta", "regret", "rank")
        )
        means.append(Pick(selector, AVERAGE, None, None, None, score, delta, regret, rank, None, None, None))
    return [*picks, *means]


def splits_of(picks: list[Pick], draws: int = 3) -> list[SplitPick]:
    """The same picks in several draws, each a little worse than the one before."""
    return [
        SplitPick(draw, one.selector, one.target, one.score - draw / 1000, one.delta, one.regret, one.rank, 0.5)
        for draw in range(draws)
        for one in picks
        if one.target != AVERAGE
    ]


def pick(selector: str, target: str, score: float, p_value: float | None, **others) -> Pick:
    values = {"pivot": None, "examples": None, "regret": 0.9 - score, "rank": 2.0, "low": -0.1, "high": 0.1, **others}
    return Pick(
        selector=selector,
        target=target,
        candidate="c",
        score=score,
        delta=score - 0.5,
        p_value=p_value,
        p_holm=p_value,
        **values,
    )


HAND_MADE = with_means(
    [
        pick("En-Dev", "sv", 0.5, 1.0),
        pick("Pivot-Dev", "sv", 0.54, 0.01, pivot="de"),
        pick("LMS", "sv", 0.47, 0.0499),
        pick("Random", "sv", 0.49, None),
        pick("100-Target", "sv", 0.52, 0.05, examples=100),
        pick("All-Target", "sv", 0.6, 0.001, examples=912),
        pick("Best", "sv", 0.9, 0.001),
        pick("En-Dev", "hu", 0.5, 1.0, rank=3.0),
        pick("Pivot-Dev", "hu", 0.5, 1.0, pivot="zh"),
        pick("LMS", "hu", 0.52, 0.3, rank=5.0),
        pick("Random", "hu", 0.49, None),
        pick("100-Target", "hu", 0.52, 0.3, examples=100),
        pick("All-Target", "hu", 0.52, 0.3, examples=80),
        pick("Best", "hu", 0.9, 0.001),
    ]
)
