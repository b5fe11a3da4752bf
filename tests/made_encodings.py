"""Experiments whose candidates are encoded, made by the store's own writers: all that ranking needs, and no Ray."""

from pathlib import Path

import numpy as np

from lms_ray import tasks
from lms_ray.data import roles
from lms_ray.models.job import Job
from lms_ray.settings.loading import load, to_yaml
from lms_ray.store import encodings, identity, lineage, pool
from lms_ray.store.encodings import CorpusRow, Encoding
from lms_ray.store.files import Store

C, E, H = 24, 2, 5
MODEL_FILES = {
    "config.json": b'{"model_type": "bert", "id2label": {"0": "NOUN", "1": "VERB"}}',
    "model.safetensors": b"12",
}
DEFAULTS = ("pivots=[ar, de, es]", "targets=[nl, pt, de]", "ranker.fit=fast", "ranker.l2=[0.1, 0.01]")

FROM_FILES = (
    "encoder=/models/encoder",
    "data={format: conllu, root: /data, files: {'*': '{lang}-{split}.conllu'}, text: {da: da.txt}}",
    "unlabelled_targets=[da]",
)
"""Overrides by which the data are files, as they are to the stages, and `da` is a target without labels."""


def encoded(
    storage: Path, name: str, *overrides: str, seed: int = 0, width: int = H, splits: tuple[str, ...] = ("dev",)
) -> Job:
    """An experiment of 24 candidates, whose labelled sets they get right as their first feature says."""
    experiment = load(None, [*DEFAULTS, *overrides, f"storage={storage}", f"name={name}"])
    store, rng = Store(experiment.folder), np.random.default_rng(seed)
    store.write_bytes(identity.CONFIGURATION, to_yaml(experiment).encode())
    candidates = [f"s{seed}-{number:02}" for number in range(C)]
    made_by = {"settings": lineage.settings(experiment, lineage.CANDIDATES)}
    pool.write(store, [{"id": candidate} for candidate in candidates], made_by)
    names = roles.named([one for one in roles.labelled(experiment) if one[1] in splits])
    texts = [f"{target}-text" for target in experiment.unlabelled_targets]
    rows = [CorpusRow(corpus, E, f"{corpus} {seed}", ("a", "b")) for corpus in names]
    rows += [CorpusRow(text, E, f"{text} {seed}", ()) for text in texts]
    encodings.write_corpora(store, rows, {"settings": lineage.settings(experiment, lineage.ENCODING)})
    statistics = tasks.get(experiment.task).statistics
    for candidate in candidates:
        fresh = {}
        for corpus in names:
            feature_H = rng.normal(size=width)
            right_ES = np.full((E, len(statistics)), 1000.0)
            right_ES[:, 0] = np.round(500 + 100 * feature_H[0])
            fresh[corpus] = Encoding(feature_H, right_ES)
        for text in texts:
            fresh[text] = Encoding(rng.normal(size=width), np.zeros((E, len(statistics))))
        encodings.write(store, candidate, fresh, statistics, {row.name: row.digest for row in rows}, [])
    return Job(experiment, store)


def with_models(made: Job) -> None:
    """Give every candidate a record of its fine-tuning, and weights of a few bytes."""
    records = []
    for number, candidate in enumerate(pool.candidates(made.store)):
        unit, setting = pool.unit(candidate), {"learning_rate": 3e-5, "epochs": 3, "batch_size": 32, "seed": number}
        files = {name: made.store.write_bytes(f"{unit}/{name}", content) for name, content in MODEL_FILES.items()}
        records.append({"id": candidate, **setting})
        made.store.commit(unit, records[-1], files)
    pool.write(made.store, records, made.store.read_origin(pool.PATH))


def again(job: Job, *overrides: str) -> Job:
    """The same folder, with other settings."""
    storage, _, name = job.store.root.rpartition("/")
    return Job(load(None, [*DEFAULTS, *overrides, f"storage={storage}", f"name={name}"]), job.store)
