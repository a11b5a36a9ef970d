"""`<state>/build.env`: what every build is told about this machine's registries and proxies.

Taken once from the machine's own clients, so that builds fetch from where the machine does; from then
on the file is the operator's to edit.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pogo.errors import CommandFailed
from pogo.install.places import write
from pogo.process import run
from pogo.settings import Settings

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
HEAD = """\
# The environment of all builds on this installation, besides config vars: KEY=VALUE lines.
# Written by the first bin/up from this machine's settings of pip, npm and proxies; yours to edit.
"""
_NPM_DEFAULT = re.compile(rb"default: '(https?://registry[^']+)'")


def ensure(settings: Settings, environ: Mapping[str, str]) -> None:
    file = settings.state_dir / "build.env"
    if file.exists():
        return
    found = {name: environ[name] for name in PROXIES if environ.get(name)}
    pip = _ask("pip3", "config", "get", "global.index-url")
    npm = _ask("npm", "--logs-max=0", "config", "get", "registry") or _npm_default()
    found |= {name: url for name, url in (("PIP_INDEX_URL", pip), ("NPM_CONFIG_REGISTRY", npm)) if url}
    write(file, HEAD + "".join(f"{name}={value}\n" for name, value in found.items()), mode=0o644)


def _ask(*command: str) -> str:
    """What a client of this machine says of itself; "" where it is not installed or has nothing to say."""
    try:
        answer = run(*command, cwd=Path("/"), env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root"}).strip()
    except CommandFailed:
        return ""
    return answer if answer.startswith(("http://", "https://")) else ""


def _npm_default() -> str:
    """The registry that npm uses when nobody tells it another, read from Debian's package of npm.

    Node.js comes from there; installing npm itself would bring 400 packages.
    """
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        place.chmod(0o755)  # apt fetches as a user of its own
        fetch = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "npm")
        try:
            run(*fetch, cwd=place, timeout=120)
        except CommandFailed:  # this machine has never asked what there is, or long ago
            run("apt-get", "-q", "update", timeout=300)
            run(*fetch, cwd=place, timeout=120)
        run("dpkg-deb", "--extract", *place.glob("npm_*.deb"), place / "npm")
        for source in sorted(place.glob("npm/usr/share/nodejs/npm/**/definitions.js")):
            if match := _NPM_DEFAULT.search(source.read_bytes()):
                return match[1].decode()
    return ""
