"""What an experiment was made with can be read from its folder, and asking for it wants no Ray."""

import json
import subprocess
import sys
from importlib import metadata

SCRIPT = """
import json, sys
from lms_ray.store import provenance
found = provenance.collect({"CPU": 4.0, "node:10.0.0.1": 1.0, "memory": 2.0})
print(json.dumps([found, "ray" in sys.modules]))
"""


def test_provenance_names_packages_hardware_and_cluster_without_ray():
    output = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    found, imported_ray = json.loads(output)
    assert not imported_ray
    assert found["cluster"] == {"CPU": 4.0, "memory": 2.0}  # addresses say nothing
    assert found["packages"]["ray"] == metadata.version("ray")
    assert found["cores"] > 0
    assert found["processor"]
