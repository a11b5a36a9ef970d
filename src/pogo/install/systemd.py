"""Supervision by systemd: the units of `deploy/`, filled in for one installation."""

from __future__ import annotations

import shlex
from pathlib import Path
from string import Template

from pogo.install.places import write
from pogo.install.supervision import Service
from pogo.process import run

UNITS = Path("/etc/systemd/system")
TEMPLATES = {
    "agent": "pogo-agent.service",
    "pogod": "pogod.service",
    "mirror": "pogo-mirror.service",
    "router": "pogo-router.service",
}


class Systemd:
    """templates: `deploy/` of the checkout. suffix: tells the units of a further installation from the first's.

    Implements supervision.Supervisor.
    """

    def __init__(self, templates: Path, suffix: str, units: Path = UNITS) -> None:
        self.templates = templates
        self.suffix = suffix
        self.units = units

    def unit(self, name: str) -> str:
        return TEMPLATES[name].replace(".service", f"{self.suffix}.service")

    def install(self, services: list[Service]) -> None:
        for service in services:
            write(self.units / self.unit(service.name), self.render(service), mode=0o644)
        run("systemctl", "daemon-reload")
        run("systemctl", "enable", "--quiet", *(self.unit(service.name) for service in services))

    def render(self, service: Service) -> str:
        """The text of a unit."""
        quoted = (f'"{key}={_escaped(value)}"' for key, value in service.variables().items())
        return Template((self.templates / TEMPLATES[service.name]).read_text()).substitute(
            suffix=self.suffix,
            user=service.user,
            environment=" ".join(quoted),
            command=" ".join(_escaped(shlex.quote(argument)) for argument in service.arguments),
        )

    def pid(self, name: str) -> int | None:
        text = run("systemctl", "show", "--property=MainPID", "--value", self.unit(name)).strip()
        return int(text) or None

    def start(self, name: str) -> None:
        run("systemctl", "restart", self.unit(name))

    def stop(self, name: str) -> None:
        run("systemctl", "stop", self.unit(name))

    def retire(self, keep: list[Service]) -> None:
        self._remove([name for name in TEMPLATES if name not in {service.name for service in keep}])

    def remove(self) -> None:
        self._remove([*reversed(TEMPLATES)])

    def _remove(self, names: list[str]) -> None:
        for name in names:
            unit = self.unit(name)
            if (self.units / unit).exists():
                run("systemctl", "disable", "--now", "--quiet", unit)
                (self.units / unit).unlink()
        run("systemctl", "daemon-reload")

    def log(self, name: str) -> str:
        return f"journalctl -f -u {self.unit(name)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%%").replace("$", "$$")
