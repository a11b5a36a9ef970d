"""builds, builds:info, builds:output, builds:cancel, builds:cache:purge."""

from __future__ import annotations

from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError

COLOURS = {"succeeded": "green", "failed": "red", "pending": "yellow"}
MB = 1 << 20


def show(context: Context) -> None:
    count = context.option("num") or "10"
    builds = context.api.get(f"{context.app_path}/builds", f"created_at ..; max={count}, order=desc")
    if context.on("json"):
        output.json_text(builds)
        return
    if not builds:
        output.line(f"{context.app} has no builds.")
        return
    output.header(f"{output.app_name(context.app)} Builds")
    rows = []
    for one in builds:
        version = (one["source_blob"].get("version") or "")[:8]
        row = (f"{one['details']['number']}", _status(one), version, one["user"]["email"])
        rows.append((*row, output.ago(one["created_at"])))
    output.table(("Build", "Status", "Version", "By", "When"), rows)


def _status(build: dict[str, Any]) -> str:
    """`failed` is told from `cancelled`, and `pending` from `queued`."""
    details = build["details"]
    if build["status"] == "failed" and "cancelled by" in (details.get("failure") or ""):
        return "cancelled"
    if build["status"] == "pending" and not details.get("started_at"):
        return "queued"
    return str(build["status"])


def _chosen(context: Context) -> dict[str, Any]:
    """The build that the command names, or the latest one."""
    word = context.args.get("build")
    if word:
        found: dict[str, Any] = context.api.get(f"{context.app_path}/builds/{escape(word)}")
        return found
    latest = context.api.get(f"{context.app_path}/builds", "created_at ..; max=1, order=desc")
    if not latest:
        raise CliError(f"{context.app} has no builds.")
    first: dict[str, Any] = latest[0]
    return first


def info(context: Context) -> None:
    build = _chosen(context)
    if context.on("json"):
        output.json_text(build)
        return
    details = build["details"]
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in details["seconds"].items())
    peak = f"{details['peak_memory'] / MB:.0f} MB" if details["peak_memory"] else None
    output.header(f"Build {output.paint(str(details['number']), 'cyan')}")
    values = {
        "Buildpacks": [pack.get("name") or pack["url"] for pack in build.get("buildpacks") or []],
        "By": build["user"]["email"],
        "Failure": details["failure"],
        "Id": build["id"],
        "Peak Memory": peak,
        "Release": (build.get("release") or {}).get("id"),
        "Stack": build["stack"],
        "Status": output.paint(_status(build), COLOURS.get(build["status"], "")),
        "Time": steps or None,
        "Version": build["source_blob"].get("version"),
        "Waits": details["waits"],
        "When": build["created_at"],
    }
    output.pairs(values)


def show_output(context: Context) -> None:
    build = _chosen(context)
    status = context.api.copy_stream(build["output_stream_url"])
    if status == 404:
        raise CliError("The output of that build is no longer kept.")
    if status != 200:
        raise CliError(f"The output of that build cannot be read (HTTP status {status}).")


def cancel(context: Context) -> None:
    build = _chosen(context)
    number = build["details"]["number"]
    with output.Action(f"Cancelling build {number} of {context.shown_app}"):
        context.api.delete(f"{context.app_path}/builds/{build['id']}")


def purge(context: Context) -> None:
    with output.Action(f"Deleting the build cache of {context.shown_app}"):
        context.api.delete(f"{context.app_path}/build-cache")
