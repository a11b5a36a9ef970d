"""The web process: nginx on $PORT, configured by static.json and the config vars."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from static_pack import nginx, settings
from static_pack.settings import InvalidSettings, Settings

CONFIG = Path("/tmp/nginx.conf")  # noqa: S108  a dyno has a /tmp of its own
USERS = Path("/tmp/nginx-users")  # noqa: S108
_HASHED = re.compile(r"\$(?:apr1|1|2[aby]?|5|6|y)\$.+|\{(?:SHA|SSHA|PLAIN)\}.+")


def main() -> None:
    home = Path(os.environ.get("HOME", "/app"))
    if "PORT" not in os.environ:
        sys.exit("PORT is not set: it says where a web process has to listen.")
    program = program_of_nginx()
    if program is None:
        sys.exit("nginx is not installed on this stack.")
    try:
        found = settings.load(home)
        text = nginx.config(found, start(found, home, os.environ))
    except InvalidSettings as error:
        sys.exit(str(error))
    CONFIG.write_text(text)
    os.execv(program, [program, "-e", "stderr", "-c", str(CONFIG)])  # noqa: S606


def program_of_nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def start(found: Settings, home: Path, env: Mapping[str, str]) -> nginx.Start:
    """What this machine says. Writes the file of users. Raises InvalidSettings."""
    return nginx.Start(
        port=env["PORT"],
        workers=env.get("WEB_CONCURRENCY", "2"),
        home=str(home),
        env=env,
        users=str(_write_users(found, home, env)) if found.basic_auth or env.get("BASIC_AUTH_USERNAME") else "",
        nameservers=re.findall(r"^nameserver\s+([^\s%]+)", _text("/etc/resolv.conf"), re.M),
        hosts=known_hosts(_text("/etc/hosts")),
    )


def _write_users(found: Settings, home: Path, env: Mapping[str, str]) -> Path:
    file = home / found.basic_auth_htpasswd_path
    lines = users(env, file.read_text() if file.is_file() else "")
    if not lines:
        raise InvalidSettings(
            "static.json: basic_auth: nobody could log in. Set the config vars BASIC_AUTH_USERNAME and\n"
            f"BASIC_AUTH_PASSWORD, or commit a file {found.basic_auth_htpasswd_path} (made by htpasswd)."
        )
    USERS.touch(mode=0o600)
    USERS.write_text("\n".join([*lines, ""]))
    return USERS


def users(env: Mapping[str, str], file: str) -> list[str]:
    """Lines of nginx's file of users: of the config vars, then of the app. A password may be plain or hashed."""
    lines = [line for line in file.splitlines() if ":" in line and not line.startswith("#")]
    name, password = env.get("BASIC_AUTH_USERNAME", ""), env.get("BASIC_AUTH_PASSWORD", "")
    if any(letter in name + password for letter in "\r\n") or ":" in name:
        raise InvalidSettings(
            "BASIC_AUTH_USERNAME and BASIC_AUTH_PASSWORD have to be of one line, the name without ':'."
        )
    if name and password:
        lines.insert(0, f"{name}:{password if _HASHED.fullmatch(password) else '{PLAIN}' + password}")
    return lines


def known_hosts(text: str) -> dict[str, str]:
    """Names of /etc/hosts, which nginx does not ask when it resolves a name → their first IPv4 address."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names if nginx.is_address(address) and ":" not in address else ():
            found.setdefault(name, address)
    return found


def _text(path: str) -> str:
    return Path(path).read_text(errors="replace") if Path(path).is_file() else ""


if __name__ == "__main__":
    main()
