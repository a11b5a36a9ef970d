"""pipelines and what can be done with them."""

from __future__ import annotations

import re
import sys
import time
from typing import Any
from urllib.parse import quote

from pogo.cli import output
from pogo.cli.client import Api, escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError

STAGES = ("review", "development", "staging", "production", "test")
DOWNSTREAM = {"review": "staging", "development": "staging", "staging": "production"}
PATIENCE = 3700.0  # seconds; a release command may take an hour


def find(api: Api, name: str) -> dict[str, Any]:
    """The pipeline of a name or id. Raises CliError."""
    found = api.get(f"/pipelines?eq[name]={quote(name)}")
    if not found:
        raise CliError(f"There is no pipeline {name}. List yours by: pogo pipelines")
    pipeline: dict[str, Any] = found[0]
    return pipeline


def apps_of(api: Api, pipeline: dict[str, Any]) -> list[dict[str, Any]]:
    """The apps of a pipeline that the user sees, each with its `stage`."""
    couplings = api.get_all(f"/pipelines/{pipeline['id']}/pipeline-couplings")
    stages = {one["app"]["id"]: one["stage"] for one in couplings}
    apps = api.post("/filters/apps", {"in": {"id": list(stages)}})
    return [{**app, "stage": stages[app["id"]]} for app in sorted(apps, key=lambda app: str(app["name"]))]


def coupling(context: Context) -> dict[str, Any]:
    """Of the app that the command is about."""
    found: dict[str, Any] = context.api.get(f"{context.app_path}/pipeline-couplings")
    return found


def _name(pipeline: dict[str, Any]) -> str:
    return output.paint(str(pipeline["name"]), "green", sys.stderr)


def guess_stage(app: str) -> str:
    """What an app's name says of its stage; production, where it says nothing (as the official client)."""
    for pattern, stage in ((r"-(stg|staging)$", "staging"), (r"-(dev|development)$", "development")):
        if re.search(pattern, app):
            return stage
    return "production"


def show(context: Context) -> None:
    found = context.api.get_all("/pipelines")
    if context.on("json"):
        output.json_text(found)
        return
    if not found:
        output.line("You have no pipelines.")
        return
    output.header("My Pipelines")
    for pipeline in found:
        output.line(pipeline["name"])


def create(context: Context) -> None:
    api, name = context.api, context.args.get("name") or context.app
    stage = context.option("stage") or guess_stage(context.app)
    body: dict[str, Any] = {"name": name}
    if context.option("team"):
        body["owner"] = {"id": api.get(f"/teams/{escape(context.option('team') or '')}")["id"], "type": "team"}
    with output.Action(f"Creating {output.paint(name, 'green', sys.stderr)} pipeline"):
        pipeline = api.post("/pipelines", body)
    _couple(context, pipeline, context.app, stage)


def _couple(context: Context, pipeline: dict[str, Any], app: str, stage: str) -> None:
    shown = output.app_name(app, sys.stderr)
    with output.Action(f"Adding {shown} to {_name(pipeline)} pipeline as {stage}"):
        context.api.post("/pipeline-couplings", {"app": app, "pipeline": pipeline["id"], "stage": stage})


def add(context: Context) -> None:
    pipeline = find(context.api, context.args["pipeline"])
    _couple(context, pipeline, context.app, context.option("stage") or guess_stage(context.app))


def update(context: Context) -> None:
    stage = context.option("stage")
    with output.Action(f"Changing {context.shown_app} to {stage}"):
        context.api.patch(f"/pipeline-couplings/{coupling(context)['id']}", {"stage": stage})


def remove(context: Context) -> None:
    found = coupling(context)
    with output.Action(f"Removing {context.shown_app} from {_name(found['pipeline'])} pipeline"):
        context.api.delete(f"/pipeline-couplings/{found['id']}")


def rename(context: Context) -> None:
    pipeline, name = find(context.api, context.args["pipeline"]), context.args["name"]
    with output.Action(f"Renaming {_name(pipeline)} pipeline to {output.paint(name, 'green', sys.stderr)}"):
        context.api.patch(f"/pipelines/{pipeline['id']}", {"name": name})


def destroy(context: Context) -> None:
    pipeline = find(context.api, context.args["pipeline"])
    with output.Action(f"Destroying {_name(pipeline)} pipeline"):
        context.api.delete(f"/pipelines/{pipeline['id']}")


def info(context: Context) -> None:
    pipeline = find(context.api, context.args["pipeline"])
    apps = apps_of(context.api, pipeline)
    if context.on("json"):
        output.json_text({"pipeline": pipeline, "apps": apps})
        return
    output.header(pipeline["name"])
    apps.sort(key=lambda app: STAGES.index(app["stage"]))
    columns = ["App name", "Stage", *(["Owner"] if context.on("with-owners") else [])]
    rows = [[output.app_name(app["name"]), app["stage"], app["owner"]["email"]][: len(columns)] for app in apps]
    output.table(columns, rows)


def promote(context: Context) -> None:
    """Exit status 1 where it did not succeed in every target."""
    api, found = context.api, coupling(context)
    apps = {app["id"]: app for app in apps_of(api, found["pipeline"])}
    targets = _targets(context, found, list(apps.values()))
    names = ", ".join(app["name"] for app in targets)
    with output.Action(f"Starting promotion to {names}"):
        promotion = api.post(
            "/pipeline-promotions",
            {
                "pipeline": {"id": found["pipeline"]["id"]},
                "source": {"app": {"id": found["app"]["id"]}},
                "targets": [{"app": {"id": app["id"]}} for app in targets],
            },
        )
    with output.Action("Waiting for promotion to complete"):
        results = _results(api, promotion["id"])
    output.line("\nPromotion successful" if all(one["status"] == "succeeded" for one in results) else "\nPromotion")
    for one in results:
        reason = f": {one['error_message']}" if one.get("error_message") else ""
        output.line(f"{output.app_name(apps[one['app']['id']]['name'])}: {one['status']}{reason}")
    if any(one["status"] != "succeeded" for one in results):
        raise CliError("The promotion failed.")


def _targets(context: Context, found: dict[str, Any], apps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = [name.strip() for name in (context.option("to") or "").split(",") if name.strip()]
    if wanted:
        by_name = {name: app for app in apps for name in (app["name"], app["id"])}
        missing = [name for name in wanted if name not in by_name]
        if missing:
            raise CliError(f"Cannot promote to {', '.join(missing)}: not in the pipeline {found['pipeline']['name']}.")
        return [by_name[name] for name in wanted]
    stage = DOWNSTREAM.get(found["stage"])
    targets = [app for app in apps if app["stage"] == stage]
    if not targets:
        raise CliError(f"Cannot promote {context.app} from {found['stage']}: there are no downstream apps.")
    return targets


def _results(api: Api, promotion: str) -> list[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE
    while True:
        results: list[dict[str, Any]] = api.get_all(f"/pipeline-promotions/{promotion}/promotion-targets")
        if all(one["status"] != "pending" for one in results) or time.monotonic() > deadline:
            return results
        time.sleep(1)


def diff(context: Context) -> None:
    """Without a code host: the commits that are released, and, inside the repository, what lies between them."""
    from pogo.cli import repository

    found = coupling(context)
    apps = apps_of(context.api, found["pipeline"])
    stage = DOWNSTREAM.get(found["stage"])
    targets = [app for app in apps if app["stage"] == stage]
    if not targets:
        raise CliError(f"Cannot diff {context.app} from {found['stage']}: there are no downstream apps.")
    ours = _commit(context.api, found["app"]["id"])
    for target in targets:
        theirs = _commit(context.api, target["id"])
        name = output.app_name(target["name"])
        if ours is None:
            raise CliError(f"{context.app} runs no commit: nothing was pushed to it.")
        if ours == theirs:
            output.line(f"{name} is up to date with {output.app_name(context.app)}")
            continue
        output.header(f"{output.app_name(context.app)} is at {ours[:8]}, {name} at {(theirs or 'nothing')[:8]}")
        if theirs and repository.inside():
            log = repository.git("log", "--oneline", "--no-decorate", f"{theirs}..{ours}", check=False)
            output.line(log or "The commits are not in this repository, or there is nothing between them.")


def _commit(api: Api, app: str) -> str | None:
    releases = api.get(f"/apps/{app}/releases", range_="version ..; order=desc,max=100")
    slug = next((one["slug"]["id"] for one in releases if one["status"] == "succeeded" and one["slug"]), None)
    commit = api.get(f"/apps/{app}/slugs/{slug}")["commit"] if slug else None
    return str(commit) if commit else None


def setup(context: Context) -> None:
    """As the official command without its code host: the apps, the pipeline, and them in it."""
    name = context.args.get("name")
    if context.args.get("repo"):
        raise CliError("A repository of a code host cannot be connected here: push to the app for staging instead.")
    if not name:
        raise CliError("Usage: pogo pipelines:setup NAME", 2)
    team = context.option("team")
    body: dict[str, Any] = {"name": name}
    if team:
        body["owner"] = {"id": context.api.get(f"/teams/{escape(team)}")["id"], "type": "team"}
    with output.Action("Creating pipeline"):
        pipeline = context.api.post("/pipelines", body)
    for app, stage in ((name, "production"), (f"{name}-staging", "staging")):
        with output.Action(f"Creating {stage} app {output.app_name(app, sys.stderr)}"):
            if team:
                context.api.post("/teams/apps", {"name": app, "team": team})
            else:
                context.api.post("/apps", {"name": app})
        _couple(context, pipeline, app, stage)
    output.line(f"\nPush to {name}-staging, then: pogo pipelines:promote -a {name}-staging")


def transfer(context: Context) -> None:
    api, owner = context.api, context.args["owner"]
    pipeline = find(api, context.option("pipeline") or "")
    kind = "user" if "@" in owner else "team"
    given = context.option("confirm")
    if given is None:
        output.warn(f"This will transfer {pipeline['name']} to the {kind} {owner}. Its apps stay with their owners.")
        sys.stderr.write(f"To proceed, type {pipeline['name']}\n> ")
        sys.stderr.flush()
        given = sys.stdin.readline().strip()
    if given != pipeline["name"]:
        raise CliError(f"Confirmation {given} did not match {pipeline['name']}. Aborted.")
    id = owner if kind == "user" else api.get(f"/teams/{escape(owner)}")["id"]
    body = {"pipeline": {"id": pipeline["id"]}, "new_owner": {"id": id, "type": kind}}
    with output.Action(f"Transferring {_name(pipeline)} pipeline to the {owner} {kind}"):
        api.post("/pipeline-transfers", body)
