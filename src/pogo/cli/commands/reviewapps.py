"""Review apps of branches of this repository."""

from __future__ import annotations

import sys
import time
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.commands.pipelines import find
from pogo.cli.context import Context
from pogo.cli.errors import ApiError, CliError


def create(context: Context) -> None:
    """Without a code host: the branch is taken from the repository that the command runs in."""
    from pogo.cli import repository

    api, branch = context.api, context.option("branch") or ""
    pipeline = find(api, context.option("pipeline") or "")
    if not repository.inside():
        raise CliError("There is no git repository here. Run this in the app's repository.")
    commit = repository.git("rev-parse", "--verify", f"{branch}^{{commit}}", check=False).strip()
    if not commit:
        raise CliError(f"There is no branch {branch} in this repository.")
    with output.Action(f"Creating review app for {output.paint(branch, 'green', sys.stderr)}"):
        urls = api.post("/sources")["source_blob"]
        api.upload(urls["put_url"], repository.archive(commit))
        blob = {"url": urls["get_url"], "version": commit}
        review = api.post("/review-apps", {"branch": branch, "pipeline": pipeline["id"], "source_blob": blob})
    app = api.get(f"/apps/{review['app']['id']}")
    output.line(f"{output.app_name(app['name'])} | {app['web_url']}")
    if context.on("wait"):
        _wait(context, review)


def _wait(context: Context, review: dict[str, Any]) -> None:
    pause = int(context.option("wait-interval") or 5)
    with output.Action("Waiting for the review app") as action:
        while review["status"] in ("pending", "creating"):
            time.sleep(pause)
            review = context.api.get(f"/review-apps/{review['id']}")
        action.done = review["status"]
    if review["status"] != "created":
        raise CliError(f"The review app was not made: {review['message']}")


def wait(context: Context) -> None:
    _wait(context, context.api.get(f"/apps/{escape(context.args['app'])}/review-app"))


def enable(context: Context) -> None:
    pipeline = find(context.api, context.option("pipeline") or "")
    path = f"/pipelines/{pipeline['id']}/review-app-config"
    with output.Action("Enabling review apps for this pipeline"):
        try:
            context.api.get(path)
        except ApiError as failure:
            if failure.status != 404:
                raise
            context.api.post(path, {"repo": ""})


def disable(context: Context) -> None:
    pipeline = find(context.api, context.option("pipeline") or "")
    with output.Action("Disabling review apps for this pipeline"):
        context.api.delete(f"/pipelines/{pipeline['id']}/review-app-config")
