"""Constant requests to an app: over connections that are kept, and over a new one each."""

from __future__ import annotations

import http.client
import threading
import time
from types import TracebackType

from installation import Installation

PAUSE = 0.005  # seconds between two requests of a thread


class Load:
    """While it is entered, two threads send requests. failures: what was not answered by 200."""

    def __init__(self, platform: Installation, app: str) -> None:
        self.failures: list[str] = []
        self.answers: dict[str, int] = {}
        self._platform = platform
        self._host = f"{app}.localhost:{platform.http_port}"
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(keep,)) for keep in (True, False)]

    @property
    def requests(self) -> int:
        return sum(self.answers.values())

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, keep: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._platform.http_port, timeout=30)
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                connection.request("GET", "/", headers={"Host": self._host})
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.status == 200:
                    self.answers[text] = self.answers.get(text, 0) + 1
                else:
                    self.failures.append(f"{answer.status} after {time.monotonic() - began:.2f} s")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{error!r} after {time.monotonic() - began:.2f} s")
                connection.close()
            if not keep:
                connection.close()
            self._stop.wait(PAUSE)
        connection.close()
