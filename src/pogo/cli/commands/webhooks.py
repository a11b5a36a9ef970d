"""webhooks, their deliveries and events."""

from __future__ import annotations

import sys
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context


def show(context: Context) -> None:
    found = context.api.get_all(f"{context.app_path}/webhooks")
    if not found:
        output.line(f"{output.app_name(context.app)} has no webhooks.")
        output.line("Use pogo webhooks:add to add one.")
        return
    rows = [[one["id"], one["url"], ", ".join(one["include"]), one["level"]] for one in found]
    output.table(["Webhook ID", "URL", "Include", "Level"], rows)


def info(context: Context) -> None:
    found = context.api.get(_path(context, "webhooks"))
    output.header(found["id"])
    output.pairs({"Webhook ID": found["id"], "Include": found["include"], "Level": found["level"], "URL": found["url"]})


def _path(context: Context, kind: str) -> str:
    return f"{context.app_path}/{kind}/{escape(context.args['id'])}"


def _wanted(context: Context) -> dict[str, Any]:
    body: dict[str, Any] = {name: context.option(name) for name in ("level", "url", "secret", "authorization")}
    body["include"] = [one.strip() for one in (context.option("include") or "").split(",") if one.strip()]
    return {key: value for key, value in body.items() if value is not None}


def add(context: Context) -> None:
    with output.Action(f"Adding webhook to {context.shown_app}"):
        path = f"{context.app_path}/webhooks"
        secret = context.api.post_for_header(path, _wanted(context), "Heroku-Webhook-Secret")
    if secret:
        output.header("Webhooks Signing Secret")
        output.line(secret)
        output.warn("This secret is not shown again.")


def update(context: Context) -> None:
    with output.Action(f"Updating webhook {context.args['id']} for {context.shown_app}"):
        context.api.patch(_path(context, "webhooks"), _wanted(context))


def remove(context: Context) -> None:
    with output.Action(f"Removing webhook {context.args['id']} from {context.shown_app}"):
        context.api.delete(_path(context, "webhooks"))


def deliveries(context: Context) -> None:
    found = context.api.get(f"{context.app_path}/webhook-deliveries", range_="seq ..; order=desc,max=1000")
    status = context.option("status")
    found = [one for one in found if status in (None, one["status"])]
    if not found:
        output.line(f"{output.app_name(context.app)} has no deliveries")
        return
    rows = [
        [
            one["id"],
            one["created_at"],
            one["status"],
            one["event"]["include"],
            one["webhook"]["level"],
            str(one["num_attempts"]),
            _last(one),
            one["next_attempt_at"] or "",
        ]
        for one in found
    ]
    columns = ["Delivery ID", "Created", "Status", "Include", "Level", "Attempts", "Last", "Next Attempt"]
    output.table(columns, rows)


def _last(delivery: dict[str, Any]) -> str:
    """The status of the last answer, or why there was none."""
    attempt = delivery.get("last_attempt") or {}
    return str(attempt.get("code") or attempt.get("error_class") or "")


def delivery(context: Context) -> None:
    found = context.api.get(_path(context, "webhook-deliveries"))
    output.header(found["id"])
    shown = {
        "Attempts": str(found["num_attempts"]),
        "Created": found["created_at"],
        "Event": found["event"]["id"],
        "Include": found["event"]["include"],
        "Last": _last(found) or None,
        "Level": found["webhook"]["level"],
        "Next Attempt": found["next_attempt_at"],
        "Status": found["status"],
        "Webhook": found["webhook"]["id"],
    }
    output.pairs(shown)
    output.line()
    _payload(context, found["event"]["id"])


def _payload(context: Context, event: str) -> None:
    found = context.api.get(f"{context.app_path}/webhook-events/{escape(event)}")
    output.header("Event Payload")
    sys.stdout.flush()
    output.json_text(found["payload"])


def events(context: Context) -> None:
    found = context.api.get_all(f"{context.app_path}/webhook-events")
    if not found:
        output.line(f"{output.app_name(context.app)} has no events")
        return
    rows = [
        [one["id"], one["payload"]["resource"], one["payload"]["action"], one["payload"]["published_at"]]
        for one in found
    ]
    output.table(["Event ID", "Resource", "Action", "Published At"], rows)


def event(context: Context) -> None:
    output.header(context.args["id"])
    _payload(context, context.args["id"])
