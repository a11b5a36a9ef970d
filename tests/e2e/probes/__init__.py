"""Programs that try to leave a dyno, to look at its neighbours or to starve them.

Each probe is a function whose docstring says what it tries and which returns what came of it; `expected` is what
has to come. They run in a dyno, on the stack's own Python: `python3 -m probes FACTS TOPIC…` prints a line of JSON
for each. docs/security.md lists them, tests/e2e/test_probes.py runs them.
"""
