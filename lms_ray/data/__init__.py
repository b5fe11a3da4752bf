"""Readers: files to examples, one module for each format. No torch, no Ray."""


class DataError(ValueError):
    """A file is not what its format says; the message names file and line, what was found and what is accepted."""
