"""Where this machine gets Debian from: read out of apt's own configuration.

A stack image is fetched from the mirror that the operator chose for the machine, so nothing here
names a host. Understood: the one-line and the deb822 format (sources.list(5)), and `mirror+file:`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pogo.errors import PogoError


class NoMirror(PogoError):
    """Cannot find this machine's Debian mirror: no `main` suite of its release is listed in
    /etc/apt/sources.list or /etc/apt/sources.list.d. Add one, then try again."""


@dataclass(frozen=True)
class Source:
    """One (address, suite) pair of apt's configuration. components: empty for a flat repository."""

    uri: str
    suite: str
    components: tuple[str, ...]


@dataclass(frozen=True)
class Mirror:
    """main: address of the archive. security: address of the security archive, empty if none is configured."""

    main: str
    security: str

    def lines(self, release: str) -> list[str]:
        """The one-line sources of another `release` from the same mirror."""
        lines = [f"deb {self.main} {release} main", f"deb {self.main} {release}-updates main"]
        if self.security:
            lines.append(f"deb {self.security} {release}-security main")
        return lines


def parse_one_line(text: str) -> Iterator[Source]:
    """`deb [options] uri suite component…`; comments and `deb-src` are passed over."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(\S+)([^#]*)", line)
        if match:
            yield Source(match[1].rstrip("/"), match[2], tuple(match[3].split()))


def parse_deb822(text: str) -> Iterator[Source]:
    """Stanzas of `Types`, `URIs`, `Suites`, `Components`; disabled ones are passed over."""
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", kept):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[key] = f"{fields.get(key, '')} {line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                key = name.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri.rstrip("/"), suite, tuple(fields.get("components", "").split()))


def read_sources(etc_apt: Path = Path("/etc/apt")) -> list[Source]:
    """Every source that apt uses on this machine, in apt's order."""
    found: list[Source] = []
    plain = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*.list"))]
    for path in plain:
        if path.is_file():
            found += parse_one_line(path.read_text())
    for path in sorted((etc_apt / "sources.list.d").glob("*.sources")):
        found += parse_deb822(path.read_text())
    return found


def find_mirror(sources: list[Source], release: str) -> Mirror:
    """The Debian mirror among `sources` of a machine that runs Debian `release` (`bookworm`).

    Other vendors publish under Debian's suite names too; the archive is told from them by also
    carrying `<release>-updates`, which only Debian does. Raises NoMirror.
    """
    usable = [s for s in sources if "main" in s.components and not s.uri.startswith("cdrom:")]
    names = {release, "stable", "oldstable", "testing"}
    main = [s.uri for s in usable if s.suite in names]
    updates = {s.uri for s in usable if s.suite in {f"{name}-updates" for name in names}}
    main.sort(key=lambda uri: uri not in updates)
    if not main:
        raise NoMirror()
    security = [s.uri for s in usable if s.suite in {f"{name}-security" for name in names}]
    return Mirror(_resolve(main[0]), _resolve(security[0]) if security else "")


def _resolve(uri: str) -> str:
    """`mirror+file:/path` names a list of mirrors on this machine: its first entry."""
    if not uri.startswith("mirror+file:"):
        return uri
    path = Path(uri.removeprefix("mirror+file:"))
    for line in path.read_text().splitlines() if path.is_file() else ():
        if line.strip() and not line.startswith("#"):
            return line.split()[0].rstrip("/")
    raise NoMirror()
