"""Errors whose message alone tells the user what to do."""


class JobError(RuntimeError):
    """The job cannot go on as it is; no traceback is needed to see why."""


class BusyError(JobError):
    """Another driver works on this experiment."""


class MissingError(JobError):
    """Something that an earlier stage makes is not there, or was made for another configuration."""


class SweepError(JobError):
    """Some candidates could not be fine-tuned, or examined."""


class RankingError(JobError):
    """There is nothing that a ranker could learn from."""
