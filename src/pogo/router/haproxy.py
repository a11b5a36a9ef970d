"""The edge router on HAProxy 2.6, driven through its runtime socket. Never reloads."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

from pogo.errors import Unavailable
from pogo.router import Applied, Routes, Server
from pogo.router.config import Files, backend_name, websockets_name
from pogo.router.plan import Mode, Real, RealServer, limits, plan

# A full rebuild of 1,000 apps takes about a second; more means that HAProxy hangs.
ANSWER_TIMEOUT = 30.0
CONNECT_TRIES = 50

_AWAY = 0.2  # seconds between two attempts to reach a router that does not run

_PROMPT = b"\n> "
_LONGEST_ANSWER = 256 * 1024 * 1024
_MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20
_DRAIN = 0x08 | 0x10
# HAProxy's answers to success; a command not named here answers with nothing.
_SUCCESS = {"add server": "New server registered.", "del server": "Server deleted."}
_STILL_CONNECTED = "Server still has connections attached to it"


class HaproxyRouter:
    """socket: HAProxy's admin socket; paths: `Files.of(settings)`, the maps are named by their paths."""

    def __init__(self, socket: Path, paths: Files) -> None:
        self._socket = socket
        self._paths = paths
        self._one_at_a_time = asyncio.Lock()
        # HAProxy tells the bound of a server's requests in flight only in its statistics, all of them: what was said
        # last is remembered, and said again where that is not known.
        self._limits: dict[tuple[str, str], int] = {}

    async def apply(self, routes: Routes) -> Applied:
        """See `Router.apply`. A server that HAProxy does not let go yet is tried again by the next apply.

        Raises Unavailable if HAProxy does not answer or refuses a command; the other commands are done then.
        """
        draining = {
            (name, server.name)
            for slot, backend in routes.backends.items()
            for server in backend.draining
            for name in (backend_name(slot), websockets_name(slot))
        }
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    return await self._apply(routes, draining)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                message = f"cannot reach the router on {self._socket}: {error!r}. Is HAProxy running?"
                raise Unavailable(message) from error

    async def watch(self) -> AsyncIterator[None]:
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._socket))
            except OSError:
                await asyncio.sleep(_AWAY)
                continue
            try:
                yield
                writer.write(b"prompt\n")
                # HAProxy closes a silent connection too, twice a minute: that costs one turn.
                while await reader.read(4096):
                    continue
            except ConnectionError:
                continue
            finally:
                writer.close()

    async def _apply(self, routes: Routes, draining: set[tuple[str, str]]) -> Applied:
        reader, writer = await _connect(self._socket)
        try:
            writer.write(b"prompt\n")
            await reader.readuntil(_PROMPT)
            real = await self._read(reader, writer)
            commands = plan(real, routes, self._paths)
            self._limits = {}
            answers = await _ask(reader, writer, commands)
            changes = _done(commands, answers)
            self._limits = limits(routes)
            busy = frozenset[str]()
            if draining:
                (stat,) = await _ask(reader, writer, ["show stat -1 4 -1"])
                with_sessions = [*_with_sessions(stat), *await self._of_old_workers()]
                busy = frozenset(server for backend, server in with_sessions if (backend, server) in draining)
            return Applied(changes, busy)
        finally:
            writer.close()

    async def _of_old_workers(self) -> list[tuple[str, str]]:
        """Servers that have requests through workers that were taken over and finish what they have."""
        if not self._paths.master_socket.exists():
            return []
        found: list[tuple[str, str]] = []
        for pid in _old_workers(await self._ask_master("show proc")):
            found += _with_sessions(await self._ask_master(f"@!{pid} show stat -1 4 -1"))
        return found

    async def _ask_master(self, command: str) -> str:
        reader, writer = await _connect(self._paths.master_socket)
        try:
            writer.write(f"{command}\n".encode())
            writer.write_eof()
            return (await reader.read()).decode(errors="replace")
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Real:
        paths = self._paths
        maps = (paths.hosts, paths.refusals, paths.options, paths.addresses, paths.sticky)
        servers, *texts = await _ask(reader, writer, ["show servers state", *(f"show map {path}" for path in maps)])
        return Real(parse_servers(servers, self._limits), *map(parse_map, texts))


async def _connect(socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """HAProxy refuses for a moment while it starts or is taken over; requests wait for us then."""
    for _ in range(CONNECT_TRIES - 1):
        try:
            return await asyncio.open_unix_connection(str(socket), limit=_LONGEST_ANSWER)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
    return await asyncio.open_unix_connection(str(socket), limit=_LONGEST_ANSWER)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, commands: Sequence[str]) -> list[str]:
    """Send all commands at once, return their answers in order."""
    writer.write("".join(f"{command}\n" for command in commands).encode())
    return [(await reader.readuntil(_PROMPT))[: -len(_PROMPT)].decode(errors="replace").strip() for _ in commands]


def _done(commands: Sequence[str], answers: Sequence[str]) -> int:
    """How many commands changed something. Raises Unavailable if any was refused."""
    done = len(commands)
    refused = []
    for command, answer in zip(commands, answers, strict=True):
        if answer.startswith(_STILL_CONNECTED):
            done -= 2  # this `del server` and the `shutdown sessions` before it
        elif not _success(command, answer):
            refused.append(f"{command!r}: {answer}")
    if refused:
        more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
        raise Unavailable(f"the router refused {'; '.join(refused[:5])}{more}")
    return done


def _success(command: str, answer: str) -> bool:
    if command.startswith("set server") and " addr " in command:
        return "changed from" in answer
    return answer == _SUCCESS.get(" ".join(command.split()[:2]), "")


def parse_servers(text: str, limits: Mapping[tuple[str, str], int] | None = None) -> dict[str, dict[str, RealServer]]:
    """The answer to `show servers state` (format 1) → backend → name → server, of the apps' backends only.

    limits: by backend and server name; HAProxy does not tell them here.
    """
    servers: dict[str, dict[str, RealServer]] = {}
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) < 19 or not is_app_backend(fields[1]):
            continue
        backend, name, address, admin, port = fields[1], fields[3], fields[4], int(fields[6]), int(fields[18])
        mode: Mode = "maint" if admin & _MAINTENANCE else "drain" if admin & _DRAIN else "ready"
        servers.setdefault(backend, {})[name] = RealServer(
            Server(name, address, port), mode, (limits or {}).get((backend, name))
        )
    return servers


def parse_map(text: str) -> dict[str, str]:
    """The answer to `show map`: lines of `<reference> <key> <value>`."""
    return {key: value for _, key, value in (line.split(" ", 2) for line in text.splitlines() if line)}


def _old_workers(text: str) -> list[int]:
    """From `show proc`: a table below a heading, then the next heading."""
    rows = text.partition("# old workers")[2].partition("# programs")[0].splitlines()
    return [int(row.split()[0]) for row in rows if row.strip()]


def _with_sessions(text: str) -> Iterable[tuple[str, str]]:
    """Servers that have requests in flight or queued, from `show stat` (CSV)."""
    for row in csv.DictReader(text.strip().removeprefix("# ").splitlines()):
        if int(row["scur"] or 0) + int(row["qcur"] or 0) > 0:
            yield row["pxname"], row["svname"]


def is_app_backend(name: str) -> bool:
    return name.startswith("app") and name[3:].removesuffix("-ws").isdigit()
