"""Rules that learn from other candidates what makes one good in the pivots, and score candidates that they never saw.

LMS is the paper's; the others are its rivals of equal information: ridge regression and LambdaRank on the same
features, each also with what LMS never sees, the candidate's own scores on the pivots. A pivot that teaches is
described by scores on the other pivots, as a target is by those on all.

Shape suffixes: C candidates, P pivots, H feature, N rows to learn from, A strengths, R rank.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import rankdata

from lms_ray.choosing import convex
from lms_ray.choosing.evidence import Known, without, z_scores
from lms_ray.choosing.ranker import validate

LMS = "LMS"
TAUGHT = (LMS, "Ridge", "Ridge + pivots", "LambdaRank", "LambdaRank + pivots")
ALPHAS = np.logspace(-3, 3, 13)  # of ridge regression on features of unit mean square
GRADES = 8  # of relevance, for LambdaRank
TREES: dict[str, Any] = {"n_estimators": 50, "num_leaves": 7, "min_child_samples": 5, "colsample_bytree": 0.3}

Scorer = Callable[[str], np.ndarray]
"""From a language to the scores of all candidates, shape (C,)."""


def teach(known: Known, part_C: np.ndarray, pivots: Sequence[str], seed: int) -> dict[str, Scorer]:
    """Let every taught rule learn from the candidates of meta-train and meta-dev on some pivots.

    LMS (the convex fit) learns on meta-train, and its penalty is chosen on meta-dev; the others need no such choice and
    learn from both.

    Args:
        known: of all candidates.
        part_C: part of the meta split of each.
        pivots: whose labels may be looked at.
        seed: of the experiment, for LambdaRank's draw of features.

    Returns:
        By the rules' names. LambdaRank wants two or more different scores on a pivot, and so does LMS: a rule that
        finds nothing to learn is left out.
    """
    pivots, teachers = tuple(pivots), np.flatnonzero(part_C != "test")
    material = replace(known.material, part_C=part_C)
    score_CP = known.pivot_scores(pivots)
    if not np.ptp(score_CP[part_C == "train"], axis=0).any():
        return {}
    train, dev = material.lesson(pivots, "train"), material.lesson(pivots, "dev")
    also = material.other_lessons(pivots)
    lms = max(convex.fit(train, material.settings.l2, "cpu", also), key=lambda ranker: validate(ranker, dev))
    target_N = z_scores(score_CP[teachers]).T.ravel()

    def lms_scorer(language: str) -> np.ndarray:
        return lms.score(material.features([language], pivots)[:, 0], material.vector(language))

    scorers: dict[str, Scorer] = {LMS: lms_scorer}
    for with_pivots in (False, True) if len(pivots) > 1 else (False,):
        input_NH = np.concatenate([_inputs(known, pivot, pivots, with_pivots)[teachers] for pivot in pivots])
        ending = " + pivots" if with_pivots else ""
        for name, predict in (
            ("Ridge", partial(np.dot, b=ridge(input_NH, target_N, len(pivots)))),
            ("LambdaRank", lambda_rank(input_NH, target_N, len(pivots), seed)),
        ):
            scorers[f"{name}{ending}"] = _scorer(known, pivots, with_pivots, predict)
    return scorers


def ridge(input_NH: np.ndarray, target_N: np.ndarray, groups: int) -> np.ndarray:
    """Weights of ridge regression without intercept, its strength chosen by leaving out each candidate, shape (H,).

    A candidate is left out of all pivots at once: else the others would tell who it is, and with it how good.

    Args:
        input_NH: rows of the candidates on one pivot, then on the next.
        target_N: what is to be told.
        groups: number of pivots.
    """
    left_NR, length_R, right_RH = np.linalg.svd(input_NH, full_matrices=False)
    projected_R = left_NR.T @ target_N
    shrink_AR = length_R**2 / (length_R**2 + ALPHAS[:, None] * len(target_N))
    residual_AN = target_N - (shrink_AR * projected_R) @ left_NR.T
    left_CPR = left_NR.reshape(groups, -1, len(length_R)).swapaxes(0, 1)
    leverage_ACPP = np.einsum("cpr,ar,cqr->acpq", left_CPR, shrink_AR, left_CPR, optimize=True)
    residual_ACP = residual_AN.reshape(len(ALPHAS), groups, -1).swapaxes(1, 2)
    left_out_ACP1 = np.linalg.solve(np.eye(groups) * (1 + 1e-9) - leverage_ACPP, residual_ACP[..., None])
    chosen = int((left_out_ACP1**2).mean((1, 2, 3)).argmin())
    return (shrink_AR[chosen] / np.maximum(length_R, 1e-12) * projected_R) @ right_RH


def lambda_rank(input_NH: np.ndarray, target_N: np.ndarray, groups: int, seed: int) -> Callable[..., np.ndarray]:
    """LightGBM's LambdaRank on rows that come in `groups` equal groups; gives its function of inputs.

    Equal targets have the same grade, and a group in which all are equal says nothing.
    """
    from lightgbm import LGBMRanker  # half a second, which only this rule is worth

    size = len(target_N) // groups
    told = [group for group, part_C in enumerate(np.split(target_N, groups)) if np.ptp(part_C)]
    rows_N = np.concatenate([np.arange(group * size, (group + 1) * size) for group in told])
    rank_N = np.concatenate([rankdata(target_N[rows], "min") - 1 for rows in np.split(rows_N, len(told))])
    ranker = LGBMRanker(
        **TREES, random_state=seed % 2**31, deterministic=True, force_row_wise=True, n_jobs=1, verbose=-1
    )
    ranker.fit(input_NH[rows_N], (rank_N * GRADES // size).astype(int), group=[size] * len(told))
    return lambda input_CH: np.asarray(ranker.booster_.predict(input_CH, num_threads=1))


def _scorer(known: Known, pivots: tuple[str, ...], with_pivots: bool, predict: Callable[..., np.ndarray]) -> Scorer:
    return lambda language: predict(_inputs(known, language, pivots, with_pivots))


def _inputs(known: Known, language: str, pivots: tuple[str, ...], with_pivots: bool) -> np.ndarray:
    """Features standardised in the language, of unit length together, and the mean z-score on the other pivots."""
    material = known.material
    feature_CH = z_scores(material.feature_CGH[:, material.languages.index(language)])
    feature_CH = feature_CH / np.sqrt(feature_CH.shape[1])
    if not with_pivots:
        return feature_CH
    return np.column_stack([feature_CH, z_scores(known.pivot_scores(without(pivots, language))).mean(1)])
