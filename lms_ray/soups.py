"""What averages of candidates' weights are worth beside single picks: an extra that no other stage needs.

    python -m lms_ray.soups CONFIG [key=value ...]

Averages all candidates, the first ones, the seeds of each setting, and the best ones by several rules (Schmidt et al.,
2023); wants candidates that share a head (finetune.shared_head) and whose weights were kept. Each average is made by
the worker that passes text through it. Labels of a target are read to score soups, not to choose their members.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing

import numpy as np

from lms_ray.choosing import soups
from lms_ray.choosing.gathering import oracles, recall
from lms_ray.choosing.soups import Judged, Soup
from lms_ray.cluster import encoding
from lms_ray.data import roles
from lms_ray.models import shards
from lms_ray.models.job import Job
from lms_ray.models.loading import Candidates
from lms_ray.models.soups import Soups
from lms_ray.pages.progress import Progress, say
from lms_ray.pages.soups import soup_table
from lms_ray.pages.terminal import show
from lms_ray.settings.errors import MissingError
from lms_ray.store import deployment, encodings, lineage, pool, redrawn
from lms_ray.store import soups as kept


def run(job: Job) -> None:
    """Encode the soups that are missing, write `soups.parquet`, and print what they are worth.

    Raises:
        ConfigError: the candidates do not share a head.
        MissingError: an earlier stage has not done its part, or weights that are needed were not kept.
    """
    experiment, store = job.experiment, job.store
    soups.require_shared_head(experiment)
    lineage.require_encoded(experiment, store)
    candidates = pool.candidates(store)
    ranked_from = roles.ranked_from(experiment, job.task.example)
    ranked = lineage.origin(experiment, lineage.RANKING, store, candidates, ranked_from)
    redrawn.require(store, ranked)
    corpora = roles.picked_from(experiment, job.task.example)
    encodings.require(store, candidates, corpora)
    said = recall(store, ranked, candidates)
    table = pool.read(store)
    made = soups.of_runs(table[~table["diverged"]], experiment.sweep)
    made += soups.of_the_best(said.overall, candidates, deployment.FOR_USE, experiment.soups.top)
    _encode_missing(job, made)

    chosen, test = _chosen(job, made), _test_scores(job, made)
    rows, for_use = [], said.for_use
    for target, of_target in oracles(experiment, store, candidates).items():
        judged = Judged(target, candidates, of_target, for_use[target], test[target])
        rows += judged.rows(made, chosen.get(target), deployment.FOR_USE)
    kept.write(store, rows, lineage.origin(experiment, lineage.SOUPS, store, candidates, corpora))
    show("\n".join(["", soup_table(kept.read(store)).to_text(), ""]))
    say("soups", store.where(kept.PATH))


def _encode_missing(job: Job, made: Sequence[Soup]) -> None:
    """Pass through each soup what it is to read and has not read yet."""
    experiment, store, candidates = job.experiment, job.store, Candidates(job.task, job.experiment, job.store)
    members, read_by = {soup.id: soup.members for soup in made}, soups.read_by(made, experiment)
    tokenizer = candidates.tokenizer(made[0].members[0])
    digests = shards.digests(job.corpora.encoded, tokenizer, experiment)
    if difference := lineage.differing(encodings.digests(store), digests):
        raise MissingError(f"texts have changed: {difference}; run `python -m lms_ray.features` first")
    missing = {
        name: encodings.missing(store, name, {corpus: digests[corpus] for corpus in corpora}, kept.FOLDER)
        for name, corpora in read_by.items()
    }
    missing = {name: corpora for name, corpora in missing.items() if corpora}
    done = len(read_by) - len(missing)
    progress = Progress("soups", "soups", len(read_by), done=done)
    if not missing:
        return
    wanted = {member for name in missing for member in members[name]}
    pool.require_weights(store, sorted(wanted), "soups are averages of weights", instead="")
    with closing(encoding.encode_all(job, tokenizer, missing, Soups(candidates, members))) as reads:
        for read in reads:
            encodings.write(store, read.name, read.encodings, job.task.statistics, digests, read.uses, kept.FOLDER)
            done += 1
            progress.show(done)


def _chosen(job: Job, made: Sequence[Soup]) -> dict[str, Soup]:
    """For each target the setting's soup that the pivots choose, without the target where it is one of them."""
    experiment, of_settings = job.experiment, [soup for soup in made if soup.kind == "setting"]
    if not of_settings:
        return {}
    pivot_SP = _scores(job, of_settings, roles.held_out(experiment))
    chosen = {}
    for target in experiment.targets:
        known = [experiment.pivots.index(pivot) for pivot in experiment.pivots_for(target)]
        chosen[target] = of_settings[soups.best_setting(pivot_SP[:, known])]
    return chosen


def _test_scores(job: Job, made: Sequence[Soup]) -> Mapping[str, Mapping[str, float]]:
    """By target the test score of each soup that is judged there, by its id."""
    scores = {}
    for target in job.experiment.targets:
        judged = list({soup.id: soup for soup in made if soup.target in (None, target)}.values())
        score_S = _scores(job, judged, [f"{target}-test"])[:, 0]
        scores[target] = {soup.id: float(score) for soup, score in zip(judged, score_S, strict=True)}
    return scores


def _scores(job: Job, made: Sequence[Soup], corpora: Sequence[str]) -> np.ndarray:
    """Scores of soups on some corpora, shape (S, G)."""
    names = [soup.id for soup in made]
    return job.task.score(encodings.sums(job.store, names, corpora, job.task.statistics, kept.FOLDER))


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="soups")
