"""Completion for bash (programmable completion, bash(1)), without the bash-completion package."""

from __future__ import annotations

from pogo.cli.shells import argument, flags, names, quoted, shown, value, words

# bash breaks words at : and =, as COMP_WORDBREAKS has them; so the line is split at blanks here, and what bash will put
# behind its last break is what is answered.
FRAME = r"""# pogo: completion for bash. Written by `pogo autocomplete:script bash`.
_pogo_flags() {
    switches='' values='' first=''
    case $1 in
%(cases)s
    esac
}
_pogo() {
    local line=${COMP_LINE:0:COMP_POINT} switches values first kind='' choice
    local -a parts
    read -ra parts <<<"$line"
    [[ $line == *[[:blank:]] ]] && parts+=('')
    local last=$((${#parts[@]} - 1))
    local now=${parts[last]}
    COMPREPLY=()
    if ((last < 2)); then
        choice=%(commands)s
    elif [[ ${parts[1]} == help || ${parts[1]} == which ]]; then
        choice=%(commands)s
    else
        _pogo_flags "${parts[1]}"
        local before=${parts[last - 1]} glued=''
        [[ $now == --*=* ]] && before=${now%%%%=*} glued=$before=
        local entry
        for entry in $values; do
            [[ ${entry%%%%:*} == "$before" ]] && kind=${entry#*:} && break
        done
        if [[ $kind == file ]]; then
            compopt -o default
            return
        elif [[ $kind ]]; then
            choice=$(pogo autocomplete:options "$kind" 2>/dev/null)
            now=${now#"$glued"}
        elif [[ $now == -* ]]; then
            choice=$switches
        elif ((last == 2)) && [[ $first ]]; then
            choice=$(pogo autocomplete:options "$first" 2>/dev/null)
        else
            compopt -o default
            return
        fi
    fi
    COMPREPLY=($(compgen -W "$choice" -- "$now"))
    if [[ $COMP_WORDBREAKS == *:* && $now == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${now%%"${now##*:}"}"}")
    fi
}
complete -F _pogo pogo
"""


def script() -> str:
    cases = []
    for command in shown():
        kept = flags(command)
        switches = " ".join(word for flag in kept for word in words(flag))
        values = " ".join(
            f"{word}:{value(command, flag) or 'file'}" for flag in kept if flag.option for word in words(flag)
        )
        parts = {"switches": switches, "values": values, "first": argument(command)}
        settings = " ".join(f"{key}={quoted(text)}" for key, text in parts.items() if text)
        if settings:
            cases.append(f"    {' | '.join(names(command))}) {settings} ;;")
    commands = " ".join(name for command in shown() for name in names(command))
    return FRAME % {"cases": "\n".join(cases), "commands": quoted(commands)}
