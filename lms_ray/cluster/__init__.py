"""Ray: connecting, and how much of it a stage may use."""
