"""Choose among fine-tuned multilingual models without target labels, on a Ray cluster."""

import sys

from lms_ray import packages

__version__ = "0.3.0"

if sys.argv[:1] == ["-m"]:  # what Python says while it looks for the module of `python -m lms_ray.sweep`
    packages.require()
