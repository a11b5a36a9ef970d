"""Attaching to one-off dynos: Heroku's rendezvous protocol and our framed variant of it, without I/O.

Both run in TLS. The client's first line is `SECRET` (the official CLI: raw bytes follow both ways)
or `SECRET pogo/1`. The server answers with `GREETING` in a TLS record of its own. In `pogo/1`
everything after it is frames: one byte of kind, four of length (big-endian), payload.

    d  both ways   bytes of the terminal or pipe
    e  to server   end of input; no payload
    r  to server   size of the terminal: rows, columns (two u16)
    m  to client   a message for the user, UTF-8
    x  to client   exit status (i32), the last frame; -1: it is not known
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from pogo.rules.log_lines import character_boundary

GREETING = b"rendezvous\r\n"
FRAMED = "pogo/1"

DATA, END, RESIZE, MESSAGE, EXIT = "d", "e", "r", "m", "x"
MAX_PAYLOAD = 64 * 1024

# The largest plaintext of one TLS record.
RECORD = 16_384
# U+FFFF: the official CLI makes the shell end the output with it and `heroku-command-exit-status: N`.
EXIT_MARKER = b"\xef\xbf\xbf"
_WHOLE_MARKER = EXIT_MARKER + b" heroku-command-exit-status: "
_MARKER_ROOM = 64
# End of transmission: how the official CLI ends input that is no terminal's.
EOT = b"\x04"

_HELLO = re.compile(rb"([!-~]{1,512})(?: (pogo/\d+))?\r?\n")
_HEADER = struct.Struct(">cI")
_SIZE = struct.Struct(">HH")
_STATUS = struct.Struct(">i")


class ProtocolError(ValueError):
    """The other side does not keep to the protocol."""


class Hello(NamedTuple):
    secret: str
    framed: bool


class Frame(NamedTuple):
    kind: str
    payload: bytes


def hello(secret: str) -> bytes:
    """What a client of `pogo/1` sends first."""
    return f"{secret} {FRAMED}\r\n".encode()


def parse_hello(line: bytes) -> Hello:
    """Raises ProtocolError."""
    match = _HELLO.fullmatch(line)
    if match is None:
        raise ProtocolError("the first line is no secret")
    version = (match[2] or b"").decode()
    if version not in ("", FRAMED):
        raise ProtocolError(f"this server speaks {FRAMED}, not {version}; use a pogo of the same version")
    return Hello(match[1].decode(), version == FRAMED)


def encode(kind: str, payload: bytes = b"") -> bytes:
    """One frame; data of more than `MAX_PAYLOAD` bytes becomes several."""
    parts = [payload[start : start + MAX_PAYLOAD] for start in range(0, len(payload), MAX_PAYLOAD)] or [b""]
    return b"".join(_HEADER.pack(kind.encode(), len(part)) + part for part in parts)


def encode_size(rows: int, columns: int) -> bytes:
    return encode(RESIZE, _SIZE.pack(min(max(rows, 0), 0xFFFF), min(max(columns, 0), 0xFFFF)))


def decode_size(payload: bytes) -> tuple[int, int]:
    """(rows, columns). Raises ProtocolError."""
    if len(payload) != _SIZE.size:
        raise ProtocolError("a terminal's size is two numbers of two bytes")
    rows, columns = _SIZE.unpack(payload)
    return rows, columns


def encode_exit(status: int) -> bytes:
    return encode(EXIT, _STATUS.pack(status))


def decode_exit(payload: bytes) -> int:
    """Raises ProtocolError."""
    if len(payload) != _STATUS.size:
        raise ProtocolError("an exit status is a number of four bytes")
    return int(_STATUS.unpack(payload)[0])


class Decoder:
    """Frames out of bytes that come in any pieces. Holds less than one frame."""

    def __init__(self, kinds: str) -> None:
        self._kinds = kinds
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now. Raises ProtocolError for kinds and sizes that are none."""
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _HEADER.size:
            kind, size = _HEADER.unpack_from(self._buffer, start)
            name = kind.decode("latin-1")
            if name not in self._kinds or size > MAX_PAYLOAD:
                raise ProtocolError(f"frame {name!r} of {size} bytes is not part of {FRAMED}")
            end = start + _HEADER.size + size
            if end > len(self._buffer):
                break
            frames.append(Frame(name, bytes(self._buffer[start + _HEADER.size : end])))
            start = end
        del self._buffer[:start]
        return frames


def cut_records(output: bytes, *, flush: bool = False) -> tuple[list[bytes], bytes]:
    """Output of the raw protocol as TLS records to send now, and the rest to hold for what follows.

    The official CLI looks at each record by itself, so none ends inside a character or inside the
    exit marker's line; and it hides a marker only at the beginning of a line, so that begins a record.
    With `flush` nothing is held.
    """
    hold = len(output) if flush else min(_begun_character(output), _begun_marker(output))
    records = []
    start = 0
    while start < hold:
        stop = min(start + RECORD, hold)
        marker = output.find(_WHOLE_MARKER, start + 1, stop)
        if marker > 0:
            stop = marker
        elif stop < hold:
            # A marker that this record would tear is left to the next one, unless it begins this one.
            begun = start + _begun_marker(output[start:stop])
            stop = character_boundary(output, stop) if begun in (start, stop) else begun
        records.append(output[start:stop])
        start = stop
    return records, output[hold:]


class RawWire:
    """The server's side of Heroku's protocol. tty: whether the process has a terminal."""

    framed = False

    def __init__(self, tty: bool) -> None:
        self._tty = tty

    def feed(self, data: bytes) -> list[Frame]:
        """Input as frames of `pogo/1`. Without a terminal, EOT ends it."""
        if self._tty:
            return [Frame(DATA, data)]
        before, end, _ = data.partition(EOT)
        return [Frame(DATA, before)] * bool(before) + [Frame(END, b"")] * bool(end)

    def pack(self, output: bytes, *, flush: bool) -> tuple[list[bytes], bytes]:
        return cut_records(output, flush=flush)

    def message(self, text: str) -> bytes:
        return f"\r\n !     {text}\r\n".encode()


class FramedWire:
    """The server's side of `pogo/1`."""

    framed = True

    def __init__(self) -> None:
        self._decoder = Decoder(DATA + END + RESIZE)

    def feed(self, data: bytes) -> list[Frame]:
        return self._decoder.feed(data)

    def pack(self, output: bytes, *, flush: bool) -> tuple[list[bytes], bytes]:
        return [encode(DATA, output)] * bool(output), b""

    def message(self, text: str) -> bytes:
        return encode(MESSAGE, text.encode())


def _begun_character(output: bytes) -> int:
    """Where a last, incomplete UTF-8 character begins; the length where there is none."""
    for back in range(1, min(4, len(output) + 1)):
        byte = output[-back]
        if byte & 0xC0 != 0x80:
            needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return len(output) - back if needed > back else len(output)
    return len(output)


def _begun_marker(output: bytes) -> int:
    """Where a last exit marker whose line has not ended begins; the length where there is none."""
    tail = max(0, len(output) - _MARKER_ROOM)
    begun = output.rfind(EXIT_MARKER, tail)
    return begun if begun >= 0 and output.find(b"\n", begun) < 0 else len(output)
