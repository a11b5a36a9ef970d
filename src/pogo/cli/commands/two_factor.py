"""auth:2fa and what belongs to it; auth:password, auth:join."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pogo.cli import output, platforms
from pogo.cli.client import Api, escape
from pogo.cli.commands.auth import ask, ask_secret
from pogo.cli.context import Context
from pogo.cli.errors import CliError

PATH = "/account/two-factor"


def show(context: Context) -> None:
    on = context.api.get("/account")["two_factor_authentication"]
    output.line(f"Two-factor authentication is {'enabled' if on else 'not enabled'}")


def enable(context: Context) -> None:
    """Show the secret, take a first code, show the recovery codes."""
    begun = context.api.post(PATH, {"password": ask_secret("Password: ")})
    output.line(f"Give this secret to your authenticator: {output.paint(begun['secret'], 'bold')}")
    output.line(f"or this address, as a QR code: {begun['url']}\n")
    done = context.api.post(f"{PATH}/actions/confirm", {"code": ask("Its code of now: ").strip()})
    output.line("Two-factor authentication is enabled.")
    _show_codes(done)


def recover(context: Context) -> None:
    _show_codes(context.api.post(f"{PATH}/actions/renew-recovery-codes", {"password": ask_secret("Password: ")}))


def _show_codes(answer: dict[str, Any]) -> None:
    output.line("Recovery codes, each good for one login in place of a code. Keep them where the device is not:")
    for code in answer["recovery_codes"]:
        output.line(f"  {code}")


def disable(context: Context) -> None:
    context.api.post(f"{PATH}/actions/disable", {"password": ask_secret("Password: ")})
    output.line("Two-factor authentication is not enabled any more.")


def change_password(context: Context) -> None:
    body = {"password": ask_secret("Present password: "), "new_password": _twice()}
    context.api.patch("/account", body)
    output.line("The password is changed. All other sessions have ended; authorizations go on.")


def _twice() -> str:
    new = ask_secret("New password: ")
    if ask_secret("The same again: ") != new:
        raise CliError("The two passwords are not the same.")
    return new


def join(context: Context) -> None:
    """Take an invitation, or a password reset: the URL that the operator gave."""
    parts = urlsplit(context.args["url"])
    token = parts.path.rpartition("/join/")[2]
    if not parts.netloc or not token:
        raise CliError("This is no invitation. It looks like https://host/join/…", 2)
    platform = platforms.find(f"{parts.scheme}://{parts.netloc}")
    api, nobody = Api(platform), {"Authorization": "Basic Og=="}
    found = api.call("GET", f"/invitations/{escape(token)}", headers=nobody)
    output.line(f"{found['invited_by']} gives {found['email']} " + ("an account" if _new(found) else "a new password"))
    name = ask("Your name: ").strip() if _new(found) else ""
    body = {"password": _twice()} | ({"name": name} if name else {})
    path = f"/invitations/{escape(token)}/actions/accept"
    api.call(
        "POST", path if _new(found) else f"/password-resets/{escape(token)}/actions/finalize", body, headers=nobody
    )
    home = platforms.find(found["api"])  # the page of a local installation is plain HTTP, its API not
    platforms.remember(home._replace(email=found["email"], token=None))
    output.line(f"Done. Log in by: pogo login --host {home.api}")


def _new(invitation: dict[str, Any]) -> bool:
    return bool(invitation["kind"] == "account")
