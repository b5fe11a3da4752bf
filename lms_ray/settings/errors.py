"""Errors whose message alone tells the user what to do."""


class ConfigError(ValueError):
    """The configuration is wrong; the message says which key, what was found and what is accepted."""


class JobError(RuntimeError):
    """The job cannot go on as it is; no traceback is needed to see why."""


class BusyError(JobError):
    """Another driver works on this experiment."""


class MissingError(JobError):
    """Something that an earlier stage makes is not there, or was made for another configuration."""


class StorageError(JobError):
    """The storage does not do what it is asked: it is full, read-only, forbidden, or lost a file."""


class FullError(StorageError):
    """There is no room left."""


class AbsentError(StorageError):
    """A file is not there."""


class UnavailableError(StorageError):
    """The storage does not answer, or fails by its own fault; it may answer the next time."""


class BrokenError(JobError):
    """A file of the experiment does not hold what was written."""


class ClusterError(JobError):
    """A node of the cluster cannot do the work."""


class SweepError(JobError):
    """Some candidates could not be fine-tuned, or examined."""


class RankingError(JobError):
    """There is nothing that a ranker could learn from."""
