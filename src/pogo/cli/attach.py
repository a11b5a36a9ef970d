"""This terminal, or this pipe, joined to a one-off dyno: `pogo/1` over TLS (`pogo.rules.rendezvous`)."""

from __future__ import annotations

import os
import select
import signal
import socket
import ssl
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from urllib.parse import urlsplit

from pogo.cli import output
from pogo.cli.client import IDLE_TIMEOUT, open_socket
from pogo.cli.errors import CliError
from pogo.cli.platforms import Platform
from pogo.rules import rendezvous

CHUNK = 65536
INTERRUPT = b"\x03"
LOST = "The connection to the dyno was lost before its command ended.\nLook for it with pogo ps and pogo logs."


def connect(platform: Platform, attach_url: str) -> tuple[socket.socket, bytes]:
    """Open `rendezvous://HOST:PORT/SECRET` and wait for the dyno's greeting.

    Returns the connection and what came behind the greeting. Raises CliError.
    """
    parts = urlsplit(attach_url)
    if parts.scheme != "rendezvous" or not parts.hostname:
        raise CliError(f"The platform offers a way to attach that this pogo does not know: {parts.scheme}.")
    connection = open_socket(platform, parts.hostname, parts.port or 5000, tls=True, timeout=IDLE_TIMEOUT)
    received = b""
    try:
        connection.sendall(rendezvous.hello(parts.path.lstrip("/")))
        connection.settimeout(None)  # A dyno takes its time to boot.
        while rendezvous.GREETING not in received:
            data = connection.recv(CHUNK)
            if not data:
                raise CliError(f"The dyno did not come up.{' It said: ' + _text(received) if received else ''}")
            received += data
    except OSError as failure:
        raise CliError(f"The dyno did not come up: {failure}.") from failure
    return connection, received.partition(rendezvous.GREETING)[2]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


def receive(connection: socket.socket, received: bytes, sink: int) -> int:
    """Write what comes to the descriptor `sink`, without input; the exit status. Raises CliError as `join`."""
    return _Session(connection, terminal=False, resized=-1, source=None, sink=sink).run(received)


def relay(connection: socket.socket, received: bytes, peer: socket.socket) -> None:
    """Copy both ways between the dyno and a connection to this machine, until the dyno's side ends.

    Raises CliError as `join`, OSError where the peer has gone.
    """
    _Session(connection, False, -1, peer.fileno(), peer.fileno()).run(received)


def join(connection: socket.socket, received: bytes, terminal: bool) -> int:
    """Copy both ways until the command ends; its exit status. With `terminal`, keys go there raw and sizes follow.

    Raises CliError when the connection breaks first. The terminal is always left as it was.
    """
    with ExitStack() as stack:
        stack.enter_context(connection)
        resized = -1
        if terminal:
            resized = stack.enter_context(_window_changes())
            stack.enter_context(_raw(sys.stdin.fileno()))
        return _Session(connection, terminal, resized, sys.stdin.fileno(), sys.stdout.fileno()).run(received)


class _Session:
    """source, sink: descriptors of our side."""

    def __init__(self, connection: socket.socket, terminal: bool, resized: int, source: int | None, sink: int) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.terminal = terminal
        self.resized = resized
        self.stdin = source
        self.sink = sink
        self.decoder = rendezvous.Decoder(rendezvous.DATA + rendezvous.MESSAGE + rendezvous.EXIT)
        self.waiting = bytearray()
        self.interrupts: list[float] = []
        self.told = False

    def run(self, received: bytes) -> int:
        sys.stdout.flush()
        if self.terminal:
            self.waiting += _size()
        status = self._take(received)
        while status is None:
            sources = [self.connection.fileno(), *([self.resized] if self.terminal else [])]
            if self.stdin is not None and len(self.waiting) < CHUNK:
                sources.append(self.stdin)
            readable, writable, _ = select.select(sources, [self.connection] if self.waiting else [], [])
            if self.resized in readable:
                os.read(self.resized, CHUNK)
                self.waiting += _size()
            if self.stdin in readable and not self._read_input():
                return 130
            if writable:
                self._send()
            if self.connection.fileno() in readable:
                status = self._receive()
        return status

    def _read_input(self) -> bool:
        """Pass on what was typed; False when the user leaves (four Ctrl-C within one second)."""
        assert self.stdin is not None
        data = os.read(self.stdin, CHUNK)
        if not data:
            self.stdin = None
            self.waiting += rendezvous.encode(rendezvous.END)
            return True
        self.waiting += rendezvous.encode(rendezvous.DATA, data)
        if self.terminal and INTERRUPT in data:
            now = time.monotonic()
            self.interrupts = [at for at in self.interrupts if now - at < 1] + [now] * data.count(INTERRUPT)
        return len(self.interrupts) < 4

    def _send(self) -> None:
        try:
            while self.waiting:
                del self.waiting[: self.connection.send(bytes(self.waiting[:CHUNK]))]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            # The other side has gone; what it still said, its exit status above all, is read first.
            self.waiting.clear()
            self.stdin = None

    def _receive(self) -> int | None:
        """Take one TLS record, which CHUNK always holds whole, so that keys are read between two of them.

        A platform that ends it with a message instead of an exit status has said why.
        """
        try:
            data = self.connection.recv(CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as failure:
            raise CliError(LOST) from failure
        if not data and self.told:
            return 1
        if not data:
            raise CliError(LOST)
        return self._take(data)

    def _take(self, data: bytes) -> int | None:
        try:
            for kind, payload in self.decoder.feed(data):
                if kind == rendezvous.DATA:
                    _write_all(self.sink, payload)
                elif kind == rendezvous.MESSAGE:
                    self.told = True
                    # A raw terminal needs the carriage returns that it otherwise makes itself.
                    output.warn(_text(payload) + ("\r" if self.terminal else ""))
                elif kind == rendezvous.EXIT:
                    return _exit_status(rendezvous.decode_exit(payload))
        except rendezvous.ProtocolError as failure:
            raise CliError(f"The platform and this pogo do not understand each other: {failure}.") from failure
        return None


def _exit_status(status: int) -> int:
    if status < 0:
        raise CliError("The dyno is gone and its exit status is not known.")
    return status & 0xFF


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _size() -> bytes:
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    return rendezvous.encode_size(rows, columns)


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Raw mode, ended by SIGTERM too."""
    before = termios.tcgetattr(terminal)

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    handler = signal.signal(signal.SIGTERM, leave)
    try:
        tty.setraw(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def _window_changes() -> Iterator[int]:
    """A descriptor that becomes readable when the terminal changes its size."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def tell(number: int, frame: FrameType | None) -> None:
        try:
            os.write(writer, b".")
        except BlockingIOError:
            return  # A full pipe says it already.

    handler = signal.signal(signal.SIGWINCH, tell)
    try:
        yield reader
    finally:
        signal.signal(signal.SIGWINCH, handler)
        os.close(reader)
        os.close(writer)
