"""releases, releases:info, releases:output, releases:rollback."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError

STARTS_WITHIN = 15
NOTES = {"pending": ("release command executing", "yellow"), "failed": ("release command failed", "red")}


def show(context: Context) -> None:
    count = context.option("num") or "15"
    releases = context.api.get(f"{context.app_path}/releases", f"version ..; max={count}, order=desc")
    if context.on("json"):
        output.json_text(releases)
        return
    if not releases:
        output.line(f"{context.app} has no releases.")
        return
    current = next((one for one in releases if one.get("current")), None)
    tail = f" - {output.paint('Current: v' + str(current['version']), 'cyan')}" if current else ""
    output.header(f"{output.app_name(context.app)} Releases{tail}")
    rows = []
    for one in releases:
        note, colour = NOTES.get(one.get("status") or "", ("", ""))
        rows.append((one, note, colour, one["user"]["email"], output.ago(one["created_at"])))
    _print(rows)


def _print(rows: list[tuple[dict[str, Any], str, str, str, str]]) -> None:
    """Aligned; on a terminal the description gives way when a line would not fit."""
    versions = max(len(f"v{row[0]['version']}") for row in rows)
    users = max(len(row[3]) for row in rows)
    dates = max(len(row[4]) for row in rows)
    texts = [(row[0].get("description") or "") + (f" {row[1]}" if row[1] else "") for row in rows]
    size = max(len(text) for text in texts)
    if sys.stdout.isatty():
        room = os.get_terminal_size().columns - versions - users - dates - 6
        size = max(min(size, room), 20)
    for (release, note, colour, user, date), text in zip(rows, texts, strict=True):
        shown = text if len(text) <= size else text[: size - 1] + "…"
        padded = shown + " " * (size - len(shown))
        if note:
            padded = padded.replace(note, output.paint(note, colour))
        output.line(f"{'v' + str(release['version']):<{versions}}  {padded}  {user:<{users}}  {date}")


def _version(word: str) -> str:
    """`v12` and `12` name the same release; an id stays as it is."""
    return word[1:] if word[:1] in "vV" and word[1:].isdecimal() else word


def _latest(context: Context, count: int = 10) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = context.api.get(
        f"{context.app_path}/releases", f"version ..; max={count}, order=desc"
    )
    return found


def _chosen(context: Context) -> dict[str, Any]:
    """The release that the argument names, else the latest. Raises CliError when there is none at all."""
    word = context.args.get("release")
    if word:
        found: dict[str, Any] = context.api.get(f"{context.app_path}/releases/{escape(_version(word))}")
        return found
    latest = _latest(context, 1)
    if not latest:
        raise CliError(f"{context.app} has no releases.")
    return latest[0]


def info(context: Context) -> None:
    release = _chosen(context)
    if context.on("json"):
        output.json_text(release)
        return
    config = context.api.get(f"{context.app_path}/releases/{release['version']}/config-vars")
    if context.on("shell"):
        import shlex

        for key in sorted(config):
            output.line(f"{key}={shlex.quote(config[key])}")
        return
    note, colour = NOTES.get(release.get("status") or "", ("", ""))
    change = (release.get("description") or "") + (f" ({output.paint(note, colour)})" if note else "")
    output.header(f"Release {output.paint('v' + str(release['version']), 'cyan')}")
    output.pairs(
        {
            "Add-ons": release.get("addon_plan_names"),
            "By": release["user"]["email"],
            "Change": change,
            "Eligible for Rollback?": "Yes" if release.get("eligible_for_rollback") else "No",
            "Status": release.get("status"),
            "When": release["created_at"],
        }
    )
    output.line()
    output.header(f"{output.paint('v' + str(release['version']), 'cyan')} Config vars")
    output.pairs(config)


def show_output(context: Context) -> None:
    release = _chosen(context)
    if not release.get("output_stream_url"):
        output.warn(f"Release v{release['version']} has no release output available.")
        return
    _copy_output(context, release)


def _copy_output(context: Context, release: dict[str, Any]) -> None:
    status = context.api.copy_stream(release["output_stream_url"])
    if status == 404:
        raise CliError("Release command not started yet. Please try again in a few seconds.")
    if status != 200:
        raise CliError(f"The release output cannot be read (HTTP status {status}).")


def _follow_output(context: Context, release: dict[str, Any]) -> None:
    """The output of a release command that is about to start: 404 until it has."""
    for _ in range(STARTS_WITHIN):
        if context.api.copy_stream(release["output_stream_url"]) == 200:
            return
        time.sleep(1)
    output.warn("Release command starting. Use pogo releases:output to view its output.")


def _before_current(releases: list[dict[str, Any]]) -> dict[str, Any]:
    """The release to go back to: the newest eligible one before the one that serves now."""
    current = next((one["version"] for one in releases if one.get("current")), None)
    if current is None:
        current = releases[0]["version"] if releases else 0
    for one in releases:
        if one["version"] < current and one.get("eligible_for_rollback"):
            return one
    raise CliError("There is no release to roll back to.")


def rollback(context: Context) -> None:
    word = context.args.get("release")
    target = _chosen(context) if word else _before_current(_latest(context))
    shown = output.paint(f"v{target['version']}", "cyan", sys.stderr)
    with output.Action(f"Rolling back {context.shown_app} to {shown}") as action:
        release = context.api.post(f"{context.app_path}/releases", {"release": target["id"]})
        action.done = f"done, v{release['version']}"
    output.warn(
        "Rollback affects code and config vars; it doesn't add or remove addons.\n"
        f"To undo, run: pogo rollback v{release['version'] - 1}"
    )
    if release.get("output_stream_url"):
        output.line("Running release command...")
        sys.stdout.flush()
        _follow_output(context, release)


def retry(context: Context) -> None:
    """The latest release once more, with its release command."""
    latest = _latest(context, 1)
    if not latest:
        raise CliError(f"No release found for {context.app}.")
    formation = context.api.get_all(f"{context.app_path}/formation")
    if not any(one["type"] == "release" for one in formation) or not latest[0].get("slug"):
        raise CliError("App must have a release-phase command to use this command.")
    release = latest[0]
    shown = output.paint(f"v{release['version']}", "cyan", sys.stderr)
    body = {"description": f"Retry of v{release['version']}: {release['description']}", "slug": release["slug"]["id"]}
    with output.Action(f"Retrying {shown} on {context.shown_app}") as action:
        again = context.api.post(f"{context.app_path}/releases", body)
        action.done = f"done, {output.paint('v' + str(again['version']), 'cyan', sys.stderr)}"
    if again.get("output_stream_url"):
        output.line("Running release command...")
        sys.stdout.flush()
        _follow_output(context, again)
