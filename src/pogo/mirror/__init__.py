"""The mirror: the proxy of builds. It logs where they go, and can answer for hosts that cannot be reached.

This module is what its parts agree on; `docs/mirror.md` tells the operator about the whole.

A *recipe* answers for some hosts: it makes, from the registries that the machine does reach (Debian,
PyPI, npm), what an official buildpack would download there. To write one: a class with the members of
`Recipe`, in `runtimes/`, and a line in `runtimes.recipes`. Nothing else has to know it. A recipe speaks
no HTTP to its client: it gets a `Request` and gives back a `Served`, or None for "not mine, pass it on".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pogo.errors import PogoError

if TYPE_CHECKING:
    import httpx2


class CannotMake(PogoError):
    """The mirror cannot make this file here."""

    id = "cannot_make"
    status = 502


@dataclass(frozen=True)
class Request:
    """What a build asks of a host that a recipe answers for.

    method: GET or HEAD. host: lower case, without port. path: begins with `/`, percent-decoded, without
    the query. query: as sent, without `?`. headers: names in lower case.
    """

    method: str
    host: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Served:
    """An answer: a file, or a text, or a redirect. The proxy adds length, range and date by itself.

    file: a whole local file, which stays as it is while it is served. body: a small answer.
    location: an absolute URL; the status is 302 then. content_type: "" lets the client guess.
    """

    status: int = 200
    file: Path | None = None
    body: bytes = b""
    location: str = ""
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)


Make = Callable[[Path], Awaitable[None]]


class Artefacts(Protocol):
    """Files that were made once and are kept: `<cache>/mirror/<key>`. See artefacts.py."""

    def find(self, key: str) -> Path | None:
        """The whole file of that key, or None. key: a relative path, e.g. `node/node-v22.11.0-linux-x64.tar.gz`."""
        ...

    async def get(self, key: str, make: Make) -> Path:
        """The file of that key; `make(path)` writes it where it is missing.

        Whoever asks while it is being made waits for the same one. It goes on when those who asked have
        gone. What `make` raises is raised to all of them, and nothing is kept.
        """
        ...


class Workshop(Protocol):
    """Runs a script in a container of a stack, as a build runs: for what has to be compiled for it. See workshop.py."""

    async def run(
        self,
        stack: str,
        script: str,
        *,
        inputs: Mapping[str, Path],
        output: str,
        to: Path,
        env: Mapping[str, str] | None = None,
        seconds: float = 3600,
    ) -> str:
        """Run a bash script as uid 1000 and copy its `/pogo/out/<output>` to `to`; what it printed.

        stack: a name such as `pogo-13`. inputs: shown as `/pogo/in/<name>`. It reaches what builds reach,
        with the operator's build environment. Raises CannotMake with the script's last lines.
        """
        ...


@dataclass(frozen=True)
class Supplies:
    """What a recipe works with.

    http: goes where this machine may go, through its proxy, with its certificates; follows redirects.
    environment: the operator's of all builds: PIP_INDEX_URL, NPM_CONFIG_REGISTRY and the like, where given.
    scratch: a directory for temporary files, emptied when the mirror starts.
    stacks: the names of the installed stacks.
    """

    http: httpx2.AsyncClient
    artefacts: Artefacts
    workshop: Workshop
    environment: Mapping[str, str]
    scratch: Path
    stacks: tuple[str, ...]

    async def download(self, url: str, to: Path, *, sha256: str = "", sha512: str = "") -> None:
        """Stream a URL into a file and check its digest (hex). Raises CannotMake, saying what could not be had."""
        from pogo.mirror.download import download

        await download(self.http, url, to, sha256=sha256, sha512=sha512)


class Recipe(Protocol):
    """Answers for hosts. Made once, by `runtimes.recipes(supplies)`; its methods run at the same time for many."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Exact host names, lower case. They must not depend on what can be reached."""
        ...

    @property
    def tool(self) -> str:
        """Its name in `pogo mirror:prefetch <tool>@<version>`; "" if there is nothing to fetch ahead."""
        ...

    async def answer(self, request: Request) -> Served | None:
        """None: pass it on to the real host. Raises CannotMake where the host is ours but the file cannot be had:
        the build then sees status 502 with the words."""
        ...

    async def prefetch(self, version: str) -> list[Path]:
        """Make what a build that asks for this version (as a user writes it, "" for the newest) will ask for."""
        ...


__all__ = [
    "Artefacts",
    "CannotMake",
    "Make",
    "Recipe",
    "Request",
    "Served",
    "Supplies",
    "Workshop",
]
