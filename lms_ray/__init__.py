"""Choose among fine-tuned multilingual models without target labels, on a Ray cluster."""

__version__ = "0.2.0"
