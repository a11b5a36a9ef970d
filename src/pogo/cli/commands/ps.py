"""ps, ps:scale, ps:restart, ps:stop, ps:type, ps:wait."""

from __future__ import annotations

import re
import sys
import time
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError

SCALE = re.compile(r"([-\w]+?)(=|\+|-)(\d+)(?::([-\w]+))?")
RESIZE = re.compile(r"([-\w]+)=([-\w]+)")


def _order(dyno: dict[str, Any]) -> tuple[str, int]:
    number = dyno["name"].rpartition(".")[2]
    return dyno["type"], int(number) if number.isdecimal() else 0


def show(context: Context) -> None:
    types = context.rest
    more = "" if context.on("json") else "?extended=true"
    dynos = sorted(context.api.get_all(f"{context.app_path}/dynos{more}"), key=_order)
    if types:
        missing = [kind for kind in types if kind not in {dyno["type"] for dyno in dynos}]
        if missing:
            raise CliError(f"No {', '.join(missing)} dynos on {context.app}.")
        dynos = [dyno for dyno in dynos if dyno["type"] in types]
    if context.on("json"):
        output.json_text(dynos)
        return
    if not dynos:
        output.line(f"No dynos on {output.app_name(context.app)}")
        return
    groups: dict[str, list[dict[str, Any]]] = {}
    for dyno in dynos:
        one_off = dyno["type"] == "run"
        title = "run: one-off processes" if one_off else _title(dyno)
        groups.setdefault(title, []).append(dyno)
    for title, members in groups.items():
        output.header(f"{title} ({output.paint(str(len(members)), 'yellow')})")
        for dyno in members:
            output.line(_dyno_line(dyno))
            for text in _crash_lines(dyno):
                output.line(f"  {text}")
        output.line()


def _title(dyno: dict[str, Any]) -> str:
    return f"{output.paint(dyno['type'], 'green')} ({output.paint(dyno['size'], 'cyan')}): {dyno['command']}"


def _dyno_line(dyno: dict[str, Any]) -> str:
    state = output.paint(dyno["state"], "green" if dyno["state"] == "up" else "yellow")
    since = output.paint(output.ago(dyno["updated_at"]), "dim")
    if dyno["type"] == "run":
        return f"{dyno['name']} ({output.paint(dyno['size'], 'cyan')}): {state} {since}: {dyno['command']}"
    return f"{dyno['name']}: {state} {since}"


def _crash_lines(dyno: dict[str, Any]) -> list[str]:
    """Of a dyno that is down after a crash: why, what it printed last, and when it is started again."""
    crash = (dyno.get("extended") or {}).get("crash")
    if not crash or dyno["state"] not in ("crashed", "starting"):
        return []
    how = crash["reason"] or f"exited with status {crash['status']}"
    details = ", ".join(part for part in (crash["signal"], crash["code"]) if part)
    first = f"{how} ({details})" if details else how
    times = f"; crashed {crash['restarts']} times in a row" if crash["restarts"] > 1 else ""
    left = int(output.seconds(crash["next_start"]) - time.time()) if crash["next_start"] else 0
    again = f"; next start in {left} s" if left > 0 and dyno["state"] == "crashed" else ""
    return [f"{first}{times}{again}", *(output.paint(f"| {line}", "dim") for line in crash["lines"])]


def scale(context: Context) -> None:
    path = f"{context.app_path}/formation"
    if not context.rest:
        formation = sorted(context.api.get_all(path), key=lambda one: str(one["type"]))
        if not formation:
            raise _no_types(context.app)
        output.line(" ".join(f"{one['type']}={one['quantity']}:{one['size']}" for one in formation))
        return
    updates = [_scale_update(word) for word in context.rest]
    with output.Action("Scaling dynos") as action:
        formation = context.api.patch(path, {"updates": updates})
        types = {update["type"] for update in updates}
        changed = sorted((one for one in formation if one["type"] in types), key=lambda one: str(one["type"]))
        listed = ", ".join(
            f"{output.paint(one['type'], 'green', sys.stderr)} at {one['quantity']}:{one['size']}" for one in changed
        )
        action.done = f"done, now running {listed}"


def _scale_update(word: str) -> dict[str, str]:
    """`web=2`, `web+1`, `web-1`, `web=2:standard-1x` as the API takes it: quantities are strings."""
    match = SCALE.fullmatch(word)
    if not match:
        raise CliError(f"{word} is invalid. Must be in the format web=2, web+1, web-1 or web=2:standard-1x.")
    kind, sign, count, size = match.groups()
    update = {"type": kind, "quantity": count if sign == "=" else f"{sign}{count}"}
    return {**update, "size": size} if size else update


def _no_types(app: str) -> CliError:
    return CliError(f"No process types on {app}.\nUpload a Procfile to add process types.")


def _target(context: Context) -> tuple[str | None, str | None]:
    """(dyno, process type) from the flags, else from the argument: a name with a dot is a dyno."""
    dyno, kind, word = context.option("dyno-name"), context.option("process-type"), context.args.get("dyno")
    if word and not (dyno or kind):
        return (word, None) if "." in word else (None, word)
    return dyno, kind


def restart(context: Context) -> None:
    dyno, kind = _target(context)
    if dyno:
        text, path = f"Restarting dyno {dyno}", f"/dynos/{escape(dyno)}"
    elif kind:
        text, path = f"Restarting all {kind} dynos", f"/formations/{escape(kind)}"
    else:
        text, path = "Restarting all dynos", "/dynos"
    with output.Action(f"{text} on {context.shown_app}"):
        context.api.delete(context.app_path + path)


def stop(context: Context) -> None:
    dyno, kind = _target(context)
    if dyno:
        text, path = f"Stopping {dyno} dyno", f"/dynos/{escape(dyno)}"
    elif kind:
        text, path = f"Stopping all {kind} dynos", f"/formations/{escape(kind)}"
    else:
        raise CliError("Please specify a process type or dyno name.")
    with output.Action(f"{text} on {context.shown_app}"):
        context.api.post(f"{context.app_path}{path}/actions/stop")


def type_(context: Context) -> None:
    path = f"{context.app_path}/formation"
    formation = context.api.get_all(path)
    if not formation:
        raise _no_types(context.app)
    if context.rest:
        updates = _size_updates(context.rest, formation)
        with output.Action(f"Scaling dynos on {context.shown_app}"):
            changed = {one["type"]: one for one in context.api.patch(path, {"updates": updates})}
        formation = [changed.get(one["type"], one) for one in formation]
    formation = sorted(formation, key=lambda one: str(one["type"]))
    output.header("Process Types")
    output.table(["Type", "Size", "Qty"], [[one["type"], one["size"], str(one["quantity"])] for one in formation])
    totals: dict[str, int] = {}
    for one in formation:
        totals[one["size"]] = totals.get(one["size"], 0) + int(one["quantity"])
    output.header("Dyno Totals")
    output.table(["Type", "Total"], [[size, str(count)] for size, count in sorted(totals.items())])


def _size_updates(words: list[str], formation: list[dict[str, Any]]) -> list[dict[str, str]]:
    """One bare size is for every type; otherwise each word is `type=size`."""
    known = [one["type"] for one in formation]
    if len(words) == 1 and "=" not in words[0]:
        return [{"type": kind, "size": words[0]} for kind in known]
    updates = []
    for word in words:
        match = RESIZE.fullmatch(word)
        if not match:
            raise CliError(f"{word} is invalid. Must be in the format web=standard-1x.")
        if match[1] not in known:
            raise CliError(f"Type {match[1]} not found in process formation.\nTypes: {', '.join(sorted(known))}")
        updates.append({"type": match[1], "size": match[2]})
    return updates


def wait(context: Context) -> None:
    releases = context.api.get(f"{context.app_path}/releases", "version ..; max=1, order=desc")
    if not releases:
        output.warn(f"App {context.app} has no releases")
        return
    latest = releases[0]["version"]
    kind, pause = context.option("type"), int(context.option("wait-interval") or 10)

    def progress() -> tuple[int, int]:
        """(dynos that are up on the latest release, dynos looked at)"""
        dynos = [
            dyno
            for dyno in context.api.get_all(f"{context.app_path}/dynos")
            if (dyno["type"] == kind if kind else context.on("with-run") or dyno["type"] != "run")
        ]
        return sum(dyno["release"]["version"] == latest and dyno["state"] == "up" for dyno in dynos), len(dynos)

    ready, total = progress()
    if ready == total:
        output.line(f"The latest release v{latest} is running on every dyno ({ready} / {total})")
        return
    with output.Action(f"Waiting for every dyno to be running v{latest}") as action:
        while ready < total:
            time.sleep(pause)
            ready, total = progress()
        action.done = f"{ready} / {total}, done"
