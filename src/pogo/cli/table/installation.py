"""Platforms, and what is of the machine or of `pogo` itself."""

from __future__ import annotations

from pogo.cli.parser import Arg, Command, Flag
from pogo.cli.table.flags import JSON

SHELL_NAME = Arg("shell", help="bash, zsh or fish; that of $SHELL if none is given")

COMMANDS = (
    Command(
        "autocomplete",
        "completion:explain",
        "show how to have the shell complete commands, flags and apps",
        (SHELL_NAME,),
        (Flag("refresh-cache", "r", "ask the platform for the names of your apps now"),),
    ),
    Command(
        "autocomplete:options",
        "completion:options",
        "what a shell completes: names of apps, remotes, platforms",
        (Arg("completion", help="app, remote or platform"),),
        (Flag("app", "a", "accepted", option=True, hidden=True),),
        hidden=True,
    ),
    Command(
        "autocomplete:script", "completion:script", "what a shell reads to complete", (SHELL_NAME,), (), hidden=True
    ),
    Command(
        "commands",
        "catalog:commands",
        "list all commands",
        (),
        (Flag("hidden", help="hidden ones too"), JSON),
    ),
    Command("doctor", "doctor:examine", "examine the platform (on its own machine, as root)", (), (JSON,)),
    Command(
        "env",
        "environment:show",
        'print what points the official client here: eval "$(pogo env)"',
        (),
        (Flag("no-token", help="leave the login out"),),
    ),
    Command(
        "help",
        "version:help_",
        "show help of a command",
        (Arg("command"),),
        (Flag("nested-commands", "n", "include all commands"),),
        strict=False,
    ),
    Command(
        "heroku",
        "heroku:run",
        "run the official client against this platform: pogo heroku apps",
        strict=False,
        raw=True,
    ),
    Command("mirror", "mirror:show", "show the proxy of builds (on the platform's machine, as root)"),
    Command(
        "mirror:log",
        "mirror:log",
        "show where builds went (on the platform's machine, as root)",
        (),
        (
            Flag("app", "a", "only builds of this app", option=True),
            Flag("num", "n", "number of lines (100)", option=True, integer=True),
            Flag("tail", "t", "go on with new lines as they come"),
        ),
    ),
    Command(
        "mirror:prefetch",
        "mirror:prefetch",
        "make runtimes before a build asks: node@22 python@3.12 (on the platform's machine, as root)",
        strict=False,
    ),
    Command("platform", "platform:show", "list the platforms you know", (), (JSON,)),
    Command(
        "platform:add",
        "platform:add",
        "remember a platform and use it",
        (Arg("url", True, "https://host or https://host:port"),),
        (
            Flag("ca", help="CA certificate of the installation (PEM)", option=True),
            Flag("email", help="whose token it is", option=True),
            Flag("git", help="git host, if it is not the usual one", option=True),
            Flag("no-switch", help="go on using the current one"),
            Flag("token", help="API token; - reads it from stdin", option=True),
        ),
    ),
    Command("platform:remove", "platform:remove", "forget a platform", (Arg("url", True),)),
    Command("platform:use", "platform:use", "use another platform from now on", (Arg("url", True),)),
    Command(
        "regions",
        "catalog:regions",
        "list the regions of the platform",
        (),
        (Flag("common", help="no private ones"), JSON, Flag("private", help="private ones only")),
    ),
    Command(
        "stack:build",
        "stacks:build",
        "build a stack image (on the platform's machine, as root)",
        (Arg("name", True),),
        (Flag("fresh", help="anew, with Debian's updates of today, though nothing is missing"),),
    ),
    Command(
        "version", "version:show", "print the version", (), (JSON, Flag("verbose", help="with the Python it runs on"))
    ),
    Command("which", "catalog:which", "show what a command is", (), (JSON,), strict=False),
)
