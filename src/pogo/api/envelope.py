"""What surrounds every answer: ids, headers, ETag, HEAD, and the last resort for errors.

Plain ASGI, so that streams stay streams.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pogo.services import audit

log = structlog.get_logger("pogo.api")

SMALLEST = 1000  # bytes of JSON that are worth compressing
_REQUEST_ID = re.compile(r"[\x21-\x7e ]{1,8000}")


class Envelope:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            with audit.acting(exchange.actor()):
                await self.app(exchange.scope, exchange.receive, exchange.send)
            await exchange.finish()
        except Exception:
            # The route, not the path: paths of log sessions are secrets.
            endpoint = getattr(exchange.scope.get("endpoint"), "__name__", "unknown")
            request_id = exchange.request_id[-36:]
            log.exception("request failed", method=scope["method"], endpoint=endpoint, request_id=request_id)
            if exchange.started:
                raise
            await exchange.fail(request_id)


class _Exchange:
    """One request and its answer. JSON answers to GET are held until whole, for their ETag."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._headers = Headers(scope=scope)
        given = self._headers.get("request-id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        self._head = scope["method"] == "HEAD"
        self.scope = dict(scope, method="GET") if self._head else scope
        self._state = self.scope.setdefault("state", {})
        self._held: Message | None = None
        self._asked = False
        self._begun = asyncio.Event()
        self._ended = False

    def actor(self) -> audit.Actor:
        """Who may be about to change something; who he is, the endpoint finds out."""
        peer = self.scope.get("client")
        # Over pogod's own socket only the router calls: the last address is what it saw.
        forwarded = ",".join(self._headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
        return audit.Actor(
            ip=peer[0] if peer else forwarded,
            agent=self._headers.get("user-agent", ""),
            request_id=self.request_id,
            action=lambda: f"{self.scope['method']} {getattr(self.scope.get('route'), 'path', '?')}",
        )

    @property
    def started(self) -> bool:
        return self._begun.is_set()

    async def receive(self) -> Message:
        if not self._head:
            return await self._receive()
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._begun.wait()
        return {"type": "http.disconnect"}  # ends a stream, of which HEAD wants nothing

    async def finish(self) -> None:
        """After a HEAD whose stream was cut short."""
        if self._head and self.started and not self._ended:
            await self._send({"type": "http.response.body", "body": b""})

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._complete(message)
            if self._cacheable(message):
                self._held = message
            else:
                await self._start(message)
        elif message["type"] == "http.response.body":
            if self._held:
                message = await self._start_held(message)
            if not self._head:
                await self._send(message)
            elif not message.get("more_body"):
                self._ended = True
                await self._send({"type": "http.response.body", "body": b""})
        else:
            await self._send(message)

    async def fail(self, request_id: str) -> None:
        text = f"Something went wrong on the platform's side (request {request_id}). Its operator finds it in the log."
        body = json.dumps({"id": "server_error", "message": text}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _complete(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers["Request-Id"] = self.request_id
        headers["X-Content-Type-Options"] = "nosniff"
        headers.setdefault("Cache-Control", "private, no-cache")
        headers.add_vary_header("Authorization, Accept-Encoding")
        if scope := self._state.get("oauth_scope"):
            headers["Oauth-Scope"] = scope
        if (remaining := self._state.get("remaining")) is not None:
            headers["RateLimit-Remaining"] = str(remaining)
            headers["RateLimit-Multiplier"] = "1"

    def _cacheable(self, message: Message) -> bool:
        kind = Headers(raw=message["headers"]).get("content-type", "")
        return self.scope["method"] == "GET" and message["status"] in (200, 206) and kind == "application/json"

    async def _start(self, message: Message) -> None:
        self._begun.set()
        await self._send(message)

    async def _start_held(self, body: Message) -> Message:
        assert self._held
        start, self._held = self._held, None
        if not body.get("more_body"):
            headers = MutableHeaders(scope=start)
            tag = f'"{hashlib.sha256(body["body"]).hexdigest()[:32]}"'
            headers["ETag"] = tag
            known = {part.strip().removeprefix("W/") for part in self._headers.get("if-none-match", "").split(",")}
            if tag in known or "*" in known:
                start["status"], body = 304, {"type": "http.response.body", "body": b""}
                del headers["content-length"], headers["content-type"]
            elif len(body["body"]) >= SMALLEST and "gzip" in self._headers.get("accept-encoding", ""):
                body = {**body, "body": gzip.compress(body["body"], compresslevel=5, mtime=0)}
                headers["Content-Encoding"] = "gzip"
                headers["Content-Length"] = str(len(body["body"]))
                headers["ETag"] = f"W/{tag}"
        await self._start(start)
        return body
