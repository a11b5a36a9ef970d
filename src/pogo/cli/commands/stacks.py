"""apps:stacks, apps:stacks:set, stack:build."""

from __future__ import annotations

import os
import sys

from pogo.cli import output
from pogo.cli.context import Context
from pogo.cli.errors import CliError


def show(context: Context) -> None:
    app = context.api.get(context.app_path)
    stacks = sorted(str(stack["name"]) for stack in context.api.get_all("/stacks"))
    current, following = app["stack"]["name"], app["build_stack"]["name"]
    output.header(f"{output.app_name(app['name'])} Available Stacks")
    for name in stacks:
        if name == current:
            output.line(output.paint(f"* {name}", "green"))
        else:
            output.line(f"  {name}" + (" (active on next deploy)" if name == following else ""))


def choose(context: Context) -> None:
    stack, path = context.args["stack"], context.app_path
    with output.Action(f"Setting stack to {output.paint(stack, 'green', sys.stderr)}"):
        app = context.api.patch(path, {"build_stack": stack})
    if app["stack"]["name"] != app["build_stack"]["name"]:
        output.line(f"You will need to redeploy {output.app_name(context.app)} for the change to take effect.")
        push = output.paint("git push pogo main", "magenta")
        output.line(f"Run {push} to trigger a new build on {output.app_name(context.app)}.")


def build(context: Context) -> None:
    """Hand over to the root half of this machine. Raises CliError for anyone but root."""
    if os.geteuid() != 0:
        raise CliError("Stack images are built by root on the platform's machine.\nRun it there with sudo.")
    agent = os.path.join(os.path.dirname(sys.executable), "pogo-agent")
    if not os.access(agent, os.X_OK):
        raise CliError(f"There is no pogo-agent at {agent}.\nStack images are built on the platform's own machine.")
    sys.stdout.flush()
    fresh = ["--fresh"] if context.on("fresh") else []
    program = [sys.executable, "-m", "pogo.stack", "build", context.args["name"], *fresh]
    os.execv(program[0], program)  # noqa: S606
