"""apps:diff: what two apps differ in."""

from __future__ import annotations

from typing import Any

from pogo.cli import output
from pogo.cli.client import Api, escape
from pogo.cli.context import Context

WIDEST = 40


def show(context: Context) -> None:
    """Code, config vars, stack, buildpacks, add-ons, features; a row for each that is not the same in both."""
    names = [context.args["app1"], context.args["app2"]]
    one, other = (_properties(context.api, name) for name in names)
    keys = [*one, *(key for key in other if key not in one)]
    rows = [
        [key, _short(one.get(key, "")), _short(other.get(key, ""))] for key in keys if one.get(key) != other.get(key)
    ]
    if rows:
        output.table(["Property", *names], rows)
    else:
        output.line(f"{names[0]} and {names[1]} do not differ.")


def _properties(api: Api, app: str) -> dict[str, str]:
    """What is compared → its value. What an app does not have is not in it."""
    path = f"/apps/{escape(app)}"
    found = {"slug": _slug(api, path), "stack": str(api.get(path)["stack"]["name"])}
    config: dict[str, str] = api.get(f"{path}/config-vars")
    found |= {f"config ({key})": value for key, value in sorted(config.items())}
    for number, one in enumerate(api.get_all(f"{path}/buildpack-installations")):
        found[f"buildpack ({number})"] = str(one["buildpack"]["url"])
    found |= {f"add-on ({one['addon_service']['name']})": "true" for one in api.get_all(f"{path}/addons")}
    found |= {f"feature ({one['name']})": "enabled" for one in api.get_all(f"{path}/features") if one["enabled"]}
    return found


def _slug(api: Api, path: str) -> str:
    """The checksum of the code that an app runs, empty where it runs none."""
    releases: list[dict[str, Any]] = api.get(f"{path}/releases", "version ..; max=1, order=desc")
    slug = releases[0].get("slug") if releases else None
    return str(api.get(f"{path}/slugs/{slug['id']}").get("checksum") or slug["id"]) if slug else ""


def _short(text: str) -> str:
    line = text.replace("\n", " ")
    return line if len(line) <= WIDEST else line[: WIDEST - 1] + "…"
