"""platform, platform:add, platform:use, platform:remove: which platforms this user knows."""

from __future__ import annotations

import os
import sys

from pogo.cli import output, platforms
from pogo.cli.context import Context
from pogo.cli.errors import CliError
from pogo.cli.platforms import Platform, Platforms


def show(context: Context) -> None:
    known = platforms.load()
    if context.on("json"):
        rows = [
            {"api": one.api, "git": one.git, "email": one.email, "ca": one.ca, "current": one.api == known.current}
            for one in known.known.values()
        ]
        output.json_text(rows)
        return
    if not known.known:
        output.line("No platform is known yet.")
    for one in known.known.values():
        mark = "*" if one.api == known.current else " "
        who = one.email or ("logged in" if one.token else "not logged in")
        output.line(f"{mark} {one.api}  {who}")
    if os.environ.get("POGO_API_URL"):
        output.warn(f"POGO_API_URL is set: {os.environ['POGO_API_URL']} is used")


def add(context: Context) -> None:
    """Remember a platform; what is not given stays as it was. `bin/up` calls it for the user who ran it."""
    api = platforms.normal_url(context.args["url"])
    before = platforms.load().known.get(api) or Platform(api, platforms.git_host(api))
    ca, token = context.option("ca"), context.option("token")
    if ca and not os.access(ca, os.R_OK):
        raise CliError(f"Cannot read the CA certificate {ca}.")
    if context.option("token") == "-":
        token = sys.stdin.readline().strip()
    platform = Platform(
        api,
        context.option("git") or before.git,
        token or before.token,
        context.option("email") or before.email,
        os.path.abspath(ca) if ca else before.ca,
    )
    platforms.remember(platform, switch=not context.on("no-switch"))
    output.line(f"{api} is {'known' if context.on('no-switch') else 'the current platform'}")


def _known(url: str) -> tuple[Platforms, str]:
    api, known = platforms.normal_url(url), platforms.load()
    if api not in known.known:
        raise CliError(f"{api} is not known.\nKnown: {', '.join(known.known) or 'none'}")
    return known, api


def use(context: Context) -> None:
    known, api = _known(context.args["url"])
    platforms.save(known._replace(current=api))
    output.line(f"{api} is the current platform")


def remove(context: Context) -> None:
    known, api = _known(context.args["url"])
    rest = {url: one for url, one in known.known.items() if url != api}
    current = known.current if known.current != api else next(iter(rest), None)
    platforms.save(Platforms(current, rest))
    output.line(f"{api} is forgotten")
