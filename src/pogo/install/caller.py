"""The person who called bin/up: `pogo` works for him at once, as the admin."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pogo.install.places import write
from pogo.process import run
from pogo.settings import STACK_CERTIFICATES, Settings

LINK = Path("/usr/local/bin/pogo")

WRAPPER = """\
#!/bin/sh
# Written by Pogoapp's bin/up: pogo, which unless told otherwise speaks to this installation.
POGO_API_URL="${{POGO_API_URL:-{url}}}" exec {program} "$@"
"""


@dataclass(frozen=True)
class Caller:
    """Who is behind sudo, or root. config: where `pogo` keeps what it knows for him."""

    name: str
    uid: int
    gid: int
    home: Path
    config: Path

    def run(self, *args: str | Path, input: bytes = b"", cwd: Path | None = None, timeout: float = 60) -> str:
        """A command as that user. Raises CommandFailed."""
        return run(*self.command(*args), input=input, cwd=cwd, env=self.environment(), timeout=timeout)

    def command(self, *args: str | Path) -> list[str]:
        identity = ["setpriv", "--reuid", str(self.uid), "--regid", str(self.gid), "--init-groups", "--"]
        return [*(identity if self.uid else []), *map(str, args)]

    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "USER": self.name,
            "LC_ALL": "C.UTF-8",
            "XDG_CONFIG_HOME": str(self.config.parent.parent),
        }


def find(environ: Mapping[str, str]) -> Caller:
    account = pwd.getpwnam(environ.get("SUDO_USER") or "root")
    home, config = Path(account.pw_dir), ""
    if account.pw_uid == os.geteuid():
        home, config = Path(environ.get("HOME") or home), environ.get("XDG_CONFIG_HOME", "")
    place = (Path(config) if config else home / ".config") / "pogo" / "config.json"
    return Caller(account.pw_name, account.pw_uid, account.pw_gid, home, place)


def token_of(caller: Caller, url: str) -> str | None:
    """The token that the caller has for the platform at `url`; None for none and for a damaged file."""
    try:
        token = json.loads(caller.config.read_text())["platforms"][url]["token"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return token if isinstance(token, str) else None


def log_in(caller: Caller, program: Path, settings: Settings, token: str, *, switch: bool) -> None:
    """Write platform and token into the caller's own configuration. switch: make it his current platform."""
    url = settings.https_url(settings.api_host)
    git = settings.https_url(settings.git_host).removeprefix("https://")
    flags = ["--git", git, "--email", settings.admin_email, "--token", "-"]
    # Behind a certificate of another authority, the machine's list: it has that one as well as ours (trust.py).
    public = not settings.local and (settings.tls_cert or settings.acme_directory)
    flags += ["--ca", STACK_CERTIFICATES if public else str(settings.state_dir / "tls" / "ca.pem")]
    flags += [] if switch else ["--no-switch"]
    caller.run(program, "platform:add", url, *flags, input=token.encode() + b"\n")


def forget(caller: Caller, program: Path, settings: Settings) -> None:
    """Remove the platform from the caller's configuration, if it is there."""
    url = settings.https_url(settings.api_host)
    if token_of(caller, url):
        caller.run(program, "platform:remove", url)


def link(settings: Settings, *, default: bool) -> Path:
    """Put `pogo` where it is found: on everyone's PATH for the default installation, else in its `bin`."""
    program = settings.state_dir / "env" / "bin" / "pogo"
    if not default:
        wrapper = settings.state_dir / "bin" / "pogo"
        text = WRAPPER.format(url=settings.https_url(settings.api_host), program=program)
        write(wrapper, text, mode=0o755)
        return wrapper
    if LINK.is_symlink() and LINK.readlink() == program:
        return LINK
    if LINK.exists() and not LINK.is_symlink():
        return program  # somebody else's program: left alone
    new = LINK.with_name(".pogo.new")
    new.unlink(missing_ok=True)
    new.symlink_to(program)
    new.rename(LINK)
    return LINK


def unlink(settings: Settings) -> None:
    if LINK.is_symlink() and LINK.readlink() == settings.state_dir / "env" / "bin" / "pogo":
        LINK.unlink()
