"""buildpacks, buildpacks:set, buildpacks:add, buildpacks:remove, buildpacks:clear."""

from __future__ import annotations

from pogo.cli import output
from pogo.cli.context import Context
from pogo.cli.errors import CliError

REGISTRY = "https://buildpack-registry.s3.amazonaws.com/buildpacks/"


def shown(url: str) -> str:
    """`heroku/python` for every way to write it: the name itself, a registry URL or URN; other URLs as they are."""
    if url.startswith(REGISTRY) and url.endswith(".tgz"):
        return url.removeprefix(REGISTRY).removesuffix(".tgz")
    return url.removeprefix("urn:buildpack:")


def _list(context: Context) -> list[str]:
    """URLs of the app's buildpacks in their order."""
    found = context.api.get_all(f"{context.app_path}/buildpack-installations")
    return [one["buildpack"]["url"] for one in sorted(found, key=lambda one: int(one["ordinal"]))]


def _put(context: Context, urls: list[str]) -> list[str]:
    body = {"updates": [{"buildpack": url} for url in urls]}
    found = context.api.put(f"{context.app_path}/buildpack-installations", body)
    if context.on("json"):
        output.json_text(found)
    return [one["buildpack"]["url"] for one in found]


def _index(context: Context) -> int | None:
    """--index as a position from 0. Raises CliError."""
    word = context.option("index")
    if word is None:
        return None
    if not word.isdecimal() or int(word) < 1:
        raise CliError("Invalid index. Must be greater than 0.")
    return int(word) - 1


def _list_lines(urls: list[str], indent: str = "") -> None:
    for number, url in enumerate(urls, 1):
        output.line(f"{indent}{number}. {shown(url)}")


def _report(context: Context, verb: str, urls: list[str]) -> None:
    if context.on("json"):
        return
    if not urls:
        output.line(f"Buildpack {verb}. Next release on {context.app} will detect buildpack normally.")
        return
    if len(urls) == 1:
        output.line(f"Buildpack {verb}. Next release on {context.app} will use {output.paint(shown(urls[0]), 'cyan')}.")
    else:
        output.line(f"Buildpack {verb}. Next release on {context.app} will use:")
        _list_lines(urls, "  ")
    these = "this buildpack" if len(urls) == 1 else "these buildpacks"
    output.line(f"Run {output.paint('git push pogo main', 'magenta')} to create a new release using {these}.")


def show(context: Context) -> None:
    urls = _list(context)
    if context.on("json"):
        output.json_text(context.api.get_all(f"{context.app_path}/buildpack-installations"))
        return
    if not urls:
        output.line(f"{output.app_name(context.app)} has no Buildpacks.")
        return
    output.header(f"{output.app_name(context.app)} Buildpack{'s' * (len(urls) > 1)}")
    if len(urls) == 1:
        output.line(shown(urls[0]))
    else:
        _list_lines(urls)


def _refuse_twice(urls: list[str], new: str) -> None:
    if shown(new) in map(shown, urls):
        raise CliError(f"The buildpack {shown(new)} is already set on your app.")


def choose(context: Context) -> None:
    new, index, urls = context.args["buildpack"], _index(context), _list(context)
    place = index or 0
    _refuse_twice(urls[:place] + urls[place + 1 :], new)
    if urls[place : place + 1] and shown(urls[place]) == shown(new):
        raise CliError(f"The buildpack {shown(new)} is already set on your app.")
    _report(context, "set", _put(context, [*urls[:place], new, *urls[place + 1 :]]))


def add(context: Context) -> None:
    new, index, urls = context.args["buildpack"], _index(context), _list(context)
    _refuse_twice(urls, new)
    place = len(urls) if index is None else index
    _report(context, "added", _put(context, [*urls[:place], new, *urls[place:]]))


def remove(context: Context) -> None:
    old, index = context.args.get("buildpack"), _index(context)
    if old and index is not None:
        raise CliError("Please choose either index or Buildpack, but not both.")
    if not old and index is None:
        raise CliError("Usage: Must specify a buildpack to remove, either by index or name.")
    urls = _list(context)
    if not urls:
        raise CliError(f"No buildpacks were found. Next release on {context.app} will detect buildpack normally.")
    if index is not None and index >= len(urls):
        valid = "Only valid value is 1." if len(urls) == 1 else f"Please choose a value between 1 and {len(urls)}"
        raise CliError(f"Invalid index. {valid}")
    if old and shown(old) not in map(shown, urls):
        raise CliError("Buildpack not found. Nothing was removed.")
    kept = [
        url
        for place, url in enumerate(urls)
        if (place != index if index is not None else shown(url) != shown(old or ""))
    ]
    _report(context, "removed", _put(context, kept))


def clear(context: Context) -> None:
    _put(context, [])
    if not context.on("json"):
        output.line(f"Buildpacks cleared. Next release on {context.app} will detect buildpack normally.")
