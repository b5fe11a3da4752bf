"""Stage 2: pass every corpus through every checkpoint, in one execution of Ray Data (`cluster.encoding`).

    python -m lms_ray.features CONFIG [key=value ...]

The driver commits a candidate when the last piece of its text has come back.
"""

from contextlib import closing
from itertools import chain

from lms_ray.choosing import keeping
from lms_ray.cluster import encoding
from lms_ray.data.corpora import Corpus, Text
from lms_ray.models import shards
from lms_ray.models.job import Job
from lms_ray.models.loading import Candidates
from lms_ray.pages.progress import Progress
from lms_ray.store import encodings, lineage, pool
from lms_ray.store.encodings import CorpusRow
from lms_ray.tasks.pretrained import some


def run(job: Job) -> None:
    """Encode what is missing; then only the weights stay that are to be kept.

    Raises:
        MissingError: the sweep has not done its part, or weights that are needed were not kept.
    """
    _encode_missing(job)
    keeping.after_features(job.experiment, job.store)


def _encode_missing(job: Job) -> None:
    experiment, store, task = job.experiment, job.store, job.task
    lineage.require_candidates(experiment, store)
    candidates, models = pool.candidates(store), Candidates(task, experiment, store)
    tokenizer = models.tokenizer(candidates[0])
    wanted = job.corpora.encoded
    digests = shards.digests(wanted, tokenizer, experiment)
    rows = [_row(corpus, digests[corpus.name], job) for corpus in wanted]
    encodings.write_corpora(store, rows, {"settings": lineage.settings(experiment, lineage.ENCODING)})
    of_each = zip(candidates, encodings.missing_of_each(store, candidates, digests), strict=True)
    missing = {candidate: names for candidate, names in of_each if names}
    done = len(candidates) - len(missing)
    progress = Progress("features", "candidates", len(candidates), done=done)
    if not missing:
        return
    pool.require_weights(store, missing, f"{some(next(iter(missing.values())))} was not encoded as it is now")
    with closing(encoding.encode_all(job, tokenizer, missing, models)) as reads:
        for read in reads:
            encodings.write(store, read.name, read.encodings, task.statistics, digests, read.uses)
            done += 1
            progress.show(done)


def _row(corpus: Corpus | Text, digest: str, job: Job) -> CorpusRow:
    if isinstance(corpus, Text):
        return CorpusRow(corpus.name, len(corpus), digest, ())
    trained_on = chain.from_iterable(known.examples for known in job.corpora.training or [job.corpora.dev])
    baselines = job.task.baselines(trained_on, corpus.examples)
    sums = {name: sum_S.tolist() for name, sum_S in baselines.items()}
    # A target's labels are not looked at before picks are scored.
    is_open = corpus.language in (job.experiment.source, *job.experiment.pivots)
    gold_share = job.task.gold_share(corpus.examples).tolist() if is_open else []
    return CorpusRow(corpus.name, len(corpus), digest, tuple(corpus.groups), sums, gold_share)


if __name__ == "__main__":
    from lms_ray.cli import main

    main(stage="features")
