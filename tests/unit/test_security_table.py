"""docs/security.md lists the probes as they are."""

from __future__ import annotations

from pathlib import Path

from probes import files, isolation, kernel, network, starvation
from probes.probing import PROBES

DOCUMENT = Path(__file__).parents[2] / "docs/security.md"
TITLES = {
    files: "Files",
    kernel: "System calls",
    isolation: "Namespaces, processes, groups",
    network: "Network",
    starvation: "Starvation",
}


def table() -> str:
    lines = []
    for module, title in TITLES.items():
        topic = module.__name__.rpartition(".")[2]
        lines += [f"### {title}", "", "| probe | tries to | has to come to |", "|---|---|---|"]
        for probe in PROBES.values():
            if probe.topic == topic:
                lines.append(f"| `{probe.name}` | {probe.tries} | {probe.expected} |")
        lines.append("")
    return "\n".join(lines)


def test_the_table_is_up_to_date() -> None:
    """If it is not, put what `table` gives in its place."""
    assert table() in DOCUMENT.read_text()


def test_every_probe_says_what_it_tries() -> None:
    for probe in PROBES.values():
        assert probe.tries.endswith("."), probe.name
        assert "\n" not in probe.tries, probe.name
        assert "|" not in probe.tries + probe.expected, probe.name
