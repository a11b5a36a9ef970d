"""Containers: the port to whatever runs processes in isolation.

One Protocol, its drivers (`agent`: LXC on this machine; later `incus`: a cluster) and a double
(`memory`). The same contract tests run against all of them.

Nothing here assumes that a container is on this host, that a path of this host can be mounted
into it, or that its output is a file here. Identity is the caller's: `id` is chosen before the
start and never reused, so a start that is repeated after a crash finds the container it made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pogo.rules.usage import Usage


@dataclass(frozen=True)
class Limits:
    """memory: bytes; cpu_shares: relative weight (1024 = one standard share); pids: processes.

    quota: bytes of memory that it is told it has, where that is less than what it is killed at; 0: `memory`.
    cpu: the most it gets, in per cent of one CPU; 0: no limit. files: that a process may have open.

    disk: bytes that it may write, a file counting as 16 KiB at least; one that goes on is killed, soon. 0: no limit.
    background: all such containers together weigh less, in CPU and I/O, than any one that is not.
    """

    memory: int
    cpu_shares: int = 256
    pids: int = 256
    quota: int = 0
    cpu: int = 0
    files: int = 10_000
    background: bool = False
    disk: int = 0


@dataclass(frozen=True)
class ContainerSpec:
    """What to start.

    id: `[a-z0-9-]{1,40}`, never reused.
    slot: the app's small number; gives the uid range, so apps never share a uid.
    stack: name of an installed stack image, e.g. `pogo-13`.
    slug: local path of a squashfs image, mounted read-only below the writable layer; it holds `app/…`.
    command: argv, run as uid 1000 in /app.
    env: the whole environment of the process; values may hold newlines.
    tty: (rows, columns) gives the process a terminal; `None` gives it pipes.
    stdin: without a tty, whether standard input is a pipe fed by `attach`; else it is empty.
    inputs: read-only files shown to the process as /pogo/in/<name>; value: a local path.
    outputs: whether a writable directory /pogo/out is kept after the end for `fetch`.
    builder: shows the platform's own `pogo` package at /pogo/lib/pogo and the first-party
        buildpacks at /pogo/buildpacks, read-only; /tmp is then on disk, not in memory.
    continues: id of an ended container (started with `outputs`) on whose files this one starts,
        with new processes: what the first wrote is seen, below the new writable layer.
    spool: bytes of output kept until `collected`; older ones are dropped and counted as lost.
    labels: kept with the container and given back by `list`.
    """

    id: str
    slot: int
    stack: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    limits: Limits
    slug: Path | None = None
    tty: tuple[int, int] | None = None
    stdin: bool = False
    inputs: Mapping[str, Path] = field(default_factory=dict)
    outputs: bool = False
    builder: bool = False
    continues: str = ""
    spool: int = 8 << 20
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Exit:
    """status: 0–255, 128+n for signal n, -1 where it was lost (machine restarted); at: unix time.

    exceeded: the limit that it met: `disk`, what `stop` was told, or `pids` of one in the background.
    """

    status: int
    at: float
    oom: bool = False
    exceeded: str = ""


@dataclass(frozen=True)
class Observed:
    """A container that was started and not yet removed. `exit` is None while it runs."""

    id: str
    address: str
    started_at: float
    labels: Mapping[str, str]
    exit: Exit | None


@dataclass(frozen=True)
class Frame:
    """A piece of output: complete lines, each ending in a newline (a last partial line at the end).

    offset: byte position just after this frame, from which `logs` continues.
    at: unix time when it was read from the process.
    lost: lines dropped just before this frame because nobody collected them in time. See `collected` for when
    that is exact.
    """

    offset: int
    at: float
    data: bytes
    lost: int = 0


class Attachment(Protocol):
    """The two ends of a process's terminal or pipes. Closing it hangs the process up (SIGHUP)."""

    async def read(self) -> bytes:
        """Next output, b"" at the end."""
        ...

    async def write(self, data: bytes) -> None: ...

    async def write_eof(self) -> None: ...

    async def resize(self, rows: int, columns: int) -> None: ...

    async def close(self) -> None: ...


class Execution(Attachment, Protocol):
    """One more process in a running container. Closing it hangs that process up, and nothing else."""

    async def wait(self) -> int | None:
        """Its exit status, 128+n for signal n, when it has ended; None where it was lost."""
        ...


class Containers(Protocol):
    """The driver. Every call may raise `errors.ContainerError` (refused) or `errors.Unavailable`."""

    async def start(self, spec: ContainerSpec) -> Observed:
        """Start it and return when its process runs. Repeated with the same id: returns what is there."""
        ...

    async def list(self) -> list[Observed]:
        """Every container of this installation, running or ended, that was not removed."""
        ...

    async def stop(self, id: str, grace: float, exceeded: str = "") -> None:
        """SIGTERM to every process, SIGKILL after `grace` seconds. Returns at once; unknown id: nothing.

        exceeded: the limit that is the reason: `memory`, `disk` or `reserve` (of the disk). Its exit says so; `memory`
        is an `oom`.
        """
        ...

    async def remove(self, id: str) -> None:
        """Forget an ended container and everything it left. Running: killed first. Unknown: nothing."""
        ...

    def logs(self, id: str, offset: int = 0) -> AsyncGenerator[Frame, None]:
        """Output from `offset` on, live, until the container has ended and all was read.

        An offset inside a frame gives that whole frame again.

        Reading does not consume: see `collected`. A container with a tty, or with `stdin`, that
        has been attached gives its output to the attachment only.
        """
        ...

    async def collected(self, id: str, offset: int) -> None:
        """Output before `offset` is safe elsewhere; its space may be freed.

        Nothing that was read is counted as lost, also when its reader is killed and goes on at the last offset that
        is safe, if that calls this after each 64 KB, and with all that it has before it takes a frame that has lost
        lines: then it reads that frame again, since more may have been lost meanwhile. For a spool of 2 MB or more.
        """
        ...

    async def attach(self, id: str) -> Attachment:
        """The terminal or pipes of a container started with `tty` or `stdin`; one attachment at a time."""
        ...

    async def exec(
        self, id: str, command: Sequence[str], env: Mapping[str, str], tty: tuple[int, int] | None
    ) -> Execution:
        """Start one more process in a running container, under all that its own process is under, in /app.

        command, env, tty: as in ContainerSpec; without a terminal, output and errors are one pipe, input another.
        It ends with the container. NotFound where that does not run.
        """
        ...

    async def fetch(self, id: str, name: str, to: Path) -> None:
        """Copy /pogo/out/<name> of an ended container to a local path. NotFound if it is not there."""
        ...

    async def usage(self, background: bool = False) -> Mapping[str, Usage]:
        """What each running container uses now, by its id: of those in the background, or of all others."""
        ...

    def watch(self) -> AsyncIterator[str]:
        """Ids of containers that just ended: a hint, never the only source of truth."""
        ...
