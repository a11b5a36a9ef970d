"""The Platform API over HTTP: one connection per command, JSON in and out, errors as text for a person.

`http.client` because importing it costs a quarter of what an HTTP library costs (docs/decisions/0007-cli.md).
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import time
from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlsplit

from pogo import __version__
from pogo.cli.errors import ApiError, CliError, NotLoggedIn
from pogo.cli.platforms import Platform

ACCEPT = "application/vnd.heroku+json; version=3"
IDLE_TIMEOUT = 60.0
RESTART_PATIENCE = 15.0
KEEP_ALIVE = 4.0


def address(host: str) -> str:
    """Where to connect for a host name: `*.localhost` is loopback without asking DNS (RFC 6761, section 6.3)."""
    return "127.0.0.1" if host == "localhost" or host.endswith(".localhost") else host


def trust(platform: Platform) -> ssl.SSLContext:
    """TLS verified against the installation's own CA, or the system's where it has none. Raises CliError."""
    try:
        return ssl.create_default_context(cafile=platform.ca)
    except (OSError, ssl.SSLError) as failure:
        raise CliError(f"Cannot read the CA certificate {platform.ca}: {failure.strerror or failure}.") from failure


def open_socket(platform: Platform, host: str, port: int, tls: bool, timeout: float | None) -> socket.socket:
    """A connection to a host of the platform. Raises CliError when it is not reachable or not to be trusted."""
    try:
        plain = socket.create_connection((address(host), port), timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return trust(platform).wrap_socket(plain, server_hostname=host) if tls else plain
    except ssl.SSLCertVerificationError as failure:
        raise CliError(
            f"The certificate of {host} is not trusted: {failure.verify_message}.\n"
            "Give the CA of the installation: POGO_CA_FILE=ca.pem, or pogo platform:add URL --ca ca.pem"
        ) from failure
    except OSError as failure:
        raise unreachable(f"{host}:{port}", failure) from failure


def unreachable(where: str, failure: Exception) -> CliError:
    why = getattr(failure, "strerror", None) or str(failure) or type(failure).__name__
    return CliError(
        f"Cannot reach the platform at {where}: {why}.\nIs it running? pogo platform shows which one is used."
    )


class Connection(http.client.HTTPConnection):
    """To the host of a URL, with the platform's CA."""

    def __init__(self, platform: Platform, url: str, timeout: float | None) -> None:
        parts = urlsplit(url)
        self.tls = parts.scheme == "https"
        self.platform = platform
        super().__init__(parts.hostname or "", parts.port or (443 if self.tls else 80), timeout=timeout)

    def connect(self) -> None:
        self.sock = open_socket(self.platform, self.host, self.port, self.tls, self.timeout)


def escape(part: str) -> str:
    """One segment of a path."""
    return quote(part, safe="@:~")


class Api:
    """Calls of one command to one platform."""

    def __init__(self, platform: Platform, timeout: float = IDLE_TIMEOUT, patience: float = RESTART_PATIENCE) -> None:
        """timeout: seconds without a byte; patience: how many of them a restart of the platform is waited for."""
        self.platform = platform
        self._timeout = timeout
        self._patience = patience
        self._connection: Connection | None = None
        self._used = 0.0
        self._warned: set[str] = set()

    def get(self, path: str, range_: str | None = None) -> Any:
        return self.call("GET", path, range_=range_)

    def get_all(self, path: str, range_: str | None = None) -> list[Any]:
        """A whole list, page by page (`Next-Range`)."""
        found: list[Any] = []
        while True:
            response, body = self._exchange("GET", path, None, {"Range": range_} if range_ else {})
            found += self._value(response, body)
            range_ = response.getheader("Next-Range")
            if not range_:
                return found

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body)

    def post_for_header(self, path: str, body: Any, header: str) -> str | None:
        """What the answer to a POST says in a header."""
        response, answer = self._exchange("POST", path, body, {})
        self._value(response, answer)
        return response.getheader(header)

    def patch(self, path: str, body: Any) -> Any:
        return self.call("PATCH", path, body)

    def put(self, path: str, body: Any) -> Any:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)

    def call(
        self, method: str, path: str, body: Any = None, range_: str | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        """The decoded answer. Raises ApiError, NotLoggedIn, CliError. `headers` may carry another Authorization."""
        sent = dict(headers or {})
        if range_:
            sent["Range"] = range_
        return self._value(*self._exchange(method, path, body, sent))

    def _exchange(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        sent = {"Accept": ACCEPT, "User-Agent": f"pogo/{__version__}", **headers}
        if "Authorization" not in sent:
            if not self.platform.token:
                raise NotLoggedIn(self.platform.api)
            sent["Authorization"] = f"Bearer {self.platform.token}"
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        try:
            patience = time.monotonic() + self._patience
            while True:
                response, answer = self._send(method, path, data, sent)
                # The router's own 503, with this header, says that the request has reached nobody: pogod restarts.
                if response.status != 503 or not response.getheader("Retry-After") or time.monotonic() > patience:
                    return response, answer
                time.sleep(0.5)
        except (OSError, http.client.HTTPException) as failure:
            self._connection = None
            raise unreachable(self.platform.api, failure) from failure

    def _send(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self._connection
        fresh = connection is None or time.monotonic() - self._used > KEEP_ALIVE
        if fresh:
            if connection:
                connection.close()
            connection = self._connection = Connection(self.platform, self.platform.api, self._timeout)
        assert connection
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):
            # The server may have closed an idle connection just as we wrote; only a GET may be sent twice.
            if fresh or method != "GET":
                raise
            connection.close()
            connection.request(method, path, data, headers)
            response = connection.getresponse()
        body = response.read()
        self._used = time.monotonic()
        return response, body

    def _value(self, response: http.client.HTTPResponse, body: bytes) -> Any:
        for name in ("X-Heroku-Warning", "Warning-Message"):
            text = response.getheader(name)
            if text and text not in self._warned:
                from pogo.cli.output import warn

                self._warned.add(text)
                warn(text)
        kind = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        value: Any = None
        try:
            if kind == "application/json" or kind.endswith("+json"):
                value = json.loads(body) if body else None
        except ValueError:
            kind = f"damaged {kind}"
        if response.status >= 400:
            raise self._error(response, value)
        if response.status >= 300:
            raise CliError(f"{self.platform.api} has moved to {response.getheader('Location')}.\nUse that address.")
        if value is None and body.strip():
            raise CliError(
                f"{self.platform.api} does not speak the Platform API (it answered with {kind or 'no type'})."
            )
        return value

    def _error(self, response: http.client.HTTPResponse, value: Any) -> CliError:
        body = value if isinstance(value, dict) else {}
        if not body and response.status in (502, 503, 504):
            return CliError(
                f"The platform at {self.platform.api} is not ready (HTTP status {response.status}). Try again."
            )
        return ApiError(response.status, body)

    def stream(
        self, url: str, headers: dict[str, str] | None = None, timeout: float | None = IDLE_TIMEOUT
    ) -> http.client.HTTPResponse:
        """Open a URL that carries its own secret (log sessions, build and release output): no token is sent.

        The caller looks at `status` and reads to the end. Raises CliError when it is not reachable.
        """
        parts = urlsplit(url)
        connection = Connection(self.platform, url, timeout)
        try:
            target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
            connection.request("GET", target, headers={"User-Agent": f"pogo/{__version__}", **(headers or {})})
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as failure:
            raise unreachable(f"{parts.scheme}://{parts.netloc}", failure) from failure

    def upload(self, url: str, data: bytes) -> None:
        """PUT to such a URL. Raises CliError."""
        parts = urlsplit(url)
        connection = Connection(self.platform, url, IDLE_TIMEOUT)
        try:
            connection.request("PUT", f"{parts.path}?{parts.query}", data, {"User-Agent": f"pogo/{__version__}"})
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as failure:
            raise unreachable(f"{parts.scheme}://{parts.netloc}", failure) from failure
        if response.status >= 300:
            self._value(response, answer)

    def copy_stream(self, url: str) -> int:
        """Copy such a URL to stdout as it comes; returns the HTTP status (nothing is copied unless it is 200)."""
        response = self.stream(url, timeout=None)
        if response.status == 200:
            while data := response.read1(65536):
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
        return response.status


def basic(user: str, password: str) -> str:
    """The value of a Basic Authorization header."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
