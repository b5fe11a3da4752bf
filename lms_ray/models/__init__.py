"""Encoder -> candidate -> features: loading, fine-tuning, encoding, brought checkpoints. No Ray."""
