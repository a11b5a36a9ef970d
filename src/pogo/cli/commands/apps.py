"""apps, apps:create, apps:info, apps:destroy, apps:rename, apps:open, maintenance."""

from __future__ import annotations

import sys
from typing import Any

from pogo.cli import output
from pogo.cli.client import Api, escape
from pogo.cli.context import Context
from pogo.cli.errors import ApiError, CliError

HOME_REGIONS = ("local", "us")


def show(context: Context) -> None:
    team = context.option("team")
    path = f"/teams/{escape(team)}/apps" if team else "/apps" if context.on("all") else "/users/~/apps"
    apps = sorted(context.api.get_all(path), key=lambda app: str(app["name"]))
    if context.on("json"):
        output.json_text(apps)
        return
    if not apps:
        output.line(f"There are no apps in team {team}." if team else "You have no apps.")
        return
    if team:
        output.header(f"Apps in team {team}")
        for app in apps:
            output.line(_listed(app))
        output.line()
        return
    email = context.api.get("/account")["email"]
    own = [app for app in apps if app["owner"]["email"] == email]
    others = [app for app in apps if app["owner"]["email"] != email]
    if own:
        output.header(f"{email} Apps")
        for app in own:
            output.line(_listed(app))
        output.line()
    if others:
        output.header("Collaborated Apps")
        size = max(len(_listed(app)) for app in others)
        for app in others:
            output.line(f"{_listed(app):<{size}}  {app['owner']['email']}")
        output.line()


def _listed(app: dict[str, Any]) -> str:
    region = (app.get("region") or {}).get("name", HOME_REGIONS[0])
    return (
        str(app["name"])
        + (f" ({region})" if region not in HOME_REGIONS else "")
        + (" (locked)" if app.get("locked") else "")
    )


def create(context: Context) -> None:
    from pogo.cli import repository

    api = context.api
    name = context.args.get("app") or context.option("app")
    body = {"name": name, "region": context.option("region"), "stack": context.option("stack")}
    with output.Action(f"Creating {output.app_name(name, sys.stderr) if name else 'app'}") as action:
        team: dict[str, Any] = {"team": context.option("team"), "locked": context.on("locked")}
        sent = {key: value for key, value in {**body, **(team if team["team"] else {})}.items() if value}
        app = api.post("/teams/apps" if team["team"] else "/apps", sent)
        parts = [] if name else [output.app_name(app["name"], sys.stderr)]
        parts += [f"region is {app['region']['name']}"] if body["region"] else []
        parts += [f"stack is {app['stack']['name']}"] if body["stack"] else []
        action.done = ", ".join(["done", *parts])
    buildpack = context.option("buildpack")
    if buildpack:
        with output.Action(f"Setting buildpack to {output.paint(buildpack, 'cyan', sys.stderr)}"):
            api.put(f"/apps/{escape(app['name'])}/buildpack-installations", {"updates": [{"buildpack": buildpack}]})
    git_url = context.platform.app_git_url(app["name"])
    if not context.on("no-remote") and repository.inside():
        remote = context.option("remote") or repository.PREFERRED[0]
        if repository.git("config", "--get", f"remote.{remote}.url", check=False):
            output.warn(f"The git remote {remote} exists and stays as it is.")
        else:
            repository.add_remote(context.platform, remote, app["name"])
    if context.on("json"):
        output.json_text(app)
    else:
        output.line(f"{output.paint(app['web_url'], 'cyan')} | {output.paint(git_url, 'green')}")


def info(context: Context) -> None:
    if context.args.get("app"):
        context.flags.setdefault("app", context.args["app"])
    api, path = context.api, context.app_path
    app = api.get(path)
    dynos = api.get_all(f"{path}/dynos")
    addons = _list_if_known(api, f"{path}/addons")
    collaborators = _list_if_known(api, f"{path}/collaborators")
    coupling = _coupling(api, path)
    if context.on("json"):
        output.json_text(
            {
                "addons": addons,
                "app": app,
                "collaborators": collaborators,
                "dynos": dynos,
                "pipeline_coupling": coupling,
            }
        )
        return
    counts: dict[str, int] = {}
    for dyno in dynos:
        counts[dyno["type"]] = counts.get(dyno["type"], 0) + 1
    emails = sorted(one["user"]["email"] for one in collaborators if one["user"]["email"] != app["owner"]["email"])
    plans = sorted(addon["plan"]["name"] for addon in addons)
    git_url = context.platform.app_git_url(app["name"])
    if context.on("shell"):
        _print_shell(app, git_url, counts, emails, plans)
        return
    stack, build_stack = app["stack"]["name"], app["build_stack"]["name"]
    output.header(app["name"])
    output.pairs(
        {
            "Addons": plans,
            "Archived At": output.ago(app["archived_at"]) if app.get("archived_at") else None,
            "Auto Cert Mgmt": "true" if app.get("acm") else "false",
            "Collaborators": emails,
            "Dynos": ", ".join(f"{kind}: {count}" for kind, count in sorted(counts.items())) or None,
            "Git URL": git_url,
            "Maintenance": "on" if app.get("maintenance") else None,
            "Owner": app["owner"]["email"],
            "Pipeline": f"{coupling['pipeline']['name']} - {coupling['stage']}" if coupling else None,
            "Region": app["region"]["name"],
            "Repo Size": output.byte_size(app.get("repo_size")),
            "Slug Size": output.byte_size(app.get("slug_size")),
            "Stack": stack if stack == build_stack else f"{stack} (next build will use {build_stack})",
            "Web URL": app["web_url"],
        }
    )


def _print_shell(
    app: dict[str, Any], git_url: str, counts: dict[str, int], emails: list[str], plans: list[str]
) -> None:
    import shlex

    dynos = ", ".join(f"{kind}: {count}" for kind, count in counts.items())
    for key, value in (
        ("auto_cert_mgmt", "true" if app.get("acm") else "false"),
        ("addons", ",".join(plans)),
        ("collaborators", ",".join(emails)),
        ("git_url", git_url),
        ("web_url", app["web_url"]),
        ("repo_size", output.byte_size(app.get("repo_size"))),
        ("slug_size", output.byte_size(app.get("slug_size"))),
        ("owner", app["owner"]["email"]),
        ("region", app["region"]["name"]),
        ("dynos", f"{{ {dynos} }}" if dynos else "{}"),
        ("stack", app["stack"]["name"]),
    ):
        output.line(f"{key}={shlex.quote(value) if value else ''}")


def _list_if_known(api: Api, path: str) -> list[Any]:
    """A list that an installation may not offer: it is then empty."""
    try:
        return api.get_all(path)
    except ApiError as failure:
        if failure.status != 404:
            raise
        return []


def _coupling(api: Api, path: str) -> Any:
    try:
        return api.get(f"{path}/pipeline-couplings")
    except ApiError as failure:
        if failure.status != 404:
            raise
        return None


def confirm(context: Context, warning: str) -> None:
    """Let the user type the app's name, or compare --confirm with it. Raises CliError when it is another."""
    given = context.option("confirm")
    if given is None:
        output.warn(f"{warning}\nTo proceed, type {context.app} or re-run this command with --confirm {context.app}")
        sys.stderr.write("\n> ")
        sys.stderr.flush()
        given = sys.stdin.readline().strip()
    if given != context.app:
        raise CliError(f"Confirmation {given} did not match {context.app}. Aborted.")


def destroy(context: Context) -> None:
    from pogo.cli import repository

    if context.args.get("app"):
        context.flags.setdefault("app", context.args["app"])
    context.api.get(context.app_path)
    confirm(context, f"WARNING: This will delete {context.shown_app} including all add-ons.")
    with output.Action(f"Destroying {context.shown_app} (including all add-ons)"):
        context.api.delete(context.app_path)
    for remote in repository.remotes(context.platform):
        if remote.app == context.app:
            repository.git("remote", "remove", remote.name)


def rename(context: Context) -> None:
    from pogo.cli import repository

    new = context.args["newname"]
    old = context.app
    with output.Action(f"Renaming {context.shown_app} to {output.app_name(new, sys.stderr)}"):
        app = context.api.patch(context.app_path, {"name": new})
    git_url = context.platform.app_git_url(app["name"])
    output.line(f"{output.paint(app['web_url'], 'cyan')} | {output.paint(git_url, 'green')}")
    for remote in repository.remotes(context.platform):
        if remote.app == old:
            repository.git("remote", "set-url", remote.name, git_url)
            output.line(f"Git remote {remote.name} updated")
    output.warn("Don't forget to update git remotes for all other local checkouts of the app.")


def open_(context: Context) -> None:
    from urllib.parse import urljoin

    app = context.api.get(context.app_path)
    url = urljoin(app["web_url"], context.args.get("path", ""))
    output.line(f"Opening {url}")
    sys.stdout.flush()
    import webbrowser

    if not webbrowser.open(url):
        raise CliError(f"No browser could be started.\nOpen {url} yourself.")


def maintenance(context: Context) -> None:
    output.line("on" if context.api.get(context.app_path)["maintenance"] else "off")


def maintenance_on(context: Context) -> None:
    with output.Action(f"Enabling maintenance mode for {context.shown_app}"):
        context.api.patch(context.app_path, {"maintenance": True})


def maintenance_off(context: Context) -> None:
    with output.Action(f"Disabling maintenance mode for {context.shown_app}"):
        context.api.patch(context.app_path, {"maintenance": False})
