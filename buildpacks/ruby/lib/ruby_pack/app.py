"""One app during its build."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ruby_pack.lockfile import Lock
from ruby_pack.runtime import Ruby

SHARED = "vendor/bundle/shared"
"""Shared libraries that gems from Debian load, relative to the app."""


@dataclass(frozen=True)
class App:
    """cache: a directory of this pack's own. env: for all commands of the build."""

    build_dir: Path
    cache: Path
    ruby: Ruby
    lock: Lock
    env: dict[str, str]

    @property
    def gem_home(self) -> Path:
        return self.build_dir / self.ruby.gems

    @property
    def program(self) -> Path:
        return self.ruby.program(self.build_dir)

    @property
    def stack(self) -> str:
        return self.env.get("STACK", "")

    def at_least(self, gem: str, major: int) -> bool:
        """Whether the app uses a gem of this or a later major version."""
        number = self.lock.version(gem).partition(".")[0]
        return number.isdigit() and int(number) >= major


def machine() -> str:
    return os.uname().machine
