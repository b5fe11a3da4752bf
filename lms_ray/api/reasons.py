"""Why a candidate is picked for a language: the report's sentences, and the tables behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import fill

import pandas as pd

from lms_ray.pages import certainty


@dataclass(frozen=True, eq=False)
class Reasons:
    """What is known of the picks for one language; a notebook shows the words and the rules that count.

    Attributes:
        language: that is picked for.
        words: what to use, how sure that is, and whose labels would help most: the report's sentences.
        rules: for each rule its pick of all candidates, whether it is the one to follow, its weight in `Recommended`,
            its mean gain on the pivots (standard deviations above an average candidate of its picks for pivots, made
            without their labels), and what is expected of the pick, as in `OpenExperiment.for_use`. The rule to follow
            comes first, then those of most weight.
        pivots: the gains of each rule on each pivot; without columns where there are too few pivots to try rules on.

    Example:
        >>> import lms_ray
        >>> reasons = lms_ray.open_experiment("runs/quickstart").why("pt")
        >>> reasons.rules.index[0], bool(reasons.rules["followed"].iloc[0])
        ('...', True)
    """

    language: str
    words: str
    rules: pd.DataFrame
    pivots: pd.DataFrame

    def __str__(self) -> str:
        return fill(self.words, 110, break_on_hyphens=False)

    def _repr_html_(self) -> str:
        counting = self.rules[(self.rules["weight"] > 0) | self.rules["followed"]]
        return f"<p>{escape(self.words)}</p>{counting.to_html(float_format='{:.2f}'.format)}"


def reasons(
    language: str,
    pivots: Sequence[str],
    for_use: pd.DataFrame,
    worth: pd.DataFrame,
    recommended: pd.DataFrame,
    candidates: int,
) -> Reasons:
    """The reasons for one language.

    Args:
        language: the language.
        pivots: whose labels may be looked at for it.
        for_use: columns of `store.deployment.SCHEMA`.
        worth: columns of `store.deployment.WORTH_SCHEMA`.
        recommended: rows of pivots, rule, weight and gains, of every set of pivots.
        candidates: how many there are to pick from.
    """
    picked = for_use[for_use["target"] == language]
    tried = recommended[recommended["pivots"] == ",".join(pivots)].set_index("rule")
    gains = {str(rule): of_rule for rule, of_rule in tried["gains"].items() if len(of_rule)}
    by_pivot = pd.DataFrame.from_dict(gains, orient="index", columns=list(pivots) if gains else [], dtype=float)
    by_pivot.index.name = "rule"
    rules = picked.drop(columns="target").set_index("rule")
    rules.insert(2, "weight", tried["weight"].reindex(rules.index).fillna(0.0))
    rules.insert(3, "gain_on_pivots", by_pivot.mean(axis=1).reindex(rules.index))
    return Reasons(
        language=language,
        words=certainty.in_words(picked, worth, candidates)[language],
        rules=rules.sort_values(["followed", "weight"], ascending=False, kind="stable"),
        pivots=by_pivot,
    )
