"""A new HAProxy takes over from the one that runs, without a lost connection: a new program or configuration.

The master starts itself anew on SIGUSR2, its new worker gets the listening sockets from the old one, and that one
finishes what it has. Requests that reach the new worker wait until pogod has brought the routes. Which one runs is
asked of the worker itself, so an interrupted call can be repeated. See docs/decisions/0005-router.md.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress

from pogo.errors import Unavailable
from pogo.install.supervision import Supervisor
from pogo.router import config
from pogo.settings import Settings

SECONDS = 30
REPEAT = 5  # a master that has just started misses the signal
VARIABLE = "POGO_CONFIGURATION"


def running(settings: Settings) -> str:
    """The configuration of the worker that takes new connections; "" where none answers."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(5)
        admin.connect(str(settings.router_socket))
        admin.sendall(f"show env {VARIABLE}\n".encode())
        answer = b"".join(iter(lambda: admin.recv(4096), b"")).decode(errors="replace")
        return answer.strip().removeprefix(f"{VARIABLE}=")
    return ""


def needed(settings: Settings) -> bool:
    return running(settings) != config.configuration(settings)


def take_over(settings: Settings, supervisor: Supervisor) -> None:
    """Returns when the new worker answers. Raises Unavailable if it does not start; the old one then goes on."""
    end = time.monotonic() + SECONDS
    again = 0.0
    while needed(settings):
        if time.monotonic() > again:
            _signal(supervisor)
            again = time.monotonic() + REPEAT
        if time.monotonic() > end:
            raise Unavailable(f"The new router does not start; the old one runs on. See\n  {supervisor.log('router')}")
        time.sleep(0.02)


def _signal(supervisor: Supervisor) -> None:
    pid = supervisor.pid("router")
    if pid is None:
        supervisor.start("router")
    else:
        with suppress(ProcessLookupError):  # it has died; the supervisor starts it with what is wanted
            os.kill(pid, signal.SIGUSR2)
