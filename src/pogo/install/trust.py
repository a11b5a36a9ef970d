"""Makes the programs of this machine trust the installation's certificate authority, as its operator would.

It signs for this installation's own names only (name constraints), so nothing else becomes weaker. Other
machines are told by hand: `<state>/tls/ca.pem`.
"""

from __future__ import annotations

from pathlib import Path

from pogo.install.places import write
from pogo.process import run
from pogo.settings import Settings

ANCHORS = Path("/usr/local/share/ca-certificates")


def ensure(settings: Settings) -> None:
    """Add the authority to the machine's list, when it is new."""
    text = (settings.state_dir / "tls" / "ca.pem").read_text()
    ANCHORS.mkdir(parents=True, exist_ok=True)
    if write(_anchor(settings), text, mode=0o644) or text not in _bundle():
        _update()


def withdraw(settings: Settings) -> None:
    """Take it from the list again."""
    if _anchor(settings).exists():
        # Not while another installation's call reads the directory: it fails where a file vanishes.
        run("flock", ANCHORS, "rm", "-f", _anchor(settings), timeout=900)
        _update("--fresh")


def _update(*flags: str) -> None:
    """It cannot bear being called twice at a time, as by two installations."""
    run("flock", ANCHORS, "/usr/sbin/update-ca-certificates", *flags, timeout=900)


def _anchor(settings: Settings) -> Path:
    return ANCHORS / f"pogoapp-{settings.tag}.crt"


def _bundle() -> str:
    file = Path("/etc/ssl/certs/ca-certificates.crt")
    return file.read_text() if file.exists() else ""
