"""The rule to follow in an experiment, learned from its pivots alone.

Each pivot in turn plays the target of the others: all rules score the candidates for it without its labels, and then
its labels say how good the picks are. `Combined` learns how much to trust each kind of evidence, by regression;
`Recommended` weighs all rules, that one among them, by how well they picked. No label of a target is seen, so what it
reaches on the targets is an honest result.

Shape suffixes: C candidates, P pivots, I inputs, R random pools, M rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lms_ray.choosing.evidence import Evidence, Known, without, z_scores, z_scores_of_known
from lms_ray.choosing.kinship import correlations
from lms_ray.choosing.rules import FOUNDATION, RULES, setting_mean
from lms_ray.settings.hashing import seed_for

RECOMMENDED, COMBINED = "Recommended", "Combined"
INPUTS = ("shares", "agreement", "vote", "confidence", "atc")  # signals that Combined weighs, beside scores
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # of Combined's regression, on inputs of unit variance
FEWEST = 3  # pivots: with two, a rule would be judged on one pivot by what another one says
POOLS = 300  # random pools on which a rule's picks for a pivot are judged
SHARPNESS = 0.1  # standard deviations of the pivots' scores: a rule that picks so much worse counts 1/e
LEAST = 0.05  # a rule of less weight is left out
LADDER = ("En-Dev", FOUNDATION, RECOMMENDED)
"""Rules from the simplest: one is followed if its picks for the pivots are better than those of all before it."""

Scores = Mapping[str, np.ndarray]
"""Scores of all candidates, shape (C,), by rule; NaN for a candidate that a rule could not score."""


@dataclass(frozen=True)
class Recommendation:
    """How much the rules count for the targets that share a set of pivots."""

    weights: dict[str, float]
    """By rule, summing to one."""
    gains: dict[str, np.ndarray]
    """By rule, for each pivot the mean z-score of its picks there; empty where there are too few pivots. Those of the
    recommended one itself are made with weights that the other pivots gave."""
    correlation_P: np.ndarray
    """For each pivot the correlation of the recommended scores, made likewise, with its labels' scores."""
    reason: str
    """In one sentence, for the report."""

    def scores(self, of_rules: Scores) -> np.ndarray:
        """The weighted mean of the rules' z-scores, shape (C,); where a rule has no score, it has no say.

        A language whose text gives fewer signals than the pivots' lacks rules: those that it has are weighed anew.
        """
        weights = self.weights
        if not weights.keys() <= of_rules.keys():
            weights = weigh({name: gain_P for name, gain_P in self.gains.items() if name in of_rules})
        return _mixed(weights, of_rules)

    @property
    def followed(self) -> str:
        """The rule of the `LADDER` to follow."""
        return climbed(self.gains)


def climbed(gains: Mapping[str, np.ndarray]) -> str:
    """The rule of the `LADDER` whose picks for the pivots are best; of equal ones the simplest.

    Args:
        gains: by rule, of its picks for each pivot; where there are none, nothing was tried.
    """
    return max(LADDER, key=lambda rule: gains[rule].mean()) if gains else FOUNDATION


def recommend(
    pivots: Sequence[str], of_pivots: Mapping[str, Scores], known: Known, pool: int, seed: int
) -> Recommendation:
    """Weigh the rules by how well they pick for each pivot from what is known of the others.

    Args:
        pivots: whose labels may be looked at.
        of_pivots: for each of them the rules' scores, made without it; not needed of fewer than `FEWEST`.
        known: of all candidates.
        pool: how many candidates a pick is made from.
        seed: of the experiment, for the random pools.
    """
    if len(pivots) < FEWEST:
        return Recommendation(
            {FOUNDATION: 1.0}, {}, np.empty(0),
            f"with {len(pivots)} of them there is too little to try rules on; {FOUNDATION} needs no such trial",
        )  # fmt: skip
    names = [name for name in of_pivots[pivots[0]] if all(name in scores for scores in of_pivots.values())]
    rng = np.random.default_rng(seed_for(seed, "pools of pivots"))
    count = len(known.source_C)
    pool_RC = np.argsort(rng.random((POOLS, count)), axis=1)[:, : min(pool, count)]
    gains = {
        name: np.asarray(
            [mean_gain(of_pivots[pivot][name], known.pivot_scores([pivot])[:, 0], pool_RC) for pivot in pivots]
        )
        for name in names
    }
    weights = weigh(gains)
    best = max(names, key=lambda name: gains[name].mean())
    ahead_P = gains[best] - gains[FOUNDATION]
    error = ahead_P.std(ddof=1) / np.sqrt(len(pivots))
    reason = (
        f"each of {len(pivots)} pivots was picked for by what the others know; {best} did best there, with picks "
        f"{gains[best].mean():.2f} standard deviations above the mean candidate, {ahead_P.mean():.2f} above "
        f"{FOUNDATION}'s (standard error over the pivots {error:.2f})"
    )
    gain_P, correlation_P = np.empty(len(pivots)), np.empty(len(pivots))
    for place, pivot in enumerate(pivots):
        by_others = weigh({name: np.delete(of_rule_P, place) for name, of_rule_P in gains.items()})
        score_C, right_C = _mixed(by_others, of_pivots[pivot]), known.pivot_scores([pivot])[:, 0]
        gain_P[place] = mean_gain(score_C, right_C, pool_RC)
        correlation_P[place] = correlations(np.column_stack([score_C, right_C]))[0, 1]
    return Recommendation(weights, {**gains, RECOMMENDED: gain_P}, correlation_P, reason)


def weigh(gains: Mapping[str, np.ndarray]) -> dict[str, float]:
    """How much each rule counts, by its gains over some pivots; the most first."""
    mean_M = np.asarray([gain_P.mean() for gain_P in gains.values()])
    weight_M = np.exp((mean_M - mean_M.max()) / SHARPNESS)
    weight_M[weight_M < min(LEAST * weight_M.sum(), weight_M.max())] = 0  # of many that are as good, all stay
    weights = {name: float(w) for name, w in zip(gains, weight_M / weight_M.sum(), strict=True) if w}
    return dict(sorted(weights.items(), key=lambda item: -item[1]))


def _mixed(weights: Mapping[str, float], of_rules: Scores) -> np.ndarray:
    return sum(
        (weight * np.nan_to_num(z_scores_of_known(of_rules[name])) for name, weight in weights.items()),
        start=np.zeros(()),
    )


def mean_gain(score_C: np.ndarray, right_C: np.ndarray, pool_RC: np.ndarray) -> float:
    """Mean over random pools of the z-score of the pick, by what is right.

    Args:
        score_C: a rule's scores; a candidate without one is never picked.
        right_C: scores by labels.
        pool_RC: candidates of each pool.
    """
    scored_C = np.where(np.isnan(score_C), -np.inf, score_C)
    picked_R = np.take_along_axis(pool_RC, scored_C[pool_RC].argmax(1)[:, None], axis=1)[:, 0]
    return float(z_scores(right_C)[picked_R].mean())


def untaught(known: Known, language: str, pivots: Sequence[str]) -> dict[str, np.ndarray]:
    """Scores of every rule that needs no division of the candidates, `Combined` among them."""
    evidence = known.evidence(language, pivots)
    scores = {name: score_C for name, rule in RULES.items() if (score_C := rule(evidence)) is not None}
    if (combined_C := combined(known, language, pivots)) is not None:
        scores[COMBINED] = combined_C
    return scores


def combined(known: Known, language: str, pivots: Sequence[str]) -> np.ndarray | None:
    """A weighted sum of evidence: scores on the pivots, the setting, and signals; None where the pivots are too few.

    The weights are those of a ridge regression of each pivot's z-scores on what is known of it from the other pivots,
    penalised as serves a pivot best that was left out, of whose labels nothing else knows then.
    """
    if len(pivots) < FEWEST:
        return None
    asked = known.evidence(language, pivots)
    names = [
        name
        for name in INPUTS
        if all(name in known.evidence(one, without(pivots, one)).signals for one in pivots) and name in asked.signals
    ]
    error = np.zeros(len(PENALTIES))
    for left_out in pivots:
        others = without(pivots, left_out)
        input_CI = _inputs(known.evidence(left_out, others), names)
        right_C = z_scores(known.pivot_scores([left_out]))[:, 0]
        lesson = _lesson(known, others, names)
        error += [float(((input_CI @ _ridge(*lesson, penalty) - right_C) ** 2).mean()) for penalty in PENALTIES]
    return _inputs(asked, names) @ _ridge(*_lesson(known, pivots, names), PENALTIES[int(error.argmin())])


def _lesson(known: Known, pivots: Sequence[str], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of each pivot seen from the others, shape (P, C, I), and what is right, shape (P, C)."""
    input_PCI = np.stack([_inputs(known.evidence(one, without(pivots, one)), names) for one in pivots])
    return input_PCI, z_scores(known.pivot_scores(pivots)).T


def _inputs(evidence: Evidence, names: Sequence[str]) -> np.ndarray:
    columns = [evidence.pivot_z_C, setting_mean(evidence), evidence.source_C]
    return np.column_stack([z_scores(column) for column in [*columns, *(evidence.signals[name] for name in names)]])


def _ridge(input_PCI: np.ndarray, right_PC: np.ndarray, penalty: float) -> np.ndarray:
    input_NI, right_N = input_PCI.reshape(-1, input_PCI.shape[-1]), right_PC.ravel()
    count, width = input_NI.shape
    return np.linalg.solve(input_NI.T @ input_NI + penalty * count * np.eye(width), input_NI.T @ right_N)
