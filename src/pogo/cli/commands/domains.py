"""domains, domains:add, domains:remove, domains:clear, domains:info, domains:update, domains:wait."""

from __future__ import annotations

import sys
import time
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError

PAUSE = 5.0


def _list(context: Context) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = context.api.get_all(f"{context.app_path}/domains")
    return found


def _path(context: Context, hostname: str) -> str:
    return f"{context.app_path}/domains/{escape(hostname)}"


def _endpoint(domain: dict[str, Any]) -> str:
    endpoint = domain.get("sni_endpoint")
    return endpoint["name"] if endpoint else ""


def show(context: Context) -> None:
    domains = _list(context)
    if context.on("json"):
        output.json_text(domains)
        return
    for domain in domains:
        if domain["kind"] == "heroku":
            output.header(f"{output.app_name(context.app)} Platform Domain")
            output.line(f"{domain['hostname']}\n")
    custom = sorted((domain for domain in domains if domain["kind"] == "custom"), key=lambda one: str(one["hostname"]))
    if custom:
        output.header(f"{output.app_name(context.app)} Custom Domains")
        output.table(
            ["Domain Name", "DNS Record Type", "DNS Target", "SNI Endpoint"],
            [[one["hostname"], _record_type(one["hostname"]), one["cname"] or "", _endpoint(one)] for one in custom],
        )


def _record_type(hostname: str) -> str:
    """What a name of this form needs in DNS: an apex (`example.com`) cannot be a CNAME."""
    return "ALIAS or ANAME" if hostname.count(".") == 1 else "CNAME"


def add(context: Context) -> None:
    hostname = context.args["hostname"]
    with output.Action(f"Adding {output.paint(hostname, 'green', sys.stderr)} to {context.shown_app}"):
        domain = context.api.post(
            f"{context.app_path}/domains", {"hostname": hostname, "sni_endpoint": context.option("cert")}
        )
    if context.on("json"):
        output.json_text(domain)
    elif domain.get("cname"):
        output.line(
            f"Configure your app's DNS provider to point to the DNS Target {output.paint(domain['cname'], 'green')}"
        )
    if domain.get("status") == "pending" and not context.on("wait") and not context.on("json"):
        output.line(f"\nThe domain {hostname} has been enqueued for addition")
        output.line(f"Run pogo domains:wait '{hostname}' to wait for completion")
    if context.on("wait"):
        _wait(context, domain)


def _wait(context: Context, domain: dict[str, Any]) -> None:
    with output.Action(f"Waiting for {output.paint(domain['hostname'], 'green', sys.stderr)}"):
        while domain["status"] == "pending":
            time.sleep(PAUSE)
            domain = context.api.get(_path(context, domain["hostname"]))
        if domain["status"] not in ("succeeded", "none"):
            raise CliError(f"The domain {domain['hostname']} ended with status {domain['status']}.", 2)


def wait(context: Context) -> None:
    hostname = context.args.get("hostname")
    domains = [context.api.get(_path(context, hostname))] if hostname else _list(context)
    for domain in domains:
        if domain["kind"] == "custom":
            _wait(context, domain)


def remove(context: Context) -> None:
    hostname = context.args["hostname"]
    with output.Action(f"Removing {output.paint(hostname, 'green', sys.stderr)} from {context.shown_app}"):
        context.api.delete(_path(context, hostname))


def clear(context: Context) -> None:
    with output.Action(f"Removing all domains from {context.shown_app}"):
        for domain in _list(context):
            if domain["kind"] == "custom":
                context.api.delete(_path(context, domain["hostname"]))


def info(context: Context) -> None:
    domain = context.api.get(_path(context, context.args["hostname"]))
    endpoint = _endpoint(domain)
    values = {key: value for key, value in domain.items() if not isinstance(value, dict | list)}
    output.header(domain["hostname"])
    output.pairs({**values, "app": context.app, "sni_endpoint": endpoint or None})


def update(context: Context) -> None:
    hostname = context.args["hostname"]
    text = f"Updating {output.paint(hostname, 'green', sys.stderr)} to use {context.option('cert')} certificate"
    with output.Action(text):
        context.api.patch(_path(context, hostname), {"sni_endpoint": context.option("cert")})
