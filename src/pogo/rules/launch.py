"""How a process of an app is started: its environment and its command line (buildpack contract, section 8)."""

from __future__ import annotations

from collections.abc import Mapping

# Config vars are in the environment already; then /app/.profile.d/*.sh in order, then .profile.
SCRIPT = """
cd /app || exit 1
for profile in .profile.d/*.sh; do [ -r "$profile" ] && . "$profile"; done
[ -r .profile ] && . ./.profile
unset profile
exec bash -c "$0"
""".strip()


def command(text: str) -> tuple[str, ...]:
    """argv that runs the shell command `text` as Heroku does."""
    return ("/bin/bash", "-c", SCRIPT, text)


def environment(
    config: Mapping[str, str], extra: Mapping[str, str], dyno: str, port: int | None, memory: int
) -> dict[str, str]:
    """The environment of a process. config: config vars; extra: of this one-off; memory: bytes.

    What the platform says (PORT, DYNO …) wins over config vars of the same name.
    """
    env = {"LANG": "en_US.UTF-8", **config, **extra}
    env |= {
        "DYNO": dyno,
        "HOME": "/app",
        "PWD": "/app",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "MEMORY_AVAILABLE": str(memory >> 20),
        "PS1": r"\[\033[01;34m\]\w\[\033[00m\] \[\033[01;32m\]$ \[\033[00m\]",
    }
    if port is not None:
        env["PORT"] = str(port)
    return env
