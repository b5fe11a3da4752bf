"""What work costs: hours of GPUs, or of cores where none is used, and their price where prices are configured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from lms_ray.settings.experiment import Experiment
from lms_ray.settings.resources import Unit
from lms_ray.store.attempts import Use

NO_PRICE = "no price: set cluster.prices, such as 'cluster.prices={spot: 0.4, on-demand: 1.2}'"
UNLABELLED = "nodes without a label"


@dataclass(frozen=True)
class Prices:
    """What an hour costs, by market."""

    by_market: Mapping[Any, float]
    unit: Unit
    """Of what: `GPU`, or `core` where no stage of the experiment takes a GPU."""

    @classmethod
    def of(cls, experiment: Experiment | None) -> "Prices":
        """As they are configured; none of a configuration that is broken."""
        if experiment is None:
            return cls({}, "GPU")
        stages = (experiment.sweep, experiment.encode, experiment.ranker)
        units = {stage.resources.unit for stage in stages}
        return cls(experiment.cluster.prices, "GPU" if "GPU" in units else "core")

    def __call__(self, hours: float, unit: Unit, market: str | None) -> float | None:
        """Of so many hours; None where it is not configured."""
        price = self.by_market.get(market) if unit == self.unit else None
        return None if price is None else price * hours


@dataclass(frozen=True)
class Spent:
    """What one stage took on one market, in hours of a GPU or a core."""

    stage: str
    market: str | None
    unit: Unit
    hours: float
    lost: float
    failed: float


def spent(uses_of: Mapping[str, Sequence[Use]]) -> list[Spent]:
    """Uses of machines, by stage, summed up by market."""
    rows = []
    for stage, uses in uses_of.items():
        by_market: dict[tuple[Unit, str | None], list[Use]] = {}
        for use in uses:
            by_market.setdefault((use.machine.unit, use.machine.market), []).append(use)
        for (unit, market), some in sorted(by_market.items(), key=str):
            hours, lost, failed = (
                sum(getattr(use, kind) * use.machine.units for use in some) / 3600
                for kind in ("seconds", "lost", "failed")
            )
            rows.append(Spent(stage, market, unit, hours, lost, failed))
    return rows


def bill(rows: Sequence[Spent], prices: Prices) -> list[str]:
    """Lines that say what was spent, and how much of it in vain."""
    if not rows:
        return ["cost so far: nothing is recorded"]
    cells = [
        (
            row.stage,
            row.market or UNLABELLED,
            took(row.hours, row.unit),
            took(row.lost, row.unit),
            took(row.failed, row.unit),
            money(prices(row.hours, row.unit, row.market)),
        )
        for row in rows
    ]
    header = ("cost so far", "market", "time", "of it lost", "failed", "price")
    lines = tabulate(cells, header, tablefmt="plain", disable_numparse=True).splitlines()
    if not prices.by_market:
        return [*lines, NO_PRICE]
    total, lost, failed = (
        sum(prices(getattr(row, kind), row.unit, row.market) or 0.0 for row in rows)
        for kind in ("hours", "lost", "failed")
    )
    lines.append(f"in all {money(total)}: {money(lost)} for work that was lost, {money(failed)} for work that failed")
    unpriced = [row for row in rows if prices(row.hours, row.unit, row.market) is None]
    without = {f"{row.unit}-hours on {row.market or UNLABELLED}" for row in unpriced}
    return [*lines, f"without a price: {', '.join(sorted(without))}"] if without else lines


def took(hours: float, unit: Unit) -> str:
    """Hours of GPUs or cores in words: `0.25 GPU-hours`, `2.5 core-minutes`; 0 is `0`."""
    if not hours:
        return "0"
    if hours >= 0.1:
        return f"{hours:,.2f} {unit}-hours" if hours < 100 else f"{hours:,.0f} {unit}-hours"
    minutes = 60 * hours
    return f"{minutes:.1f} {unit}-minutes" if minutes >= 1 else f"{60 * minutes:.2g} {unit}-seconds"


def money(value: float | None) -> str:
    """A price, or a dash where there is none."""
    return "-" if value is None else f"{value:,.2f}"
