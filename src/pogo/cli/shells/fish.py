"""Completion for fish (complete(1))."""

from __future__ import annotations

from pogo.cli.shells import argument, flags, names, shown, value

HEAD = """# pogo: completion for fish. Written by `pogo autocomplete:script fish`.
function __pogo_bare
    test (count (commandline -opc)) -lt 2
end
function __pogo_is
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end
function __pogo_first
    test (count (commandline -opc)) -eq 2; and __pogo_is $argv
end
complete -c pogo -e
"""


def script() -> str:
    rows = []
    for command in shown():
        rows += [f"complete -c pogo -f -n __pogo_bare -a {name} -d {_quoted(command.help)}" for name in names(command)]
        condition = _quoted("__pogo_is " + " ".join(names(command)))
        for flag in flags(command):
            kind = value(command, flag)
            takes = f" -x -a '(pogo autocomplete:options {kind} 2>/dev/null)'" if kind else " -r" * flag.option
            short = f" -s {flag.char}" if flag.char else ""
            rows.append(f"complete -c pogo -n {condition}{short} -l {flag.name}{takes} -d {_quoted(flag.help)}")
        if argument(command):
            first = _quoted("__pogo_first " + " ".join(names(command)))
            rows.append(
                f"complete -c pogo -f -n {first} -a '(pogo autocomplete:options {argument(command)} 2>/dev/null)'"
            )
    every = " ".join(name for command in shown() for name in names(command))
    rows.append(f"complete -c pogo -f -n '__pogo_is help which' -a {_quoted(every)}")
    return HEAD + "\n".join(rows) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
