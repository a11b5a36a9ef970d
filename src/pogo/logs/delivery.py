"""The wire to one drain: HTTPS requests, or a syslog connection that is kept."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import Sequence

import httpx2

from pogo import outbound
from pogo.addresses import resolve
from pogo.errors import InvalidParams, Unavailable
from pogo.rules import drains as rules

TIMEOUT = 20.0
# Anything else that is no success may be better the next time: a wrong password, a server that is down.
_UNWANTED = (400, 413, 415, 422)


class Refused(Exception):
    """The receiver does not want these lines; the message is its reason."""


class Delivery:
    """private: whether the receiver may be on this machine or in its network."""

    def __init__(self, address: rules.Address, token: str, *, private: bool) -> None:
        self._address = address
        self._token = token
        self._private = private
        self._client: httpx2.AsyncClient | None = None
        self._syslog: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.frame = ""

    async def send(self, messages: Sequence[rules.Message]) -> None:
        """Returns when the receiver has them (syslog: when the kernel has). Raises Unavailable, Refused.

        After an error the same messages are sent with the same frame id.
        """
        self.frame = self.frame or str(uuid.uuid4())
        try:
            async with asyncio.timeout(TIMEOUT):
                await (self._post(messages) if self._address.web else self._write(messages))
        except (OSError, TimeoutError, httpx2.HTTPError, InvalidParams) as error:
            await self.close()
            raise Unavailable(f"{self._address.host}: {error or type(error).__name__}") from error
        self.frame = ""

    def skip(self) -> None:
        """The next messages are others."""
        self.frame = ""

    async def close(self) -> None:
        if self._syslog:
            self._syslog[1].transport.abort()
            self._syslog = None
        if self._client:
            await self._client.aclose()
            self._client = None

    async def _post(self, messages: Sequence[rules.Message]) -> None:
        address = self._address
        host = f"[{address.host}]" if ":" in address.host else address.host
        if self._client is None:
            self._client = outbound.client(TIMEOUT, private=self._private, keep=True)
        headers = {
            "Content-Type": rules.LOGPLEX_TYPE,
            "User-Agent": "Pogoapp-Logplex",
            "Logplex-Msg-Count": str(len(messages)),
            "Logplex-Frame-Id": self.frame,
            "Logplex-Drain-Token": self._token,
        }
        response = await self._client.post(
            f"{address.scheme}://{host}:{address.port}{address.target}",
            content=rules.logplex_body(messages),
            headers=headers,
            auth=httpx2.BasicAuth(*address.credentials) if address.credentials else httpx2.USE_CLIENT_DEFAULT,
        )
        if response.status_code in _UNWANTED:
            raise Refused(f"{address.host} answers {response.status_code}")
        if not response.is_success:
            raise Unavailable(f"{address.host} answers {response.status_code}")

    async def _write(self, messages: Sequence[rules.Message]) -> None:
        if self._syslog is None or self._syslog[0].at_eof() or self._syslog[1].is_closing():
            await self.close()
            self._syslog = await self._connect()
        _, writer = self._syslog
        writer.write(rules.syslog_frames(messages, self._token))
        await writer.drain()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self._address
        ip = await resolve(address.host, address.port, private=self._private)
        if not address.tls:
            return await asyncio.open_connection(ip, address.port)
        context = ssl.create_default_context()
        return await asyncio.open_connection(ip, address.port, ssl=context, server_hostname=address.host)
