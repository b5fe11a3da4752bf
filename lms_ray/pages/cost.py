"""What work costs: hours of GPUs, or of cores where none is used, and their price where prices are configured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from lms_ray.settings.experiment import Experiment
from lms_ray.settings.resources import Resources
from lms_ray.store.attempts import Use

NO_PRICE = "no price: set cluster.prices, such as 'cluster.prices={spot: 0.4, on-demand: 1.2}'"
UNLABELLED = "nodes without a label"


@dataclass(frozen=True)
class Prices:
    """What an hour costs, by market."""

    by_market: Mapping[Any, float]
    unit: str
    """Of what: `GPU`, or `core` where no stage of the experiment takes a GPU."""

    @classmethod
    def of(cls, experiment: Experiment | None) -> "Prices":
        """As they are configured; none of a configuration that is broken."""
        if experiment is None:
            return cls({}, "GPU")
        stages = (experiment.sweep, experiment.encode, experiment.ranker)
        units = {unit_of(stage.resources) for stage in stages}
        return cls(experiment.cluster.prices, "GPU" if "GPU" in units else "core")

    def __call__(self, unit: str, market: str | None) -> float | None:
        """Of an hour; None where it is not configured."""
        return self.by_market.get(market) if unit == self.unit else None


@dataclass(frozen=True)
class Spent:
    """What one stage took on one market, in hours of a GPU or a core."""

    stage: str
    market: str | None
    unit: str
    hours: float
    lost: float
    failed: float


def unit_of(resources: Resources) -> str:
    """What a stage's hours are counted in."""
    return "GPU" if resources.gpus else "core"


def units_of(resources: Resources) -> float:
    """GPUs, or cores where none is taken, of one trial, actor or worker."""
    return resources.gpus or resources.cpus


def spent(uses_of: Mapping[str, Sequence[Use]]) -> list[Spent]:
    """Uses of machines, by stage, summed up by market."""
    rows = []
    for stage, uses in uses_of.items():
        by_market: dict[tuple[str, str | None], list[Use]] = {}
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
            f"{hours(row.hours)} {row.unit}-hours",
            hours(row.lost),
            hours(row.failed),
            money(_priced(row, row.hours, prices)),
        )
        for row in rows
    ]
    header = ("cost so far", "market", "time", "of it lost", "failed", "price")
    lines = tabulate(cells, header, tablefmt="plain", disable_numparse=True).splitlines()
    if not prices.by_market:
        return [*lines, NO_PRICE]
    total, lost, failed = (
        sum(_priced(row, getattr(row, kind), prices) or 0.0 for row in rows) for kind in ("hours", "lost", "failed")
    )
    lines.append(f"in all {money(total)}: {money(lost)} for work that was lost, {money(failed)} for work that failed")
    without = {f"{row.unit}-hours on {row.market or UNLABELLED}" for row in rows if _priced(row, 0.0, prices) is None}
    return [*lines, f"without a price: {', '.join(sorted(without))}"] if without else lines


def hours(value: float) -> str:
    """Hours with two digits that say something, or whole ones."""
    if value < 0.1:
        return f"{value:.2g}"
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def money(value: float | None) -> str:
    """A price, or a dash where there is none."""
    return "-" if value is None else f"{value:,.2f}"


def _priced(row: Spent, hours: float, prices: Prices) -> float | None:
    price = prices(row.unit, row.market)
    return None if price is None else price * hours
