"""config, config:set, config:get, config:unset, config:edit."""

from __future__ import annotations

import os
import sys

from pogo.cli import output
from pogo.cli.context import Context
from pogo.cli.errors import CliError


def _vars(context: Context) -> dict[str, str]:
    found: dict[str, str] = context.api.get(f"{context.app_path}/config-vars")
    return found


def _quoted(value: str) -> str:
    import shlex

    return shlex.quote(value)


def show(context: Context) -> None:
    config = _vars(context)
    if context.on("shell"):
        for key in sorted(config):
            output.line(f"{key}={_quoted(config[key])}")
    elif context.on("json"):
        output.json_text({key: config[key] for key in sorted(config)})
    else:
        output.header(f"{output.app_name(context.app)} Config Vars")
        _print(config, sorted(config))
        if config:
            output.line()


def _print(config: dict[str, str], keys: list[str]) -> None:
    size = max((len(key) for key in keys), default=0) + 2
    for key in keys:
        output.line(output.paint(f"{key}:", "green") + " " * (size - 1 - len(key)) + config[key])


def get(context: Context) -> None:
    config = _vars(context)
    chosen = {key: config.get(key) for key in context.rest}
    if context.on("json"):
        output.json_text(chosen)
        return
    for key, value in chosen.items():
        output.line(f"{key}={_quoted(value or '')}" if context.on("shell") else value or "")


def _change(context: Context, verb: str, changes: dict[str, str | None]) -> dict[str, str]:
    """PATCH the config vars and name the release that this made."""
    keys = ", ".join(output.paint(key, "green", sys.stderr) for key in changes)
    with output.Action(f"{verb} {keys} and restarting {context.shown_app}") as action:
        config: dict[str, str] = context.api.patch(f"{context.app_path}/config-vars", changes)
        releases = context.api.get(f"{context.app_path}/releases", "version ..; order=desc,max=1")
        if releases:
            action.done = f"done, {output.paint('v' + str(releases[0]['version']), 'green', sys.stderr)}"
    return config


def assign(context: Context) -> None:
    if not context.rest:
        raise CliError("Usage: pogo config:set KEY1=VALUE1 [KEY2=VALUE2 ...]\nMust specify KEY and VALUE to set.")
    changes: dict[str, str | None] = {}
    for word in context.rest:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise CliError(f"{word} is invalid. Must be in the format FOO=bar.")
        changes[key] = value
    config = _change(context, "Setting", changes)
    _print(config, sorted(key for key in changes if key in config))


def unset(context: Context) -> None:
    if not context.rest:
        raise CliError("Usage: pogo config:unset KEY1 [KEY2 ...]\nMust specify KEY to unset.")
    _change(context, "Unsetting", dict.fromkeys(context.rest))


def edit(context: Context) -> None:
    """All vars as `KEY='value'` lines in $EDITOR, or the bare value of one; what changed is set at once."""
    key = context.args.get("key")
    before = _vars(context)
    if key:
        text = _edited(before.get(key, ""), key)
        value = text if "\n" in before.get(key, "") else text.removesuffix("\n")
        after = {**before, key: value}
    else:
        after = _parsed(_edited("".join(f"{name}={_quoted(before[name])}\n" for name in sorted(before)), context.app))
    changes: dict[str, str | None] = {name: None for name in before if name not in after}
    changes |= {name: value for name, value in after.items() if before.get(name) != value}
    if not changes:
        output.warn("no changes to config")
        return
    if _vars(context) != before:
        raise CliError("Config changed on the platform since you began. Nothing was set: run config:edit again.")
    _change(context, "Setting", changes)


def _edited(text: str, name: str) -> str:
    import subprocess
    import tempfile

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.NamedTemporaryFile("w+", prefix=f"{name}-", suffix=".env", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        # The editor is a command line of the user's own (`code --wait`), so his shell splits it.
        done = subprocess.run(["/bin/sh", "-c", f'{editor} "$1"', "sh", file.name], check=False)
        if done.returncode:
            raise CliError(f"The editor ended with status {done.returncode}. Nothing was set.")
        with open(file.name, encoding="utf-8") as result:
            return result.read()


def _parsed(text: str) -> dict[str, str]:
    """`KEY='value'` lines, a quoted value may span lines. Raises CliError for what is neither."""
    import shlex

    try:
        words = shlex.split(text, comments=True)
    except ValueError as failure:
        raise CliError(f"The edited text cannot be read: {failure}. Nothing was set.") from failure
    config = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise CliError(f"{word} is invalid. Must be in the format FOO='bar'. Nothing was set.")
        config[key] = value
    return config
