"""Which sets of which languages an experiment wants, and for what.

A labelled set is named by language and split (`de-dev`), unlabelled text by its language (`de-text`).
"""

from lms_ray.data.examples import Pair, Question
from lms_ray.settings.experiment import Experiment

UNLABELLED = "text"
"""Split name of unlabelled text."""

Sets = list[tuple[str, str]]
"""Language and split of each set."""


def named(sets: Sets) -> list[str]:
    """Names of sets: `de-dev`."""
    return [f"{language}-{split}" for language, split in sets]


def training(experiment: Experiment) -> Sets:
    """What the candidates are fine-tuned on: the source's training set, and the pivots' dev sets if so configured."""
    sets = [(experiment.source, "train")]
    if experiment.train_on == "source+pivots":
        sets += [(pivot, "dev") for pivot in experiment.pivots]
    return sets


def labelled(experiment: Experiment) -> Sets:
    """Labelled sets that are passed through every candidate.

    Dev sets of all languages that have labels, test sets of the targets (and of the pivots, where the candidates were
    fine-tuned on their dev sets).
    """
    tested = experiment.targets if experiment.pivot_split == "dev" else experiment.pivots + experiment.targets
    return [
        *((language, "dev") for language in experiment.labelled_languages),
        *((language, "test") for language in tested),
    ]


def unlabelled(experiment: Experiment, example: type) -> list[str]:
    """Languages whose plain text is passed through every candidate.

    Those for which text is named, as it is for all targets without labels. For pairs all pivots and targets: which
    pairs of a sentence there are depends on the labels, its words do not.
    """
    return [
        language
        for language in spoken(experiment)
        if issubclass(example, Pair)
        or language in experiment.unlabelled_targets
        or experiment.data.plain_text(language) is not None
    ]


def spoken(experiment: Experiment) -> tuple[str, ...]:
    """The pivots, and the languages for which is picked, each once."""
    return tuple(dict.fromkeys(experiment.pivots + experiment.picked_for))


def seen_split(experiment: Experiment, language: str) -> str:
    """The labelled split of a language that may describe candidates: one that no candidate was fine-tuned on."""
    return experiment.pivot_split if language in experiment.pivots else "dev"


def source(experiment: Experiment) -> str:
    """Name of the source's corpus that may describe candidates: its dev set, which every candidate encodes."""
    return f"{experiment.source}-dev"


def described_by(experiment: Experiment, example: type, language: str) -> str:
    """Name of the corpus over which a candidate's feature in a language is taken."""
    has_text = language in unlabelled(experiment, example)
    return f"{language}-{UNLABELLED if has_text else seen_split(experiment, language)}"


def describing(experiment: Experiment, example: type) -> dict[str, str]:
    """For each pivot and target, labelled or not, the corpus over which features are taken."""
    return {language: described_by(experiment, example, language) for language in spoken(experiment)}


def signalling(experiment: Experiment, example: type) -> dict[str, str]:
    """For each pivot and target the corpus from whose units signals are taken.

    Plain text has neither questions nor pairs of spans: for these it is a labelled set, without its labels, and a
    target of which there is only text has none. Where only related pairs are kept, a set's pairs would tell which ones
    are related, and there are no signals.
    """
    if issubclass(example, Pair) and experiment.data.unrelated == "drop":
        return {}
    described = describing(experiment, example)
    if not issubclass(example, (Pair, Question)):
        return described
    labelled = [language for language in described if language in experiment.labelled_languages]
    return {language: f"{language}-{seen_split(experiment, language)}" for language in labelled}


def ranked_from(experiment: Experiment, example: type) -> list[str]:
    """All corpora that the rankings are made from."""
    described, signalled = describing(experiment, example).values(), signalling(experiment, example).values()
    return list(dict.fromkeys([*described, *signalled, *held_out(experiment), source(experiment)]))


def picked_from(experiment: Experiment, example: type) -> list[str]:
    """All corpora that the picks are made from."""
    return list(dict.fromkeys([*named(labelled(experiment)), *ranked_from(experiment, example)]))


def held_out(experiment: Experiment) -> list[str]:
    """The pivots' labelled corpora, from which the ranker learns."""
    return [f"{pivot}-{experiment.pivot_split}" for pivot in experiment.pivots]
