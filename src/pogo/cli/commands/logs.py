"""logs: a log session, read as server-sent events; `--tail` outlives breaks of the connection."""

from __future__ import annotations

import http.client
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

from pogo.cli import output
from pogo.cli.client import Api
from pogo.cli.context import Context
from pogo.cli.errors import CliError

LINE = re.compile(r"^(.*?\[([\w-]+)([\d.]+)?\]:)(.*)$", re.DOTALL)
ROUTER_FAILURE = re.compile(r" at=error | status=5\d\d")
PLATFORM_FAILURE = re.compile(r"^ (?:Error [HRL]\d|.*State changed from \w+ to crashed)")
PLAIN = ("yellow", "green", "cyan", "magenta", "blue")
COLOURS = (*PLAIN, *(f"bold {colour}" for colour in PLAIN))
RECONNECT = 3.0


def show(context: Context) -> None:
    source = context.option("source")
    body: dict[str, Any] = {
        "lines": int(context.option("num") or 100),
        "tail": context.on("tail"),
        "dyno": context.option("dyno-name") or context.option("process-type") or context.option("ps"),
        "source": source,
    }
    colour = None if context.on("no-color") else Colour(context.on("force-colors") or output.colours(sys.stdout))
    follow(context.api, context.app_path, {key: value for key, value in body.items() if value is not None}, colour)


def follow(api: Api, app_path: str, body: dict[str, Any], colour: Colour | None) -> None:
    """Open a log session and print it to its end; with `tail` in the body, until the user or the platform ends it."""
    url = api.post(f"{app_path}/log-sessions", body)["logplex_url"]
    reader = EventReader()
    while True:
        try:
            for text in reader.lines(api, url):
                sys.stdout.write((colour.line(text) if colour else text) + "\n")
                sys.stdout.flush()
        except (OSError, http.client.HTTPException) as failure:
            if isinstance(failure, BrokenPipeError):
                raise
            if not body["tail"]:
                raise CliError(f"The log stream broke off: {failure}.") from failure
        except Unreachable:
            if not reader.began or not body["tail"]:
                raise
        if not body["tail"]:
            return
        time.sleep(reader.pause)


class Unreachable(CliError):
    """The log stream does not answer, for now."""


class EventReader:
    """Server-sent events over one or more connections: remembers the last id and the pause the server asks for."""

    def __init__(self) -> None:
        self.last_id = ""
        self.pause = RECONNECT
        self.began = False

    def lines(self, api: Api, url: str) -> Iterator[str]:
        """The data lines of one connection. Raises CliError when the stream is gone, Unreachable when it may return."""
        headers = {"Accept": "text/event-stream"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        try:
            response = api.stream(url, headers, timeout=None)
        except CliError as failure:
            raise Unreachable(failure.message) from failure
        if response.status in (403, 404):
            raise CliError("Log stream timed out. Please try again.")
        if response.status != 200:
            raise Unreachable(f"The log stream answered with HTTP status {response.status}.")
        self.began = True
        while raw := response.readline():
            field, _, value = raw.decode("utf-8", "replace").rstrip("\r\n").partition(":")
            value = value.removeprefix(" ")
            if field == "id":
                self.last_id = value
            elif field == "data":
                yield value
            elif field == "retry" and value.isdecimal():
                self.pause = int(value) / 1000


class Colour:
    """Colours of log lines: one per source and process type, in the order they appear; failures in red."""

    def __init__(self, on: bool) -> None:
        self.on = on
        self.known = {"web": COLOURS[0], "router": COLOURS[3]}

    def line(self, text: str) -> str:
        match = LINE.match(text) if self.on else None
        if not match:
            return text
        head, name, _, body = match.groups()
        colour = self.known.setdefault(name, COLOURS[len(self.known) % len(COLOURS)])
        bad = ROUTER_FAILURE if name == "router" else PLATFORM_FAILURE
        if bad.search(body):
            body = _paint(body, "red")
        return _paint(head, colour) + body


def _paint(text: str, colour: str) -> str:
    return f"\033[{';'.join(output.CODES[name] for name in colour.split())}m{text}\033[0m"
