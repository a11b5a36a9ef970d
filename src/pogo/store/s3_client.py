"""Requests to an S3 store: signed, over connections that are kept, repeated while the store may come back.

Synchronous and safe in threads. See docs/decisions for why no client library.
"""

from __future__ import annotations

import hashlib
import http.client
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from pogo.errors import NotFound, StorageFull, Unavailable
from pogo.store.s3_signature import EMPTY, Keys, query_string, sign

T = TypeVar("T")
CONNECT_SECONDS = 3.0
SILENCE_SECONDS = 20.0  # without a byte
PATIENCE = 20.0  # seconds that a request is repeated for
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0
KEPT = 8
BLOCK = 1 << 18  # bytes
_TRANSIENT = {408, 429, 500, 502, 503, 504}
_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "RequestTimeout", "InvalidDigest"}
_FULL = {"QuotaExceeded", "InsufficientStorage", "InsufficientCapacity", "XMinioStorageFull", "EntityTooLarge"}
_LARGEST_ERROR = 1 << 16


class Refused(Unavailable):
    """The object store refuses the platform: its keys, its clock or its bucket. The operator has to mend it."""


class Broken(Exception):
    """A request that may work when it is made again."""


@dataclass(frozen=True)
class Bucket:
    """Where it is and how it is spoken to. ca: a file of certificates, or empty for the machine's own.

    patience: seconds; silence: the same, without a byte. clock: tests set it wrong.
    """

    name: str
    endpoint: str
    region: str
    keys: Keys
    ca: str = ""
    patience: float = PATIENCE
    silence: float = SILENCE_SECONDS
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def xml(self) -> ElementTree.Element:
        """The store is the operator's own, and expat of this Python limits the growth of entities."""
        return ElementTree.fromstring(self.body)  # noqa: S314


def text_of(element: ElementTree.Element, name: str) -> str:
    """The text of the first child of that name, whatever its namespace."""
    found = next((child for child in element.iter() if child.tag.rpartition("}")[2] == name), None)
    return (found.text or "") if found is not None else ""


class Client:
    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        there = urlsplit(bucket.endpoint)
        self._tls = ssl.create_default_context(cafile=bucket.ca or None) if there.scheme == "https" else None
        self._host, self._port = there.hostname or "", there.port or (443 if self._tls else 80)
        self._named = there.netloc
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def request(
        self, method: str, key: str = "", query: Mapping[str, str] | None = None, body: bytes = b"",
        headers: Mapping[str, str] | None = None, *, patience: float | None = None,
    ) -> Answer:  # fmt: skip
        """The whole answer. Raises NotFound, StorageFull, Refused, Unavailable."""

        def once() -> Answer:
            with self.response(method, key, query, body, headers) as got, breaking(method):
                return Answer(got.status, dict(_lower(got)), got.read())

        try:
            return self.insist(once, f"{method} {key or self.bucket.name}", patience=patience)
        except Refused:
            if method == "HEAD":  # its answer has no body with the reason; this one has
                self.request("GET", "", {"list-type": "2", "max-keys": "1"}, patience=patience)
            raise

    def skew(self) -> float:
        """Seconds by which our clock is ahead of the store's, to the second."""
        date = self.request("HEAD").headers.get("date", "")
        return (self.bucket.clock() - parsedate_to_datetime(date)).total_seconds() if date else 0.0

    def insist(self, action: Callable[[], T], what: str, *, patience: float | None = None) -> T:
        """Repeat what raises Broken, with growing random pauses. Raises Unavailable in the end."""
        began, pause = time.monotonic(), FIRST_PAUSE
        while True:
            try:
                return action()
            except Broken as error:
                left = (self.bucket.patience if patience is None else patience) - (time.monotonic() - began)
                if left <= 0:
                    text = f"The object store at {self.bucket.endpoint} does not do {what}: {error}."
                    raise Unavailable(f"{text} Try again in a moment.") from error
                time.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311
                pause = min(2 * pause, LONGEST_PAUSE)

    @contextmanager
    def response(
        self, method: str, key: str, query: Mapping[str, str] | None = None, body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:  # fmt: skip
        """One try; the body is for the caller to read. Raises Broken, NotFound, StorageFull, Refused."""
        connection = self._connection()
        whole = False
        try:
            with breaking(method):
                got = self._send(connection, method, key, query or {}, body, headers or {})
                if got.status >= 300:
                    self._fail(got, method, key)
            yield got
            whole = got.isclosed() and not got.will_close
        finally:
            self._give_back(connection, whole=whole)

    def _send(
        self, connection: http.client.HTTPConnection, method: str, key: str, query: Mapping[str, str], body: bytes,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:  # fmt: skip
        path = quote(f"/{self.bucket.name}/{key}" if key else f"/{self.bucket.name}", safe="/-_.~")
        asked = query_string(query)
        digest = hashlib.sha256(body).hexdigest() if body else EMPTY
        named = {"host": self._named, **headers}
        signed = sign(self.bucket.keys, self.bucket.region, self.bucket.clock(), method, path, asked, named, digest)
        if body or method in ("PUT", "POST"):
            signed["content-length"] = str(len(body))
        # By blocks, since each has its own time-out. Who refuses a body early still says why.
        blocks = (memoryview(body)[at : at + BLOCK] for at in range(0, len(body), BLOCK))
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, f"{path}?{asked}" if asked else path, blocks if body else None, signed)
        return connection.getresponse()

    def _fail(self, got: http.client.HTTPResponse, method: str, key: str) -> None:
        raw = got.read(_LARGEST_ERROR)
        try:
            code = text_of(ElementTree.fromstring(raw), "Code")  # noqa: S314
        except ElementTree.ParseError:
            code = ""
        store, status = f"The object store at {self.bucket.endpoint}", got.status
        if code == "NoSuchBucket":
            raise Refused(f"{store} has no bucket {self.bucket.name!r}. Run bin/up: it makes one, or says why not.")
        if status == 404:
            raise NotFound("object", f"There is no object {key!r} in the store.")
        if code in _FULL or status == 507:
            raise StorageFull(f"{store} has no room left for us ({code or status}). The operator has to make some.")
        if code == "RequestTimeTooSkewed":
            raise Refused(f"{store} refuses our clock: {self._skew(got)}. Set the clocks of both right (NTP).")
        if status in _TRANSIENT or code in _DAMAGED:
            raise Broken(f"{status} {code}".strip())
        if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
            raise Refused(f"{store} refuses our keys ({code}). Put the right ones into keys/store.key and run bin/up.")
        if status in (401, 403):
            why = code or ("no reason is given to a HEAD" if method == "HEAD" else status)
            why = f"{why}: wrong keys, or keys without that right"
            raise Refused(f"{store} does not let us {method} in bucket {self.bucket.name!r} ({why}).")
        raise Refused(f"{store} answers {method} {key or self.bucket.name} with {status} {code}.")

    def _skew(self, got: http.client.HTTPResponse) -> str:
        if not (date := got.getheader("date")):
            return "it differs from its own by too much"
        return f"it differs by {abs((self.bucket.clock() - parsedate_to_datetime(date)).total_seconds()):.0f} s"

    def _connection(self) -> http.client.HTTPConnection:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if connection.sock is not None and not _readable(connection.sock):
                    return connection
                connection.close()
        try:
            made: http.client.HTTPConnection
            if self._tls:
                made = http.client.HTTPSConnection(
                    self._host, self._port, timeout=CONNECT_SECONDS, context=self._tls, blocksize=1 << 18
                )
            else:
                made = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_SECONDS, blocksize=1 << 18)
            made.connect()
        except ssl.SSLCertVerificationError as error:
            raise Refused(
                f"The certificate of the object store at {self.bucket.endpoint} is not trusted: {error.verify_message}."
                " POGO_STORE_CA names the file of its authority."
            ) from error
        except OSError as error:
            raise Broken(error.strerror or str(error)) from error
        made.sock.settimeout(self.bucket.silence)
        return made

    def _give_back(self, connection: http.client.HTTPConnection, *, whole: bool) -> None:
        with self._lock:
            if whole and connection.sock is not None and len(self._idle) < KEPT:
                self._idle.append(connection)
                return
        connection.close()


@contextmanager
def breaking(method: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        full = "; it may be full" if method in ("PUT", "POST") else ""
        raise Broken(f"no answer in time{full}") from error
    except (OSError, http.client.HTTPException) as error:
        raise Broken(str(error) or type(error).__name__) from error


def _readable(sock: socket.socket) -> bool:
    """Whether an idle connection has something to say: its end."""
    before = sock.gettimeout()
    sock.settimeout(0)
    try:
        sock.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except (OSError, ValueError):  # TLS cannot peek: whether it lives is seen when it is used
        return not isinstance(sock, ssl.SSLSocket)
    else:
        return True
    finally:
        sock.settimeout(before)


def _lower(got: http.client.HTTPResponse) -> Iterator[tuple[str, str]]:
    return ((name.lower(), value) for name, value in got.getheaders())
