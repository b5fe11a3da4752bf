"""What Tune is given to try: the candidates of a grid, or Optuna's proposals, in which the seed is not searched."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

import optuna
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter, Searcher
from ray.tune.search.optuna import OptunaSearch

from lms_ray.settings.candidates import Candidate, Range, Sweep

METRIC = "objective"
"""What Tune calls the number that a trial reports, whatever it is."""
SPACE = {"candidate": dict.fromkeys(field.name for field in fields(Candidate))}
"""Of candidates that are given whole; Tune wants to know their keys."""
SEARCHED = ("learning_rate", "epochs", "batch_size")


def every(candidates: Iterable[Candidate], sweep: Sweep) -> BasicVariantGenerator:
    """Each of these candidates once, in their order, to fill `SPACE`.

    `tune.grid_search` would, before the first one runs, copy all of them for each of them.
    """
    points = [{"candidate": asdict(candidate)} for candidate in candidates]
    return BasicVariantGenerator(points, max_concurrent=sweep.resources.workers or 0)


def algorithm(sweep: Sweep, known: Mapping[Candidate, float], next_seed: int, sampler_seed: int) -> Searcher:
    """A search by TPE on what `sweep.objective` says.

    Args:
        sweep: what is searched.
        known: the objective of candidates that are done, in the order in which they were proposed.
        next_seed: of the next candidate.
        sampler_seed: of the sampler.
    """
    search = _SeededOptuna(
        {f"candidate/{key}": _distribution(getattr(sweep, key), whole=key != "learning_rate") for key in SEARCHED},
        metric=METRIC,
        mode="max",
        sampler=optuna.samplers.TPESampler(n_startup_trials=startup(sweep), seed=sampler_seed),
        points_to_evaluate=[_point(candidate) for candidate in known] or None,
        evaluated_rewards=list(known.values()) or None,
    )
    search.next_seed = next_seed
    return ConcurrencyLimiter(search, sweep.resources.workers) if sweep.resources.workers else search


def startup(sweep: Sweep) -> int:
    """How many candidates are drawn at random before the sampler follows what it knows: ten, of few a quarter."""
    assert sweep.candidates is not None
    return min(10, max(2, sweep.candidates // 4))


def is_within(candidate: Candidate, sweep: Sweep) -> bool:
    """Whether the search could have proposed a candidate."""
    for key in SEARCHED:
        value, space = getattr(candidate, key), getattr(sweep, key)
        if not (space.low <= value <= space.high if isinstance(space, Range) else value in space):
            return False
    return True


class _SeededOptuna(OptunaSearch):
    """Gives each proposal a seed of its own, which the sampler does not see: it is noise, not a setting."""

    next_seed = 0

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Wait for the trial's end, as nothing is pruned."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Learn nothing from a candidate that was given up; without a result it would be taken for a pruned one."""
        super().on_trial_complete(trial_id, result, error or METRIC not in (result or {}))

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        config = super().suggest(trial_id)
        if config is not None:
            config["candidate"]["seed"] = self.next_seed
            self.next_seed += 1
        return config


def _distribution(values: Any, whole: bool) -> optuna.distributions.BaseDistribution:
    if not isinstance(values, Range):
        return optuna.distributions.CategoricalDistribution(values)
    if whole:
        return optuna.distributions.IntDistribution(int(values.low), int(values.high), log=values.log)
    return optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)


def _point(candidate: Candidate) -> dict[str, Any]:
    return {f"candidate/{key}": asdict(candidate)[key] for key in SEARCHED}
