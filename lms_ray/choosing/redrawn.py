"""All rules on many divisions of the candidates, and on all candidates at once.

One division is one draw: how good a rule is shows over several (paper, Table 9). A rule that learns from other
candidates learns anew in each and scores those that it did not see; the mean over the draws is its score of every
candidate, made by rankers that never saw the candidate. By that is picked for use, from all candidates.

Shape suffixes: D draws, C candidates.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lms_ray.choosing.certainty import Expected, Trust, expect, trust
from lms_ray.choosing.evidence import Known, without, z_scores_of_known
from lms_ray.choosing.recommended import FEWEST, RECOMMENDED, Recommendation, recommend, untaught
from lms_ray.choosing.rules import FOUNDATION, best
from lms_ray.choosing.split import divide
from lms_ray.choosing.taught import TAUGHT, teach
from lms_ray.settings.choosing import MetaSplit

Asked = tuple[str, tuple[str, ...]]
"""A language, and the pivots whose labels are known when a pick is made for it."""


@dataclass(frozen=True)
class Redrawn:
    """What every rule says of every candidate."""

    part_DC: np.ndarray
    """Part of each candidate in each draw."""
    overall: dict[str, dict[str, np.ndarray]]
    """By target and rule the scores of all candidates, shape (C,); NaN for one that a rule never scored."""
    drawn: dict[str, dict[str, np.ndarray]]
    """By target and rule that learns, its scores in each draw, shape (D, C); NaN for those that it learned from."""
    followed: dict[str, str]
    """By target the rule to follow."""
    trust: dict[str, Trust]
    """By target, how far its recommended scores are to be trusted; none where there are too few pivots to tell."""
    recommendations: dict[tuple[str, ...], Recommendation] = field(default_factory=dict)
    """By the pivots that targets share; none where what was said is read again."""

    def of_draw(self, target: str, draw: int) -> dict[str, np.ndarray]:
        """Scores of the candidates of a draw's pool, by rule; one that had nothing to learn from has none."""
        pool = self.pool(draw)
        scores = self.overall[target] | {name: of_all[draw] for name, of_all in self.drawn[target].items()}
        return {name: score_C[pool] for name, score_C in scores.items() if not np.isnan(score_C[pool]).all()}

    @property
    def for_use(self) -> dict[str, dict[str, int]]:
        """By target and rule the candidate that it picks of all that it could score; the first one wins a tie."""
        return {
            target: {name: picked(score_C) for name, score_C in scores.items()}
            for target, scores in self.overall.items()
        }

    def expected(self, scores: Mapping[str, np.ndarray], target: str, seed: int) -> dict[str, Expected]:
        """What is to be expected of every rule's pick for a target from some candidates; empty where nothing is told.

        Args:
            scores: of the candidates, by rule.
            target: the language.
            seed: of the simulation.
        """
        if target not in self.trust:
            return {}
        picks = {name: picked(score_C) for name, score_C in scores.items()}
        return expect(scores[RECOMMENDED], picks, "En-Dev", FOUNDATION, self.trust[target], seed)

    def pool(self, draw: int) -> np.ndarray:
        """The candidates that are picked from in a draw."""
        return np.flatnonzero(self.part_DC[draw] == "test")


def redraw(
    known: Known,
    targets_of: Mapping[tuple[str, ...], Sequence[str]],
    settings: MetaSplit,
    told: Callable[[int], None] = lambda draw: None,
) -> Redrawn:
    """Let every rule score the candidates for every target.

    Args:
        known: of all candidates.
        targets_of: targets by the pivots that may be looked at for them.
        settings: of the meta split.
        told: is called after each draw with the number of draws done.

    Raises:
        ValueError: a part of the division would have fewer than two candidates.
    """
    seed, count = known.material.seed, len(known.source_C)
    asked: list[Asked] = [(target, pivots) for pivots, targets in targets_of.items() for target in targets]
    tried: list[Asked] = [
        (pivot, without(pivots, pivot)) for pivots in targets_of if len(pivots) >= FEWEST for pivot in pivots
    ]
    languages_of: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for language, pivots in dict.fromkeys([*asked, *tried]):
        languages_of[pivots].append(language)
    parts, learned = [], defaultdict[Asked, dict[str, list[np.ndarray]]](lambda: defaultdict(list))
    for draw, division in enumerate(settings.each_draw, 1):
        part_C = divide(count, division, seed)
        for pivots, languages in languages_of.items():
            scorers = teach(known, part_C, pivots, seed)
            for language in languages:
                for name in TAUGHT:
                    score_C = scorers[name](language) if name in scorers else np.full(count, np.nan)
                    learned[language, pivots][name].append(np.where(part_C == "test", score_C, np.nan))
        parts.append(part_C)
        told(draw)
    drawn = {key: {name: np.stack(draws) for name, draws in rules.items()} for key, rules in learned.items()}

    def everything(language: str, pivots: tuple[str, ...]) -> dict[str, np.ndarray]:
        of_drawn = {name: cross_fitted(score_DC) for name, score_DC in drawn[language, pivots].items()}
        learned_anything = {name: score_C for name, score_C in of_drawn.items() if not np.isnan(score_C).all()}
        return {**untaught(known, language, pivots), **learned_anything}

    _, _, pool = settings.sizes(count)
    recommendations, overall, followed, trusted = {}, {}, dict[str, str](), dict[str, Trust]()
    for pivots, targets in targets_of.items():
        of_pivots = {
            pivot: everything(pivot, others) for pivot, others in tried if set(others) | {pivot} == set(pivots)
        }
        recommendations[pivots] = recommend(pivots, of_pivots, known, pool, seed)
        for target in targets:
            overall[target] = everything(target, pivots)
            overall[target][RECOMMENDED] = recommendations[pivots].scores(overall[target])
            followed[target] = recommendations[pivots].followed
        # Where a target's text gives fewer signals than the pivots', these tell of other scores than it has.
        like_pivots = [target for target in targets if recommendations[pivots].weights.keys() <= overall[target].keys()]
        trusted |= _trust(known, pivots, like_pivots, recommendations[pivots])
    return Redrawn(
        part_DC=np.stack(parts),
        overall=overall,
        drawn={target: drawn[target, pivots] for target, pivots in asked},
        followed=followed,
        trust=trusted,
        recommendations=recommendations,
    )


def _trust(
    known: Known, pivots: tuple[str, ...], targets: Sequence[str], recommended: Recommendation
) -> dict[str, Trust]:
    if not len(recommended.correlation_P):
        return {}
    kinship, right_CP = known.kinship(pivots), known.pivot_scores(pivots)
    expected_P = np.asarray([kinship.correlation(pivot, without(pivots, pivot)) for pivot in pivots])
    found = {
        target: trust(recommended.correlation_P, expected_P, kinship.correlation(target, pivots), right_CP)
        for target in targets
    }
    return {target: replace(one, level=known.level(target, pivots)) for target, one in found.items() if one}


def picked(score_C: np.ndarray) -> int:
    """The candidate of the highest score of those that have one; the first one wins a tie."""
    return best(np.where(np.isnan(score_C), -np.inf, score_C))


def cross_fitted(score_DC: np.ndarray) -> np.ndarray:
    """A candidate's mean z-score over the draws in which it was not learned from, shape (C,); NaN without one."""
    z_DC = np.stack([z_scores_of_known(score_C) for score_C in score_DC])
    times_C = (~np.isnan(z_DC)).sum(0)
    return np.divide(np.nansum(z_DC, axis=0), times_C, out=np.full(len(times_C), np.nan), where=times_C > 0)
