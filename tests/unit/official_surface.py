"""Derives official_surface.json, the command surface of the official client: ids, aliases, flags and arguments.

    python tests/unit/official_surface.py cli-commands.json

reads a list of its commands (made from the oclif.manifest.json of npm package `heroku`), and writes the short form that
the test of the command table reads. One command is `{"args", "flags", "aliases", "loose", "hidden"}`, what is usual
left out: an argument is its name, a flag is `name/char` and its other names; `=` takes a value, `!` is required.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SHORT = Path(__file__).with_suffix(".json")


def short(command: dict[str, Any]) -> dict[str, Any]:
    found = {
        "args": [arg["name"] + "!" * arg["required"] for arg in command["args"]],
        "flags": [_flag(flag) for flag in command["flags"]],
        "aliases": sorted({*command.get("aliases", ()), *command.get("hidden_aliases", ())}),
        "loose": not command["strict"],
        "hidden": command.get("hidden", False),
    }
    return {key: value for key, value in found.items() if value}


def _flag(flag: dict[str, Any]) -> str:
    names: str = "/".join([flag["name"], flag.get("char", ""), *flag.get("aliases", ())]).rstrip("/")
    return names + "=" * (flag["type"] == "option") + "!" * flag["required"]


def main(source: str) -> None:
    data = json.loads(Path(source).read_text())
    rows = [f"{json.dumps(command['id'])}: {json.dumps(short(command))}" for command in data["commands"]]
    version = json.dumps(data["upstream"]["version"])
    SHORT.write_text('{"version": ' + version + ', "commands": {\n' + ",\n".join(rows) + "\n}}\n")


if __name__ == "__main__":
    main(sys.argv[1])
