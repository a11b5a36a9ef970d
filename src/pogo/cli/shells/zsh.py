"""Completion for zsh (zshcompsys(1)), after compinit."""

from __future__ import annotations

from pogo.cli.shells import argument, flags, names, quoted, shown, value, words

FRAME = r"""#compdef pogo
# pogo: completion for zsh. Written by `pogo autocomplete:script zsh`.
_pogo_commands() {
    local -a ids texts
    ids=(%(ids)s)
    texts=(%(texts)s)
    compadd -l -d texts -- $ids
}
_pogo_names() {
    local -a found
    found=(${(f)"$(pogo autocomplete:options $1 2>/dev/null)"})
    (($#found)) && compadd "${@:2}" -- $found
}
_pogo() {
    local -a switches texts
    local -A values
    local first='' before kind
    if ((CURRENT == 2)) || [[ $words[2] == (help|which) ]]; then
        _pogo_commands
        return
    fi
    case $words[2] in
%(cases)s
    esac
    before=$words[CURRENT-1]
    if [[ $PREFIX == --*=* ]]; then
        before=${PREFIX%%%%=*}
        compset -P '*='
    fi
    kind=$values[$before]
    if [[ $kind == file ]]; then
        _files
    elif [[ -n $kind ]]; then
        _pogo_names $kind
    elif [[ $PREFIX == -* ]]; then
        compadd -l -d texts -- $switches
    elif ((CURRENT == 3)) && [[ -n $first ]]; then
        _pogo_names $first
    else
        _files
    fi
}
compdef _pogo pogo
"""


def script() -> str:
    cases = []
    for command in shown():
        kept = flags(command)
        pairs = [(word, f"{word:<18} {flag.help}") for flag in kept for word in words(flag)]
        values = [f"{word} {value(command, flag) or 'file'}" for flag in kept if flag.option for word in words(flag)]
        settings = [
            f"switches=({' '.join(word for word, _ in pairs)})" if pairs else "",
            f"texts=({' '.join(quoted(text) for _, text in pairs)})" if pairs else "",
            f"values=({' '.join(values)})" if values else "",
            f"first={argument(command)}" if argument(command) else "",
        ]
        if any(settings):
            cases.append(f"    {'|'.join(names(command))}) {' '.join(filter(None, settings))} ;;")
    every = [(name, f"{name:<28} {command.help}") for command in shown() for name in names(command)]
    return FRAME % {
        "ids": " ".join(name for name, _ in every),
        "texts": " ".join(quoted(text) for _, text in every),
        "cases": "\n".join(cases),
    }
