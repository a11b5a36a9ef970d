"""A TLS server stream where records and the end are ours to decide.

asyncio's own TLS can neither be read after it was closed for writing (a client that still sends
then sees a reset instead of our last bytes) nor does it promise a record for each write.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress

CHUNK = 64 * 1024


def use_certificate(context: ssl.SSLContext, chain: str, key: str) -> None:
    """Another one (PEM) for handshakes of this server context from now on; it is never in a file of a disk.

    A context keeps one certificate for each kind of key, so that the new one needs a context of its own.
    """
    new = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    file = os.memfd_create("certificate")
    try:
        os.write(file, (chain + key).encode())
        new.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, old: ssl.SSLContext) -> None:
        connection.context = new

    context.sni_callback = choose


class TlsStream:
    """TLS over an accepted TCP connection. One task may read while another writes.

    Reads and writes raise OSError (ssl.SSLError is one) when the connection breaks.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._ahead = b""
        # A write returns when the kernel has everything: a slow client costs its last write's memory.
        writer.transport.set_write_buffer_limits(high=0)

    async def handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    raise ConnectionResetError("the client left during the handshake") from None
            except ssl.SSLError:
                await self._flush()
                raise
            else:
                await self._flush()
                return

    async def read(self) -> bytes:
        """Next bytes, b"" once the client has closed its side."""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return data
        while True:
            try:
                return self._tls.read(CHUNK)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    return b""
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def read_line(self, limit: int) -> bytes:
        """The first line, its newline included; less where `limit` bytes or the end come before one."""
        line = b""
        while b"\n" not in line and len(line) < limit:
            data = await self.read()
            if not data:
                break
            line += data
        end = line.find(b"\n") + 1 or len(line)
        self._ahead = line[end:]
        return line[:end]

    async def write(self, data: bytes) -> None:
        """Send; waits for a slow client. Up to 16,384 bytes are one TLS record."""
        if data:
            self._tls.write(data)
            await self._flush()

    async def finish(self, linger: float) -> None:
        """End our side, then swallow what the client still sends, for at most `linger` seconds.

        Closing with unread input would make the kernel send a reset, which may overtake our last
        bytes (the official CLI shows ECONNRESET).
        """
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        await self._flush()
        self._writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(linger):
                while await self._reader.read(CHUNK):
                    pass

    def abort(self) -> None:
        self._writer.transport.abort()

    async def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._writer.write(data)
            await self._writer.drain()

    async def _fill(self) -> bool:
        data = await self._reader.read(CHUNK)
        if data:
            self._incoming.write(data)
        return bool(data)
