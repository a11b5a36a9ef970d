"""The proxy itself: who asks, where to, and whether it is answered here, passed on or refused."""

from __future__ import annotations

import asyncio
import collections
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog

from pogo.mirror import relay, wire
from pogo.mirror.answering import Answering
from pogo.mirror.authority import Authority
from pogo.mirror.egress import EgressLog
from pogo.mirror.reach import NotConnected, Reach, Refused
from pogo.mirror.wire import Head, Malformed
from pogo.rules import build_passes
from pogo.rules.build_passes import Visitor

log = structlog.get_logger()
HEAD_SECONDS = 60.0
PER_ADDRESS = 128  # connections; a build has one address
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass
class Proxy:
    """key: signs the builds' passes. authority, answering: None where the mirror only logs."""

    key: bytes
    reach: Reach
    egress: EgressLog
    authority: Authority | None = None
    answering: Answering | None = None
    open: collections.Counter[str] = field(default_factory=collections.Counter)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a build, to its end."""
        address = str((writer.get_extra_info("peername") or ("",))[0])
        self.open[address] += 1
        try:
            if self.open[address] > PER_ADDRESS:
                raise Malformed(f"This build has {PER_ADDRESS} connections open already.", 503)
            head = await wire.read_head(reader, HEAD_SECONDS)
            if head is not None:
                await self._enter(head, reader, writer)
        except Malformed as error:
            writer.write(wire.short_answer(error.status, str(error)))
        except (OSError, TimeoutError):
            pass  # the build or the host has gone; the log has said how far it came
        except Exception:
            log.exception("a request failed")
        finally:
            await relay.linger((reader, writer))
            await relay.close(writer)
            self.open[address] -= 1
            self.open += collections.Counter()  # forget those with none

    async def _enter(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitor = build_passes.check(self.key, head.get("proxy-authorization"), time.time())
        if visitor is None:
            challenge = [("Proxy-Authenticate", 'Basic realm="builds of this platform"')]
            text = "This proxy is for builds of this platform, with the credentials that they are given."
            writer.write(wire.short_answer(407, text, extra=challenge))
            return
        host, port, target = destination(head)
        try:
            if head.method == "CONNECT":
                await self._connect(visitor, host, port, reader, writer)
            else:
                await self._request(visitor, head, host, port, target, reader, writer)
        except Refused as error:
            self.egress.refuse(visitor, head.method, host, port, str(error))
            writer.write(wire.short_answer(403, str(error)))

    async def _connect(
        self, visitor: Visitor, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.answering and self.authority and port == 443 and self.answering.answers_for(host):
            writer.write(TUNNEL)
            try:
                await writer.start_tls(self.authority.context(host), ssl_handshake_timeout=HEAD_SECONDS)
            except OSError as error:
                reason = f"The build broke off TLS; its program may not trust the mirror's authority ({error})."
                self.egress.refuse(visitor, "CONNECT", host, port, reason)
                return
            await self.answering.converse(visitor, host, reader, writer)
            return
        self.reach.check_name(host, port)
        entry = self.egress.begin(visitor, "CONNECT", host, port, by="passed")
        try:
            far_reader, far = await self.reach.connect(host, port)
        except NotConnected as error:
            self.egress.fail(entry, error.status, str(error))
            writer.write(wire.short_answer(error.status, str(error)))
            return
        try:
            entry.status = 200
            writer.write(TUNNEL)
            await relay.tunnel(entry, (reader, writer), (far_reader, far))
        finally:
            self.egress.end(entry)
            await relay.close(far)

    async def _request(
        self,
        visitor: Visitor,
        head: Head,
        host: str,
        port: int,
        target: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Plain HTTP. One request a connection: what follows might be for another host."""
        if self.answering and port == 80 and self.answering.answers_for(host):
            head.target, head.keep_alive = target, False
            if await self.answering.answer(visitor, host, 80, head, reader, writer):
                return
        self.reach.check_name(host, port)
        entry = self.egress.begin(visitor, head.method, host, port, target.partition("?")[0], by="passed")
        try:
            (far_reader, far), upstream = await self.reach.connect_plain(host, port)
        except NotConnected as error:
            self.egress.fail(entry, error.status, str(error))
            writer.write(wire.short_answer(error.status, str(error)))
            return
        try:
            extra = upstream.fields if upstream else []
            far.write(head.passed_on(head.target if upstream else target, extra))
            await relay.exchange(entry, head, (reader, writer), (far_reader, far))
        finally:
            self.egress.end(entry)
            await relay.close(far)


def destination(head: Head) -> tuple[str, int, str]:
    """(host, port, target for that host) of a request to a proxy. Raises Malformed."""
    try:
        if head.method == "CONNECT":
            url = urlsplit(f"//{head.target}")
            target, port = "", url.port or 443
        else:
            url = urlsplit(head.target)
            if url.scheme != "http":
                raise Malformed(f"This is a proxy: it takes http://… and CONNECT, not {head.target[:100]}.")
            target, port = (url.path or "/") + (f"?{url.query}" if url.query else ""), url.port or 80
    except ValueError:
        raise Malformed(f"{head.target[:100]} is no address.") from None
    if not url.hostname or url.username:
        raise Malformed(f"{head.target[:100]} is no address.")
    return url.hostname.rstrip(".").lower(), port, target
