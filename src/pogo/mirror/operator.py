"""What the operator asks of the mirror, on its machine: its state, its log, runtimes fetched ahead."""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path

from pogo.containers.agent import AgentContainers
from pogo.errors import PogoError
from pogo.install import ports
from pogo.mirror import CannotMake, egress, runtimes
from pogo.mirror.artefacts import FileArtefacts
from pogo.mirror.reach import Reach
from pogo.mirror.supplies import supplies, table
from pogo.rules.addresses import GATEWAY
from pogo.settings import Settings

FOLLOW_SECONDS = 0.3


def status(settings: Settings) -> None:
    meaning = {
        "off": "off: builds go where they like, and nothing is logged",
        "log": "log: builds go through it, and it keeps a log",
        "answer": "answer: it keeps a log, and answers for the hosts below",
    }
    _line("POGO_MIRROR", meaning[settings.mirror])
    if settings.mirror == "off":
        _line("", "To change it: POGO_MIRROR=log bin/up, or POGO_MIRROR=answer. See docs/mirror.md.")
        return
    _line(
        "Address",
        f"{GATEWAY}:{settings.mirror_port}, {'listens' if ports.mirror_listens(settings) else 'DOES NOT LISTEN'}",
    )
    other = "nothing else (POGO_MIRROR_ONLY)" if settings.mirror_only else "the outside directly, too"
    _line("Builds reach", f"it, and {other}; through it {settings.mirror_allow}")
    if settings.mirror == "answer":
        reach = Reach.of(settings.mirror_allow, settings.build_environment())
        known = runtimes.recipes(supplies(settings, reach, AgentContainers(settings.agent_socket)))
        for host, tool in sorted(table(known, settings).items()):
            _line("Answers for", f"{host} ({tool})")
        files, size = FileArtefacts(settings.artefacts_dir).size()
        _line("Has made", f"{files} files, {size / 1e6:.1f} MB, in {settings.artefacts_dir}")
    _line("Log", str(settings.mirror_dir / egress.NAME))


def _line(title: str, text: str) -> None:
    print(f"{title:14}{text}")


def show_log(directory: Path, app: str, number: int, *, tail: bool) -> None:
    """Print the last entries, and with `tail` those that come, each when it has ended."""
    path = directory / egress.NAME
    position = path.stat().st_size if path.exists() else 0
    for entry in deque((one for one in egress.entries(directory) if app in ("", one.app)), maxlen=number):
        if not (tail and entry.seconds is None):
            print(egress.shown(entry), flush=True)
    while tail:
        time.sleep(FOLLOW_SECONDS)
        position = _show_new(path, position, app)


def _show_new(path: Path, position: int, app: str) -> int:
    """Print what was added after `position`; where to go on."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return 0
    with file:
        if os.fstat(file.fileno()).st_size < position:
            position = 0  # a new file was begun
        file.seek(position)
        for line in file:
            if not line.endswith(b"\n"):
                break
            position += len(line)
            entry = egress.parse(line)
            if entry and entry.seconds is not None and app in ("", entry.app):
                print(egress.shown(entry), flush=True)
    return position


async def prefetch(settings: Settings, tools: list[str]) -> None:
    """Make what builds that ask for these will download. Raises PogoError for the first that cannot be made."""
    if settings.mirror != "answer":
        raise PogoError("The mirror does not answer builds. Switch it on first: POGO_MIRROR=answer bin/up")
    reach = Reach.of(settings.mirror_allow, settings.build_environment())
    found = supplies(settings, reach, AgentContainers(settings.agent_socket))
    (settings.mirror_dir / "scratch").mkdir(mode=0o700, exist_ok=True)
    known = {recipe.tool: recipe for recipe in runtimes.recipes(found) if recipe.tool}
    async with found.http:
        for wish in tools:
            name, _, version = wish.partition("@")
            if name not in known:
                raise PogoError(f"There is nothing to fetch ahead for {name!r}. Known: {', '.join(sorted(known))}.")
            began = time.monotonic()
            print(f"{wish} …", flush=True)
            try:
                files = await known[name].prefetch(version)
            except CannotMake as error:
                raise PogoError(f"{wish} cannot be had: {error.message}") from error
            for file in files:
                print(f"  {file}  {file.stat().st_size / 1e6:.1f} MB")
            print(f"  {time.monotonic() - began:.1f} s", flush=True)
