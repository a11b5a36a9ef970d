"""Help, from the command table."""

from __future__ import annotations

from pogo.cli.output import line
from pogo.cli.parser import Command
from pogo.cli.table import COMMANDS

ENVIRONMENT = (
    ("POGO_API_URL", "the platform to use, instead of the current one (pogo platform)"),
    ("POGO_API_KEY", "the token to use, instead of the login"),
    ("POGO_CA_FILE", "the CA certificate of the platform"),
    ("POGO_APP", "the app to use where no flag names one; HEROKU_APP too"),
    ("NO_COLOR", "no colours"),
)


def usage(command: Command) -> str:
    args = "".join(f" {arg.name.upper()}" if arg.required else f" [{arg.name.upper()}]" for arg in command.args)
    flags = " [flags]" if command.flags else ""
    return f"pogo {command.id}{args}{'' if command.strict else ' ...'}{flags}"


def show_command(command: Command) -> None:
    line(command.help)
    line(f"\nUSAGE\n  $ {usage(command)}")
    if command.args:
        line("\nARGUMENTS")
        _rows([(arg.name.upper(), arg.help) for arg in command.args])
    shown = [flag for flag in command.flags if not flag.hidden]
    if shown:
        line("\nFLAGS")
        names = [
            f"{f'-{flag.char}, ' if flag.char else '    '}--{flag.name}{'=<value>' if flag.option else ''}"
            for flag in shown
        ]
        _rows([(name, flag.help) for name, flag in zip(names, shown, strict=True)])
    if command.aliases:
        line("\nALIASES")
        for alias in command.aliases:
            line(f"  $ pogo {alias}")
    nested = [other for other in COMMANDS if other.id.startswith(f"{command.id}:") and not other.hidden]
    if nested:
        line("\nCOMMANDS")
        _rows([(other.id, other.help) for other in nested])


def show_topic(topic: str) -> bool:
    """The commands below a topic; False when there are none."""
    found = [(one.id, one.help) for one in COMMANDS if one.id.startswith(f"{topic}:") and not one.hidden]
    if found:
        line(f"USAGE\n  $ pogo {topic}:COMMAND\n\nCOMMANDS")
        _rows(found)
    return bool(found)


def show_all(nested: bool = False) -> None:
    line("pogo: the command line of Pogoapp\n\nUSAGE\n  $ pogo COMMAND\n\nCOMMANDS")
    shown = [one for one in COMMANDS if not one.hidden and (nested or ":" not in one.id or not _has_root(one))]
    _rows([(one.id, one.help) for one in shown])
    line("\nENVIRONMENT")
    _rows(list(ENVIRONMENT))
    if not nested:
        line("\nThe rest: pogo help --nested-commands; one: pogo help COMMAND")


def _has_root(command: Command) -> bool:
    topic = command.id.partition(":")[0]
    return any(other.id == topic for other in COMMANDS)


def _rows(rows: list[tuple[str, str]]) -> None:
    size = max(len(name) for name, _ in rows)
    for name, text in rows:
        line(f"  {name:<{size}}  {text}".rstrip())
