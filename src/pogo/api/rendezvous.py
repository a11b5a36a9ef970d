"""The attach server: terminals of one-off dynos and of what is run inside others, for the official CLI and `pogo`.

The protocol is in `pogo.rules.rendezvous`; the secret of a session is in its attach URL.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from pogo.api.tls_stream import TlsStream
from pogo.containers import Attachment, Containers, Execution
from pogo.errors import PogoError, Unavailable
from pogo.rules import rendezvous as rules

HELLO_SECONDS = 30
HELLO_BYTES = 1024
# Long enough for a shell's last writes to arrive as one read, too short to be felt.
GATHER_SECONDS = 0.004
# How long the begin of a character or of the exit marker is held back for its end.
HOLD_SECONDS = 0.1
LINGER_SECONDS = 5
# How long a silent client of the raw protocol may still be about to send its EOT: pipes, terminals.
EOT_SECONDS = {False: 1.0, True: 0.3}
# A client whose machine is gone is noticed after 60 + 4 x 15 seconds.
KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))

log = structlog.get_logger()


class _Typed:
    """When the client last sent input, and whether its last byte was EOT."""

    def __init__(self) -> None:
        self.note(b"")

    def note(self, data: bytes) -> None:
        self.at = asyncio.get_running_loop().time()
        self.eot = data.endswith(rules.EOT)


@dataclass(frozen=True)
class AttachTarget:
    """What a secret stands for. tty: whether there is a terminal.

    opening: None for the first process of the container; else what starts another one, or connects to a port.
    """

    container_id: str
    tty: bool
    opening: Callable[[], Awaitable[Execution]] | None = None


Wire = rules.RawWire | rules.FramedWire
Ended = Callable[[], Awaitable[int | None]]


class Rendezvous:
    """One TLS port for all attach sessions of the installation.

    claim: gives the target of a secret, once; raises NotFound for unknown and used ones.
    exit_status: waits for the end of a container; None where its status was lost.
    port: 0 leaves it to the kernel; after `start` it is the real one.

    A client that goes away hangs its process up (`Attachment.close`).
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext,
        containers: Containers,
        claim: Callable[[str], Awaitable[AttachTarget]],
        exit_status: Callable[[str], Awaitable[int | None]],
    ) -> None:
        self.port = port
        self._host = host
        self._tls = tls
        self._containers = containers
        self._claim = claim
        self._exit_status = exit_status
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        self._server = await asyncio.start_server(self._connected, self._host, self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and hang up every session."""
        if self._server is not None:
            self._server.close()
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = asyncio.create_task(self._session(reader, writer))
        self._sessions.add(session)
        session.add_done_callback(self._sessions.discard)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = TlsStream(reader, writer, self._tls)
        try:
            _keep_alive(writer)
            await self._serve(stream)
        except (OSError, TimeoutError) as error:
            log.info("attach session broke", error=str(error), kind=type(error).__name__)
        except Exception:
            log.exception("attach session failed")
        finally:
            stream.abort()

    async def _serve(self, stream: TlsStream) -> None:
        async with asyncio.timeout(HELLO_SECONDS):
            await stream.handshake()
            line = await stream.read_line(HELLO_BYTES)
        wire: Wire = rules.RawWire(tty=False)
        try:
            hello = rules.parse_hello(line)
            if hello.framed:
                wire = rules.FramedWire()
            target = await self._claim(hello.secret)
            attachment, ended = await self._open(target)
        except (PogoError, rules.ProtocolError) as error:
            await stream.write(rules.GREETING)
            await stream.write(wire.message(str(error)))
            await stream.finish(LINGER_SECONDS)
            return
        if not hello.framed:
            wire = rules.RawWire(target.tty)
        try:
            await stream.write(rules.GREETING)
            typed = _Typed()
            there = await self._relay(stream, wire, target, attachment, ended, typed)
        finally:
            with suppress(OSError, PogoError):
                await attachment.close()
        if there:
            if not hello.framed:
                await _let_input_end(stream, typed, EOT_SECONDS[target.tty])
            await stream.finish(LINGER_SECONDS)

    async def _open(self, target: AttachTarget) -> tuple[Attachment, Ended]:
        if target.opening is not None:
            execution = await target.opening()
            return execution, execution.wait
        attachment = await self._containers.attach(target.container_id)
        return attachment, lambda: self._exit_status(target.container_id)

    async def _relay(
        self, stream: TlsStream, wire: Wire, target: AttachTarget, attachment: Attachment, ended: Ended, typed: _Typed
    ) -> bool:
        """Until one side ends; returns whether the client is still there."""
        incoming = asyncio.create_task(_pass_input(stream, wire, target, attachment, typed))
        outgoing = asyncio.create_task(_pass_output(stream, wire, attachment, ended))
        try:
            await asyncio.wait({incoming, outgoing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            incoming.cancel()
            outgoing.cancel()
            results = await asyncio.gather(incoming, outgoing, return_exceptions=True)
        for result in results:
            if isinstance(result, PogoError | rules.ProtocolError):
                await stream.write(wire.message(str(result)))
                return True
            if isinstance(result, Exception):
                raise result
        return not outgoing.cancelled()


class _Output:
    """Reads of an attachment, gathered. The read under way survives a time-out."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self._read: asyncio.Task[bytes] | None = None
        self.ended = False

    async def __aenter__(self) -> _Output:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._read is not None:
            self._read.cancel()
            await asyncio.gather(self._read, return_exceptions=True)

    async def gather(self, seconds: float, patience: float | None) -> bytes:
        """What comes within `seconds` of the first piece; b"" at the end, or if none comes in `patience`."""
        data = await self._next(patience)
        deadline = asyncio.get_running_loop().time() + seconds
        while data and not self.ended and len(data) < rules.RECORD:
            left = deadline - asyncio.get_running_loop().time()
            more = await self._next(left) if left > 0 else b""
            if not more:
                break
            data += more
        return data

    async def _next(self, patience: float | None) -> bytes:
        if self.ended:
            return b""
        if self._read is None:
            self._read = asyncio.create_task(_read(self._attachment))
        done, _ = await asyncio.wait({self._read}, timeout=patience)
        if not done:
            return b""
        data = self._read.result()
        self._read = None
        self.ended = not data
        return data


async def _pass_output(stream: TlsStream, wire: Wire, attachment: Attachment, ended: Ended) -> None:
    """Until the process has ended; then tell its exit status where the client can hear it."""
    async with _Output(attachment) as output:
        held = b""
        while True:
            gathered = await output.gather(GATHER_SECONDS if not wire.framed else 0, HOLD_SECONDS if held else None)
            # Nothing new in time, or the end: what was held back goes as it is.
            records, held = wire.pack(held + gathered, flush=not gathered)
            for record in records:
                await stream.write(record)
            if output.ended and not gathered:
                break
    # A process that closed its output may still work: hanging it up now would be wrong.
    status = await ended()
    if wire.framed:
        await stream.write(rules.encode_exit(-1 if status is None else status))


async def _read(attachment: Attachment) -> bytes:
    try:
        return await attachment.read()
    except OSError as error:
        raise Unavailable("The connection to the dyno was lost.") from error


async def _pass_input(
    stream: TlsStream, wire: Wire, target: AttachTarget, attachment: Attachment, typed: _Typed
) -> None:
    """Until the client has gone. Input after its end, or for a process that reads no more, is dropped."""
    wanted = True
    while data := await stream.read():
        typed.note(data)
        for kind, payload in wire.feed(data):
            if not wanted:
                continue
            try:
                if kind == rules.RESIZE:
                    await _resize(target, attachment, payload)
                elif kind == rules.DATA:
                    await attachment.write(payload)
                elif target.tty:
                    await attachment.write(rules.EOT)
                else:
                    wanted = False
                    await attachment.write_eof()
            except (OSError, PogoError) as error:
                log.info("attached process reads no more", container=target.container_id, error=str(error))
                wanted = False


async def _let_input_end(stream: TlsStream, typed: _Typed, patience: float) -> None:
    """Swallow input until the client has sent its EOT or is silent, for at most `LINGER_SECONDS`.

    The official CLI crashes (EPIPE) where it has to write to a connection whose other side has ended,
    be it the EOT of an empty input that it sends right after the greeting.
    """
    now = asyncio.get_running_loop().time
    until = now() + LINGER_SECONDS
    while not typed.eot and (left := min(typed.at + patience, until) - now()) > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                data = await stream.read()
                if not data:
                    return
                typed.note(data)


async def _resize(target: AttachTarget, attachment: Attachment, payload: bytes) -> None:
    rows, columns = rules.decode_size(payload)
    if target.tty and rows and columns:
        await attachment.resize(rows, columns)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, seconds in KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, seconds)
