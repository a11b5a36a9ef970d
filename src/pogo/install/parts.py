"""The programs of an installation, as its supervisor starts them."""

from __future__ import annotations

from pathlib import Path

from pogo.install import certificates, stores
from pogo.install.runit import Runit
from pogo.install.supervision import Service, Supervisor, systemd_is_here
from pogo.install.systemd import Systemd
from pogo.router import config as router_config
from pogo.settings import Settings

DEFAULT_STATE = Path("/var/lib/pogo")


def services(settings: Settings, environment: Path, config: Path) -> list[Service]:
    """environment: the real path of the Python environment. config: the installation's file. In order of start."""
    programs = environment / "bin"
    shared = {"POGO_CONFIG": str(config)}
    inputs = settings.model_dump_json()
    mirror = Service(
        "mirror", (str(programs / "pogo-mirror"), "serve"), settings.user, shared, _mirror_inputs(settings)
    )
    return [
        Service(
            "agent",
            (str(programs / "pogo-agent"), "serve"),
            "root",
            {**shared, "POGO_BUILDPACKS_DIR": str(environment / "buildpacks")},
            inputs,
        ),
        Service(
            "pogod",
            (str(programs / "pogod"),),
            settings.user,
            shared,
            inputs + certificates.fingerprint(settings) + stores.fingerprint(settings),
        ),
        *([mirror] if settings.mirror != "off" else []),
        # What it reads at its start may change while it runs: `takeover.py`.
        Service("router", router_config.command(settings), "root", {}, ""),
    ]


def _mirror_inputs(settings: Settings) -> str:
    """Its settings alone, since its restart cuts downloads; the operator's environment of builds; its authority."""
    environment = settings.state_dir / "build.env"
    text = environment.read_text() if environment.exists() else ""
    signed = certificates.fingerprint(settings, "mirror/ca.pem") if settings.mirror == "answer" else ""
    own = {name for name in Settings.model_fields if name.startswith(("mirror", "build_"))}
    return settings.model_dump_json(include={*own, "state_dir", "cache_dir", "stacks", "default_stack"}) + text + signed


def supervisor(settings: Settings, checkout: Path) -> Supervisor:
    if systemd_is_here():
        suffix = "" if settings.state_dir == DEFAULT_STATE else f"-{settings.tag}"
        return Systemd(checkout / "deploy", suffix)
    return Runit(settings.state_dir)
