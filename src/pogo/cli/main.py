"""`pogo`: find the command, run it, turn what went wrong into a message and an exit status."""

from __future__ import annotations

import io
import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit status.

    0 done, 1 failed, 2 refused by the platform or by the command line, 100 not logged in, 127 no such command,
    130 interrupted; `run` returns the remote command's own.
    """
    words = sys.argv[1:] if argv is None else argv
    if words in (["version"], ["--version"], ["-v"]):
        from pogo import __version__

        print(f"pogo/{__version__} {sys.platform} python-{sys.version.split()[0]}")
        return 0
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # A terminal without ⬢ shows ?.
    try:
        status = _run(words)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader (`| head`) has enough; keep the interpreter from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return 130


def _run(words: list[str]) -> int:
    from pogo.cli import output
    from pogo.cli.errors import ApiError, CliError

    try:
        return _dispatch(words)
    except CliError as failure:
        hint = "\nRun pogo login to log in again." if isinstance(failure, ApiError) and failure.status == 401 else ""
        output.error(failure.message + hint)
        return failure.exit_status


def _dispatch(words: list[str]) -> int:
    from pogo.cli.parser import Parsed, parse
    from pogo.cli.table import by_name

    if not words or words[0] in ("--help", "-h"):
        words = ["help"]
    name, rest = words[0], words[1:]
    command = by_name().get(name)
    if command is None:
        return _unknown(name)
    before_dashes = rest[: rest.index("--")] if "--" in rest else rest
    if not command.raw and ("--help" in before_dashes or "-h" in before_dashes):
        from pogo.cli.help import show_command

        show_command(command)
        return 0
    from importlib import import_module

    from pogo.cli.context import Context

    module, _, function = command.run.partition(":")
    run = getattr(import_module(f"pogo.cli.commands.{module}"), function)
    parsed = Parsed({}, rest, {}) if command.raw else parse(command, rest)
    return run(Context(command, parsed)) or 0


def _unknown(name: str) -> int:
    from difflib import get_close_matches

    from pogo.cli import output
    from pogo.cli.help import show_topic
    from pogo.cli.table import by_name
    from pogo.cli.upstream import why_left_out

    if show_topic(name):
        return 0
    why = why_left_out(name)
    if why:
        output.error(f"{name} is not in pogo: {why}.")
        return 127
    near = get_close_matches(name, by_name(), 1)
    output.error(
        f"{name} is not a pogo command.\n"
        + (f"Did you mean {near[0]}?\n" if near else "")
        + "Run pogo help for a list of available commands."
    )
    return 127


if __name__ == "__main__":
    sys.exit(main())
