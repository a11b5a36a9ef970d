"""Answering for hosts: what recipes and repositories know is served here, everything else is passed on."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from urllib.parse import unquote

import structlog

from pogo.errors import PogoError
from pogo.mirror import Recipe, Request, answers, relay, wire
from pogo.mirror.egress import EgressLog, Entry
from pogo.mirror.reach import NotConnected, Reach
from pogo.mirror.repositories import Repositories
from pogo.mirror.wire import Head, Malformed
from pogo.rules.build_passes import Visitor

log = structlog.get_logger()
NEXT_SECONDS = 60.0


@dataclass
class Answering:
    """recipes: asked in order. repositories: None where no folder of git repositories is given."""

    recipes: list[Recipe]
    repositories: Repositories | None
    reach: Reach
    egress: EgressLog
    table: dict[str, Recipe] = field(init=False)

    def __post_init__(self) -> None:
        self.table = {host: recipe for recipe in reversed(self.recipes) for host in recipe.hosts}

    def answers_for(self, host: str) -> bool:
        return host in self.table or (self.repositories is not None and host == self.repositories.host)

    async def converse(
        self, visitor: Visitor, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """All requests of one TLS connection that the client believes to lead to `host`."""
        while head := await wire.read_head(reader, NEXT_SECONDS):
            if not head.target.startswith("/"):
                raise Malformed(f"{head.target[:100]} is no path.")
            if not await self.answer(visitor, host, 443, head, reader, writer):
                await self._pass_on(visitor, host, head, reader, writer)
                return
            if not head.keep_alive:
                return

    async def answer(
        self,
        visitor: Visitor,
        host: str,
        port: int,
        head: Head,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Whether the request was answered here; if not, nothing was read or written."""
        path, _, query = head.target.partition("?")
        if self.repositories and host == self.repositories.host:
            found = self.repositories.find(unquote(path))
            if found is None:
                return False
            entry = self.egress.begin(visitor, head.method, host, port, path, by="mirror")
            try:
                await self.repositories.serve(found, query, head, reader, writer, entry)
            finally:
                self.egress.end(entry)
            return True
        if host not in self.table or head.method not in ("GET", "HEAD") or head.length:
            return False
        headers = {name.lower(): value for name, value in head.fields}
        request = Request(head.method, host, unquote(path), query, headers)
        return await self._ask(visitor, self.table[host], request, port, head, writer)

    async def _ask(
        self, visitor: Visitor, recipe: Recipe, request: Request, port: int, head: Head, writer: asyncio.StreamWriter
    ) -> bool:
        entry = Entry(visitor.app, visitor.build, request.method, request.host, port, request.path, by="mirror")
        try:
            served = await recipe.answer(request)
        except PogoError as error:
            entry.reason, entry.status = error.message, 502
        except Exception:
            log.exception("a recipe failed", host=request.host, path=request.path)
            entry.reason, entry.status = "The mirror failed; its log says why.", 500
        else:
            if served is None:
                return False
            try:
                entry.status = await answers.send(head, served, writer, entry.receive)
            finally:
                self.egress.end(entry)
            return True
        self.egress.end(entry)
        head.keep_alive = False
        writer.write(wire.short_answer(entry.status, entry.reason, head_only=head.method == "HEAD"))
        return True

    async def _pass_on(
        self, visitor: Visitor, host: str, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One request to the real host; the connection ends with its answer."""
        entry = self.egress.begin(visitor, head.method, host, 443, head.target.partition("?")[0], by="passed")
        try:
            far = await self.reach.connect(host, 443, tls=ssl.create_default_context())
        except NotConnected as error:
            self.egress.fail(entry, error.status, str(error))
            text = f"{error} This platform's mirror does not have it either."
            writer.write(wire.short_answer(error.status, text, head_only=head.method == "HEAD"))
            return
        try:
            far[1].write(head.passed_on(head.target))
            await relay.exchange(entry, head, (reader, writer), far)
        finally:
            self.egress.end(entry)
            await relay.close(far[1])
