"""What of containers is left on this machine and belongs to nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pogo.agent import cgroups, records, syscalls
from pogo.agent.installation import Installation, tag
from pogo.install import processes
from pogo.install.doctor.check import Check, guarded, ok, warning
from pogo.process import run

AREA = "Leftovers"
_GROUP = re.compile(r"pogo-([0-9a-f]{6})")
_LINK = re.compile(r"pg([0-9a-f]{6})(b[0-9a-f]+|\d+)")
_TABLE = re.compile(r"pogo_([0-9a-f]{6})")
ADVICE = "A restart of the agent clears away what is its own; bin/down followed by bin/up all of it."
ELSEWHERE = "Nothing of that installation runs: its bin/down clears it away; if it is gone, a restart of the machine."


def checks(installation: Installation) -> list[Check]:
    return [*guarded(AREA, "own", lambda: own(installation)), *guarded(AREA, "others'", lambda: others(installation))]


def own(installation: Installation) -> Iterator[Check]:
    """Of this installation: what no record knows. Containers that start or end meanwhile are looked at again."""
    first = _nameless(installation)
    again = _nameless(installation) if any(first.values()) else first
    for what in first:
        left = sorted(set(first[what]) & set(again[what]))
        yield listed(what, left, ADVICE)


def _nameless(installation: Installation) -> dict[str, list[str]]:
    # Records are read last: whatever was made before its record was read has one.
    groups = [path.name for hierarchy in cgroups.hierarchies() for kind in ("c", "c/.background", "m")
              for path in (hierarchy / installation.cgroup / kind).glob("[!.]*") if path.is_dir()]  # fmt: skip
    links = [name for name in _links() if name.startswith(f"pg{installation.tag}")]
    layers = [path.name for path in installation.scratch.glob("[!.]*")]
    table = Path("/proc/self/mounts").read_text().splitlines()
    mounts = [row.split()[1] for row in table if row.split()[1].startswith(f"{installation.state}/")]
    loops = _loops(installation)
    known, wanted = _known(installation)
    return {
        "control groups": [name for name in groups if name not in known],
        "links": [name for name in links if name not in wanted],
        "layers": [name for name in layers if name not in known],
        "mounts": mounts,
        "loop devices": [] if known else loops,
    }


def _known(installation: Installation) -> tuple[set[str], set[str]]:
    """Ids of containers, and the names that their links may have."""
    ids: set[str] = set()
    names: set[str] = set()
    for path in installation.records.iterdir() if installation.records.is_dir() else ():
        ids.add(path.name)
        record = records.load(installation, path.name)
        if record is not None:
            names |= {installation.interface(record.number), installation.interface(record.number, builder=True)}
    return ids, names


def _loops(installation: Installation) -> list[str]:
    found = []
    for (device, inode), path in syscalls.loop_devices().items():
        backing = Path("/sys/block", Path(path).name, "loop/backing_file")
        if backing.exists() and backing.read_text().startswith(f"{installation.state}/"):
            found.append(f"{path} ({inode} on {device})")
    return found


def others(installation: Installation) -> Iterator[Check]:
    """Of other installations: what bears the mark of one of which no agent and no container runs."""
    live = {installation.tag, *_live()}
    groups = {(path.name, match[1]) for hierarchy in cgroups.hierarchies() for path in hierarchy.glob("pogo-*")
              if (match := _GROUP.fullmatch(path.name))}  # fmt: skip
    live |= {mark for name, mark in groups if cgroups.processes(name)}
    tables = run("nft", "list", "tables").split()
    dead = [f"control group {name}" for name, mark in groups if mark not in live]
    dead += [f"link {name}" for name in _links() if (match := _LINK.fullmatch(name)) and match[1] not in live]
    dead += [f"table {name}" for name in tables if (match := _TABLE.fullmatch(name)) and match[1] not in live]
    yield listed("of others", sorted(dead), ELSEWHERE)


def _live() -> Iterator[str]:
    """The marks of installations whose agent runs."""
    for pid in processes.pids():
        if any(word.endswith("pogo-agent") for word in processes.command(pid)[:2]):
            if state := processes.variable(pid, "POGO_STATE_DIR"):
                yield tag(Path(state))
            if config := processes.variable(pid, "POGO_CONFIG"):
                yield tag(Path(config).parent)
                yield tag(Path("/var/lib/pogo"))


def _links() -> Iterable[str]:
    return [path.name for path in Path("/sys/class/net").glob("pg*")]


def listed(what: str, left: list[str], advice: str) -> Check:
    if not left:
        return ok(AREA, what, "none")
    shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
    return warning(AREA, what, shown, advice)
