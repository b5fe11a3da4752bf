"""What can be configured: an experiment and its parts, presets, loading and overrides; language codes and vectors."""
