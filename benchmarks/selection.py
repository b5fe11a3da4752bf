"""Selection against En-Dev at scale: does it pick better, by which rule, and why.

    python benchmarks/selection.py CONFIG [key=value ...]

Runs an experiment from the sweep to the report, or goes on with it (it resumes, so it can be done in pieces), then the
ablations of the ranker's inputs, the curves, and soups where the candidates share a head, and prints in Markdown:

- the paper's Table 3, in one draw of the meta split;
- what every selector is worth over all draws;
- Tables 5 and 6: the ranker's features and language vectors over the same draws;
- what the evidence knows: for each kind the rank correlation with the targets' test scores, and with the English ones;
- whether what was stated of the picks came true, and for how many targets nothing was told;
- the regret with fewer candidates, pivots, sentences, and by labels of the target;
- averages of weights beside single picks;
- whether the language that was said to be worth annotating most would have been.

`jobs/*-study.yaml` are the studies whose notes lie beside this file.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from tabulate import tabulate

from lms_ray import tasks
from lms_ray.choosing.evidence import Known
from lms_ray.choosing.gathering import gather, know, oracles
from lms_ray.choosing.picking import Oracles
from lms_ray.choosing.recommended import RECOMMENDED, untaught
from lms_ray.choosing.rules import RULES, best
from lms_ray.choosing.signals import Observed
from lms_ray.data import roles
from lms_ray.models.pretrain import materialise
from lms_ray.pages.certainty import calibration_table
from lms_ray.pages.curves import curves_table, labels_needed
from lms_ray.pages.draws import Worth, advice, beside, worth_table, worths
from lms_ray.pages.soups import soup_table
from lms_ray.pages.tables import score_table, verdict
from lms_ray.report import of_most_targets
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.store import ablations, curves, deployment, lineage, picks, pool, redrawn, soups
from lms_ray.store.files import Store

PAIRS = (
    ("Recommended", "All-Pivot"), ("Recommended", "LMS"), ("Combined", "All-Pivot"), ("All-Pivot", "LMS"),
    ("LMS", "Random"), ("LMS", "En-Dev"),
)  # fmt: skip


def main() -> None:
    """Run what is missing, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args()
    experiment = materialise(load(arguments.config, arguments.overrides), make=False)
    for stage in ("sweep", "ablation", "curves", *(["soups"] if experiment.finetune.shared_head else [])):
        command = [sys.executable, "-m", f"lms_ray.{stage}", arguments.config, *arguments.overrides]
        subprocess.run(command, check=True)
    store = Store(experiment.folder)
    for title, text in sections(experiment, store).items():
        print(f"\n## {title}\n\n{text}")


def sections(experiment: Experiment, store: Store) -> dict[str, str]:
    """The note's tables, by their titles."""
    candidates = pool.candidates(store)
    corpora = roles.ranked_from(experiment, tasks.get(experiment.task).example)
    origin = lineage.origin(experiment, lineage.RANKING, store, candidates, corpora)
    made, (train, dev, chosen_from) = picks.read(store), experiment.meta_split.sizes(len(candidates))
    worth = worths(picks.read_splits(store), chosen_from, train + dev)
    recommended = of_most_targets(redrawn.read_recommended(store, origin), experiment)
    known = know(experiment, store, gather(experiment, store))
    judged = oracles(experiment, store, candidates)
    return {
        "One draw (Table 3)": f"{score_table(made, picks.read_baselines(store)).to_markdown()}\n\n{verdict(made)}",
        f"{experiment.meta_split.draws} draws": f"{worth_table(worth).to_markdown()}\n\n"
        f"{advice(worth, recommended, chosen_from, train + dev)}",
        "One selector beside another": pairs(picks.read_splits(store), worth, chosen_from, train + dev),
        "The ranker's inputs (Tables 5 and 6)": inputs(ablations.read(store), worth[0].delta_D),
        "What the evidence knows": evidence(experiment, known, judged),
        "Did it come true?": came_true(store),
        "How much is needed": needed(experiment, store, candidates),
        "What to annotate next": annotated(experiment, known, judged, deployment.read_worth(store, origin)),
        **({"Soups": soup_table(soups.read(store)).to_markdown()} if experiment.finetune.shared_head else {}),
    }


def pairs(splits: pd.DataFrame, worth: Sequence[Worth], pool: int, taught: int) -> str:
    """Differences over the same draws, with intervals, and on how many draws and targets the first is ahead."""
    by_name = {one.selector: one for one in worth}
    delta_TS = splits.pivot_table(index="target", columns="selector", values="delta")
    rows = []
    for one, other in PAIRS:
        if one not in by_name or other not in by_name:  # Combined wants three pivots for every target
            continue
        found = beside(by_name[one], by_name[other], pool, taught)
        mean, ahead = found.difference_D.mean(), (found.difference_D > 0).sum()
        targets = (delta_TS[one] > delta_TS[other]).sum()
        rows.append(
            [f"{one} - {other}", f"{mean:+.2f} ± {found.half_width:.2f}", f"{found.p_value:.4f}",
             f"{ahead} of {len(found.difference_D)}", f"{targets} of {len(delta_TS)}"]
        )  # fmt: skip
    return tabulate(rows, ["", "points", "p", "draws ahead", "targets ahead"], tablefmt="github")


def inputs(rows: pd.DataFrame, best_D: pd.Series) -> str:
    """Means over targets and draws of each variant of the ranker; beside them the best selector's."""
    means_DV = 100 * rows.pivot_table(index="draw", columns=["table", "variant"], values="delta", sort=False)
    table = [
        [f"`ranker.{key}`", variant, f"{delta_D.mean():+z.2f}", f"{delta_D.std():.2f}"]
        for (key, variant), delta_D in means_DV.items()
    ]
    table.append(["best selector of all", "", f"{best_D.mean():+z.2f}", f"{best_D.std():.2f}"])
    return tabulate(table, ["", "", "Δ to En-Dev", "s.d. over draws"], tablefmt="github")


def evidence(experiment: Experiment, known: Known, judged: dict[str, Oracles]) -> str:
    """Rank correlations, over all candidates, of what rules look at with test scores, and with En-Dev's."""
    found: dict[str, list[tuple[float, float]]] = {}
    for target in experiment.targets:
        for name, score_C in untaught(known, target, experiment.pivots_for(target)).items():
            if np.ptp(score_C):
                with_test = spearmanr(score_C, judged[target].test_C).statistic
                with_source = spearmanr(score_C, known.source_C).statistic
                found.setdefault(name, []).append((float(with_test), float(with_source)))
    rows = []
    for name, values in found.items():
        test_T, source_T = np.asarray(values).T
        rows.append(
            [name, test_T.mean(), test_T.min(), test_T.max(), f"{(test_T > 0).sum()}/{len(test_T)}", source_T.mean()]
        )
    rows.sort(key=lambda row: -row[1])
    header = ["Evidence", "with test scores", "lowest", "highest", "above 0", "with English dev scores"]
    return tabulate(rows, header, tablefmt="github", floatfmt="+.2f")


def came_true(store: Store) -> str:
    """What was stated of Recommended in all draws, what came of it, and how its picks fared where nothing was told."""
    outcomes = picks.read_outcomes(store)
    table = calibration_table(outcomes, [RECOMMENDED]).to_markdown()
    gains = outcomes[(outcomes["rule"] == RECOMMENDED) & (outcomes["statement"] == "gain")]
    rows = [
        ["told" if told else "not told", len(of), of["target"].nunique(),
         100 * of["happened"].mean(), 100 * (of["happened"] > 0).mean()]
        for told, of in gains.groupby("told")
    ]  # fmt: skip
    header = ["Picks", "times", "targets", "points above an average candidate", "% above it"]
    return f"{table}\n\n{tabulate(rows, header, tablefmt='github', floatfmt='.2f')}"


def needed(experiment: Experiment, store: Store, candidates: Sequence[str]) -> str:
    """The curves."""
    corpora = roles.picked_from(experiment, tasks.get(experiment.task).example)
    origin = lineage.origin(experiment, lineage.SELECTION, store, candidates, corpora)
    rows = curves.read(store, origin)
    return f"{curves_table(rows).to_markdown()}\n\n{labels_needed(rows)}"


def annotated(experiment: Experiment, known: Known, judged: dict[str, Oracles], worth: pd.DataFrame) -> str:
    """What a target's dev labels, as one more pivot, were said to save the others, and what they would have saved.

    By the rule that weighs pivots by what they say: it needs nothing but their scores.
    """
    rule, rows = RULES["Kriged pivots"], []
    nothing = Observed((), {}, {}, {}, np.empty((len(known.source_C), 0)), np.empty(len(known.source_C)))

    def regret(pivots: Sequence[str], score_CP: np.ndarray, targets: Sequence[str]) -> float:
        given = replace(known.material, pivots=tuple(pivots), pivot_score_CP=score_CP)
        asked = replace(known, material=given, observed=nothing, _made={})
        found = []
        for target in targets:
            score_C = rule(asked.evidence(target, [pivot for pivot in pivots if pivot != target]))
            assert score_C is not None
            found.append(judged[target].test_C.max() - judged[target].test_C[best(score_C)])
        return 100 * float(np.mean(found))

    pivots, score_CP = known.material.pivots, known.material.pivot_score_CP
    for language in worth["language"].unique():
        others = [target for target in experiment.targets if target != language]
        said = worth[(worth["language"] == language) & (worth["target"] != language)]
        more_CP = np.column_stack([score_CP, judged[language].dev_C])
        rows.append(
            [language, 100 * (said["before"] - said["after"]).mean(),
             regret(pivots, score_CP, others) - regret([*pivots, language], more_CP, others)]
        )  # fmt: skip
    if not rows:
        return "Every target is a pivot."
    rows.sort(key=lambda row: -row[1])
    table = tabulate(rows, ["Labels of", "said to save", "would have saved"], tablefmt="github", floatfmt="+.2f")
    said_L, saved_L = np.asarray([row[1:] for row in rows]).T
    together = spearmanr(said_L, saved_L).statistic if np.ptp(saved_L) else np.nan
    return f"{table}\n\nRank correlation of the two: {together:+.2f}; mean of what was saved: {saved_L.mean():+.2f}"


if __name__ == "__main__":
    main()
