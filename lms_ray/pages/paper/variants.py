"""Tables 5, 6 and 11: variants of the ranker, as the mean over the targets of what each picks.

An experiment gives either all variants, from the ablations that were stored beside its picks, or one, by how its own
ranker is configured.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lms_ray.pages.paper.beside import NONE, cells, heads
from lms_ray.pages.paper.printed import AVERAGE, VARIANTS_OF, Paper
from lms_ray.pages.paper.studies import Study
from lms_ray.pages.tables import SIGNIFICANT, Table, star
from lms_ray.store import picks

REFERENCE = "En-Dev"
PAPER_NAME = {"POS": "POS", "QA": "QA", "RE": "RE", "ARL": "ARL", "NERCoNLL": "NER"}
"""The paper's names of tasks in these tables: its pivots in named entities are those of CoNLL."""


@dataclass(frozen=True)
class VariantTable:
    """One table of the paper."""

    number: int
    title: str
    key: str
    """Of `ranker`, in which the variants differ."""
    label_of: Mapping[str, str]
    """The paper's names of our variants."""
    variant: Callable[[Study], str]
    """Which variant an experiment's own ranker is."""
    plain: str
    """The variant that every experiment is unless told otherwise."""
    caution: str = ""
    """Where a name may mean another thing in the paper."""

    @property
    def wanted(self) -> str:
        """What kind of experiment it takes, in words."""
        stored = " or one with stored ablations" if self.number != 11 else ""
        return f"an experiment with another ranker.{self.key} than the default{stored}"

    def stored(self, study: Study) -> pd.DataFrame | None:
        """The experiment's ablations of this table."""
        if study.ablations is None:
            return None
        of_table = study.ablations[study.ablations["table"] == self.key]
        return None if of_table.empty else of_table

    def taken(self, studies: Sequence[Study]) -> list[Study]:
        """Experiments with ablations; and the others of a task, if one of them is not of the plain variant."""
        alone = [study for study in studies if self.stored(study) is None]
        varied = {study.experiment.task for study in alone if self.variant(study) != self.plain}
        return [study for study in studies if study not in alone or study.experiment.task in varied]


TABLES = (
    VariantTable(
        5,
        "Features of the candidates",
        "features",
        {"source": "[Eng]", "pivot": "[Pivot]", "target": "[Target]", "fusion": "Fusion"},
        lambda study: study.ranker_features,
        "target",
        "Ours: [Eng] is ranker.features=source, [Pivot] the mean over the pivots' texts for every language, [Target] "
        "each language's own text, in training too. Published code calls that last one [Pivot], and [Target] a ranker "
        "for each target that sees all pivots through the target's text, which is not here: compare with care.",
    ),
    VariantTable(
        6,
        "Language vectors",
        "language_vector",
        {"learned": "lang2vec", "syntax_knn": "syntax", "none": "none"},
        lambda study: study.experiment.ranker.language_vector,
        "learned",
    ),
    VariantTable(
        11,
        "A ranker that another task teaches too",
        "auxiliary",
        {"alone": "LMS", "auxiliary": "multi-task"},
        lambda study: "auxiliary" if study.experiment.ranker.auxiliary else "alone",
        "alone",
    ),
)


def variant_table(kind: VariantTable, studies: Sequence[Study], paper: Paper | None) -> Table:
    """A row for each experiment, and the paper's own mean over its tasks.

    Args:
        kind: which table.
        studies: those that it takes.
        paper: where the numbers to set beside are; None shows only ours.
    """
    columns = VARIANTS_OF[kind.number]
    printed = paper.variants[kind.number] if paper else {}

    def row(task: str, label: str, of_ours: Mapping[str, str], of_paper: Mapping[str, float]) -> list[str]:
        theirs = {name: f"{score:.2f}" for name, score in of_paper.items()}
        return [task, label, *cells(columns, of_ours, theirs if paper else None)]

    rows = [
        row(study.paper_name or study.experiment.task, study.label, _ours(kind, study), _beside(kind, study, paper))
        for study in studies
    ]
    average = [row("all of the paper", NONE, {}, printed[AVERAGE])] if AVERAGE in printed else []
    header = ["Task", "Experiment", *heads(columns, with_paper=paper is not None)]
    return Table(header, [rows, average] if average else [rows])


def notes(kind: VariantTable, studies: Sequence[Study], paper: Paper | None) -> list[str]:
    """What stands under the table: which experiments and which of the paper's numbers it holds."""
    said = ["Test scores in percent, mean over the targets."]
    if paper and kind.caution:
        said.append(kind.caution)
    if any(kind.stored(study) is not None for study in studies):
        said.append(
            "± is the standard deviation of that mean over the draws of the meta split; rankers are fitted anew in "
            "each, by their fast form. No test was made."
        )
    if any(kind.stored(study) is None for study in studies):
        said.append(
            "Experiments of one variant: by their rankers as configured, in their main division; * marks a difference "
            f"to En-Dev, for better or worse, with p < {SIGNIFICANT} (paired bootstrap of the mean, two-sided)."
        )
    if paper:
        said.append(
            "Paper: as printed, without marks; over which languages it took the mean is not in its numbers, so compare "
            "differences, not scores."
        )
    for study in studies:
        draws = kind.stored(study)
        how = f"Its ranker: {kind.label_of[kind.variant(study)]}"
        if draws is not None:
            how = f"Ablations over {draws['draw'].nunique()} draws"
        is_paired = not paper or _beside(kind, study, paper)
        without = "" if is_paired else " No number of the paper stands beside."
        said.append(f"{study.described} {how}; targets {' '.join(study.targets)}.{without}")
    return said


def _ours(kind: VariantTable, study: Study) -> dict[str, str]:
    """Cells by the paper's names of the variants."""
    stored = kind.stored(study)
    if stored is None:
        lms, reference = study.pick[picks.AVERAGE, "LMS"], study.pick[picks.AVERAGE, REFERENCE]
        return {
            REFERENCE: f"{100 * reference.score:.2f}",
            kind.label_of[kind.variant(study)]: f"{100 * lms.score:.2f}{star(lms)}",
        }
    percent = stored.assign(score=100 * stored["score"], reference=100 * (stored["score"] - stored["delta"]))
    over_targets = percent.groupby(["variant", "draw"])[["score", "reference"]].mean()
    by_variant = {
        kind.label_of[str(variant)]: _mean(of_draw["score"])
        for variant, of_draw in over_targets.groupby(level="variant", sort=False)
    }
    return {REFERENCE: _mean(over_targets["reference"].groupby(level="draw").first()), **by_variant}


def _mean(score_D: pd.Series) -> str:
    return f"{score_D.mean():.2f} ± {score_D.std():.2f}" if len(score_D) > 1 else f"{score_D.mean():.2f}"


def _beside(kind: VariantTable, study: Study, paper: Paper | None) -> Mapping[str, float]:
    """The paper's numbers that may stand beside an experiment's."""
    is_comparable = study.experiment.train_on == "source" and study.encoder != "XLM-R"
    if paper is None or not is_comparable:
        return {}
    return paper.variants[kind.number].get(PAPER_NAME.get(study.paper_name or "", ""), {})
