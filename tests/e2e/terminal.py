"""A terminal for programs that ask questions."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping
from pathlib import Path
from select import select

from installation import Installation

COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A person's terminal in which a command runs. text: what is on it, without colours."""

    def __init__(self, platform: Installation, work: Path, *command: str, env: Mapping[str, str] | None = None) -> None:
        self.text = ""
        self.master, slave = pty.openpty()
        self.resize(40, 100)
        environment = {**platform.environment, "TERM": "xterm-256color", **(env or {})}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command], cwd=work, env=environment, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def shows(self, pattern: str) -> bool:
        while select([self.master], [], [], 0.02)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the other end is closed
                break
            self.text += COLOURS.sub("", data.decode(errors="replace"))
        return re.search(pattern, self.text) is not None

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
