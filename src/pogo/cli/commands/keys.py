"""keys, keys:add, keys:remove, keys:clear."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError

PATH = "/account/keys"


def show(context: Context) -> None:
    keys = context.api.get_all(PATH)
    if context.on("json"):
        output.json_text(keys)
        return
    if not keys:
        output.warn("You have no SSH keys.")
        return
    output.header(f"{keys[0]['email']} keys")
    for key in keys:
        output.line(key["public_key"] if context.on("long") else _shortened(key["public_key"]))


def _shortened(key: str) -> str:
    """`ssh-ed25519 AAAAC3NzaC...OIeZJ comment`: the ends are what differs."""
    kind, _, rest = key.partition(" ")
    blob, _, comment = rest.partition(" ")
    return f"{kind} {blob[:10]}...{blob[-10:]} {output.paint(comment, 'cyan')}".rstrip()


def add(context: Context) -> None:
    path = context.args.get("key") or _found(context)
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as failure:
        raise CliError(f"Cannot read {path}: {getattr(failure, 'strerror', None) or failure}.") from failure
    with output.Action(f"Uploading {output.paint(path, 'cyan', sys.stderr)} SSH key"):
        context.api.post(PATH, {"public_key": text})


def _found(context: Context) -> str:
    """The only public key of this user, a new one where there is none. Raises CliError where he has to choose."""
    folder = os.path.expanduser("~/.ssh")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    keys = [os.path.join(folder, name) for name in names if name.startswith("id_") and name.endswith(".pub")]
    if len(keys) > 1:
        raise CliError(
            "There are several keys. Name one of them:\n" + "\n".join(f"  pogo keys:add {key}" for key in keys)
        )
    if keys:
        _agreed(context, f"Found an SSH public key at {keys[0]}. Upload it?")
        return keys[0]
    _agreed(context, "There is no SSH key in ~/.ssh. Make one?")
    path = os.path.join(folder, "id_ed25519")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    made = subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=False)  # noqa: S607
    if made.returncode:
        raise CliError("No SSH key was made.")
    return f"{path}.pub"


def _agreed(context: Context, question: str) -> None:
    if context.on("yes"):
        return
    sys.stderr.write(f"{question} [Y/n] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer or answer.strip().lower() not in ("", "y", "yes"):
        raise CliError("Nothing was done.\nName a key, as: pogo keys:add ~/.ssh/id_ed25519.pub, or use --yes.")


def remove(context: Context) -> None:
    wanted = context.args["key"]
    found: list[Any] = [key for key in context.api.get_all(PATH) if _fits(key, wanted)]
    if len(found) != 1:
        raise CliError(
            f"{'Several SSH keys' if found else 'No SSH key'} with {wanted}. Name it by its comment or its id."
        )
    with output.Action(f"Removing {output.paint(wanted, 'cyan', sys.stderr)} SSH key"):
        context.api.delete(f"{PATH}/{escape(found[0]['id'])}")


def _fits(key: dict[str, Any], wanted: str) -> bool:
    return wanted in (key["id"], key["fingerprint"], key["comment"]) or wanted in key["public_key"].split()


def clear(context: Context) -> None:
    with output.Action("Removing all SSH keys"):
        for key in context.api.get_all(PATH):
            context.api.delete(f"{PATH}/{escape(key['id'])}")
