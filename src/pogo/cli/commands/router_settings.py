"""router, router:set, router:unset: how the router treats the requests of an app."""

from __future__ import annotations

import sys
from typing import Any

from pogo.cli import output
from pogo.cli.context import Context
from pogo.cli.errors import CliError

#: Setting → kind of its value and what it is about.
SETTINGS: dict[str, tuple[type, str]] = {
    "first_byte_timeout": (int, "seconds until a dyno has to begin its answer (H12)"),
    "idle_timeout": (int, "seconds of silence in an event stream (H15)"),
    "websocket_timeout": (int, "seconds of silence on a WebSocket"),
    "requests_per_dyno": (int, "in flight at a time, WebSockets not counted"),
    "queue_length": (int, "requests that wait for a dyno; the next one is refused (H11)"),
    "retry": (str, "connect, or idempotent: also when a dyno hung up without an answer"),
    "https_only": (bool, "true: HTTP is redirected"),
    "hsts": (int, "max-age of Strict-Transport-Security in seconds, 0 for none"),
    "allow": (list, "only clients in these IP ranges, and not those in a narrower one of deny"),
    "deny": (list, "no clients in these IP ranges"),
    "rate_limit": (int, "requests a second of one client, 0 for no limit"),
    "basic_auth": (str, "user:password that every request has to bring"),
}


def show(context: Context) -> None:
    found: dict[str, Any] = context.api.get(f"{context.app_path}/router")
    if context.on("json"):
        output.json_text(found)
        return
    output.header(f"{output.app_name(context.app)} Router")
    output.table(["Setting", "Value", ""], [[name, _text(found[name]), about] for name, (_, about) in SETTINGS.items()])


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def assign(context: Context) -> None:
    if not context.rest:
        raise CliError(
            f"Usage: pogo router:set first_byte_timeout=60 allow=10.0.0.0/8. Settings: {', '.join(SETTINGS)}"
        )
    changes = {}
    for word in context.rest:
        name, equals, value = word.partition("=")
        if not equals:
            raise CliError(f"{word} is invalid. Must be in the format name=value.")
        changes[name] = _value(_known(name), value)
    _change(context, changes, "Setting")


def _value(name: str, text: str) -> Any:
    kind = SETTINGS[name][0]
    if kind is list:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise CliError(f"{name} must be true or false, not {text}.")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise CliError(f"{name} must be a whole number, not {text}.") from None


def unset(context: Context) -> None:
    if not context.rest:
        raise CliError(f"Usage: pogo router:unset basic_auth. Settings: {', '.join(SETTINGS)}")
    _change(context, {_known(name): None for name in context.rest}, "Unsetting")


def _known(name: str) -> str:
    if name not in SETTINGS:
        raise CliError(f"There is no router setting {name}. Settings: {', '.join(SETTINGS)}")
    return name


def _change(context: Context, changes: dict[str, Any], doing: str) -> None:
    names = ", ".join(output.paint(name, "green", sys.stderr) for name in changes)
    with output.Action(f"{doing} {names} of {context.shown_app}"):
        found = context.api.patch(f"{context.app_path}/router", changes)
    output.pairs({name: _text(found[name]) for name in changes})
