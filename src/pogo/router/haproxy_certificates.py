"""Certificates in HAProxy 2.6, through its runtime socket. Never reloads, never writes a key to a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from pogo.errors import Unavailable
from pogo.router.certificates import PREFIX, Line, Load, Served, Shown, parse_lines, parse_names, plan
from pogo.router.config import Files
from pogo.router.haproxy import ANSWER_TIMEOUT, parse_map

_PROMPT = b"\n> "
_LONGEST_ANSWER = 64 * 1024 * 1024


class HaproxyCertificates:
    """socket: HAProxy's admin socket. http1: hosts that speak HTTP/1.1 alone (see router.config)."""

    def __init__(self, socket: Path, paths: Files, http1: Sequence[str]) -> None:
        self._socket = socket
        self._paths = paths
        self._http1 = tuple(http1)
        self._one_at_a_time = asyncio.Lock()

    async def apply(self, wanted: Sequence[Served], answers: Mapping[str, str], load: Load) -> int:
        """See `Certificates.apply`. A certificate that HAProxy refuses does not keep the others from being shown."""
        async with self._one_at_a_time:
            try:
                return await self._apply(wanted, answers, load)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                message = f"cannot reach the router on {self._socket}: {error!r}. Is HAProxy running?"
                raise Unavailable(message) from error

    async def _apply(self, wanted: Sequence[Served], answers: Mapping[str, str], load: Load) -> int:
        reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=_LONGEST_ANSWER)
        try:
            admin = _Admin(reader, writer)
            await admin.ask("prompt")
            shown = await self._shown(admin)
            changes = plan(shown, wanted, answers, self._paths, self._http1)
            await admin.all(changes.answers, "")
            if changes.load and shown.open:
                await admin.ask(f"abort ssl cert {shown.open}")
            refused: dict[str, str] = {}
            for id in changes.load:
                pem = await load(id)
                if pem is None:
                    return 0  # it has gone meanwhile: the next apply knows what is wanted now
                try:
                    await self._load(admin, PREFIX + id, pem, new=PREFIX + id not in shown.names)
                except Unavailable as error:
                    refused[PREFIX + id] = error.message
            for line in changes.add:
                if line.name not in refused:
                    await admin.expect(f"add ssl crt-list {self._paths.certificates} <<\n{_text(line)}\n", "Success!")
            if refused:
                raise Unavailable("; ".join(refused.values()))
            await admin.all(changes.remove, "deleted")
            return len(changes.answers) + len(changes.load) + len(changes.add) + len(changes.remove)
        finally:
            writer.close()

    async def _shown(self, admin: _Admin) -> Shown:
        names, open_ = parse_names(await admin.ask("show ssl cert"))
        lines = parse_lines(await admin.ask(f"show ssl crt-list -n {self._paths.certificates}"))
        return Shown(lines, names, open_, parse_map(await admin.ask(f"show map {self._paths.answers}")))

    async def _load(self, admin: _Admin, name: str, pem: str, *, new: bool) -> None:
        if new:
            await admin.expect(f"new ssl cert {name}", "New empty certificate store")
        await admin.expect(f"set ssl cert {name} <<\n{pem.strip()}\n", "Transaction created")
        try:
            await admin.expect(f"commit ssl cert {name}", "Success!")
        except Unavailable:
            await admin.ask(f"abort ssl cert {name}")
            raise


class _Admin:
    """One connection to the admin socket, after `prompt`. Answers never hold what was sent: it may be a key."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, command: str) -> str:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            self._writer.write(f"{command}\n".encode())
            answer = await self._reader.readuntil(_PROMPT)
        return answer[: -len(_PROMPT)].decode(errors="replace").strip()

    async def expect(self, command: str, success: str) -> None:
        """success: part of the answer, "" for an empty one."""
        answer = await self.ask(command)
        if (success not in answer) if success else answer:
            first = command.partition("\n")[0]
            raise Unavailable(f"the router refused {first!r}: {' '.join(answer.split())}")

    async def all(self, commands: Sequence[str], success: str) -> None:
        for command in commands:
            await self.expect(command, "" if " map " in command else success)


def _text(line: Line) -> str:
    options = f"[{line.options}] " if line.options else ""
    return f"{line.name} {options}{' '.join(line.hosts)}"
