"""Selection against En-Dev at scale: does it pick better, by which rule, and why.

    python benchmarks/selection.py CONFIG [key=value ...]

Runs an experiment from the sweep to the report, or goes on with it (it resumes, so it can be done in pieces), then the
ablations of the ranker's inputs, and prints in Markdown:

- the paper's Table 3, in one draw of the meta split;
- what every selector is worth over all draws;
- Tables 5 and 6: the ranker's features and language vectors over the same draws;
- what the evidence knows: for each kind the rank correlation with the targets' test scores, and with the English ones.

`jobs/pos-study.yaml` is the study whose note lies beside this file.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from tabulate import tabulate

from lms_ray import tasks
from lms_ray.choosing.evidence import Known
from lms_ray.choosing.gathering import gather, know, oracles
from lms_ray.choosing.picking import Oracles
from lms_ray.choosing.recommended import untaught
from lms_ray.data import roles
from lms_ray.models.pretrain import materialise
from lms_ray.pages.draws import Worth, advice, beside, worth_table, worths
from lms_ray.pages.tables import score_table, verdict
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.store import ablations, lineage, picks, pool, redrawn
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
    for stage in ("sweep", "ablation"):
        command = [sys.executable, "-m", f"lms_ray.{stage}", arguments.config, *arguments.overrides]
        subprocess.run(command, check=True)
    experiment = materialise(load(arguments.config, arguments.overrides), make=False)
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
    known = know(experiment, store, gather(experiment, store))
    judged = oracles(experiment, store, candidates)
    return {
        "One draw (Table 3)": f"{score_table(made, picks.read_baselines(store)).to_markdown()}\n\n{verdict(made)}",
        f"{experiment.meta_split.draws} draws": f"{worth_table(worth).to_markdown()}\n\n"
        f"{advice(worth, redrawn.read_recommended(store, origin), chosen_from, train + dev)}",
        "One selector beside another": pairs(picks.read_splits(store), worth, chosen_from, train + dev),
        "The ranker's inputs (Tables 5 and 6)": inputs(ablations.read(store), worth[0].delta_D),
        "What the evidence knows": evidence(experiment, known, judged),
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


if __name__ == "__main__":
    main()
