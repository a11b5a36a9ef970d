"""A loopback address for a remote platform: the official client sends its token to no other host but its makers'.

Plain HTTP on 127.0.0.1, passed on to the platform as it comes, with the platform's own host name. Nothing is added:
the token is the client's, so that another user of this machine who finds the port gains nothing.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from pogo.cli.client import IDLE_TIMEOUT, Connection
from pogo.cli.errors import CliError
from pogo.cli.platforms import Platform

CHUNK = 65536
#: RFC 9110, section 7.6.1: of one connection, not of the message. The host is the platform's.
OWN = {"connection", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


class Forwarder(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1 as soon as it is made."""

    daemon_threads = True

    def __init__(self, platform: Platform) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.platform = platform

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client has gone in the middle of an answer: nobody is there to be told."""


@contextmanager
def forwarding(platform: Platform) -> Iterator[str]:
    """The address that leads to the platform while the block runs."""
    with Forwarder(platform) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection of the client, with one to the platform behind it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = CHUNK
    server: Forwarder
    upstream: Connection | None = None

    def _pass(self) -> None:
        if not self.path.startswith("/"):
            return self._refuse(400, "bad_request", "This address forwards to one platform alone.")
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return self._refuse(411, "length_required", "A request needs a Content-Length here.")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answer = self._asked(body)
        except (CliError, OSError, http.client.HTTPException) as failure:
            self._drop()
            return self._refuse(502, "bad_gateway", str(failure) or type(failure).__name__)
        self._answer(answer)
        if answer.will_close:
            self._drop()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _pass

    def _asked(self, body: bytes) -> http.client.HTTPResponse:
        """The platform's answer. A kept connection may have ended meanwhile; a GET is then sent once more."""
        kept = self.upstream is not None
        try:
            return self._sent(body)
        except (ConnectionError, http.client.RemoteDisconnected):
            self._drop()
            if not kept or self.command not in ("GET", "HEAD"):
                raise
            return self._sent(body)

    def _sent(self, body: bytes) -> http.client.HTTPResponse:
        platform = self.server.platform
        if self.upstream is None:
            self.upstream = Connection(platform, platform.api, IDLE_TIMEOUT)
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        self.upstream.putheader("Host", urlsplit(platform.api).netloc)
        for name, value in self.headers.items():
            if name.lower() not in OWN:
                self.upstream.putheader(name, value)
        self.upstream.endheaders(body or None)
        return self.upstream.getresponse()

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        """As it comes: a stream is not kept until its end."""
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in OWN:
                self.send_header(name, value)
        bare = self.command == "HEAD" or answer.status in (204, 304)
        chunked = not bare and answer.getheader("Content-Length") is None
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        try:
            while data := answer.read1(CHUNK):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
                self.wfile.flush()
            if answer.length:
                raise http.client.IncompleteRead(b"", answer.length)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # What is cut off there ends without its end here.
            self._drop()
            return
        answer.close()
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, id_: str, message: str) -> None:
        data = json.dumps({"id": id_, "message": message}).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _drop(self) -> None:
        if self.upstream:
            self.upstream.close()
        self.upstream = None

    def finish(self) -> None:
        self._drop()
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: the client says what it does."""
