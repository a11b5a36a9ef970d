"""The log of an app: filters, the live tail, the router's fields, and a platform that is killed meanwhile."""

from __future__ import annotations

import re
import selectors
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from installation import Installation
from small_apps import make, small
from waiting import eventually

COUNTER = """
import itertools, time
for number in itertools.count():
    print(f"count {number}", flush=True)
    time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def app(platform: Installation) -> Path:
    """The app `wordy` with one web dyno; its type `counter` prints fifty numbers a second."""
    procfile = "web: python3 server.py\ncounter: python3 counter.py\n"
    work = make(platform, "wordy", {**small(), "Procfile": procfile, "counter.py": COUNTER})
    platform.push(work)
    eventually(lambda: platform.get("wordy").status == 200)
    return work


class Tail:
    """`pogo logs -t` as it runs. text: what it has printed so far."""

    def __init__(self, platform: Installation, work: Path, *flags: str) -> None:
        self.text = ""
        self.process = subprocess.Popen(
            ["pogo", "logs", "--tail", *flags], cwd=work, env=platform.environment, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self._output = self.process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)

    def sees(self, text: str) -> bool:
        while self._selector.select(0.02):
            data = self._output.read1(65536)  # type: ignore[attr-defined]
            if not data:
                break
            self.text += data.decode()
        return text in self.text


@contextmanager
def tail(platform: Installation, work: Path, *flags: str) -> Iterator[Tail]:
    found = Tail(platform, work, *flags)
    try:
        yield found
    finally:
        found.process.terminate()
        found.process.wait(10)
        found.process.stdout.close()  # type: ignore[union-attr]


def test_filters(platform: Installation, app: Path) -> None:
    platform.get("wordy", "/say/hello-there")
    eventually(lambda: "app[web.1]: hello-there" in platform.pogo("logs", cwd=app))
    eventually(lambda: 'path="/say/hello-there"' in platform.pogo("logs", cwd=app))
    assert len(platform.pogo("logs", "-n", "3", cwd=app).splitlines()) == 3
    of_app = platform.pogo("logs", "-s", "app", cwd=app)
    assert "hello-there" in of_app
    assert "heroku[" not in of_app
    api = [line.partition(" app[api]: ")[2] for line in of_app.splitlines() if " app[api]: " in line]
    commit = platform.run("git", "rev-parse", "HEAD", cwd=app)[:8]
    assert api[:6] == [
        "Initial release by user admin@localhost",
        "Release v1 created by user admin@localhost",
        "Build started by user admin@localhost",
        f"Deploy {commit} by user admin@localhost",
        "Release v2 created by user admin@localhost",
        "Build succeeded",
    ]
    of_platform = platform.pogo("logs", "-s", "heroku", cwd=app)
    assert "heroku[web.1]: State changed from starting to up" in of_platform
    assert " app[" not in of_platform
    of_dyno = platform.pogo("logs", "-d", "web.1", cwd=app).splitlines()
    assert of_dyno and all("[web.1]: " in line for line in of_dyno)
    of_router = platform.pogo("logs", "-d", "router", cwd=app).splitlines()
    assert of_router and all(" heroku[router]: " in line for line in of_router)


def test_fields_of_the_router(platform: Installation, app: Path) -> None:
    headers = {"X-Request-Id": "e2e-0123456789-0123456789", "X-Forwarded-For": "203.0.113.7"}
    platform.get("wordy", "/env/nothing?a=%22b", headers=headers)
    eventually(lambda: "e2e-0123456789" in platform.pogo("logs", "-d", "router", cwd=app))
    line = next(row for row in platform.pogo("logs", cwd=app).splitlines() if "e2e-0123456789" in row)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 heroku\[router\]: at=info method=GET "
        r'path="/env/nothing\?a=%22b" host=wordy\.localhost request_id=e2e-0123456789-0123456789 '
        r'fwd="203\.0\.113\.7, 127\.0\.0\.1" dyno=web\.1 connect=\d+ms service=\d+ms '
        r"status=200 bytes=\d+ protocol=http",
        line,
    )


def test_the_tail_is_live(platform: Installation, app: Path) -> None:
    with tail(platform, app, "-s", "app") as live:
        eventually(lambda: live.sees("app["))

        def seconds(word: str) -> float:
            began = time.monotonic()
            platform.get("wordy", f"/say/{word}")
            eventually(lambda: live.sees(f"app[web.1]: {word}\n"))
            return time.monotonic() - began

        # A busy machine is late now and then; what is asked for at intervals is late each time.
        assert any(seconds(f"are-you-there-{number}") < 1 for number in range(10))


def test_nothing_is_lost_or_doubled_when_pogod_is_killed(platform: Installation, app: Path) -> None:
    platform.pogo("ps:scale", "counter=1", cwd=app)
    with tail(platform, app, "-p", "counter") as live:
        eventually(lambda: live.sees("count 20"))
        for _ in range(2):
            old = platform.pid("pogod")
            platform.kill("pogod")
            eventually(lambda o=old: platform.pid("pogod") not in (0, o))
            reached = len(re.findall("count", live.text))
            eventually(lambda r=reached: live.sees(f"count {r + 150}"))
            time.sleep(1)  # runit starts a service at most once a second
        platform.pogo("ps:scale", "counter=0", cwd=app)
        eventually(lambda: live.sees("heroku[counter.1]: Process exited"))
    for text in (live.text, platform.pogo("logs", "-n", "1500", "-p", "counter", cwd=app)):
        numbers = [int(number) for number in re.findall(r"app\[counter\.1\]: count (\d+)", text)]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[-1] > 300
    platform.pogo("destroy", "--confirm", "wordy", cwd=app)
