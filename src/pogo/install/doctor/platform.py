"""The installation itself: its programs, certificates, stack images, and what its user's files hold."""

from __future__ import annotations

import http.client
import json
import pwd
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

import pogo.stack.image as stack
from pogo.errors import CommandFailed, InvalidParams
from pogo.install import first_app, ports
from pogo.install.doctor.check import Check, failed, guarded, ok, warning
from pogo.install.supervision import Supervisor
from pogo.process import run
from pogo.rules.certificates import read
from pogo.settings import Settings

AREA = "Platform"
START = "Run bin/up: it starts what does not run."
WARN_DAYS = 14


def checks(settings: Settings, supervisor: Supervisor, config: Path) -> list[Check]:
    found = list(_services(settings, supervisor))
    found += guarded(AREA, "certificates", lambda: _certificates(settings))
    found += [image(name, stack.current(name, settings.state_dir), name in stack.missing(settings.state_dir))
              for name in settings.stack_names]  # fmt: skip
    found += guarded(AREA, "images", lambda: _images(settings))
    return [*found, *guarded(AREA, "data", lambda: _data(settings, config))]


def _services(settings: Settings, supervisor: Supervisor) -> Iterator[Check]:
    asked = {"agent": _agent, "pogod": _pogod, "router": _router}
    if settings.mirror != "off":
        asked["mirror"] = _mirror
    for name, ask in asked.items():
        pid = supervisor.pid(name)
        began = time.monotonic()
        try:
            said = ask(settings) if pid else "it is not running"
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = str(error) or type(error).__name__
        yield service(name, pid, time.monotonic() - began, said, supervisor.log(name))


def service(name: str, pid: int | None, seconds: float, wrong: str, log: str) -> Check:
    """wrong: why it is not well, empty where it answered in `seconds`. log: the command that shows its log."""
    if not pid:
        return failed(AREA, name, "does not run", f"{START} Its log: {log}")
    if wrong:
        return failed(AREA, name, f"runs (process {pid}) but does not answer: {wrong}", f"See its log: {log}")
    return ok(AREA, name, f"answers in {seconds * 1000:.0f} ms (process {pid})")


def _agent(settings: Settings) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(settings.agent_socket))
        connection.sendall(b'{"op": "list"}\n')
        said = b""
        while not said.endswith(b"\n") and (data := connection.recv(1 << 20)):
            said += data
    return "" if "containers" in json.loads(said) else said.decode(errors="replace")[:200]


def _pogod(settings: Settings) -> str:
    connection = http.client.HTTPConnection(settings.api_host, timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(10)
    try:
        connection.sock.connect(str(settings.daemon_socket))
        connection.request("GET", "/stacks", headers={"Accept": "application/vnd.heroku+json; version=3"})
        status = connection.getresponse().status
    finally:
        connection.close()
    return "" if status < 500 else f"status {status}"


def _router(settings: Settings) -> str:
    status = first_app.status(settings, settings.api_host)
    return "" if 0 < status < 500 else f"the API has status {status} through it" if status else "nothing listens"


def _mirror(settings: Settings) -> str:
    return "" if ports.mirror_listens(settings) else "it does not listen"


def _certificates(settings: Settings) -> Iterator[Check]:
    tls = settings.state_dir / "tls"
    names = {"certificate": tls / "server.pem", "authority": tls / "ca.pem"}
    if settings.mirror == "answer":
        names["mirror's authority"] = tls / "mirror" / "ca.pem"
    for name, path in names.items():
        end = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
        yield certificate(name, end, datetime.now(UTC))
    if settings.tls_cert:
        yield _own_certificate(settings)


def _own_certificate(settings: Settings) -> Check:
    """The operator's, from files that pogod has to be able to read."""
    name, advice = "POGO_TLS_CERT", f"Put another one into {settings.tls_cert} and {settings.tls_key}."
    account = pwd.getpwnam(settings.user)
    identity = ("--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--init-groups")
    try:
        chain, key = (run("setpriv", *identity, "--", "cat", file) for file in (settings.tls_cert, settings.tls_key))
        found = read(chain, key, datetime.now(UTC))
    except (CommandFailed, InvalidParams) as error:
        return failed(AREA, name, "cannot be used: " + error.message.splitlines()[-1], advice)
    return certificate(name, found.expires_at, datetime.now(UTC), advice)


def certificate(name: str, end: datetime, now: datetime, advice: str = "Run bin/up: it makes a new one.") -> Check:
    days = (end - now).total_seconds() / 86400
    if days <= 0:
        return failed(AREA, name, f"ran out on {end:%Y-%m-%d}", advice)
    shown = f"is good for {days:.0f} days"
    if days < WARN_DAYS:
        return warning(AREA, name, shown, advice)
    return ok(AREA, name, shown)


def image(name: str, current: Path | None, old: bool) -> Check:
    """current: the installed image of a stack. old: whether today's recipe makes another one."""
    title = f"stack {name}"
    if current is None:
        return failed(AREA, title, "has no image", f"Run bin/up, or: pogo stack:build {name}")
    if old:
        return warning(AREA, title, f"{current.name} is of an older recipe", f"Run bin/up, or: pogo stack:build {name}")
    age = (time.time() - current.stat().st_mtime) / 86400
    advice = f"It has none of Debian's updates since: pogo stack:build {name} --fresh"
    found = f"{current.name}, {age:.0f} days old"
    return warning(AREA, title, found, advice) if age > 60 else ok(AREA, title, found)


def _images(settings: Settings) -> Iterator[Check]:
    with suppress(FileNotFoundError):
        chosen = (settings.run_dir / "images").read_text().strip()
        home = settings.state_dir / "unpacked"
        count = len([path for path in home.iterdir() if not path.name.startswith(".")]) if home.is_dir() else 0
        shown = "the agent mounts them" if chosen == "mounted" else f"the agent unpacks them; {count} are unpacked now"
        yield ok(AREA, "images", shown)


def _data(settings: Settings, config: Path) -> Iterator[Check]:
    """Asked as pogod's user: files that root made would not be his."""
    account = pwd.getpwnam(settings.user)
    identity = ("setpriv", "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--init-groups", "--")
    python = (sys.executable, "-I", "-m", "pogo.install.doctor.data")
    variables = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "POGO_CONFIG": str(config)}
    rows = json.loads(run(*identity, *python, env=variables, cwd=Path("/"), timeout=300))
    for row in rows:
        yield Check(**row)


def own_processes(supervisor: Supervisor) -> set[int]:
    return {pid for name in ("agent", "pogod", "mirror", "router") if (pid := supervisor.pid(name))}
