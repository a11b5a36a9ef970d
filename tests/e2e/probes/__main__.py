"""python3 -m probes FACTS TOPIC…; facts: JSON, in base64."""

import base64
import importlib
import sys

from probes import probing

facts, *topics = sys.argv[1:]
for topic in topics:
    importlib.import_module(f"probes.{topic}")
probing.main(base64.b64decode(facts).decode(), topics)
