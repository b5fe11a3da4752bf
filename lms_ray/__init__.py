"""Choose among fine-tuned multilingual models without target labels, on a Ray cluster.

From Python, `open_experiment` gives what an experiment made as tables, `PairwiseRanker` ranks arrays of one's own, and
`pipeline` answers by an exported model. Their modules, and with them pandas and torch, are imported when a name is
first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from lms_ray import packages

if TYPE_CHECKING:
    from lms_ray.api.experiment import OpenExperiment, open_experiment
    from lms_ray.api.ranker import PairwiseRanker, load_ranker
    from lms_ray.api.reasons import Reasons
    from lms_ray.models.pipelines import pipeline
    from lms_ray.settings.errors import BrokenError, ConfigError, JobError, MissingError, RankingError, StorageError
else:
    _MODULES = {
        "OpenExperiment": "lms_ray.api.experiment",
        "open_experiment": "lms_ray.api.experiment",
        "PairwiseRanker": "lms_ray.api.ranker",
        "load_ranker": "lms_ray.api.ranker",
        "Reasons": "lms_ray.api.reasons",
        "pipeline": "lms_ray.models.pipelines",
        "BrokenError": "lms_ray.settings.errors",
        "ConfigError": "lms_ray.settings.errors",
        "JobError": "lms_ray.settings.errors",
        "MissingError": "lms_ray.settings.errors",
        "RankingError": "lms_ray.settings.errors",
        "StorageError": "lms_ray.settings.errors",
    }

    def __getattr__(name: str):
        if name not in _MODULES:
            raise AttributeError(f"module 'lms_ray' has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(_MODULES[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__version__ = "0.3.0"
__all__ = [
    "BrokenError",
    "ConfigError",
    "JobError",
    "MissingError",
    "OpenExperiment",
    "PairwiseRanker",
    "RankingError",
    "Reasons",
    "StorageError",
    "__version__",
    "load_ranker",
    "open_experiment",
    "pipeline",
]

packages.require()
