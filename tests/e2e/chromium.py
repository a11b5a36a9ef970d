"""Debian's Chromium without a screen, driven through its pipe (Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 60


class Chromium:
    """One tab. All that it does waits until it is done, for a minute at most."""

    def __init__(self, process: subprocess.Popen[bytes], to: int, back: int) -> None:
        self.process, self._to, self._back, self._buffer = process, to, back, b""
        self._number, self._session = 0, ""
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol; its result."""
        self._number += 1
        whole: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            whole["sessionId"] = self._session
        os.write(self._to, json.dumps(whole).encode() + b"\0")
        while True:
            while b"\0" not in self._buffer:
                piece = os.read(self._back, 1 << 20)
                assert piece, "Chromium has ended"
                self._buffer += piece
            line, _, self._buffer = self._buffer.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                found: dict[str, Any] = answer["result"]
                return found

    def run(self, script: str) -> Any:
        """The value of an expression in the page, as after a touch of the user."""
        answer = self.do("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, url: str) -> str:
        self.do("Page.navigate", url=url)
        return self.shows("</h1>")

    def shows(self, text: str) -> str:
        """What the page reads, as soon as it has this text in its source."""
        until = time.monotonic() + PATIENCE
        while True:
            source = self.run("document.readyState == 'complete' ? document.documentElement.outerHTML : ''")
            if text in source:
                read: str = self.run("document.body.innerText")
                return read
            assert time.monotonic() < until, source
            time.sleep(0.1)

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.do("Page.captureScreenshot")["data"]))

    def device(self) -> str:
        """A virtual authenticator with a fingerprint that is always right; its id."""
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self.do("WebAuthn.enable")
        id: str = self.do("WebAuthn.addVirtualAuthenticator", options=options)["authenticatorId"]
        return id


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Installed first where it is missing."""
    if not shutil.which("chromium"):
        apt = ["apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=600", "-o", "Acquire::Retries=3"]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = [*apt, "install", "--no-install-recommends", "chromium"]
        for command in ([*apt, "update"], install):
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    # It reads commands from 3 and answers on 4.
    (its_in, to), (back, its_out) = os.pipe(), os.pipe()
    shell = f'exec chromium "$@" 3<&{its_in} 4>&{its_out}'
    with tempfile.TemporaryDirectory(prefix="pogo-chromium-", ignore_cleanup_errors=True) as home:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        options += ["--no-first-run", "--window-size=800,700", f"--user-data-dir={home}/profile"]
        process = subprocess.Popen(
            ["bash", "-c", shell, "chromium", *options],
            pass_fds=(its_in, its_out),
            env={**os.environ, "HOME": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        os.close(its_in)
        os.close(its_out)
        try:
            yield Chromium(process, to, back)
        finally:
            os.close(to)
            os.close(back)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
