"""drains, drains:add, drains:remove."""

from __future__ import annotations

from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context


def show(context: Context) -> None:
    found: list[dict[str, Any]] = context.api.get_all(f"{context.app_path}/log-drains")
    if context.on("json"):
        output.json_text(found)
        return
    if not found:
        output.line(f"{context.shown_app} has no drains.")
        return
    output.header("Drains")
    for drain in found:
        output.line(f"{output.paint(drain['url'], 'cyan')} ({output.paint(drain['token'], 'green')})")


def add(context: Context) -> None:
    url = context.args["url"]
    context.api.post(f"{context.app_path}/log-drains", {"url": url})
    output.line(f"Successfully added drain {output.paint(url, 'cyan')}")


def remove(context: Context) -> None:
    url = context.args["url"]
    context.api.delete(f"{context.app_path}/log-drains/{escape(url)}")
    output.line(f"Successfully removed drain {output.paint(url, 'cyan')}")
