"""Identities and seeds that are the same in every run, on every machine, and between versions."""

import hashlib
import json
from typing import Any


def content_hash(*parts: Any) -> str:
    """Sha256 over JSON-able parts, stable between runs and machines."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def seed_for(*parts: Any) -> int:
    """A 32-bit seed for one use: `seed_for(experiment.seed, "meta-split")`."""
    return int(content_hash(*parts)[:8], 16)
