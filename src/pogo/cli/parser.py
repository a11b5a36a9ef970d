"""Reads a command line by the rules of the official client (oclif), from the data of the command table.

The rules that differ from most parsers: flags may stand anywhere; a short group is a flag only if its *first* letter
is one (`run ls -la` is an argument); where `strict` is off, what is not known is passed on; `--` ends the flags.
"""

from __future__ import annotations

from typing import NamedTuple

from pogo.cli.errors import UsageError


class Flag(NamedTuple):
    """`option` flags take a value, others are switches. `required` ones may also come from the environment or git."""

    name: str
    char: str = ""
    help: str = ""
    option: bool = False
    required: bool = False
    hidden: bool = False
    integer: bool = False
    also: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


class Arg(NamedTuple):
    name: str
    required: bool = False
    help: str = ""


class Command(NamedTuple):
    """One command: `run` is `module:function` below `pogo.cli.commands`; not `strict` takes any number of arguments.

    `raw` commands get every word as it is, flags and `--help` too.
    """

    id: str
    run: str
    help: str
    args: tuple[Arg, ...] = ()
    flags: tuple[Flag, ...] = ()
    aliases: tuple[str, ...] = ()
    strict: bool = True
    hidden: bool = False
    raw: bool = False


class Parsed(NamedTuple):
    """`args` by name; `rest` holds every argument in order, named ones included."""

    args: dict[str, str]
    rest: list[str]
    flags: dict[str, str | bool]


def parse(command: Command, words: list[str]) -> Parsed:
    """The parts of `words` (the command line after the command's name). Raises UsageError."""
    flags: dict[str, str | bool] = {}
    rest: list[str] = []
    long = {name: flag for flag in command.flags for name in (flag.name, *flag.also)}
    short = {flag.char: flag for flag in reversed(command.flags) if flag.char}
    waiting = list(reversed(words))
    while waiting:
        word = waiting.pop()
        if word == "--":
            rest.extend(reversed(waiting))
            break
        flag, value = _flag_of(word, long, short)
        if flag is None:
            if command.strict and word.startswith("-") and word != "-":
                raise _not_a_flag(command, word.partition("=")[0])
            rest.append(word)
        elif flag.option:
            if value is None:
                if not waiting:
                    raise UsageError(f"Flag --{flag.name} expects a value")
                value = waiting.pop()
            flags[flag.name] = _checked(flag, value)
        else:
            flags[flag.name] = True
            if value and not word.startswith("--"):
                waiting.append(f"-{value}")
    for flag in command.flags:
        for other in flag.excludes:
            if flag.name in flags and other in flags:
                raise UsageError(f"--{other} cannot also be provided when using --{flag.name}")
    return Parsed(_named(command, rest), rest, flags)


def _flag_of(word: str, long: dict[str, Flag], short: dict[str, Flag]) -> tuple[Flag | None, str | None]:
    """The flag that a word names, with the value glued to it (`--num=5`, `-n5`, `-n=5`) or the rest of its group."""
    if word.startswith("--"):
        name, glued, value = word[2:].partition("=")
        flag = long.get(name)
        if flag and glued and not flag.option:
            raise UsageError(f"Flag --{name} takes no value")
        return flag, value if glued else None
    if len(word) > 1 and word[0] == "-" and word[1] in short:
        return short[word[1]], word[2:].removeprefix("=") if len(word) > 2 else None
    return None, None


def _not_a_flag(command: Command, word: str) -> UsageError:
    from pogo.cli.upstream import reason

    why = reason(command.id, word.lstrip("-"))
    return UsageError(f"Flag {word} is not supported: {why}" if why else f"Nonexistent flag: {word}")


def _checked(flag: Flag, value: str) -> str:
    if flag.integer and not value.isdecimal():
        raise UsageError(f"Flag --{flag.name} expected an integer but received: {value}")
    return value


def _named(command: Command, rest: list[str]) -> dict[str, str]:
    args = {arg.name: value for arg, value in zip(command.args, rest, strict=False)}
    missing = [arg for arg in command.args if arg.required and arg.name not in args]
    if missing:
        lines = "\n".join(f"  {arg.name}  {arg.help}".rstrip() for arg in missing)
        raise UsageError(f"Missing {len(missing)} required arg{'s' * (len(missing) > 1)}:\n{lines}")
    if command.strict and len(rest) > len(command.args):
        extra = rest[len(command.args) :]
        raise UsageError(f"Unexpected argument{'s' * (len(extra) > 1)}: {', '.join(extra)}")
    return args
