"""Keeping the programs of an installation running: systemd where it is PID 1, else runit.

See docs/decisions/0010-supervision.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pogo.install import processes

GENERATION = "POGO_GENERATION"


@dataclass(frozen=True)
class Service:
    """One program. arguments: argv with an absolute path. user: who it runs as.

    Its generation, a hash of everything it was started from, is in the environment of the process
    itself: so what runs always tells truly whether it is out of date, whoever was killed when.
    inputs: what else it reads at its start.
    """

    name: str
    arguments: tuple[str, ...]
    user: str
    environment: dict[str, str]
    inputs: str
    after: tuple[str, ...] = field(default=())

    @property
    def generation(self) -> str:
        text = repr((self.arguments, self.user, sorted(self.environment.items()), self.inputs))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def variables(self) -> dict[str, str]:
        return {**self.environment, GENERATION: self.generation}


class Supervisor(Protocol):
    """Programs that it has started live on when bin/up ends, and come back when they die."""

    def install(self, services: list[Service]) -> None:
        """Write down how the services are run. What runs is left alone."""
        ...

    def pid(self, name: str) -> int | None:
        """The process of a running service."""
        ...

    def start(self, name: str) -> None:
        """Start it, or start it anew if it runs; return when its process is there."""
        ...

    def stop(self, name: str) -> None:
        """Stop it until the next start; return when its process is gone."""
        ...

    def retire(self, keep: list[Service]) -> None:
        """Stop and forget services that an earlier install wrote down and that are not among these."""
        ...

    def remove(self) -> None:
        """Stop the services and let nothing of the supervision stay."""
        ...

    def log(self, name: str) -> str:
        """How the operator reads the log of a service: a command."""
        ...


def up_to_date(supervisor: Supervisor, service: Service) -> bool:
    pid = supervisor.pid(service.name)
    return pid is not None and processes.variable(pid, GENERATION) == service.generation


def systemd_is_here() -> bool:
    return Path("/run/systemd/system").is_dir()
