"""What the tests of kills share: an app that tells what becomes of it, constant load, and what may be left."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple, Self

from installation import Answer, Installation

from pogo.git.repositories import LEFTOVERS
from pogo.install import processes
from pogo.logs import Filter, Line, segments
from pogo.settings import Settings

SERVER = """
import json, os, signal, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOOT = f"{os.environ['DYNO']}-{time.time_ns()}"

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/slow"):
            time.sleep(1)
        body = json.dumps({"boot": BOOT, "mark": os.environ.get("MARK"), "code": open("code").read()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

def tick():
    number = 0
    while True:
        os.write(1, f"tick {BOOT} {number}\\n".encode())
        number += 1
        time.sleep(0.1)

def leave(*_):
    os.write(1, f"last {BOOT}\\n".encode())
    os._exit(0)

signal.signal(signal.SIGTERM, leave)
threading.Thread(target=tick, daemon=True).start()
time.sleep(float(os.environ.get("BOOT", 0)))
class Server(ThreadingHTTPServer):
    request_queue_size = 100

    def handle_error(self, *_):
        pass

Server(("", int(os.environ["PORT"])), Handler).serve_forever()
"""


def source(directory: Path, *, release: str = "") -> Path:
    """The app. Its build takes as many seconds as its config var COMPILE says, each with a line of output."""
    (directory / "bin").mkdir(parents=True)
    (directory / "server.py").write_text(SERVER)
    (directory / "Procfile").write_text("web: python3 server.py\n" + (f"release: {release}\n" if release else ""))
    (directory / "requirements.txt").write_text("")
    (directory / "code").write_text("one")
    hook = directory / "bin" / "pre_compile"
    hook.write_text("#!/bin/bash\nfor n in $(seq ${COMPILE:-0}); do echo compiling $n; sleep 1; done\n")
    hook.chmod(0o755)
    return directory


# -- load


class Asked(NamedTuple):
    """One request. status: 0 where no answer came. code, mark: what the app said."""

    path: str
    began: float
    ended: float
    status: int
    boot: str = ""
    code: str = ""
    mark: str = ""


class Requests:
    """Requests without a pause to one app: short ones one after the other, beside them some of a second each."""

    def __init__(self, platform: Installation, app: str) -> None:
        self.platform = platform
        self.app = app
        self.asked: list[Asked] = []
        self.mark = secrets.token_hex(4)  # tells its requests from those of every other test in the log
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(name,)) for name in ("fast", "slow", "slow/2")]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, name: str) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            path = f"/{name}?{self.mark}-{number}"
            began = time.time()
            try:
                answer = self.platform.get(self.app, path)
                said = json.loads(answer.body) if answer.status == 200 else {}
                status = answer.status
            except (OSError, http.client.HTTPException):
                status, said = 0, {}
            asked = Asked(path, began, time.time(), status, said.get("boot") or "", said.get("code") or "",
                          said.get("mark") or "")  # fmt: skip
            self.asked.append(asked)
            time.sleep(0.03)

    @property
    def failed(self) -> list[Asked]:
        return [one for one in list(self.asked) if one.status != 200]

    @property
    def last(self) -> Asked:
        return next((one for one in reversed(self.asked) if one.path.startswith("/fast")), Asked("", 0, 0, 0))

    def outage(self) -> str:
        """What failed and for how long, for the test's output."""
        failed = self.failed
        if not failed:
            return f"0 of {len(self.asked)} requests failed"
        seconds = max(one.ended for one in failed) - min(one.began for one in failed)
        return f"{len(failed)} of {len(self.asked)} requests failed, within {seconds:.1f} s"


# -- what the platform says


def request(platform: Installation, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """A call of the API."""
    config = json.loads((platform.home / ".config/pogo/config.json").read_text())
    (own,) = config["platforms"].values()
    always = {
        "Accept": "application/vnd.heroku+json; version=3",
        "Authorization": f"Bearer {own['token']}",
    }
    return platform.get("127.0.0.1", path, method, {**always, **headers}, "" if body is None else json.dumps(body))


def ask(platform: Installation, path: str) -> Any:
    """GET of the API: a resource, or all pages of a list."""
    answer = request(platform, "GET", path)
    assert answer.status in (200, 206), answer
    found = json.loads(answer.body)
    while answer.status == 206:
        answer = request(platform, "GET", path, Range=answer.headers["next-range"])
        assert answer.status in (200, 206), answer
        found += json.loads(answer.body)
    return found


def answered(platform: Installation, path: str) -> Any:
    """As `ask`, through a restart of the platform."""
    end = time.monotonic() + 60
    while True:
        try:
            return ask(platform, path)
        except (OSError, AssertionError, http.client.HTTPException):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def releases(platform: Installation, app: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answered(platform, f"/apps/{app}/releases")
    return sorted(found, key=lambda release: int(release["version"]))


def version(platform: Installation, app: str) -> int:
    return int(releases(platform, app)[-1]["version"])


def amiss(platform: Installation, app: str, quantity: int, release: int) -> list[str]:
    """The dynos, unless they are exactly these: up, web, of this release."""
    found = answered(platform, f"/apps/{app}/dynos")
    dynos = sorted(f"{dyno['name']} {dyno['state']} v{dyno['release']['version']}" for dyno in found)
    wanted = [f"web.{number} up v{release}" for number in range(1, quantity + 1)]
    return [] if dynos == wanted else dynos or ["no dynos"]


def settle(
    platform: Installation, app: str, quantity: int, release: int | Callable[[], int], seconds: float = 120
) -> None:
    """Wait until the app runs as it should and nothing is on the machine beyond what all apps need."""
    end = time.monotonic() + seconds
    wanted = release if callable(release) else lambda: release
    while left := amiss(platform, app, quantity, wanted()) or leftovers(platform):
        assert time.monotonic() < end, left
        time.sleep(0.2)


# -- what is on the machine


def leftovers(platform: Installation) -> list[str]:
    """What is there beyond the containers of the dynos that the API shows, and what is missing of them."""
    state, tag = platform.state, Settings(state_dir=platform.state).tag
    apps = answered(platform, "/apps")
    dynos = [dyno for app in apps for dyno in answered(platform, f"/apps/{app['name']}/dynos?extended=true")]
    wanted = {dyno["extended"]["instance"] for dyno in dynos}
    background: dict[str, Path] = {}
    places = {"record": state / "run/c", "scratch": state / "scratch"}
    for hierarchy in [path for path in Path("/sys/fs/cgroup").iterdir() if (path / "cgroup.procs").exists()]:
        places[f"cgroup {hierarchy.name}"] = hierarchy / f"pogo-{tag}" / "c"
        background[f"background {hierarchy.name}"] = hierarchy / f"pogo-{tag}" / "c" / ".background"
        places[f"monitor cgroup {hierarchy.name}"] = hierarchy / f"pogo-{tag}" / "m"
    found = [f"{kind} {one}" for kind, place in background.items() for one in place.glob("*/")]
    missing = {kind.partition(" ")[0]: set(wanted) for kind in places}  # not every hierarchy need have groups
    for kind, place in places.items():
        there = {entry.name for entry in place.iterdir() if entry.is_dir()} if place.exists() else set()
        there.discard(".background")  # the class of builds stays; its members are looked at above
        found += [f"{kind} {name}" for name in there - wanted]
        missing[kind.partition(" ")[0]] -= there
    found += [f"no {kind} {name}" for kind, names in missing.items() for name in names]
    links = [name for name in os.listdir("/sys/class/net") if name.startswith(f"pg{tag}")]
    if len(links) != len(wanted):
        found.append(f"{len(links)} interfaces for {len(wanted)} containers")
    agents = [pid for pid in processes.pids() if _is_agent(pid, state)]
    if len(agents) != len(wanted) + 2:  # the agent, and the nursery of monitors
        found.append(f"{len(agents)} agents and monitors for {len(wanted)} containers")
    found += [f"mount {line}" for line in Path("/proc/mounts").read_text().splitlines() if f"{state}/" in line]
    found += [f"temporary file {path}" for path in (state / "tmp").iterdir()]
    found += [f"half an object {path}" for path in (state / "store").glob("*/.put-*")]
    found += [f"source {path}" for path in (state / "store" / "sources").glob("*")]
    found += [f"repository {path}" for path in (state / "git").glob(".new-*")]
    return found + _loops(state, len(apps))


def _is_agent(pid: int, state: Path) -> bool:
    command = processes.command(pid)
    return command[2:] == ["serve"] and command[0].startswith(f"{state}/")


def _loops(state: Path, apps: int) -> list[str]:
    """Of slugs: images of stacks are shared with other installations."""
    listed = subprocess.run(["losetup", "-l", "-n", "-O", "BACK-FILE"], capture_output=True, text=True, check=True)
    slugs = Counter(line.strip() for line in listed.stdout.splitlines() if f"{state}/store/slugs/" in line)
    found = [f"{count} loop devices of {file}" for file, count in slugs.items() if count > 1 or "(deleted)" in file]
    return found + ([f"loop devices of too many slugs: {slugs}"] if len(slugs) > apps else [])


def git_leftovers(platform: Installation, app: str) -> list[Path]:
    """What a killed git has left in the app's repository."""
    repository = platform.state / "git" / f"{answered(platform, f'/apps/{app}')['id']}.git"
    return [path for pattern in LEFTOVERS for path in repository.glob(pattern)]


# -- logs


def log(platform: Installation, app: str, since: float = 0) -> list[Line]:
    """The app's log, as it lies on the disk: all of it, or what was written since a unix time."""
    directory = platform.state / "logs" / answered(platform, f"/apps/{app}")["id"]
    lines = []
    for number in segments.numbers(directory):
        if segments.path(directory, number).stat().st_mtime < since:
            continue
        for raw in segments.path(directory, number).read_bytes().split(b"\n")[:-1]:
            line = segments.decode(raw, Filter())
            if line is not None and line.at >= since:
                lines.append(line)
    return lines


def check_ticks(platform: Installation, app: str, since: float = 0, without: Collection[str] = ()) -> int:
    """That no line of output of any dyno is lost, doubled or out of order. How many lines there were.

    Of dynos that were booted since a unix time; without: names of others.
    """
    seen: dict[str, list[int]] = defaultdict(list)
    for line in log(platform, app, since):
        if line.text.startswith("tick "):
            _, boot, number = line.text.split()
            dyno, _, began = boot.partition("-")
            if int(began) >= since * 1e9 and dyno not in without:
                seen[boot].append(int(number))
    for boot, numbers in seen.items():
        assert numbers == list(range(len(numbers))), f"output of {boot}: {_breaks(numbers)}"
    return sum(map(len, seen.values()))


def _breaks(numbers: list[int]) -> list[tuple[int, int]]:
    return [(one, two) for one, two in zip([-1, *numbers], numbers, strict=False) if two != one + 1][:5]


def check_requests(platform: Installation, app: str, load: Requests, lost: int = 0) -> None:
    """That each request that was answered is in the log once; at most `lost` are not there at all."""
    routed = [line.text for line in log(platform, app) if line.dyno == "router"]
    paths = Counter(match[1] for text in routed if (match := re.search(r'path="([^"]+)"', text)))
    good = [one.path for one in load.asked if one.status == 200]
    assert [path for path in good if paths[path] > 1] == []
    missing = [path for path in good if not paths[path]]
    assert len(missing) <= lost, missing
