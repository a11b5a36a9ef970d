"""buildpacks:search, :info, :versions; for the operator :register, :unregister, and :mirrors with :add and :remove."""

from __future__ import annotations

from base64 import b64decode
from typing import Any
from urllib.parse import quote

from pogo.cli import output
from pogo.cli.commands.buildpacks import shown
from pogo.cli.context import Context
from pogo.cli.errors import CliError


def search(context: Context) -> None:
    """A term is looked for in namespaces, names and descriptions, as the official client does it."""
    term = context.args.get("term")
    if term:
        queries = [f"in[namespace][]={quote(term)}", f"in[name][]={quote(term)}", f"like[description]={quote(term)}"]
    else:
        parts = [
            *(f"in[namespace][]={quote(one)}" for one in (context.option("namespace") or "").split(",") if one),
            *(f"in[name][]={quote(one)}" for one in (context.option("name") or "").split(",") if one),
        ]
        if description := context.option("description"):
            parts.append(f"like[description]={quote(description)}")
        queries = ["&".join(parts)]
    found = {}
    for query in queries:
        for one in context.api.get(f"/buildpacks?{query}" if query else "/buildpacks"):
            found[f"{one['namespace']}/{one['name']}"] = one
    if not found:
        output.line("No buildpacks found")
        return
    rows = [[name, one["category"], one["description"]] for name, one in sorted(found.items())]
    output.table(["Buildpack", "Category", "Description"], rows)
    output.line(f"{len(rows)} buildpack{'s' * (len(rows) > 1)} found")


def _path(context: Context, key: str = "buildpack") -> str:
    """Raises CliError for what is not of the form namespace/name."""
    name = shown(context.args[key])
    namespace, slash, short = name.partition("/")
    if not slash or not namespace or not short or "/" in short:
        raise CliError(f"{name} is not the name of a buildpack: it is namespace/name, as heroku/ruby.")
    return f"/buildpacks/{quote(namespace, safe='')}/{quote(short, safe='')}"


def info(context: Context) -> None:
    path = _path(context)
    found = context.api.get(path)
    readme = context.api.get(f"{path}/readme")
    details: dict[str, Any] = {
        "category": found["category"],
        "description": found["description"],
        "source": found["url"] or "this platform",
        "readme": b64decode(readme["content"]).decode().strip(),
    }
    if context.on("json"):
        output.json_text(details)
        return
    output.header(shown(context.args["buildpack"]))
    output.pairs(details, ["description", "category", "source", "readme"])


def versions(context: Context) -> None:
    found = context.api.get(f"{_path(context)}/revisions")
    rows = sorted(found, key=lambda one: int(one["release"]), reverse=True)
    shown_rows = [[str(one["release"]), one["created_at"], one["status"]] for one in rows]
    output.table(["Version", "Released At", "Status"], shown_rows)


def register(context: Context) -> None:
    body = {"url": context.args["url"], "description": context.option("description")}
    with output.Action(f"Registering {context.args['buildpack']}"):
        context.api.put(_path(context), body)


def unregister(context: Context) -> None:
    with output.Action(f"Unregistering {context.args['buildpack']}"):
        context.api.delete(_path(context))


def mirrors(context: Context) -> None:
    found = context.api.get("/buildpack-mirrors")
    if context.on("json"):
        output.json_text(found)
    elif not found:
        output.line("No mirrors. Buildpacks are fetched from their own addresses.")
    else:
        output.table(["Prefix", "Fetched from"], [[one["prefix"], one["url"]] for one in found])


def add_mirror(context: Context) -> None:
    prefix, url = context.args["prefix"], context.args["url"]
    with output.Action(f"Fetching {prefix}… from {url}…"):
        context.api.post("/buildpack-mirrors", {"prefix": prefix, "url": url})


def remove_mirror(context: Context) -> None:
    prefix = context.args["prefix"]
    found = [one["id"] for one in context.api.get("/buildpack-mirrors") if one["prefix"] == prefix]
    if not found:
        raise CliError(f"There is no mirror of {prefix}. pogo buildpacks:mirrors lists them.")
    with output.Action(f"Removing the mirror of {prefix}"):
        context.api.delete(f"/buildpack-mirrors/{found[0]}")
