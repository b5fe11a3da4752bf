"""Choose among fine-tuned multilingual models without target labels, on a Ray cluster."""

from lms_ray import packages

__version__ = "0.3.0"

packages.require()
