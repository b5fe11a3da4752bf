"""Load candidates for inference, by their ids: what a worker does that passes text through them."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lms_ray.models import brought, folders
from lms_ray.settings.experiment import Experiment
from lms_ray.store.files import Store
from lms_ray.tasks.base import Task


@dataclass(frozen=True)
class Candidates:
    """The candidates of an experiment as models, fine-tuned here or brought."""

    task: Task
    experiment: Experiment
    store: Store

    def load(self, name: str, device: str) -> PreTrainedModel:
        """A candidate in float32, for inference.

        Raises:
            BrokenError: a file is not what was committed; the candidate counts as not done from now on.
            ValueError: it is not of this task.
        """
        with brought.folder_of(name, self.store, self.experiment) as folder:
            # The sweep refused a checkpoint whose weights are pickled without being allowed.
            is_safe = folders.uses_safetensors(folder, may_be_pickled=True)
            return self.task.load(folder, device, is_safe)

    def read_for(self, name: str) -> Sequence[str]:
        """Ids of the candidates whose weights are read for one: its own."""
        return [name]

    def tokenizer(self, name: str) -> PreTrainedTokenizerBase:
        """A candidate's tokenizer, which is that of all."""
        with brought.folder_of(name, self.store, self.experiment) as folder:
            return folders.load_tokenizer(folder)
