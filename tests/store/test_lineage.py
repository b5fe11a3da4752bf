"""What a stage was made from is compared before another one builds on it."""

from collections.abc import Callable

import pytest

from lms_ray.settings.errors import MissingError
from lms_ray.settings.experiment import Experiment
from lms_ray.settings.loading import load
from lms_ray.store import encodings, lineage, pool
from lms_ray.store.files import Store


def experiment(*changes: str) -> Experiment:
    return load("paper", ["data.root=/data", "data.files=x/{lang}-{split}", *changes])


@pytest.fixture
def encoded(store: Store) -> Callable[..., None]:
    """A folder whose candidates and encodings were made, asked for by another configuration: `encoded("seed=1")`."""
    made = experiment()
    pool.write(store, [], {"settings": lineage.settings(made, lineage.CANDIDATES)})
    encodings.write_corpora(store, [], {"settings": lineage.settings(made, lineage.ENCODING)})
    return lambda *changes: lineage.require_encoded(experiment(*changes), store)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("finetune.weight_decay=0.5", "candidates .* finetune.weight_decay is 0.01 there and 0.5 here.*lms_ray.sweep"),
        ("sweep.seeds=3", "candidates .* sweep.seeds is 20 there and 3 here.*lms_ray.sweep"),
        ("encode.precision=bfloat16", "encodings .* encode.precision is 'float32' there.*lms_ray.features"),
        ("data.labels={X: O}", "encodings .* data.labels.X is None there and 'O' here.*lms_ray.features"),
    ],
)
def test_what_was_made_by_other_settings_is_refused(encoded: Callable[..., None], change: str, said: str):
    with pytest.raises(MissingError, match=said):
        encoded(change)


@pytest.mark.parametrize(
    "change", ["data.root=/moved", "sweep.max_failures=9", "encode.resources.cpus=2", "ranker.hidden=8", "targets=[bg]"]
)
def test_what_decides_nothing_there_may_differ(encoded: Callable[..., None], change: str):
    encoded(change)
