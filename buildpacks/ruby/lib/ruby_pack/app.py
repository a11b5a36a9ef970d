"""One app during its build."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ruby_pack.lockfile import Lock
from ruby_pack.runtime import Ruby

SHARED = "vendor/bundle/shared"
"""Shared libraries that gems from Debian load, relative to the app."""


COMMANDS = ".heroku/ruby"
"""Holds bin/bundle where Ruby is the stack's."""


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
    def bundle(self) -> Path:
        """The command of that name; the app may have a bin/bundle of its own, which is not for us."""
        return self.build_dir / (self.ruby.directory or COMMANDS) / "bin/bundle"

    @property
    def stack(self) -> str:
        return self.env.get("STACK", "")

    def ask(self, *arguments: str | Path, said: str = "") -> subprocess.CompletedProcess[str]:
        """Run Ruby with these arguments in the app's directory, and show nothing of it. said: its input."""
        command = [str(self.program), *map(str, arguments)]
        env = {name: value for name, value in self.env.items() if name != "BUNDLER_VERSION"}
        return subprocess.run(
            command,
            cwd=self.build_dir,
            env=env,
            input=said,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )

    def at_least(self, gem: str, major: int) -> bool:
        """Whether the app uses a gem of this or a later major version."""
        number = self.lock.version(gem).partition(".")[0]
        return number.isdigit() and int(number) >= major

    def installed(self, gem: str) -> bool:
        """Whether a gem is in the slug; those of left out groups are not."""
        return any(self.gem_home.glob(f"gems/{gem}-[0-9]*"))


def machine() -> str:
    return os.uname().machine
