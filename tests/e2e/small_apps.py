"""Apps that build in a second: a Procfile and a program for the stack's own Python."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from installation import CHECKOUT, Installation

EXAMPLES = CHECKOUT / "examples"

# Answers with its version and its dyno, and does what the path asks for.
SERVER = """
import os, signal, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        what, _, word = self.path[1:].partition("/")
        text = "VERSION " + os.environ.get("DYNO", "")
        if what == "env":
            text = os.environ.get(word, "(none)")
        elif what == "sleep":
            time.sleep(float(word))
        elif what == "say":
            print(word, flush=True)
        elif what == "exit":
            os._exit(int(word))
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

signal.signal(signal.SIGTERM, lambda *_: (print("goodbye", flush=True), sys.exit(0)))
ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


def small(version: str = "one", **files: str) -> dict[str, str]:
    """The small app. files: more of them, or others; a name's `_` stands for `.`."""
    more = {name.replace("_", "."): text for name, text in files.items()}
    return {"Procfile": "web: python3 server.py\n", "server.py": SERVER.replace("VERSION", version), **more}


def make(platform: Installation, name: str, files: Mapping[str, str]) -> Path:
    """A repository with these files, committed, and an app for it; not pushed yet."""
    with tempfile.TemporaryDirectory() as directory:
        for file, text in files.items():
            (Path(directory) / file).write_text(text)
        return platform.create(Path(directory), name)


def change(platform: Installation, work: Path, files: Mapping[str, str], *, push: bool = True) -> str:
    """Commit these files over the old ones; what the push of them printed."""
    for file, text in files.items():
        (work / file).write_text(text)
    platform.commit(work, "changed")
    return platform.push(work) if push else ""
